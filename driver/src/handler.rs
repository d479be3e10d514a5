//! The surface for programs that are called: one value a connection, after Cowboy's handlers.

use core::fmt;
use core::future::Future;
use core::time::Duration;
use std::io::IoSlice;

use sansocket::{
    Accept, Agreed, CloseCode, CloseFrame, Config, Connection, Data, Disconnect, Instant, Kind, Message,
    Prepared, Request, Response, SendError, State,
};

use crate::address::{Address, Mailbox};
use crate::socket::{SLICES, Through};

/// Messages from this length on are not queued if the stream takes them at once.
const LONG: usize = 16 * 1024;

/// What a callback returns. An error closes the connection with [`CloseCode::INTERNAL_ERROR`].
pub type Outcome = Result<(), Box<dyn core::error::Error + Send + Sync>>;

/// The application's side of a server's connections: one value for each.
///
/// Only [`message`](Self::message) must be written. Callbacks are not async, since a message is lent to them
/// where it was read. Each gets a [`Reply`] to send with; all that the callbacks of one read send goes out in
/// one write. To answer later, keep a [`Reply::address`], and send what is to come to [`info`](Self::info).
pub trait Handler: Sized {
    /// What [`Address`]es send to this handler; `()` if there are none.
    type Info: Send + 'static;

    /// The TLS handshake is through, by rustls: what was agreed on, and who the client is, if it was asked for a
    /// certificate. The request comes next. If it panics, the connection is dropped.
    #[cfg(feature = "rustls")]
    fn secured(&mut self, tls: &rustls::Connection) {
        let _ = tls;
    }

    /// Decides on a request, before the WebSocket is open: accept it, with a subprotocol, headers or settings
    /// of its own, or answer with any HTTP response. It may take its time; nothing more is read meanwhile.
    ///
    /// A request that asks for no WebSocket ([`Request::is_upgrade`]) comes here too, so a handler is made
    /// for each of those as well. An implementation may simply be `async fn init(&mut self, request: Request)
    /// -> Decision`.
    fn init(&mut self, request: Request) -> impl Future<Output = Decision> + Send {
        let _ = request;
        async { Accept::new().into() }
    }

    /// The WebSocket is open. The client does not know yet: what is sent here goes with the response, in one write,
    /// and whoever this handler is made known to here misses nothing that the client causes from now on.
    ///
    /// # Errors
    /// Whatever the application cannot go on with.
    fn open(&mut self, reply: &mut Reply<'_, Self::Info>) -> Outcome {
        let _ = reply;
        Ok(())
    }

    /// A message came.
    ///
    /// # Errors
    /// Whatever the application cannot go on with.
    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, Self::Info>) -> Outcome;

    /// A piece of a message came: instead of [`message`](Self::message), in
    /// [`Delivery::Streaming`](sansocket::Delivery::Streaming).
    ///
    /// # Errors
    /// Whatever the application cannot go on with.
    fn data(&mut self, data: Data<'_>, reply: &mut Reply<'_, Self::Info>) -> Outcome {
        let _ = (data, reply);
        Ok(())
    }

    /// A Ping came. It has been answered, unless [`Config::auto_pong`] is off.
    ///
    /// # Errors
    /// Whatever the application cannot go on with.
    fn ping(&mut self, payload: &[u8], reply: &mut Reply<'_, Self::Info>) -> Outcome {
        let _ = (payload, reply);
        Ok(())
    }

    /// A Pong came.
    ///
    /// # Errors
    /// Whatever the application cannot go on with.
    fn pong(&mut self, payload: &[u8], reply: &mut Reply<'_, Self::Info>) -> Outcome {
        let _ = (payload, reply);
        Ok(())
    }

    /// Something came from an [`Address`].
    ///
    /// # Errors
    /// Whatever the application cannot go on with.
    fn info(&mut self, info: Self::Info, reply: &mut Reply<'_, Self::Info>) -> Outcome {
        let _ = (info, reply);
        Ok(())
    }

    /// A callback returned this error, and the connection is being closed with [`CloseCode::INTERNAL_ERROR`]:
    /// to be logged, say. Or one panicked, with a [`HandlerPanic`](crate::HandlerPanic): after that of
    /// [`init`](Self::init) the request is answered with 500 and nothing else is called, and that of
    /// [`close`](Self::close) comes behind the end.
    fn error(&mut self, error: &(dyn core::error::Error + Send + Sync + 'static)) {
        let _ = error;
    }

    /// The connection is over. Called exactly once if [`open`](Self::open) was, unless its task is dropped
    /// before ([`Serve`](crate::Serve)).
    fn close(&mut self, disconnect: &Disconnect) {
        let _ = disconnect;
    }
}

/// The answer to a request.
#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "deflate",
    expect(clippy::large_enum_variant, reason = "nearly always it is the large one")
)]
pub enum Decision {
    /// Open a WebSocket.
    Accept(Accept),
    /// Answer with this instead.
    Respond(Response),
}

impl From<Accept> for Decision {
    fn from(accept: Accept) -> Self {
        Self::Accept(accept)
    }
}

impl From<Response> for Decision {
    fn from(response: Response) -> Self {
        Self::Respond(response)
    }
}

/// What a callback sends and commands, in order. It is encoded at once, and written when the callbacks of a
/// read are through; with a long message at once, as far as the stream takes it.
///
/// After a [`close`](Self::close) the rest is dropped, as nothing may follow it.
pub struct Reply<'r, Info> {
    connection: &'r mut Connection,
    mailbox: &'r mut Mailbox<Info>,
    stream: Option<&'r mut dyn Through>,
    now: Instant,
}

