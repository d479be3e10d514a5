//! What a scenario has at hand.

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::Poll;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::join_all;
use sansocket::{Accept, ClientRequest, CloseCode, Config, Disconnect, Message, Role};
use sansocket_driver::{Decision, Error, Incoming, Outcome, Reply, Serve, WebSocket, connect};
use tokio::sync::oneshot;

use super::{AnyStream, FaultyAlarm, Play, Seen, Told};
use crate::SEED;
use crate::stage::{Actor, Call, Notes};

/// A WebSocket on a stream that may fail.
pub type Socket = WebSocket<AnyStream, FaultyAlarm>;

/// Where a scenario plays.
pub struct Place {
    pub role: Role,
    pub config: Config,
    stand: Option<Stand>,
    pub view: View,
}

/// What a program has to begin with.
pub(super) enum Stand {
    Stream(AnyStream, FaultyAlarm),
    /// A server that waits for its handler.
    Server(Box<dyn FnOnce(Actor) -> Serving + Send>),
}

/// How a served connection ended. A server tells nobody how one ended that did not open.
pub(super) type Serving = Pin<Box<dyn Future<Output = Option<Result<Disconnect, Error>>> + Send>>;

/// What runs a program's tasks.
#[derive(Clone)]
pub(super) enum Means {
    /// The program's own.
    Own,
    /// Each is one of a runtime's.
    Spawn(Arc<dyn Fn(Play) + Send + Sync>),
}

/// What the program saw, and how steady it is.
#[derive(Clone)]
pub struct View {
    seen: Arc<Mutex<Seen>>,
    is_fickle: bool,
    means: Means,
}

/// Awaits a call that is safe to cancel: in a fickle program, drops it whenever it waits, and makes it anew.
#[macro_export]
macro_rules! insist {
    ($view:expr, $call:expr) => {
        loop {
            if let Some(value) = $view.patiently($call).await {
                break value;
            }
        }
    };
}

impl Place {
    pub(super) fn new(stand: Stand, role: Role, config: Config, view: View) -> Self {
        Self { role, config, stand: Some(stand), view }
    }

    /// The stream and its timer, once.
    pub fn stream(&mut self) -> (AnyStream, FaultyAlarm) {
        match self.stand.take() {
            Some(Stand::Stream(io, timer)) => (io, timer),
            _ => panic!("there is none"),
        }
    }

    /// A request, or what came instead.
    pub async fn incoming(&mut self) -> Option<Incoming<AnyStream, FaultyAlarm>> {
        let (io, timer) = self.stream();
        self.view.note(Incoming::read(io, timer, &self.config).await)
    }

    /// An open WebSocket, or nothing if there was an error.
    pub async fn open(&mut self) -> Option<Socket> {
        match self.role {
            Role::Server => {
                let incoming = self.incoming().await?;
                self.view.note(incoming.accept(Accept::new()).await)
            }
            Role::Client => {
                let (io, timer) = self.stream();
                let request = ClientRequest::new("ws://example.com/chat").expect("a URL");
                let opened = connect(io, timer, &self.config, &request, SEED).await;
                self.view.note(opened).map(|(socket, _)| socket)
            }
        }
    }

    /// Serves the connection with a handler.
    pub async fn serve(
        mut self,
        decision: impl Into<Decision>,
        mut act: impl FnMut(Call<'_>, &mut Reply<'_, u32>) -> Outcome + Send + 'static,
    ) {
        let (view, notes) = (self.view.clone(), Notes::default());
        let actor = Actor::new(notes.clone(), decision, move |call, reply| {
            if let Call::Message(message) = &call {
                view.seen().messages.push(message.as_bytes().to_vec());
            }
            act(call, reply)
        });
        let end = match self.stand.take().expect("there is one") {
            Stand::Stream(io, timer) => Some(Serve::new(io, timer, self.config, actor).await),
            Stand::Server(serve) => serve(actor).await,
        };
        let calls = notes.get();
        let count = |name: &str| calls.iter().filter(|note| note.starts_with(name)).count();
        assert_eq!(count("open"), count("close "), "{:?}", calls.last());
        let view = self.view;
        let Some(end) = end else {
            let mut seen = view.seen();
            (seen.silent, seen.done) = (true, true);
            return;
        };
        let Some(disconnect) = view.note(end) else { return };
        let told = match disconnect.is_orderly() {
            true => Told::End,
            false => Told::Disconnected(disconnect.cause().clone()),
        };
        let mut seen = view.seen();
        seen.told.push(told);
        (seen.end, seen.silent, seen.done) = (Some(disconnect), true, true);
    }
}

