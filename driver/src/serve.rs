//! Runs a handler on a connection.

use core::borrow::Borrow;
use core::fmt;
use core::future::Future;
use core::ops::ControlFlow;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::sync::Arc;

use sansocket::{
    Cause, CloseCode, Config, Connection, Disconnect, Event, Response, State, Status, Transport,
};

use crate::address::{Mail, Mailbox};
use crate::error::Error;
use crate::guard::{HandlerPanic, guard, guard_async};
use crate::handler::{Decision, Handler, Outcome, Reply};
use crate::incoming::Incoming;
use crate::io::{Io, Timer};
use crate::members::{Alarm, End, Member, Members};
use crate::socket::Socket;
use crate::trace;

/// This many things from addresses are handled before the stream gets its turn, and so many turns before
/// other tasks do.
const INFOS_PER_TURN: usize = 64;
const TURNS_PER_POLL: usize = 16;

/// A message of up to this length is lent to the handler where it was read, if the peer sends it in one frame. As long
/// as messages may be by default.
const PATIENCE: usize = 1024 * 1024;

/// A server's connection with its handler, from the request to the end: the future of one connection's task.
///
/// It resolves to how the connection ended, or to the error that kept it from opening.
///
/// # Cancel safety
/// Not safe: dropping it drops the stream, without [`Handler::close`].
#[must_use = "futures do nothing unless polled"]
pub struct Serve<I, T, H: Handler> {
    phase: Phase<I, T, H>,
    member: Option<Member>,
}

#[expect(clippy::large_enum_variant, reason = "an open connection is the large one, and the long-lived one")]
enum Phase<I, T, H: Handler> {
    Opening(Opening<I, T, H>),
    Open { socket: Socket<I, T>, handler: H, mailbox: Mailbox<H::Info> },
    Over,
}

/// Boxed, and freed once the connection is open: handshakes and `init` may be large, an open connection
/// should not be.
type Opening<I, T, H> = Pin<Box<dyn Future<Output = Result<(Socket<I, T>, H), Error>> + Send>>;

impl<I, T, H> Serve<I, T, H>
where
    I: Io + Unpin + Send + 'static,
    T: Timer + Unpin + Send + 'static,
    H: Handler + Send + 'static,
{
    /// Serves the connection on `io` with `handler`.
    pub fn new(io: I, timer: T, config: Config, handler: H) -> Self {
        let opening = open(core::future::ready(Ok((io, handler))), timer, config, None);
        Self { phase: Phase::Opening(Box::pin(opening)), member: None }
    }
}

impl<I, H> Serve<I, Alarm, H>
where
    I: Io + Unpin + Send + 'static,
    H: Handler + Send + 'static,
{
    /// Serves one of a server's connections, whose stream and handler come after a handshake of its own; not if
    /// the server is to end. It must be polled by one task only.
    pub(crate) fn member(
        ready: impl Future<Output = io::Result<(I, H)>> + Send + 'static,
        config: Arc<Config>,
        members: &Arc<Members>,
    ) -> Option<Self> {
        let (member, alarm) = members.join()?;
        let opening = open(ready, alarm, config, Some(Arc::clone(members)));
        Some(Self { phase: Phase::Opening(Box::pin(opening)), member: Some(member) })
    }
}

async fn open<I, T, H>(
    ready: impl Future<Output = io::Result<(I, H)>>,
    timer: T,
    config: impl Borrow<Config>,
    members: Option<Arc<Members>>,
) -> Result<(Socket<I, T>, H), Error>
where
    I: Io + Unpin,
    T: Timer + Unpin,
    H: Handler,
{
    let (io, mut handler) = ready.await?;
    let incoming = Incoming::read(io, timer, config.borrow()).await?;
    if members.is_some_and(|members| members.end() > End::No) {
        return refuse(incoming, Response::new(Status::SERVICE_UNAVAILABLE)).await;
    }
    let request = incoming.request().clone();
    // Also what `init` does before it has a future.
    match guard_async(async { handler.init(request).await }).await {
        Ok(Decision::Accept(accept)) => Ok((incoming.accept_unwritten(accept).await?, handler)),
        Ok(Decision::Respond(response)) => refuse(incoming, response).await,
        Err(panic) => {
            tell(&mut handler, &panic);
            refuse(incoming, Response::new(Status::INTERNAL_SERVER_ERROR)).await
        }
    }
}

async fn refuse<I, T, V>(incoming: Incoming<I, T>, response: Response) -> Result<V, Error>
where
    I: Io + Unpin,
    T: Timer + Unpin,
{
    let status = response.status();
    incoming.reject(response).await?;
    Err(Error::Disconnected(Cause::Rejected(status).into()))
}

/// A handler is never pinned.
impl<I, T, H: Handler> Unpin for Serve<I, T, H> {}

impl<I: Io + Unpin, T: Timer + Unpin, H: Handler> Future for Serve<I, T, H> {
    type Output = Result<Disconnect, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { phase, member } = &mut *self;
        let end = poll_phase(cx, phase, member.as_ref());
        if end.is_ready() {
            *phase = Phase::Over;
            *member = None;
        }
        end
    }
}

