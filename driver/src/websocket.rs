//! The surface for programs that receive and send where they want to.

use core::future::poll_fn;
use core::ops::ControlFlow;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;
use futures_sink::Sink;
use sansocket::{CloseCode, CloseFrame, Connection, Disconnect, Event, Message, SendError, State, Transport};

use crate::error::Error;
use crate::io::{Io, Timer};
use crate::socket::Socket;
use crate::wakers::{Side, Wakers};

/// An open WebSocket on a byte stream.
///
/// Pings are answered, the keepalive runs and the closing handshake goes on while [`recv`](Self::recv) is
/// awaited: a program that only sends should still receive. Whole messages come out; in
/// [`Delivery::Streaming`](sansocket::Delivery::Streaming) use a [`Handler`](crate::Handler).
///
/// Dropping it drops the stream without a closing handshake: use [`close`](Self::close) where the peer should
/// be told.
#[derive(Debug)]
pub struct WebSocket<I, T> {
    socket: Socket<I, T>,
    wakers: Wakers,
    /// The end was told.
    ended: bool,
}

impl<I: Io + Unpin, T: Timer + Unpin> WebSocket<I, T> {
    pub(crate) fn new(mut socket: Socket<I, T>) -> Self {
        // `feed` waits for room, so receiving need not: two programs that send at once must not wait for each
        // other.
        socket.connection.set_backpressure(false);
        Self { socket, wakers: Wakers::default(), ended: false }
    }

    /// The next message; `None` once the connection was closed in order.
    ///
    /// What [`feed`](Self::feed) queued is written before this waits for the peer.
    ///
    /// # Errors
    /// Once, if the connection ended otherwise: [`Error::Io`] or [`Error::Disconnected`]. Then `None`.
    ///
    /// # Cancel safety
    /// Safe: a message is either returned or still to come.
    pub async fn recv(&mut self) -> Result<Option<Message<'static>>, Error> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Sends a message: waits until there is room for it, queues it, and writes all that is queued.
    ///
    /// # Errors
    /// [`Error::Send`] if the connection is closing, or if
    /// [`Config::hard_limit`](sansocket::Config::hard_limit) is reached because it is less than the
    /// high-water mark; [`Error::Io`] or [`Error::Disconnected`] if it ends meanwhile.
    ///
    /// # Cancel safety
    /// A message is queued whole or not at all. If this is dropped while it waits for room, it is not; if it
    /// is dropped while it writes, the message is queued and goes out with whatever is done next.
    pub async fn send(&mut self, message: impl Into<Message<'_>>) -> Result<(), Error> {
        self.feed(message).await?;
        self.flush().await
    }

    /// Queues a message, to be written with others by [`flush`](Self::flush) or [`recv`](Self::recv). Waits
    /// while [`Config::high_water`](sansocket::Config::high_water) bytes are queued, and writes some of them.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// If this is dropped, the message is not queued.
    pub async fn feed(&mut self, message: impl Into<Message<'_>>) -> Result<(), Error> {
        poll_fn(|cx| self.poll_room(cx)).await?;
        Ok(self.socket.work(|connection, _| connection.send(message))?)
    }

    /// Queues a message as [`feed`](Self::feed) does, and never compresses it: for one that has a secret in
    /// it, or is compressed already.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// If this is dropped, the message is not queued.
    #[cfg(feature = "deflate")]
    pub async fn feed_plain(&mut self, message: impl Into<Message<'_>>) -> Result<(), Error> {
        poll_fn(|cx| self.poll_room(cx)).await?;
        Ok(self.socket.work(|connection, _| connection.send_plain(message))?)
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    /// [`Error::Send`] once the connection was closed in order; [`Error::Io`] or [`Error::Disconnected`] if
    /// it ended otherwise.
    ///
    /// # Cancel safety
    /// Safe: what is not written stays queued.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_send(cx)).await
    }

    /// Closes the connection (RFC 6455 §7): sends a Close with this code or frame, waits for the peer's, and
    /// says how it ended. Messages that come meanwhile are dropped; call [`recv`](Self::recv) after
    /// [`start_close`](Self::start_close) to have them. It is bounded:
    /// [`Config::close_timeout`](sansocket::Config::close_timeout) for the peer's Close, the same for the end
    /// of the transport, longer only while the peer reads what was sent before, and 5 s for the stream to
    /// shut down.
    ///
    /// # Cancel safety
    /// The Close is queued at once. If this is dropped, calling it again, with whatever code, waits on.
    pub async fn close(&mut self, frame: impl Into<CloseFrame<'_>>) -> Disconnect {
        self.start_close(frame);
        poll_fn(|cx| self.poll_closed(cx)).await
    }

