//! Two connections, bytes between them, and what each end did and got.

use core::time::Duration;

use arbitrary::Arbitrary;
use sansocket::{
    Cause, CloseCode, CloseFrame, Compression, Connection, Data, Delivery, Disconnect, Event, Kind, Message,
    Role, Side,
};
use sansocket_tests::{Pair, ROLES};

use crate::settings::{Settings, scaled};

/// How the two begin.
#[derive(Arbitrary, Clone, Debug)]
pub struct Start {
    established: bool,
    client: Settings,
    server: Settings,
}

/// Something that happens at one end.
#[derive(Arbitrary, Clone, Debug)]
pub struct Act {
    at_server: bool,
    what: What,
}

#[derive(Arbitrary, Clone, Debug)]
enum What {
    /// What it wrote reaches the other end, so many bytes of it.
    Carry(u16),
    CarryAll,
    Send {
        text: bool,
        len: u16,
    },
    SendThis(Vec<u8>),
    Begin {
        text: bool,
    },
    Push {
        len: u8,
        last: bool,
    },
    Ping(u8),
    Pong,
    Probe,
    Close {
        code: u16,
    },
    Pause,
    Resume,
    SetOptions(Settings),
    ReleaseMemory,
    Reclaim,
    Lend(u8),
    Pass {
        millis: u16,
    },
    HandleTimeout,
    Eof,
    Failed,
}

/// What one end did and what came of it.
#[derive(Debug)]
struct Log {
    delivery: Delivery,
    /// Whether its messages may wait behind fragments.
    fragments: bool,
    sent: Vec<(Kind, Vec<u8>)>,
    /// What has been queued of a message that is sent in pieces.
    pieces: Option<(Kind, Vec<u8>)>,
    got: Vec<(Kind, Vec<u8>)>,
    /// What has come of one.
    partial: Option<(Kind, Vec<u8>)>,
    close: Option<CloseFrame<'static>>,
    end: Option<Disconnect>,
    /// This end's transport was cut off, not by its peer.
    cut: bool,
}

/// Both ends.
#[derive(Debug)]
pub struct World {
    pair: Pair,
    logs: [Log; 2],
    /// Counts messages, so that no two look alike.
    stamp: u64,
}

impl World {
    pub fn new(start: &Start) -> Self {
        let [client, server] = [&start.client, &start.server].map(Settings::generous);
        let pair = match start.established {
            true => Pair::open(&client, &server),
            false => Pair::connecting(&client, &server),
        };
        Self::of(start, pair)
    }

    /// A world whose ends offer and accept compression, each on its own terms.
    pub fn compressing(start: &Start, [client, server]: [Compression; 2]) -> Self {
        let client = start.client.generous().compression(Some(client));
        let server = start.server.generous().compression(Some(server));
        Self::of(start, Pair::connecting(&client, &server))
    }

    fn of(start: &Start, pair: Pair) -> Self {
        let settings = [&start.client, &start.server];
        let logs = settings.map(|settings| Log {
            delivery: settings.delivery(),
            fragments: settings.fragments(),
            sent: Vec::new(),
            pieces: None,
            got: Vec::new(),
            partial: None,
            close: None,
            end: None,
            cut: false,
        });
        Self { pair, logs, stamp: 0 }
    }

    /// A message of this length that looks like no other, if there is room for that.
    fn message(&mut self, len: usize) -> Vec<u8> {
        self.stamp += 1;
        let digits = format!("{:07} ", self.stamp);
        digits.bytes().cycle().take(len).collect()
    }

    pub fn act(&mut self, act: Act) {
        let i = usize::from(act.at_server);
        let (role, now) = (ROLES[i], self.pair.now);
        match act.what {
            What::Carry(most) => _ = self.pair.carry(role, usize::from(most)),
            What::CarryAll => _ = self.pair.carry(role, usize::MAX),
            What::Send { text, len } => {
                let message = self.message(scaled(len));
                self.send(role, if text { Kind::Text } else { Kind::Binary }, message);
            }
            What::SendThis(message) => self.send(role, Kind::Binary, message),
            What::Begin { text } => {
                let kind = if text { Kind::Text } else { Kind::Binary };
                if self.pair.end(role).connection.begin(kind).is_ok() {
                    assert!(self.logs[i].pieces.replace((kind, Vec::new())).is_none());
                }
            }
            What::Push { len, last } => self.push(role, usize::from(len), last),
            What::Pass { millis } => self.pair.now = now + Duration::from_millis(u64::from(millis)),
            What::SetOptions(settings) => {
                let settings = settings.with_delivery(self.logs[i].delivery);
                self.logs[i].fragments |= settings.fragments();
                self.pair.end(role).connection.set_options(now, &settings.generous());
            }
            What::Eof => {
                self.logs[i].cut = true;
                assert_eq!(self.pair.end(role).connection.receive_eof(), None);
            }
            What::Failed => {
                self.logs[i].cut = true;
                self.pair.end(role).connection.transport_failed();
            }
            what => simple(&mut self.pair.end(role).connection, now, &what),
        }
    }

    fn send(&mut self, role: Role, kind: Kind, message: Vec<u8>) {
        let (end, log) = (self.pair.end(role), &mut self.logs[index(role)]);
        let taken = match kind {
            Kind::Text => end.connection.send(std::str::from_utf8(&message).unwrap()),
            Kind::Binary => end.connection.try_send(message.clone()).map_err(|back| {
                assert_eq!(back.message, Message::binary(&message[..]));
                back.error
            }),
        };
        if taken.is_ok() {
            assert!(log.pieces.is_none());
            log.sent.push((kind, message));
        }
    }

