//! The surface for programs that receive and send where they want to.

use core::future::poll_fn;
use core::ops::ControlFlow;
use core::task::{Context, Poll};

use sansocket::{
    Agreed, Cause, CloseFrame, Config, Connection, Data, Disconnect, Endpoint, Event, Kind, Message,
    Prepared, SendError, Transport,
};

use crate::error::Error;
use crate::io::{Io, Timer};
use crate::socket::{Socket, ignore};
use crate::split::{Receiver, ReuniteError, Sender};
use crate::trace;
use crate::wakers::{Side, Wakers};

/// Longer messages are put together in memory of their own, which is the application's then: this costs a copy less.
const PATIENCE: usize = 16 * 1024 - 1;

/// An open WebSocket on a byte stream.
///
/// Pings are answered, the keepalive runs and the closing handshake goes on while [`recv`](Self::recv) is
/// awaited: a program that only sends should still receive. Where two tasks do that, [`split`](Self::split) it.
///
/// Dropping it drops the stream without a closing handshake: use [`close`](Self::close) where the peer should
/// be told.
#[derive(Debug)]
pub struct WebSocket<I, T> {
    socket: Socket<I, T>,
    wakers: Wakers,
    /// What has come of a message in pieces.
    pieces: Option<(Kind, Vec<u8>)>,
    /// The end was told.
    ended: bool,
}

impl<I: Io + Unpin, T: Timer + Unpin> WebSocket<I, T> {
    pub(crate) fn new(mut socket: Socket<I, T>) -> Self {
        // `feed` waits for room, so receiving need not: two programs that send at once must not wait for each
        // other.
        socket.connection.set_backpressure(false);
        Self { socket, wakers: Wakers::default(), pieces: None, ended: false }
    }

    /// The WebSocket of a connection whose opening handshake was done elsewhere ([`Connection::established`]).
    /// `unread` is what was read from the stream beyond that.
    pub fn established(
        io: I,
        timer: T,
        endpoint: Endpoint,
        config: &Config,
        agreed: Agreed,
        unread: &[u8],
    ) -> Self {
        let mut socket = Socket::new(io, timer, |now| Connection::established(endpoint, config, agreed, now));
        socket.unread(unread);
        Self::new(socket)
    }

