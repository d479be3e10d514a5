//! The machine: one endpoint from the first byte of the opening handshake to the last of the closing one.

mod closing;
#[cfg(feature = "deflate")]
mod codec;
#[cfg(feature = "deflate")]
mod compressed;
mod direct;
mod extras;
mod opening;
mod receive;
mod send;

pub use direct::Direct;
pub use extras::Stats;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use self::extras::Extras;
use crate::config::{Config, Options};
use crate::error::{ProtocolError, SendError};
use crate::event::{Cause, Disconnect, Event, Transport};
use crate::frame::{Decoder, Input, MAX_CONTROL_PAYLOAD};
use crate::handshake::{Agreed, ClientHandshake, ClientRequest, ServerHandshake};
use crate::keys::{Keys, Seed};
use crate::message::utf8::Validator;
use crate::message::{Assembly, Kind, Message, lend};
use crate::outbox::{Outbox, Transmit};
use crate::time::{Deadline, Instant, Span};
use crate::timers::Timers;

/// Which end of a connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The one that connects, and masks what it sends.
    Client,
    /// The one that is connected to.
    Server,
}

/// An end of a connection that is already open, for [`Connection::established`].
#[derive(Debug)]
pub enum Endpoint {
    /// A client, with the randomness for its masking keys.
    Client(Seed),
    /// A server.
    Server,
}

/// Where a connection is in its life (RFC 6455 §4.1, §7.1.3, §7.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The opening handshake is going on.
    Connecting,
    /// Messages can be sent.
    Open,
    /// A Close was sent or received, or the request was refused or rejected, or the connection has failed.
    Closing,
    /// It is over: [`Transport::Close`].
    Closed,
}

/// One endpoint of a WebSocket connection, from the first byte of the opening handshake to the last of the
/// closing one. It owns no socket, no clock, no randomness and no receive buffer.
///
/// Its methods are of four kinds, and any order of calls is legal:
///
/// * **Inputs** tell it what happened: [`receive`](Self::receive), [`receive_eof`](Self::receive_eof),
///   [`handle_timeout`](Self::handle_timeout), [`write_failed`](Self::write_failed),
///   [`transport_failed`](Self::transport_failed), [`transmitted`](Self::transmitted).
/// * **Commands** are what the application wants: [`accept`](Self::accept), [`reject`](Self::reject),
///   [`send`](Self::send) and its relatives, [`ping`](Self::ping), [`close`](Self::close),
///   [`pause`](Self::pause), [`resume`](Self::resume), [`set_options`](Self::set_options),
///   [`set_backpressure`](Self::set_backpressure),
///   [`release_memory`](Self::release_memory).
/// * **Outputs** are what the transport is to do, shown until it has been done: [`transmit`](Self::transmit),
///   [`poll_timeout`](Self::poll_timeout), [`transport`](Self::transport), [`wants_read`](Self::wants_read).
/// * **Getters** show the rest: [`state`](Self::state), [`agreed`](Self::agreed), [`latency`](Self::latency)
///   ….
///
/// A loop around it reads, hands the bytes to `receive` until that returns `None`, writes what `transmit`
/// shows, sleeps no longer than `poll_timeout` says, and does what `transport` says. `core/examples/epoll.rs`
/// is one.
#[derive(Debug)]
pub struct Connection {
    role: Role,
    phase: Phase,
    options: Options,
    decoder: Decoder,
    inbound: Inbound,
    outbox: Outbox,
    outgoing: Option<Outgoing>,
    timers: Timers,
    /// Bytes written, since the peer was last heard or a timer asked, while it could not be heard: it is
    /// alive if it reads.
    progress: u32,
    /// There were enough of them the last time.
    lagging: bool,
    paused: bool,
    /// Input waits for output.
    backpressure: bool,
    opened: bool,
    /// A client's masking keys.
    keys: Option<Box<Keys>>,
    /// A Pong that waits for room in the outbox: the answer to the newest Ping only (§5.5.3).
    pong: Option<Box<ControlPayload>>,
    extras: Option<Box<Extras>>,
    /// How it ended, from when it began to.
    ending: Option<Disconnect>,
}

#[derive(Debug)]
enum Phase {
    Asking(Box<ClientHandshake>),
    Asked(Box<ServerHandshake>),
    Open,
    /// Our Close is queued or sent; the peer's has not come.
    Closing,
    /// Nothing is received any more: write what is queued, then wait for the end of the transport.
    Draining {
        /// Whether to close the writing direction (§7.1.1: a server closes first; so does who fails the
        /// connection).
        shutdown: bool,
        eof: bool,
    },
    Closed,
}