    fn push(&mut self, role: Role, len: usize, last: bool) {
        let piece = self.message(len);
        let (end, log) = (self.pair.end(role), &mut self.logs[index(role)]);
        let taken = if last { end.connection.finish(&piece) } else { end.connection.push(&piece) };
        if taken.is_ok() {
            log.pieces.as_mut().expect("a message was begun").1.extend(piece);
            if last {
                log.sent.extend(log.pieces.take());
            }
        }
    }

    /// What is true at any time.
    pub fn check(&mut self) {
        for role in ROLES {
            let end = self.pair.end(role);
            let log = &mut self.logs[index(role)];
            for event in end.take_events() {
                log.event(event);
            }
            if let Some(verdict) = end.disconnect() {
                assert!(
                    log.end.as_ref().is_none_or(|before| before == verdict),
                    "{:?}, then {verdict:?}",
                    log.end
                );
                assert_eq!(verdict.received(), log.close.as_ref());
                log.end = Some(verdict.clone());
            }
        }
        for [from, to] in [[0, 1], [1, 0]] {
            let (sent, got) = (&self.logs[from].sent, &self.logs[to].got);
            assert!(sent.starts_with(got), "lost, doubled or out of order");
        }
    }

    /// Everything comes to an end, and nothing is lost if it is a good one.
    pub fn finish(mut self) {
        for role in ROLES {
            let now = self.pair.now;
            let connection = &mut self.pair.end(role).connection;
            connection.resume(now);
        }
        // With all written and read, each end has what the other sent, unless the transport ended.
        self.pair.run();
        self.check();
        for role in ROLES {
            let [from, to] = [index(role), 1 - index(role)];
            let over = ROLES.iter().any(|role| self.pair.end(*role).disconnect().is_some());
            let (from, to) = (&self.logs[from], &self.logs[to]);
            if !over && self.pair.end(role).connection.can_send().is_ok() && to.close.is_none() {
                assert_eq!(from.sent.len(), to.got.len(), "a message did not arrive");
            }
        }
        for _ in 0..2 {
            for role in ROLES {
                let now = self.pair.now;
                let _ = self.pair.end(role).connection.close(now, CloseFrame::empty());
            }
            self.pair.pass(Duration::from_secs(100));
            self.check();
        }
        for [from, to] in [[0, 1], [1, 0]] {
            let (from, to) = (&self.logs[from], &self.logs[to]);
            let end = from.end.as_ref().expect("it terminates");
            assert!(!matches!(end.cause(), Cause::Violation(_) | Cause::Handshake(_)), "{end:?}");
            // The peer's Close is behind all its messages, but that one which answers drops what waits behind a fragment.
            let complete = !from.fragments || end.cause() == &Cause::Closed(Side::Local);
            if to.close.is_some() && complete {
                assert_eq!(from.sent.len(), to.got.len(), "a message was lost before a Close");
            }
            // Nor does one agree with the other that has given up waiting.
            let gave_up = matches!(to.end.as_ref().map(Disconnect::cause), Some(Cause::TimedOut(_)));
            // Nor if its own answer could not be written in time.
            if !from.cut && !to.cut && !gave_up && end.is_orderly() && end.sent().is_some() {
                assert!(end.is_clean() && to.end.as_ref().unwrap().is_clean(), "{end:?}, but {:?}", to.end);
            }
        }
    }
}

impl Log {
    fn event(&mut self, event: Event<'static>) {
        assert_eq!(self.close, None, "{event:?} behind Close");
        match event {
            Event::Message(message) => {
                assert_eq!(self.delivery, Delivery::Whole);
                self.got.push((message.kind(), message.into_bytes()));
            }
            Event::Data(Data { kind, payload, first, last }) => {
                assert_eq!((self.delivery, first), (Delivery::Streaming, self.partial.is_none()));
                let partial = self.partial.get_or_insert((kind, Vec::new()));
                assert_eq!(partial.0, kind);
                partial.1.extend_from_slice(&payload);
                if last {
                    self.got.extend(self.partial.take());
                }
            }
            Event::Close(frame) => self.close = Some(frame),
            _ => {}
        }
    }
}

/// What needs no record.
fn simple(connection: &mut Connection, now: sansocket::Instant, what: &What) {
    match what {
        What::Ping(payload) => _ = connection.ping(&[*payload]),
        What::Pong => _ = connection.pong(b"unasked"),
        What::Probe => _ = connection.probe(now),
        What::Close { code } => {
            let code = CloseCode::new(*code).unwrap_or(CloseCode::GOING_AWAY);
            let _ = connection.close(now, code);
        }
        What::Pause => connection.pause(),
        What::Resume => connection.resume(now),
        What::ReleaseMemory => connection.release_memory(),
        What::Reclaim => _ = connection.reclaim_output(),
        What::Lend(len) => _ = connection.lend_output(vec![0xAA; usize::from(*len)]),
        What::HandleTimeout => connection.handle_timeout(now),
        _ => unreachable!("done by `World::act`"),
    }
}

fn index(role: Role) -> usize {
    usize::from(role == ROLES[1])
}