fn poll_phase<I: Io + Unpin, T: Timer + Unpin, H: Handler>(
    cx: &mut Context<'_>,
    phase: &mut Phase<I, T, H>,
    member: Option<&Member>,
) -> Poll<Result<Disconnect, Error>> {
    loop {
        match phase {
            Phase::Opening(opening) => {
                if let Some(member) = member {
                    member.begin(cx);
                    if member.end() == End::Abort {
                        return Poll::Ready(Ok(Cause::Lost.into()));
                    }
                }
                match opening.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Ready(Ok((mut socket, mut handler))) => {
                        let mut mailbox = Mailbox::new();
                        let now = socket.now();
                        socket.work(|connection| {
                            let mut reply = Reply::new(connection, &mut mailbox, now);
                            let opened = guard(|| handler.open(&mut reply));
                            settle(opened, &mut handler, &mut reply);
                        });
                        *phase = Phase::Open { socket, handler, mailbox };
                    }
                }
            }
            Phase::Open { socket, handler, mailbox } => {
                let end = member.map_or(End::No, Member::end);
                if end == End::Close {
                    let now = socket.now();
                    mailbox.over = true;
                    // An error tells that it is closing already.
                    let _ = socket.connection.close(now, CloseCode::GOING_AWAY);
                }
                if end != End::Abort && poll_open(cx, socket, handler, mailbox).is_pending() {
                    return Poll::Pending;
                }
                let disconnect = match socket.connection.transport() {
                    Transport::Close(disconnect) => disconnect.clone(),
                    Transport::Open | Transport::ShutdownWrite => Cause::Lost.into(),
                };
                trace::ended(&disconnect);
                if let Err(panic) = guard(|| handler.close(&disconnect)) {
                    tell(handler, &panic);
                }
                return Poll::Ready(Ok(disconnect));
            }
            Phase::Over => return Poll::Pending,
        }
    }
}

/// Ready once the connection is over.
fn poll_open<I: Io + Unpin, T: Timer, H: Handler>(
    cx: &mut Context<'_>,
    socket: &mut Socket<I, T>,
    handler: &mut H,
    mailbox: &mut Mailbox<H::Info>,
) -> Poll<()> {
    for _ in 0..TURNS_PER_POLL {
        deliver_infos(cx, socket, handler, mailbox);
        let events = socket.poll_events(cx, PATIENCE, |connection, stream, now, event| {
            on_event(Reply::new(connection, mailbox, now).through(stream), event, handler);
            ControlFlow::<()>::Continue(())
        });
        if events.is_ready() {
            return Poll::Ready(());
        }
        // What keeps infos waiting is the stream, which wakes the task; else the next one does, even if the
        // first address was only made just now.
        if mailbox.poll_ready(cx, has_room(&socket.connection)).is_pending() {
            return Poll::Pending;
        }
        if socket.is_spent() {
            break;
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Hands over some of what addresses sent, while the peer reads what is sent to it.
fn deliver_infos<I: Io + Unpin, T: Timer, H: Handler>(
    cx: &mut Context<'_>,
    socket: &mut Socket<I, T>,
    handler: &mut H,
    mailbox: &mut Mailbox<H::Info>,
) {
    for _ in 0..INFOS_PER_TURN {
        if mailbox.poll_ready(cx, has_room(&socket.connection)).is_pending() {
            return;
        }
        let Some(mail) = mailbox.next() else { return };
        let now = socket.now();
        socket.work(|connection| match mail {
            Mail::Info(info) if connection.state() == State::Open => {
                let mut reply = Reply::new(connection, mailbox, now);
                let outcome = guard(|| handler.info(info, &mut reply));
                settle(outcome, handler, &mut reply);
            }
            Mail::Info(_) => {}
            Mail::Close(frame) => Reply::new(connection, mailbox, now).close(*frame),
        });
    }
}

/// What comes from addresses waits while the peer does not read; but if nothing is received either, it may be what
/// changes that.
fn has_room(connection: &Connection) -> bool {
    connection.is_paused() || connection.buffered() < connection.high_water()
}

#[inline]
fn on_event<H: Handler>(mut reply: Reply<'_, H::Info>, event: Event<'_>, handler: &mut H) {
    // Once it has closed the connection, a handler is only told the end.
    if reply.is_over() {
        return;
    }
    let outcome = guard(|| match event {
        Event::Message(message) => handler.message(message, &mut reply),
        Event::Data(data) => handler.data(data, &mut reply),
        Event::Ping(payload) => handler.ping(&payload, &mut reply),
        Event::Pong(payload) => handler.pong(&payload, &mut reply),
        _ => Ok(()),
    });
    settle(outcome, handler, &mut reply);
}

/// A callback that failed, by an error or a panic, closes the connection.
#[inline]
fn settle<H: Handler>(
    outcome: Result<Outcome, HandlerPanic>,
    handler: &mut H,
    reply: &mut Reply<'_, H::Info>,
) {
    if !matches!(outcome, Ok(Ok(()))) {
        fail(outcome, handler, reply);
    }
}

#[cold]
fn fail<H: Handler>(outcome: Result<Outcome, HandlerPanic>, handler: &mut H, reply: &mut Reply<'_, H::Info>) {
    match outcome {
        Ok(Ok(())) => return,
        Ok(Err(error)) => tell(handler, &*error),
        Err(panic) => tell(handler, &panic),
    }
    reply.close(CloseCode::INTERNAL_ERROR);
}

/// Tells a handler what came of its callback. That it panics at this too changes nothing any more.
fn tell<H: Handler>(handler: &mut H, error: &(dyn core::error::Error + Send + Sync + 'static)) {
    trace::handler_failed(&error);
    let _ = guard(|| handler.error(error));
}

impl<I, T, H: Handler> fmt::Debug for Serve<I, T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match &self.phase {
            Phase::Opening(_) => "opening",
            Phase::Open { .. } => "open",
            Phase::Over => "over",
        };
        f.debug_struct("Serve").field("phase", &phase).finish_non_exhaustive()
    }
}