impl View {
    pub(super) fn new(seen: &Arc<Mutex<Seen>>, is_fickle: bool, means: Means) -> Self {
        Self { seen: Arc::clone(seen), is_fickle, means }
    }

    /// Runs tasks until they are over, or dropped.
    pub async fn run(&self, tasks: [Play; 2]) {
        let Means::Spawn(spawn) = &self.means else {
            join_all(tasks).await;
            return;
        };
        let ends = tasks.map(|task| {
            let (over, end) = oneshot::channel::<()>();
            spawn(Box::pin(async {
                let _over = over;
                task.await;
            }));
            end
        });
        join_all(ends).await;
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what went wrong.
    pub fn note<T>(&self, result: Result<T, Error>) -> Option<T> {
        result.inspect_err(|error| self.seen().told.push(Told::of(error))).ok()
    }

    /// What a call comes to; `None` if it waited and was dropped.
    pub async fn patiently<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        let mut call = pin!(call);
        let mut waited = false;
        poll_fn(|cx| {
            if core::mem::replace(&mut waited, true) && self.is_fickle {
                return Poll::Ready(None);
            }
            call.as_mut().poll(cx).map(Some)
        })
        .await
    }

    /// Feeds and flushes; whether that went well.
    pub async fn send(&self, socket: &mut Socket, message: impl Into<Message<'_>>) -> bool {
        let message = message.into();
        let fed = insist!(self, socket.feed(message.borrow()));
        if self.note(fed).is_none() {
            return false;
        }
        let flushed = insist!(self, socket.flush());
        self.note(flushed).is_some()
    }

    /// The next message, if there is one; else the end is noted.
    pub async fn receive(&self, socket: &mut Socket) -> Option<Message<'static>> {
        match insist!(self, socket.recv()) {
            Ok(Some(message)) => {
                self.seen().messages.push(message.as_bytes().to_vec());
                Some(message)
            }
            Ok(None) => {
                // Once it was told, that is all there is to say.
                if self.seen().end.is_none() {
                    self.tell_end(socket, Ok(()));
                }
                None
            }
            Err(error) => {
                self.tell_end(socket, Err(error));
                None
            }
        }
    }

    /// Receives to the end.
    pub async fn drain(&self, mut socket: Socket) {
        while self.receive(&mut socket).await.is_some() {}
        self.seen().drained = true;
        self.look_back(socket);
    }

    pub async fn close(&self, mut socket: Socket) {
        let disconnect = insist!(self, socket.close(CloseCode::NORMAL_CLOSURE));
        assert_eq!(socket.disconnect(), Some(&disconnect));
        self.tell_quietly(&socket);
        self.look_back(socket);
    }

    pub fn tell_end(&self, socket: &Socket, end: Result<(), Error>) {
        let disconnect = socket.disconnect().expect("it is over").clone();
        assert_eq!(end.is_ok(), disconnect.is_orderly(), "{end:?}, but {disconnect:?}");
        let mut seen = self.seen();
        seen.told.push(end.as_ref().map_or_else(Told::of, |()| Told::End));
        seen.end = Some(disconnect);
    }

    /// Notes the end where errors were told elsewhere.
    pub fn tell_quietly(&self, socket: &Socket) {
        let disconnect = socket.disconnect().expect("it is over").clone();
        let told = match disconnect.is_orderly() {
            true => Told::End,
            false => Told::Disconnected(disconnect.cause().clone()),
        };
        let mut seen = self.seen();
        seen.told.push(told);
        (seen.end, seen.silent) = (Some(disconnect), true);
    }

    /// Behind the end every call returns at once, and says the same.
    pub fn look_back(&self, mut socket: Socket) {
        let end = socket.disconnect().expect("it is over").clone();
        for _ in 0..2 {
            assert!(matches!(socket.recv().now_or_never(), Some(Ok(None))));
            assert!(matches!(socket.recv_data().now_or_never(), Some(Ok(None))));
            assert!(matches!(socket.feed("late").now_or_never(), Some(Err(_))));
            assert!(matches!(socket.flush().now_or_never(), Some(Err(_))));
            assert_eq!(socket.close(CloseCode::GOING_AWAY).now_or_never().as_ref(), Some(&end));
        }
        assert_eq!(socket.connection().buffered(), 0, "nothing waits for ever");
        self.seen().done = true;
    }
}