    /// Queues a Close, unless the connection is closing already, for [`recv`](Self::recv) to go through with.
    pub fn start_close<'c>(&mut self, frame: impl Into<CloseFrame<'c>>) {
        let now = self.socket.now();
        // An error tells that it is closing already.
        let _ = self.socket.connection.close(now, frame);
    }

    /// Queues a Ping whose round trip is measured, for [`Connection::latency`]; [`flush`](Self::flush) or
    /// [`recv`](Self::recv) writes it.
    ///
    /// # Errors
    /// [`Error::Send`].
    pub fn probe(&mut self) -> Result<(), Error> {
        let now = self.socket.now();
        Ok(self.socket.connection.probe(now)?)
    }

    /// Turns the compression of what is sent off or on again, if it was agreed upon.
    #[cfg(feature = "deflate")]
    pub fn set_compression(&mut self, on: bool) {
        self.socket.connection.set_compression(on);
    }

    /// The machine, to look at: what was agreed, the latency, how much is queued.
    pub fn connection(&self) -> &Connection {
        &self.socket.connection
    }

    /// How the connection ended, once it has.
    pub fn disconnect(&self) -> Option<&Disconnect> {
        match self.socket.connection.transport() {
            Transport::Close(disconnect) => Some(disconnect),
            Transport::Open | Transport::ShutdownWrite => None,
        }
    }

    /// The byte stream, to look at.
    pub fn io(&self) -> &I {
        self.socket.io()
    }

    /// The byte stream, and what was read from it and has not been taken. What has come of an unfinished
    /// frame or message is lost, as is output that is not written.
    pub fn into_io(self) -> (I, Vec<u8>) {
        self.socket.into_io()
    }

    /// [`recv`](Self::recv) for hand-written futures.
    ///
    /// # Errors
    /// As `recv`.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message<'static>>, Error>> {
        if self.ended {
            return Poll::Ready(Ok(None));
        }
        let message = self.polled(Side::Receive, cx, |socket, cx| socket.poll_events(cx, take_message));
        message.map(|message| match message {
            Some(message) => Ok(Some(message)),
            None => self.tell_end().map(|()| None),
        })
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let most = self.socket.connection.high_water();
        let ready = self.polled(Side::Send, cx, |socket, cx| socket.poll_room(cx, most));
        ready.map(|result| result.map_err(|disconnect| self.send_error(&disconnect)))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let done = self.polled(Side::Send, cx, Socket::poll_flush);
        done.map(|result| result.map_err(|disconnect| self.send_error(&disconnect)))
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Disconnect> {
        loop {
            match self.polled(Side::Send, cx, |socket, cx| socket.poll_events(cx, take_message)) {
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) => {
                    self.ended = true;
                    if let Some(disconnect) = self.disconnect() {
                        return Poll::Ready(disconnect.clone());
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn polled<R>(
        &mut self,
        side: Side,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Socket<I, T>, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        let waker = self.wakers.begin(side, cx);
        let result = poll(&mut self.socket, &mut Context::from_waker(&waker));
        if result.is_ready() {
            self.wakers.end(side);
        }
        result
    }

    fn tell_end(&mut self) -> Result<(), Error> {
        self.ended = true;
        // A stream that breaks once both ends have closed the connection loses nothing.
        match self.disconnect().filter(|disconnect| !disconnect.is_orderly()).cloned() {
            Some(disconnect) => Err(self.send_error(&disconnect)),
            None => Ok(()),
        }
    }

    fn send_error(&mut self, disconnect: &Disconnect) -> Error {
        if disconnect.is_orderly() {
            return Error::Send(SendError::Closed);
        }
        self.socket.take_error().map_or_else(|| Error::disconnected(disconnect), Error::Io)
    }
}

fn take_message(
    _: &mut Connection,
    _: sansocket::Instant,
    event: Event<'_>,
) -> ControlFlow<Message<'static>> {
    match event {
        Event::Message(message) => ControlFlow::Break(message.into_owned()),
        _ => ControlFlow::Continue(()),
    }
}

/// The messages, up to the end of the connection.
impl<I: Io + Unpin, T: Timer + Unpin> Stream for WebSocket<I, T> {
    type Item = Result<Message<'static>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(Result::transpose)
    }
}

/// Closing the sink closes the connection with [`CloseCode::NORMAL_CLOSURE`] and waits until it is over.
/// Messages that come meanwhile are dropped, and how it ended is in [`WebSocket::disconnect`]: closing is
/// never an error.
impl<'m, I: Io + Unpin, T: Timer + Unpin> Sink<Message<'m>> for WebSocket<I, T> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_room(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message<'m>) -> Result<(), Error> {
        Ok(self.socket.work(|connection, _| connection.send(message))?)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_send(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.socket.connection.state() == State::Open {
            self.start_close(CloseCode::NORMAL_CLOSURE);
        }
        self.poll_closed(cx).map(|_| Ok(()))
    }
}
