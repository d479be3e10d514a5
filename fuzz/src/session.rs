//! A connection on which anything is done in any order, and what must be true of it all the time.

use core::time::Duration;

use arbitrary::Arbitrary;
use sansocket::{
    Accept, Agreed, ClientRequest, CloseCode, CloseFrame, Config, Connection, Disconnect, Endpoint, Event,
    Input, Instant, Kind, Message, Prepared, Response, Role, SendError, State, Status, Transport,
};
use sansocket_tests::{SEED, START, wire};

use crate::Output;
use crate::http::{Head, accept};
use crate::settings::{Settings, scaled};

/// Pongs, a Close, headers, and the fragments that stand before those that wait.
const SLACK: usize = 24 * 1024;

/// How the connection comes to be.
#[derive(Arbitrary, Clone, Debug)]
pub struct Start {
    server: bool,
    established: bool,
    settings: Settings,
}

/// Something that a caller, a peer or time may do.
#[derive(Arbitrary, Clone, Debug)]
pub enum Op {
    Bytes(Vec<u8>),
    /// A frame as the peer should write it, or its beginning.
    Frame {
        first: u8,
        payload: Vec<u8>,
        cut: Option<u8>,
    },
    /// The peer's half of the opening handshake.
    Handshake {
        right: bool,
    },
    /// What was left over is offered again.
    Again,
    Send {
        how: u8,
        len: u16,
    },
    SendEmpty {
        times: u8,
    },
    Begin {
        text: bool,
    },
    Push {
        piece: Vec<u8>,
        last: bool,
    },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Probe,
    Close {
        code: Option<u16>,
        reason: String,
    },
    Pause,
    Resume,
    SetOptions(Settings),
    Transmitted(u16),
    TransmittedAll,
    Pass {
        millis: u16,
    },
    HandleTimeout,
    ToTheDeadline,
    Eof,
    Failed,
    ReleaseMemory,
    Reclaim,
    Lend {
        len: u16,
    },
    Accept {
        subprotocol: bool,
        settings: Option<Settings>,
    },
    Reject {
        status: u16,
    },
}

/// The connection and what is known of it.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    now: Instant,
    inbox: Vec<u8>,
    output: Output,
    /// Bytes behind which frames begin: the HTTP head, as far as it is not written.
    head: usize,
    written: usize,
    /// The least that has been queued: two bytes a frame, and its payload.
    queued: usize,
    /// The longest that was queued at once, and the highest limit that was set.
    longest: usize,
    limit: usize,
    hard_limit: usize,
    state: State,
    rank: u8,
    end: Option<Disconnect>,
    /// The beginning of what was to be written before the operation.
    front: Vec<u8>,
    closed: bool,
    opened: bool,
}

impl Session {
    pub fn new(start: &Start) -> Self {
        let config = start.settings.config();
        let role = if start.server { Role::Server } else { Role::Client };
        let connection = match (start.established, role) {
            (true, Role::Server) => Connection::established(Endpoint::Server, &config, Agreed::new(), START),
            (true, Role::Client) => {
                Connection::established(Endpoint::Client(SEED), &config, Agreed::new(), START)
            }
            (false, Role::Server) => Connection::server(&config, START),
            (false, Role::Client) => {
                let request = ClientRequest::new("ws://example.com/").unwrap().subprotocol("chat").unwrap();
                Connection::client(&config, &request, SEED, START)
            }
        };
        let head = connection.buffered();
        Self {
            state: connection.state(),
            connection,
            now: START,
            inbox: Vec::new(),
            output: Output::new(role),
            head,
            written: 0,
            queued: 0,
            longest: head,
            limit: start.settings.hard_limit(),
            hard_limit: start.settings.hard_limit(),
            rank: 0,
            end: None,
            front: Vec::new(),
            closed: false,
            opened: false,
        }
    }

