//! Whom a program under test talks to.

use std::borrow::Cow;

use sansocket::{
    Accept, Cause, ClientRequest, CloseCode, Config, Connection, Event, Instant, Kind, Message, Role, State,
    Transport,
};

use crate::scripted::Grip;
use crate::{SEED, take_output};

/// What a peer does, one after the other.
#[derive(Clone, Copy, Debug)]
pub enum Say {
    Text(usize),
    Binary(usize),
    /// A message in frames of this length.
    Pieces(usize, usize),
    Ping,
    /// These bytes. If it is the first thing said, the peer speaks no WebSocket at all.
    Raw(&'static [u8]),
    /// Waits until so many messages have come.
    Hear(usize),
    /// Lets the program have so many turns.
    Pause(usize),
    /// Waits until so many Pings have come.
    HearPings(usize),
    /// The rest of the stream is cut off so many bytes before its end.
    Cut(usize),
    Close,
}

/// The other end.
#[derive(Debug)]
pub struct Peer {
    connection: Connection,
    script: &'static [Say],
    said: usize,
    is_mute: bool,
    out: Vec<u8>,
    made: usize,
    eof: bool,
    ended: bool,
    pings: usize,
    paused: usize,
    is_pausing: bool,
    /// Messages that came from the program.
    pub heard: Vec<Vec<u8>>,
    /// Messages that the program is to get, and how much of the stream it has read when it has them.
    pub messages: Vec<(Vec<u8>, usize)>,
    /// How much that is for the Close.
    pub close: Option<usize>,
}

/// A payload that looks different everywhere, and can be compressed to a half or so.
pub fn payload(len: usize) -> Vec<u8> {
    (1..=len as u64).map(|i| b"0123456789abcdef"[(mix(i) >> 60) as usize]).collect()
}

/// Whose multiples alone would repeat themselves so much that next to nothing is left when they are compressed.
fn mix(i: u64) -> u64 {
    let mut mixed = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

impl Peer {
    /// One for a program in `role`.
    pub fn new(role: Role, config: &Config, script: &'static [Say], now: Instant) -> Self {
        let config = config.clone().idle_timeout(None).max_message(4 << 20);
        let connection = match role {
            Role::Client => Connection::server(&config, now),
            Role::Server => {
                let request = ClientRequest::new("ws://example.com/chat").expect("a URL");
                Connection::client(&config, &request, SEED, now)
            }
        };
        Self {
            connection,
            script,
            said: 0,
            is_mute: matches!(script.first(), Some(Say::Raw(_))),
            out: Vec::new(),
            made: 0,
            eof: false,
            ended: false,
            pings: 0,
            paused: 0,
            is_pausing: false,
            heard: Vec::new(),
            messages: Vec::new(),
            close: None,
        }
    }

    /// Whether it waits for nothing that it was to hear.
    pub fn is_through(&self) -> bool {
        !self.script[self.said..].iter().any(|say| matches!(say, Say::Hear(_) | Say::HearPings(_)))
    }

    /// When it has something to do though nothing comes.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.is_mute { None } else { self.connection.poll_timeout().map(|deadline| deadline.at) }
    }

    /// Whether the long messages that came are as they should be.
    pub fn heard_right(&self) -> bool {
        let is_right =
            |message: &Vec<u8>| payload(message.len()).starts_with(&message[..message.len() / 1024 * 1024]);
        self.heard.iter().all(is_right)
    }

    /// Whether the program broke the protocol.
    pub fn is_offended(&self) -> bool {
        matches!(self.connection.transport(), Transport::Close(end) if matches!(end.cause(), Cause::Violation(_)))
    }

    /// Takes what came and says what is to say; whether there was anything.
    pub(super) fn turn(&mut self, grip: &Grip, now: Instant, is_shut: bool) -> bool {
        let mut bytes = grip.take();
        let came = !bytes.is_empty();
        if !self.is_mute {
            self.receive(&mut bytes, now);
            if !came && (is_shut || grip.is_dropped()) && !self.eof {
                self.eof = true;
                self.connection.receive_eof();
            }
            while self.connection.poll_timeout().is_some_and(|deadline| deadline.at <= now) {
                self.connection.handle_timeout(now);
            }
            self.keep_output();
            if self.connection.state() > State::Open {
                self.close.get_or_insert(self.made);
            }
        }
        self.is_pausing = false;
        while self.said < self.script.len() && self.say(self.script[self.said], now) {
            self.said += 1;
        }
        let gives = !self.out.is_empty() && !self.ended;
        if gives {
            grip.give(core::mem::take(&mut self.out));
        }
        let is_over = !self.is_mute && self.connection.transport() != Transport::Open;
        let ends = !self.ended && (is_over || self.said > 0 && self.eof_said());
        if ends {
            self.ended = true;
            grip.end();
        }
        came || gives || ends || self.is_pausing
    }

    /// Takes what is left when the program is through. What it says to that comes to nobody.
    pub(super) fn finish(&mut self, grip: &Grip, now: Instant) {
        let close = self.close;
        while self.turn(grip, now, true) {}
        self.close = close;
    }

    fn eof_said(&self) -> bool {
        matches!(self.script[self.said - 1], Say::Cut(_))
    }

    fn receive(&mut self, bytes: &mut [u8], now: Instant) {
        let mut input = sansocket::Input::new(bytes);
        while let Some(event) = self.connection.receive(now, &mut input) {
            match event {
                Event::Request(_) => self.connection.accept(now, Accept::new()).expect("a request"),
                Event::Message(message) => self.heard.push(message.as_bytes().to_vec()),
                Event::Ping(_) => self.pings += 1,
                _ => {}
            }
        }
        assert_eq!(input.remaining(), 0, "it takes everything");
    }

    fn keep_output(&mut self) {
        let output = take_output(&mut self.connection);
        self.made += output.len();
        self.out.extend(output);
    }

    /// Whether it could.
    fn say(&mut self, what: Say, now: Instant) -> bool {
        if !self.is_mute && self.connection.state() != State::Open {
            return false;
        }
        match what {
            Say::Text(len) => {
                let text = String::from_utf8(payload(len)).expect("digits");
                self.connection.send(Message::Text(Cow::Owned(text))).expect("it is open");
                self.sent(payload(len));
            }
            Say::Binary(len) => {
                self.connection.send(payload(len)).expect("it is open");
                self.sent(payload(len));
            }
            Say::Pieces(len, piece) => {
                self.connection.begin(Kind::Binary).expect("it is open");
                for part in payload(len).chunks(piece) {
                    self.connection.push(part).expect("it is open");
                }
                self.connection.finish(b"").expect("it is open");
                self.sent(payload(len));
            }
            Say::Ping => self.connection.ping(b"?").expect("it is open"),
            Say::Raw(bytes) => {
                self.made += bytes.len();
                self.out.extend(bytes);
            }
            Say::Pause(turns) => {
                self.is_pausing = self.paused < turns;
                self.paused = if self.is_pausing { self.paused + 1 } else { 0 };
                return !self.is_pausing;
            }
            Say::Hear(messages) => return self.heard.len() >= messages,
            Say::HearPings(pings) => return self.pings >= pings,
            Say::Cut(before) => {
                self.out.truncate(self.out.len().saturating_sub(before));
                self.made -= before;
                self.messages.retain(|(_, end)| *end <= self.made);
            }
            Say::Close => {
                self.connection.close(now, CloseCode::NORMAL_CLOSURE).expect("it is open");
                self.keep_output();
                self.close = Some(self.made);
            }
        }
        if !self.is_mute {
            self.keep_output();
        }
        true
    }

    fn sent(&mut self, message: Vec<u8>) {
        self.keep_output();
        self.messages.push((message, self.made));
    }
}