    /// The next message; `None` once the connection was closed in order.
    ///
    /// What [`feed`](Self::feed) queued is written before this waits for the peer. In
    /// [`Delivery::Streaming`](sansocket::Delivery::Streaming) the message is put together here; what
    /// [`recv_data`](Self::recv_data) has left of one is skipped.
    ///
    /// # Errors
    /// Once, if the connection ended otherwise: [`Error::Io`] or [`Error::Disconnected`]. Then `None`.
    ///
    /// # Cancel safety
    /// Safe: a message is either returned or still to come.
    pub async fn recv(&mut self) -> Result<Option<Message<'static>>, Error> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The next piece of a message ([`Delivery::Streaming`](sansocket::Delivery::Streaming)), as it came; in
    /// [`Delivery::Whole`](sansocket::Delivery::Whole), a message in one piece. What a [`recv`](Self::recv) that was
    /// dropped has of a message is its first piece. `None` once the connection was closed in order.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    /// Safe: a piece is either returned or still to come.
    pub async fn recv_data(&mut self) -> Result<Option<Data<'static>>, Error> {
        poll_fn(|cx| self.poll_recv_data(cx)).await
    }

    /// Sends a message: waits until there is room for it, queues it, and writes all that is queued.
    ///
    /// # Errors
    /// [`Error::Send`] if the connection is closing, or if
    /// [`Config::hard_limit`](sansocket::Config::hard_limit) is reached because it is less than the
    /// high-water mark; [`Error::Io`] or [`Error::Disconnected`] if it ends meanwhile. None of them tells that the
    /// peer has not had the message: that is for the application's own answers to tell.
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
        self.feed_with(|connection| connection.send(message)).await
    }

    /// Queues a message that goes to many connections, as [`feed`](Self::feed) does.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// If this is dropped, the message is not queued.
    pub async fn feed_prepared(&mut self, message: &Prepared) -> Result<(), Error> {
        self.feed_with(|connection| connection.send_prepared(message)).await
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
        self.feed_with(|connection| connection.send_plain(message)).await
    }

    /// Begins a message that is sent in pieces, and whose length need not be known: [`push`](Self::push) them, and
    /// [`finish`](Self::finish) with the last.
    ///
    /// # Errors
    /// [`Error::Send`]: a message is in progress already, or the connection is closing.
    pub fn begin(&mut self, kind: Kind) -> Result<(), Error> {
        self.queue(|connection| connection.begin(kind))
    }

    /// Queues a piece of the message, to be written as with [`feed`](Self::feed). Waits for room as that does.
    ///
    /// # Errors
    /// As [`send`](Self::send); also [`Error::Send`] if no message is in progress, or a text is not UTF-8.
    ///
    /// # Cancel safety
    /// If this is dropped, the piece is not queued.
    pub async fn push(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.feed_with(|connection| connection.push(piece)).await
    }

    /// Sends the last piece of the message, which may be empty, and writes all that is queued.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    ///
    /// # Cancel safety
    /// As [`send`](Self::send): the piece is queued whole or not at all.
    pub async fn finish(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.feed_with(|connection| connection.finish(piece)).await?;
        self.flush().await
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    /// [`Error::Send`] once the connection was closed in order, or if some of that
    /// [was dropped](Connection::has_dropped); [`Error::Io`] or [`Error::Disconnected`] if it ended otherwise.
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
        // An error tells that it is closing already: there is nothing new to wake anybody for.
        if self.socket.connection.close(now, frame).is_ok() {
            self.wakers.wake(Side::Receive);
        }
    }

    /// Queues a Ping; [`flush`](Self::flush) or [`recv`](Self::recv) writes it. Its Pong goes by in silence: for a
    /// round trip that is measured, [`probe`](Self::probe).
    ///
    /// # Errors
    /// [`Error::Send`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.queue(|connection| connection.ping(payload))
    }

    /// Queues a Pong that nobody asked for, as a sign of life.
    ///
    /// # Errors
    /// [`Error::Send`].
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.queue(|connection| connection.pong(payload))
    }

    /// Queues a Ping whose round trip is measured, for [`Connection::latency`]; [`flush`](Self::flush) or
    /// [`recv`](Self::recv) writes it.
    ///
    /// # Errors
    /// [`Error::Send`].
    pub fn probe(&mut self) -> Result<(), Error> {
        let now = self.socket.now();
        self.queue(|connection| connection.probe(now))
    }

    /// Puts other settings to use from now on.
    pub fn set_options(&mut self, config: &Config) {
        let now = self.socket.now();
        self.socket.connection.set_options(now, config);
        // Who receives keeps the time.
        self.wakers.wake(Side::Receive);
    }

    /// Frees what memory the connection has and does not need now.
    pub fn release_memory(&mut self) {
        self.socket.connection.release_memory();
    }

    /// Turns the compression of what is sent off or on again, if it was agreed upon.
    #[cfg(feature = "deflate")]
    pub fn set_compression(&mut self, on: bool) {
        self.socket.connection.set_compression(on);
    }

    /// What was agreed upon in the opening handshake.
    pub fn agreed(&self) -> &Agreed {
        static NOTHING: Agreed = Agreed::new();
        self.socket.connection.agreed().unwrap_or(&NOTHING)
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

    /// Two halves, for two tasks: one that sends and one that receives, neither of which waits for the other.
    pub fn split(self) -> (Sender<I, T>, Receiver<I, T>) {
        crate::split::split(self)
    }

    /// Puts the halves of one WebSocket together again.
    ///
    /// # Errors
    /// [`ReuniteError`], with both, if they are not.
    pub fn reunite(sender: Sender<I, T>, receiver: Receiver<I, T>) -> Result<Self, ReuniteError<I, T>> {
        crate::split::reunite(sender, receiver)
    }

    /// [`recv`](Self::recv) for hand-written futures.
    ///
    /// # Errors
    /// As `recv`.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message<'static>>, Error>> {
        let Self { socket, wakers, pieces, .. } = self;
        if wakers.is_empty()
            && let Some(message) = socket.take_message()
        {
            return Poll::Ready(Ok(Some(message)));
        }
        if self.ended {
            return Poll::Ready(Ok(None));
        }
        let message = wakers.poll(Side::Receive, cx, |cx| {
            socket.poll_events(cx, PATIENCE, |connection, _, _, event| match event {
                Event::Message(message) => ControlFlow::Break(message.into_owned()),
                Event::Data(data) => join(pieces, &data, connection.max_message()),
                _ => ControlFlow::Continue(()),
            })
        });
        self.received(message)
    }

    /// [`recv_data`](Self::recv_data) for hand-written futures.
    ///
    /// # Errors
    /// As `recv_data`.
    pub fn poll_recv_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Data<'static>>, Error>> {
        if self.ended {
            return Poll::Ready(Ok(None));
        }
        if let Some((kind, begun)) = self.pieces.take() {
            return Poll::Ready(Ok(Some(Data { kind, payload: begun.into(), first: true, last: false })));
        }
        let piece = self.polled(Side::Receive, cx, |socket, cx| {
            socket.poll_events(cx, PATIENCE, |_, _, _, event| match event {
                Event::Message(message) => ControlFlow::Break(whole(message)),
                Event::Data(data) => ControlFlow::Break(data.into_owned()),
                _ => ControlFlow::Continue(()),
            })
        });
        self.received(piece)
    }

    fn received<V>(&mut self, value: Poll<Option<V>>) -> Poll<Result<Option<V>, Error>> {
        value.map(|value| match value {
            Some(value) => Ok(Some(value)),
            None => {
                self.wakers.wake(Side::Send);
                self.tell_end().map(|()| None)
            }
        })
    }

    async fn feed_with(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        let mut work = Some(work);
        poll_fn(|cx| self.poll_feed(cx, &mut work)).await
    }

    /// Waits for room, and then queues; what waits to receive learns that there is something to write.
    pub(crate) fn poll_feed<W>(
        &mut self,
        cx: &mut Context<'_>,
        work: &mut Option<W>,
    ) -> Poll<Result<(), Error>>
    where
        W: FnOnce(&mut Connection) -> Result<(), SendError>,
    {
        let room = self.poll_room(cx);
        room.map(|room| {
            room?;
            work.take().map_or(Ok(()), |work| self.queue(work))
        })
    }

    /// Queues at once. What waits to receive is to write it.
    pub(crate) fn queue(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        let queued = self.socket.work(work);
        self.wakers.wake(Side::Receive);
        Ok(queued?)
    }

    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let most = self.socket.connection.high_water();
        if self.wakers.is_empty() && self.socket.has_room(most) {
            return Poll::Ready(Ok(()));
        }
        let ready = self.polled(Side::Send, cx, |socket, cx| socket.poll_room(cx, most));
        ready.map(|result| result.map_err(|disconnect| self.send_error(&disconnect)))
    }

    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let done = self.polled(Side::Send, cx, Socket::poll_flush);
        done.map(|result| match result {
            // All is written that there still was.
            Ok(()) if self.socket.has_lost_output() => Err(Error::Send(SendError::Closed)),
            result => result.map_err(|disconnect| self.send_error(&disconnect)),
        })
    }

    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Disconnect> {
        loop {
            match self.polled(Side::Send, cx, |socket, cx| socket.poll_events(cx, PATIENCE, ignore::<()>)) {
                Poll::Ready(_) => {
                    let was_told = core::mem::replace(&mut self.ended, true);
                    if let Some(disconnect) = self.disconnect() {
                        if !was_told {
                            trace::ended(disconnect);
                        }
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
        let socket = &mut self.socket;
        self.wakers.poll(side, cx, |cx| poll(socket, cx))
    }

    fn tell_end(&mut self) -> Result<(), Error> {
        self.ended = true;
        if let Some(disconnect) = self.disconnect() {
            trace::ended(disconnect);
        }
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
        // A stream that breaks behind a verdict changes nothing.
        match (disconnect.cause(), self.socket.take_error()) {
            (Cause::Lost, Some(error)) => Error::Io(error),
            _ => Error::disconnected(disconnect),
        }
    }
}

/// A message in one piece.
fn whole(message: Message<'_>) -> Data<'static> {
    let kind = message.kind();
    Data { kind, payload: message.into_bytes().into(), first: true, last: true }
}

/// Puts the pieces of a message together. The connection sees to it that they are no more than a message may have.
fn join(pieces: &mut Option<(Kind, Vec<u8>)>, data: &Data<'_>, max: u64) -> ControlFlow<Message<'static>> {
    if data.first {
        *pieces = Some((data.kind, Vec::new()));
    }
    // Else somebody has taken its beginning.
    let Some((_, joined)) = pieces else { return ControlFlow::Continue(()) };
    let needed = joined.len() + data.payload.len();
    if joined.capacity() < needed {
        // Doubling, but never beyond what the message can come to.
        let most = if data.last { needed } else { usize::try_from(max).unwrap_or(usize::MAX) };
        let target = joined.capacity().saturating_mul(2).min(most).max(needed);
        joined.reserve_exact(target - joined.len());
    }
    joined.extend_from_slice(&data.payload);
    if !data.last {
        return ControlFlow::Continue(());
    }
    let joined = core::mem::take(joined);
    *pieces = None;
    ControlFlow::Break(match data.kind {
        // It has been validated.
        Kind::Text => Message::text(String::from_utf8(joined).unwrap_or_default()),
        Kind::Binary => Message::binary(joined),
    })
}
