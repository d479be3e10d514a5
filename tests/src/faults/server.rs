//! The scenarios of handlers at a server on a runtime.

use core::marker::PhantomData;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};

use sansocket_driver::{Runtime, Server, ServerHandle, Shutdown};
use tokio::sync::{mpsc, oneshot};

use super::board::Board;
use super::ground::Ground;
use super::place::Stand;
use super::stream::{Bell, Counter};
use super::{Case, Faulty, Outcome, Trial};
use crate::scripted::stream;
use crate::stage::Actor;

/// A runtime whose connections come from the test.
pub enum Fed<G> {
    #[doc(hidden)]
    Never(core::convert::Infallible, PhantomData<fn() -> G>),
}

impl<G: Ground> Runtime for Fed<G> {
    type Timer = <G::Runtime as Runtime>::Timer;
    type Tcp = G::Stream;
    type Listener = mpsc::UnboundedReceiver<Faulty>;

    fn timer() -> Self::Timer {
        G::Runtime::timer()
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        G::Runtime::spawn(task);
    }

    async fn connect(_: &str, _: u16) -> io::Result<G::Stream> {
        Err(ErrorKind::Unsupported.into())
    }

    async fn accept(streams: &mut Self::Listener) -> io::Result<(G::Stream, SocketAddr)> {
        match streams.recv().await {
            Some(stream) => Ok((G::wrap(stream), (Ipv4Addr::LOCALHOST, 1).into())),
            None => core::future::pending().await,
        }
    }

    fn set_nodelay(_: &G::Stream, _: bool) -> io::Result<()> {
        Ok(())
    }
}

/// A server for one case after the other.
pub struct House<G: Ground> {
    case: Case,
    handlers: Arc<Mutex<VecDeque<Actor>>>,
    streams: mpsc::UnboundedSender<Faulty>,
    handle: ServerHandle<Fed<G>>,
    end: oneshot::Receiver<io::Result<()>>,
}

impl<G: Ground> House<G> {
    /// A server with the settings of this case.
    pub fn open(case: Case, may_fail: bool) -> Self {
        let [config, _] = case.settings::<G>(may_fail);
        let server = Server::<Fed<G>>::new(config);
        let handle = server.handle();
        let handlers = Arc::<Mutex<VecDeque<Actor>>>::default();
        let (streams, listener) = mpsc::unbounded_channel();
        let waiting = Arc::clone(&handlers);
        let make = move |_| {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.pop_front().expect("one for each stream")
        };
        let (tell, end) = oneshot::channel();
        G::Runtime::spawn(async {
            // Nobody may wait for it.
            let _ = tell.send(server.serve(listener, make).await);
        });
        Self { case, handlers, streams, handle, end }
    }

    /// Runs a connection.
    pub async fn run(&self, trial: Trial) -> Outcome {
        let (end, grip) = stream();
        let board = Board::new(trial, Counter::new(trial));
        let touched = board.clone();
        let bell = Bell(Some(Box::new(move || touched.touch())));
        let io = Faulty { end, counter: board.counter().clone(), bell };
        let (handlers, streams) = (Arc::clone(&self.handlers), self.streams.clone());
        let stand = Stand::Server(Box::new(move |actor| {
            let (told, end) = oneshot::channel();
            handlers.lock().unwrap_or_else(PoisonError::into_inner).push_back(actor.telling(told));
            assert!(streams.send(io).is_ok(), "the server is gone");
            Box::pin(async { end.await.ok().map(Ok) })
        }));
        self.case.play::<G>(&board, grip, stand).await
    }

    /// Ends it, if it does end.
    pub async fn close(self, patience: Duration) -> (Shutdown, io::Result<()>) {
        let shutdown = self.handle.shutdown(patience).await;
        (shutdown, self.end.await.expect("it panicked"))
    }
}