impl<'r, Info> Reply<'r, Info> {
    pub(crate) fn new(connection: &'r mut Connection, mailbox: &'r mut Mailbox<Info>, now: Instant) -> Self {
        Self { connection, mailbox, stream: None, now }
    }

    /// Long payloads need not be queued.
    pub(crate) fn through(self, stream: &'r mut dyn Through) -> Self {
        Self { stream: Some(stream), ..self }
    }

    /// Whether the handler has closed the connection.
    pub(crate) fn is_over(&self) -> bool {
        self.mailbox.over
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`SendError::Full`] if the peer does not read what was sent before; [`SendError::MessageInProgress`].
    #[inline]
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        let message = message.into();
        if message.len() < LONG || self.stream.is_none() {
            return unless_closed(self.connection.send(message));
        }
        self.send_long(message)
    }

    /// What the stream takes at once is written from where it is.
    fn send_long(&mut self, message: Message<'_>) -> Result<(), SendError> {
        let direct = match self.connection.send_direct(message) {
            Ok(direct) => direct,
            Err(error) => return unless_closed(Err(error)),
        };
        if direct.is_direct()
            && let Some(stream) = &mut self.stream
        {
            let mut slots = [IoSlice::new(&[]); SLICES];
            let mut slices = direct.io_slices(&mut slots);
            let mut written = 0;
            // Streams that encrypt take a little at a time.
            while !slices.is_empty() {
                let n = stream.write(slices);
                if n == 0 {
                    break;
                }
                written += n;
                IoSlice::advance_slices(&mut slices, n);
            }
            direct.written(written);
        }
        Ok(())
    }

    /// Sends a message, and never compresses it: for one that has a secret in it, or is compressed already.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[cfg(feature = "deflate")]
    pub fn send_plain<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        unless_closed(self.connection.send_plain(message))
    }

    /// Sends a message that goes to many connections.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_prepared(&mut self, message: &Prepared) -> Result<(), SendError> {
        unless_closed(self.connection.send_prepared(message))
    }

    /// Begins a message that is sent in pieces.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn begin(&mut self, kind: Kind) -> Result<(), SendError> {
        unless_closed(self.connection.begin(kind))
    }

    /// Begins a message that is sent in pieces, and never compresses it.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[cfg(feature = "deflate")]
    pub fn begin_plain(&mut self, kind: Kind) -> Result<(), SendError> {
        unless_closed(self.connection.begin_plain(kind))
    }

    /// Sends a piece of the message.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::NoMessageInProgress`], [`SendError::InvalidUtf8`].
    pub fn push(&mut self, piece: &[u8]) -> Result<(), SendError> {
        unless_closed(self.connection.push(piece))
    }

    /// Sends the last piece of the message.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(&mut self, piece: &[u8]) -> Result<(), SendError> {
        unless_closed(self.connection.finish(piece))
    }

    /// Sends a Ping.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::ControlTooLong`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        unless_closed(self.connection.ping(payload))
    }

    /// Sends a Pong.
    ///
    /// # Errors
    /// As [`ping`](Self::ping).
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        unless_closed(self.connection.pong(payload))
    }

    /// Sends a Ping whose round trip is measured, for [`latency`](Self::latency).
    ///
    /// # Errors
    /// [`SendError::Full`].
    pub fn probe(&mut self) -> Result<(), SendError> {
        unless_closed(self.connection.probe(self.now))
    }

    /// Closes the connection, behind what was sent.
    pub fn close<'c>(&mut self, frame: impl Into<CloseFrame<'c>>) {
        self.mailbox.over = true;
        // An error tells that it is closing already.
        let _ = self.connection.close(self.now, frame);
    }

    /// Closes the connection with [`CloseCode::NORMAL_CLOSURE`].
    pub fn stop(&mut self) {
        self.close(CloseCode::NORMAL_CLOSURE);
    }

    /// Receives nothing more until [`resume`](Self::resume), which an [`info`](Handler::info) can bring
    /// about. No timer runs meanwhile, so a peer that is gone is not noticed.
    pub fn pause(&mut self) {
        self.connection.pause();
    }

    /// Receives again.
    pub fn resume(&mut self) {
        self.connection.resume(self.now);
    }

    /// Puts other settings to use from now on.
    pub fn set_options(&mut self, config: &Config) {
        self.connection.set_options(self.now, config);
    }

    /// Turns the compression of what is sent off or on again, if it was agreed upon.
    #[cfg(feature = "deflate")]
    pub fn set_compression(&mut self, on: bool) {
        self.connection.set_compression(on);
    }

    /// Frees what memory the connection has and does not need now.
    pub fn hibernate(&mut self) {
        self.connection.release_memory();
    }

    /// An address at which this handler can be reached, from any thread.
    pub fn address(&mut self) -> Address<Info> {
        self.mailbox.address()
    }

    /// What was agreed upon in the opening handshake.
    pub fn agreed(&self) -> Option<&Agreed> {
        self.connection.agreed()
    }

    /// How many bytes wait to be written.
    pub fn buffered(&self) -> usize {
        self.connection.buffered()
    }

    /// The last round-trip time that was measured.
    pub fn latency(&self) -> Option<Duration> {
        self.connection.latency()
    }

    /// Whether the connection is closing, so that what is sent is dropped.
    pub fn is_closing(&self) -> bool {
        self.connection.state() != State::Open
    }
}

fn unless_closed(result: Result<(), SendError>) -> Result<(), SendError> {
    match result {
        Err(SendError::Closed) => Ok(()),
        other => other,
    }
}

impl<Info> fmt::Debug for Reply<'_, Info> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("connection", &self.connection).finish_non_exhaustive()
    }
}