    pub fn apply(&mut self, op: Op) {
        self.front = self.connection.transmit().slices().flatten().copied().take(512).collect();
        match op {
            Op::Bytes(bytes) => self.receive(&bytes),
            Op::Frame { first, payload, cut } => {
                let key = (self.connection.role() == Role::Server).then_some(wire::KEY);
                let frame = wire::raw(first, key, &payload);
                let end = cut.map_or(frame.len(), usize::from).min(frame.len());
                self.receive(&frame[..end]);
            }
            Op::Handshake { right } => self.handshake(right),
            Op::Again => self.receive(&[]),
            Op::Send { .. }
            | Op::SendEmpty { .. }
            | Op::Begin { .. }
            | Op::Push { .. }
            | Op::Ping(_)
            | Op::Pong(_)
            | Op::Probe => self.send(op),
            Op::Close { code, reason } => {
                let frame = code.and_then(CloseCode::new).map(|code| CloseFrame::truncated(code, &reason));
                let result = self.connection.close(self.now, frame.unwrap_or(CloseFrame::empty()));
                assert_eq!(result.is_ok(), self.state == State::Open);
            }
            Op::Pause => self.connection.pause(),
            Op::Resume => self.connection.resume(self.now),
            Op::SetOptions(settings) => {
                self.configure(&settings);
                self.connection.set_options(self.now, &settings.config());
            }
            Op::Transmitted(n) => self.transmitted(usize::from(n)),
            Op::TransmittedAll => self.transmitted(usize::MAX),
            Op::Pass { millis } => self.now = self.now + Duration::from_millis(u64::from(millis)),
            Op::HandleTimeout => self.handle_timeout(),
            Op::ToTheDeadline => {
                if let Some(deadline) = self.connection.poll_timeout() {
                    self.now = self.now.max(deadline.at);
                    self.handle_timeout();
                }
            }
            Op::Eof => self.eof(),
            Op::Failed => {
                self.connection.transport_failed();
                assert_eq!(self.connection.state(), State::Closed);
            }
            Op::ReleaseMemory => self.connection.release_memory(),
            Op::Reclaim => {
                let block = self.connection.reclaim_output();
                assert!(
                    block.is_none()
                        || self.connection.transmit().is_empty() && self.connection.wants_output()
                );
            }
            Op::Lend { len } => {
                let wanted = self.connection.wants_output();
                let back = self.connection.lend_output(vec![0xAA; usize::from(len)]);
                assert_eq!(back.is_none(), wanted);
            }
            Op::Accept { subprotocol, settings } => self.accept(subprotocol, settings),
            Op::Reject { status } => {
                let before = self.connection.buffered();
                let status = Status::new(status).unwrap_or(Status::NOT_FOUND);
                self.connection.reject(self.now, Response::new(status).text("no"));
                self.count_head(before);
            }
        }
    }

    fn configure(&mut self, settings: &Settings) {
        self.hard_limit = settings.hard_limit();
        self.limit = self.limit.max(self.hard_limit);
    }

    /// What was queued since `before` is no frame.
    fn count_head(&mut self, before: usize) {
        let more = self.connection.buffered().saturating_sub(before);
        self.head += more;
        self.longest = self.longest.max(more);
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
        let connecting = self.state == State::Connecting;
        let before = self.connection.buffered();
        let mut input = Input::new(&mut self.inbox);
        let mut rounds = 0;
        while let Some(event) = self.connection.receive(self.now, &mut input) {
            assert!(!self.closed, "{event:?} behind Close");
            assert!(!matches!(self.state, State::Closed));
            self.closed |= matches!(event, Event::Close(_));
            rounds += 1;
        }
        assert!(
            rounds <= bytes.len() + self.front.len() + 2 * input.remaining() + 4096,
            "events from nothing"
        );
        assert!(
            input.is_empty() || !self.connection.wants_read(),
            "it wants to read, and does not take what was read"
        );
        self.inbox = input.into_rest().to_vec();
        // A server refuses by itself.
        if connecting && self.connection.role() == Role::Server {
            self.count_head(before);
        }
    }

    fn handshake(&mut self, right: bool) {
        let bytes = match self.connection.role() {
            Role::Server => {
                let key = if right { "dGhlIHNhbXBsZSBub25jZQ==" } else { "short" };
                format!(
                    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
                )
            }
            Role::Client => {
                let request =
                    Connection::client(&Config::new(), &ClientRequest::new("ws://a").unwrap(), SEED, START);
                let request = request.transmit().to_vec();
                let key = Head::parse(&request).and_then(|head| head.only("sec-websocket-key")).unwrap();
                let accept = accept(if right { key } else { b"other" });
                format!(
                    "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
                )
            }
        };
        self.receive(bytes.as_bytes());
    }

    fn accept(&mut self, subprotocol: bool, settings: Option<Settings>) {
        let before = self.connection.buffered();
        let mut accept = Accept::new();
        if subprotocol {
            accept = accept.subprotocol("chat");
        }
        if let Some(settings) = settings {
            accept = accept.config(settings.config());
        }
        let result = self.connection.accept(self.now, accept);
        if result.is_ok() && self.connection.state() == State::Open {
            assert_eq!(self.connection.agreed().unwrap().subprotocol().is_some(), subprotocol);
            if let Some(settings) = settings {
                self.configure(&settings);
            }
        }
        assert!(result.is_err() || self.state == State::Connecting);
        self.count_head(before);
    }