/// The frame and the message that are being received.
#[derive(Debug)]
struct Inbound {
    /// The frame whose header has been read and whose payload is not complete.
    frame: Option<Frame>,
    /// A data frame was left in the input, since it must wait for output.
    held: bool,
    /// Frames may be compressed, or are counted.
    extra: bool,
    /// What comes next is taken by the shortest way, if it is a whole message: the connection is open and between
    /// two frames, and nothing is asked of it but messages. Each longer way finds out anew; who changes any of
    /// this puts it off.
    quick: bool,
    message: Assembly,
    /// What has come of a control frame that is spread over reads.
    control: Option<Box<ControlPayload>>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: crate::frame::Opcode,
    fin: bool,
    #[cfg_attr(not(feature = "deflate"), expect(dead_code, reason = "none is"))]
    compressed: bool,
}

/// The payload of a control frame (§5.5).
struct ControlPayload {
    bytes: [u8; MAX_CONTROL_PAYLOAD],
    len: usize,
}

/// A message that is being sent in pieces.
#[derive(Debug)]
struct Outgoing {
    kind: Kind,
    compressed: bool,
    begun: bool,
    validator: Validator,
}

/// Beginnings.
impl Connection {
    /// A server that waits for an HTTP/1.1 upgrade request.
    pub fn server(config: &Config, now: Instant) -> Self {
        let phase = Phase::Asked(Box::new(ServerHandshake::new(config)));
        let mut connection = Self::new(Role::Server, phase, config, now);
        connection.timers.handshake(now, Span::or_none(config.handshake_timeout));
        connection
    }

    /// A client, whose HTTP/1.1 upgrade request is in [`transmit`](Self::transmit).
    pub fn client(config: &Config, request: &ClientRequest, seed: Seed, now: Instant) -> Self {
        let mut keys = Box::new(Keys::new(&seed));
        let (handshake, head) = ClientHandshake::new(config, request, &mut keys);
        let mut connection = Self::new(Role::Client, Phase::Asking(Box::new(handshake)), config, now);
        connection.keys = Some(keys);
        connection.timers.handshake(now, Span::or_none(config.handshake_timeout));
        connection.outbox.raw(&head);
        connection
    }

    /// An end of a connection whose HTTP was spoken elsewhere: by an HTTP library, or over HTTP/2 (RFC 8441)
    /// or HTTP/3.
    pub fn established(endpoint: Endpoint, config: &Config, agreed: Agreed, now: Instant) -> Self {
        let (role, keys) = match endpoint {
            Endpoint::Server => (Role::Server, None),
            Endpoint::Client(seed) => (Role::Client, Some(Box::new(Keys::new(&seed)))),
        };
        let mut connection = Self::new(role, Phase::Open, config, now);
        connection.keys = keys;
        connection.open(agreed, now);
        #[cfg(feature = "deflate")]
        connection.begin_compression(config.compression);
        connection
    }

    fn new(role: Role, phase: Phase, config: &Config, now: Instant) -> Self {
        Self {
            role,
            phase,
            options: config.options,
            decoder: Decoder::new(role),
            inbound: Inbound {
                frame: None,
                held: false,
                extra: false,
                quick: false,
                message: Assembly::new(),
                control: None,
            },
            outbox: Outbox::new(),
            outgoing: None,
            timers: Timers::new(now),
            progress: 0,
            lagging: false,
            paused: false,
            backpressure: true,
            opened: false,
            keys: None,
            pong: None,
            extras: None,
            ending: None,
        }
    }
}

/// Inputs.
impl Connection {
    /// Takes bytes from the front of `input` up to the next event, and returns that.
    ///
    /// Call it until it returns `None`. All input is taken then, that of an unfinished frame too, unless the
    /// connection cannot go on. If input remains, that is until the caller acts: answers [`Event::Request`],
    /// writes what [`transmit`](Self::transmit) shows, or calls [`resume`](Self::resume). Keep those bytes
    /// and offer them again; not reading more meanwhile is what slows the peer down.
    ///
    /// Nothing that a peer sends makes this panic or fail: its faults end the connection, with the right
    /// Close frame queued and the verdict in [`transport`](Self::transport).
    #[inline]
    pub fn receive<'b>(&mut self, now: Instant, input: &mut Input<'b>) -> Option<Event<'b>> {
        if input.is_empty() {
            return None;
        }
        if let Some(message) = self.receive_message(|| now, input) {
            self.heard(now);
            return Some(Event::Message(message));
        }
        self.receive_any(now, input)
    }

    /// Takes the message at the front of `input`, if it is there as a whole, shorter than 64 KiB, and there is nothing else
    /// to do. `None` may mean anything: [`receive`](Self::receive) tells.
    ///
    /// This is for who takes one message at a time out of what has been read, and would have to look at the clock for each:
    /// it is asked only if the message breaks the protocol. Tell [`heard`](Self::heard) once for the bytes.
    #[inline]
    pub fn receive_message<'b>(
        &mut self,
        now: impl FnOnce() -> Instant,
        input: &mut Input<'b>,
    ) -> Option<Message<'b>> {
        if !self.inbound.quick {
            return None;
        }
        let (kind, payload) = self.receive_quickly(input)?;
        let message = lend(kind, payload).ok();
        if message.is_none() {
            let now = now();
            self.heard(now);
            self.receive_fault(now, input, ProtocolError::InvalidUtf8);
        }
        message
    }

    /// The transport has no more to read: its end came, or an error. Offer what [`receive`](Self::receive)
    /// left before this, since nothing is taken any more. Harmless to repeat;
    /// [`wants_read`](Self::wants_read) is false from here on.
    ///
    /// The event is a client's [`Event::Rejected`], if the response's body ended only now.
    pub fn receive_eof(&mut self) -> Option<Event<'static>> {
        self.end_of_input()
    }

    /// The transport cannot be written any more: what is queued is dropped, and nothing more can be sent.
    /// What the peer said before it went can still be received, its Close too, until
    /// [`receive_eof`](Self::receive_eof) or for the time of [`Config::close_timeout`].
    pub fn write_failed(&mut self, now: Instant) {
        self.go_mute(now);
    }

    /// The transport is gone, in both directions: the connection is over.
    pub fn transport_failed(&mut self) {
        self.end(Cause::Lost);
    }

    /// Bytes have come that are handed in later: the peer is not silent. [`receive`](Self::receive) notes by itself
    /// what it takes.
    #[inline]
    pub fn heard(&mut self, now: Instant) {
        self.timers.heard(now);
        // Who has to read what is queued before a Close has not stopped because it talks.
        if let Phase::Open = self.phase {
            self.progress = 0;
        }
    }

    /// Time has passed: does what is due. Early and late calls are harmless, but hand in first what has
    /// arrived: a peer whose bytes wait to be read is not silent.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.run_timers(now);
    }
}

/// Outputs.
impl Connection {
    /// What to write.
    #[inline]
    pub fn transmit(&self) -> Transmit<'_> {
        Transmit::new(&self.outbox)
    }

    /// The first `n` bytes of [`transmit`](Self::transmit) have been written. If the connection has dropped
    /// them meanwhile, that makes no difference.
    #[inline]
    pub fn transmitted(&mut self, n: usize) {
        self.transmitted_with(n, &mut Vec::new());
    }

    /// As [`transmitted`](Self::transmitted), and puts the memory of a long payload that is through into `memory`, if it
    /// is more than that has: for [`Input::with_memory`].
    #[inline]
    pub fn transmitted_with(&mut self, n: usize, memory: &mut Vec<u8>) {
        let n = n.min(self.outbox.ready());
        self.passed(n);
        self.outbox.written(n, memory);
        if self.pong.is_some() {
            self.send_waiting_pong();
        }
        self.outbox.advance(self.keys.as_deref_mut());
        if matches!(self.phase, Phase::Draining { eof: true, .. }) && self.outbox.len() == 0 {
            self.conclude();
        }
    }

    /// So many bytes went to the transport.
    #[inline]
    fn passed(&mut self, n: usize) {
        if self.extras.is_some() {
            self.count_written(n);
        }
        if !matches!(self.phase, Phase::Open) || self.timers.unasked || self.is_backed_up() {
            self.progress = self.progress.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
        }
    }

    /// The output block, if it is empty: for a pool that lends it to whichever connection writes next. The
    /// next output allocates one, unless [`lend_output`](Self::lend_output) brought one before.
    pub fn reclaim_output(&mut self) -> Option<Vec<u8>> {
        self.outbox.reclaim()
    }

    /// Whether the connection has no output block, so that [`lend_output`](Self::lend_output) would be of
    /// use.
    pub fn wants_output(&self) -> bool {
        self.outbox.wants_output()
    }

    /// Lends a block of memory for output; what is in it is dropped. It comes back if the connection has one
    /// already.
    pub fn lend_output(&mut self, block: Vec<u8>) -> Option<Vec<u8>> {
        self.outbox.lend(block)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next. It stays the same while bytes come and go,
    /// and is `None` while no timer runs: the connection is paused, its request waits for the application,
    /// all timers are off, or it is over.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.timers.next()
    }

    /// What to do with the transport once [`transmit`](Self::transmit) is empty.
    pub fn transport(&self) -> Transport<'_> {
        match (&self.phase, &self.ending) {
            (Phase::Closed, Some(ending)) => Transport::Close(ending),
            (Phase::Draining { shutdown: true, .. }, _) if self.outbox.len() == 0 => Transport::ShutdownWrite,
            _ => Transport::Open,
        }
    }

    /// Whether [`receive`](Self::receive) can take bytes now: if not, or if it left some before, reading the
    /// transport would only pile them up.
    pub fn wants_read(&self) -> bool {
        match &self.phase {
            Phase::Open | Phase::Closing => !self.is_stopped() && !self.inbound_waits(),
            Phase::Asked(handshake) => !handshake.is_asked(),
            Phase::Asking(_) => true,
            Phase::Draining { eof, .. } => !eof,
            Phase::Closed => false,
        }
    }
}