    fn send(&mut self, op: Op) {
        let queued = self.queued.saturating_sub(self.written);
        let (len, result) = match op {
            Op::Send { how, len } => {
                let len = scaled(len);
                let connection = &mut self.connection;
                let result = match how % 6 {
                    0 => connection.send("x".repeat(len)),
                    1 => connection.send(&"x".repeat(len)[..]),
                    2 => connection.send(vec![0xFF; len]),
                    3 => connection.send_prepared(&Prepared::binary(vec![0xFF; len])),
                    4 => connection.send_prepared(&Prepared::text("x".repeat(len))),
                    _ => connection.try_send(Message::binary(vec![0xFF; len])).map_err(|back| {
                        assert_eq!(back.message.len(), len);
                        back.error
                    }),
                };
                (len, result)
            }
            Op::SendEmpty { times } => {
                for _ in 1..times {
                    self.send(Op::Send { how: 1, len: 0 });
                }
                return;
            }
            Op::Begin { text } => {
                let result = self.connection.begin(if text { Kind::Text } else { Kind::Binary });
                assert!(result.is_err() || self.connection.can_send() == Err(SendError::MessageInProgress));
                return;
            }
            Op::Push { piece, last } => {
                let result = if last { self.connection.finish(&piece) } else { self.connection.push(&piece) };
                (piece.len(), result)
            }
            Op::Ping(payload) => (payload.len(), self.connection.ping(&payload)),
            Op::Pong(payload) => (payload.len(), self.connection.pong(&payload)),
            _ => (8, self.connection.probe(self.now)),
        };
        if result.is_ok() {
            assert_eq!(self.state, State::Open);
            assert!(
                queued < self.hard_limit.max(1),
                "{queued} bytes are queued, the limit is {}",
                self.hard_limit
            );
            self.queued = self.queued.max(self.written) + len + 2;
            self.longest = self.longest.max(len);
        }
    }

    fn transmitted(&mut self, most: usize) {
        let mut left = most;
        while left > 0 && !self.connection.transmit().is_empty() {
            let transmit = self.connection.transmit();
            assert_eq!(transmit.len(), transmit.slices().map(<[u8]>::len).sum::<usize>());
            assert!(transmit.slices().all(|slice| !slice.is_empty()));
            let mut bytes = transmit.to_vec();
            bytes.truncate(left);
            self.connection.transmitted(bytes.len());
            left -= bytes.len();
            let http = self.head.min(bytes.len());
            self.head -= http;
            self.written += bytes.len() - http;
            self.output.push(&bytes[http..]);
        }
        self.front.clear();
    }

    fn handle_timeout(&mut self) {
        let connecting = self.state == State::Connecting;
        let before = self.connection.buffered();
        self.connection.handle_timeout(self.now);
        if connecting {
            self.count_head(before);
        }
        if let Some(deadline) = self.connection.poll_timeout() {
            assert!(deadline.at > self.now, "{deadline:?} is still due at {:?}", self.now);
        }
    }

    fn eof(&mut self) {
        let event = self.connection.receive_eof();
        assert!(matches!(event, None | Some(Event::Rejected(_))));
        assert!(event.is_none() || self.state == State::Connecting);
        // Its last words may still be written.
        assert!(self.connection.state() == State::Closed || self.connection.buffered() > 0);
        assert!(!self.connection.wants_read());
    }

    /// What is true at any time.
    pub fn check(&mut self) {
        let connection = &self.connection;
        assert!(self.state <= connection.state(), "a state came back");
        self.state = connection.state();
        let rank = match connection.transport() {
            Transport::Open => 0,
            Transport::ShutdownWrite => 1,
            Transport::Close(_) => 2,
        };
        assert!(self.rank <= rank, "the transport's end went further away");
        self.rank = rank;
        assert!(rank == 0 || connection.buffered() == 0 && connection.transmit().is_empty());
        assert_eq!(rank == 2, self.state == State::Closed);
        match self.state {
            State::Connecting => assert_eq!(connection.agreed(), None),
            State::Open => self.opened = true,
            State::Closing | State::Closed => {}
        }
        // Accepting and closing may both lie between two looks.
        assert!(!self.opened || connection.agreed().is_some());
        let now = connection.transmit().slices().flatten().copied().take(self.front.len());
        if self.state != State::Closed {
            assert!(now.eq(self.front.iter().copied()), "output changed before it was written");
        }
        let bound = self.limit + self.longest + SLACK;
        assert!(connection.buffered() <= bound, "{} bytes, {bound} at most", connection.buffered());
        assert!(connection.can_send().is_err() || self.state == State::Open);
        if let Transport::Close(end) = connection.transport() {
            assert_eq!(connection.poll_timeout(), None);
            assert!(!connection.wants_read());
            assert!(self.end.as_ref().is_none_or(|before| before == end), "{:?}, then {end:?}", self.end);
            self.end.get_or_insert_with(|| end.clone());
        }
    }

    /// Everything comes to an end, and what was written is whole.
    pub fn finish(mut self) {
        self.apply(Op::TransmittedAll);
        self.check();
        if self.state != State::Closed {
            assert!(self.output.is_between_frames(), "half a frame");
        }
        self.apply(Op::Eof);
        self.apply(Op::TransmittedAll);
        self.check();
        assert_eq!(self.state, State::Closed);
        self.output.check_unfinished();
        let sent = self.end.as_ref().and_then(Disconnect::sent);
        assert!(self.output.close.is_none() || sent.is_some(), "a Close that the verdict does not know");
    }
}