/// Getters, and commands about the connection itself.
impl Connection {
    /// Which end this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Where the connection is in its life.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Asking(_) | Phase::Asked(_) => State::Connecting,
            Phase::Open => State::Open,
            Phase::Closing | Phase::Draining { .. } => State::Closing,
            Phase::Closed => State::Closed,
        }
    }

    /// What was agreed upon in the opening handshake, if there was one to the end.
    pub fn agreed(&self) -> Option<&Agreed> {
        static NOTHING: Agreed = Agreed::new();
        self.opened.then(|| self.extras.as_ref().map_or(&NOTHING, |extras| &extras.agreed))
    }

    /// How many bytes of output are queued, those that wait behind a fragment included.
    pub fn buffered(&self) -> usize {
        self.outbox.len()
    }

    /// Whether some of what was queued was dropped and will not be written: the transport failed, or a Close of the peer's, a
    /// timeout or an error of the peer's ended what waited in fragments.
    pub fn has_dropped(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.0.dropped)
    }

    /// [`Config::high_water`], as it is set now.
    pub fn high_water(&self) -> usize {
        self.options.high_water
    }

    /// [`Config::max_message`], as it is set now.
    pub fn max_message(&self) -> u64 {
        self.options.max_message
    }

    /// Whether a message would be queued now.
    ///
    /// # Errors
    /// Why it would not.
    pub fn can_send(&self) -> Result<(), SendError> {
        self.check_send()
    }

    /// The last round-trip time that was measured: from a Ping of the keepalive or [`probe`](Self::probe) to
    /// its Pong.
    pub fn latency(&self) -> Option<Duration> {
        self.timers.latency()
    }

    /// Stops receiving: [`receive`](Self::receive) takes nothing until [`resume`](Self::resume), which is
    /// felt by the peer once the buffers between are full. The timers for silence stand still, since nothing
    /// can be heard. A connection that is closing cannot be paused, since the peer's Close must be read.
    pub fn pause(&mut self) {
        self.inbound.quick = false;
        match self.phase {
            Phase::Asking(_) | Phase::Asked(_) => self.paused = true,
            Phase::Open => {
                self.paused = true;
                self.timers.stop();
            }
            Phase::Closing | Phase::Draining { .. } | Phase::Closed => {}
        }
    }

    /// Receives again, if it was paused. The time for silence begins anew.
    pub fn resume(&mut self, now: Instant) {
        let was_paused = core::mem::replace(&mut self.paused, false);
        if let (Phase::Open, true) = (&self.phase, was_paused) {
            self.timers.open(now, &self.options);
        }
    }

    /// Whether [`pause`](Self::pause) holds.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether input waits while [`Config::high_water`] bytes of output do. It does by default, so that a
    /// program that answers what it receives cannot be made to queue without bound.
    ///
    /// Turn it off for a program that sends on its own account and paces itself by
    /// [`buffered`](Self::buffered): if both ends sent a lot and neither read before the other did, both
    /// would wait for ever.
    pub fn set_backpressure(&mut self, on: bool) {
        self.backpressure = on;
    }

    /// Puts other settings to use: limits for what comes next, timers from now on. What is about the opening
    /// handshake is over and makes no difference.
    pub fn set_options(&mut self, now: Instant, config: &Config) {
        self.options = config.options;
        self.inbound.quick = false;
        #[cfg(feature = "deflate")]
        if let (Some(codec), Some(compression)) = (codec::Codec::of(&mut self.extras), &config.compression) {
            codec.configure(compression);
        }
        if let (Phase::Open, false) = (&self.phase, self.paused) {
            self.timers.open(now, &self.options);
        }
    }

    /// Frees memory that is reserved and not in use: after a burst, or before a long silence. Of a connection
    /// that keeps contexts, the compressor goes too; the decompressor stays, since the peer may refer to what
    /// it has seen.
    pub fn release_memory(&mut self) {
        self.outbox.shrink();
        #[cfg(feature = "deflate")]
        if let (None, Some(codec)) = (&self.outgoing, codec::Codec::of(&mut self.extras)) {
            codec.release_memory();
        }
    }

    fn open(&mut self, agreed: Agreed, now: Instant) {
        self.phase = Phase::Open;
        self.opened = true;
        self.extras = Extras::new(agreed, self.options.count);
        self.inbound.extra = self.options.count;
        self.timers.open(now, &self.options);
        if self.paused {
            self.timers.stop();
        }
    }
}
