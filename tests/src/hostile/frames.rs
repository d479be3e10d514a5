//! Frames behind a good opening handshake (RFC 6455 §5 to §8, RFC 7692 §6 and §7), those of servers too.

use core::fmt;

use sansocket::{
    Cause, CloseFrame, Compression, Config, Delivery, Disconnect, Event, Kind, ProtocolError, Role, Side,
    State,
};

use crate::compressed::{self, RSV1, deflate, deflater};
use crate::heads::at_many_splits;
use crate::inflate::{HELLO, TAIL};
use crate::wire::{self, BINARY, CLOSE, CONTINUATION, PING, TEXT};
use crate::{Record, open};

use ProtocolError::{
    CloseOfOneByte, ControlTooLong, CorruptDeflate, ExpectedContinuation, FragmentedControl,
    InvalidCloseCode, InvalidCloseReason, InvalidUtf8, LengthOverflow, Masked, MessageTooBig,
    NonMinimalLength, ReservedBits, ReservedOpcode, UnexpectedContinuation, Unmasked,
};

/// What a peer sends on an open connection.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: &'static str,
    pub frames: Vec<u8>,
    /// Whether both ends must have agreed upon permessage-deflate for this; if it makes a difference.
    pub compression: Option<bool>,
    /// The messages in it that are handed out.
    pub messages: &'static [&'static str],
    pub verdict: Verdict,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The connection goes on.
    Open,
    /// The peer's Close has this code, and the answer has it too (§5.5.1).
    Closed(Option<u16>),
    /// The connection is failed with this code, for this (§7.1.7).
    Failed(u16, ProtocolError),
}

use Verdict::{Closed, Failed, Open};

/// Our limit, and more than it.
const MAX: u64 = 1 << 20;
const HUGE: u64 = 1 << 62;
const BOMB: usize = 64 << 20;

/// As an endpoint in `receiver` gets them.
pub fn rows(receiver: Role) -> [Row; 46] {
    let frame = |first: u8, payload: &[u8]| wire::frame(receiver, first, payload);
    let fragment = |first: u8, payload: &[u8]| wire::fragment(receiver, first, payload);
    let declared = |form: u8, length: &[u8]| {
        let header = wire::header(receiver, 0x80 | BINARY, form, length);
        let hello = frame(BINARY, b"Hello");
        [&header, &hello[hello.len() - 5..]].concat()
    };
    let close = |code: u16| wire::close(receiver, code, "");
    let compressed = |payload: &[u8]| frame(RSV1 | TEXT, payload);
    let (key, unmasked) = match receiver {
        Role::Client => (Some(wire::KEY), Masked),
        Role::Server => (None, Unmasked),
    };
    let code = |name, code| row(name, close(code), Failed(1002, InvalidCloseCode(code)));
    let echo = |name, code| row(name, close(code), Closed(Some(code)));
    [
        row("masked as the other role is", wire::raw(0x81, key, b"bad"), Failed(1002, unmasked)),
        row("RSV1 without an extension", frame(RSV1 | TEXT, HELLO), Failed(1002, ReservedBits)).on(false),
        row("RSV2", frame(0x20 | TEXT, b"bad"), Failed(1002, ReservedBits)),
        row("reserved opcode 3", frame(3, b"bad"), Failed(1002, ReservedOpcode(3))),
        row("reserved control opcode 11", frame(11, b"bad"), Failed(1002, ReservedOpcode(11))),
        row(
            "a continuation without a beginning",
            frame(CONTINUATION, b"bad"),
            Failed(1002, UnexpectedContinuation),
        ),
        row(
            "a message within a fragmented one",
            [fragment(TEXT, b"a"), frame(TEXT, b"bad")].concat(),
            Failed(1002, ExpectedContinuation),
        ),
        row("a fragmented Ping", fragment(PING, b"bad"), Failed(1002, FragmentedControl)),
        row("a Ping of 126 bytes", frame(PING, &[b'x'; 126]), Failed(1002, ControlTooLong)),
        row("a length of 2^63", declared(127, &(1_u64 << 63).to_be_bytes()), Failed(1002, LengthOverflow)),
        row(
            "a length of 2^62",
            declared(127, &HUGE.to_be_bytes()),
            Failed(1009, MessageTooBig { len: HUGE, max: MAX }),
        ),
        row("a length of 5 in 16 bits", declared(126, &[0, 5]), Failed(1002, NonMinimalLength)),
        row(
            "a length of 5 in 64 bits",
            declared(127, &[0, 0, 0, 0, 0, 0, 0, 5]),
            Failed(1002, NonMinimalLength),
        ),
        row("text that is not UTF-8", frame(TEXT, b"valid, and \xC3\x28"), Failed(1007, InvalidUtf8)),
        // §8.1: at once, whatever the rest of the message may be.
        row(
            "text that is not UTF-8 in a fragment",
            fragment(TEXT, b"valid, and \xFF"),
            Failed(1007, InvalidUtf8),
        ),
        row("a Close of one byte", frame(CLOSE, b"\x03"), Failed(1002, CloseOfOneByte)),
        row("an empty Close", frame(CLOSE, b""), Closed(None)),
        echo("close code 1000", 1000),
        code("close code 1005", 1005),
        code("close code 1006", 1006),
        code("close code 1015", 1015),
        code("close code 1004", 1004),
        // §7.4.2: registered with IANA since.
        echo("close code 1012", 1012),
        echo("close code 1014", 1014),
        code("close code 1016", 1016),
        code("close code 2999", 2999),
        echo("close code 3000", 3000),
        echo("close code 4999", 4999),
        code("close code 5000", 5000),
        code("close code 999", 999),
        code("close code 0", 0),
        row(
            "a Close whose reason is not UTF-8",
            frame(CLOSE, b"\x03\xE8\xFF"),
            Failed(1007, InvalidCloseReason),
        ),
        // §5.4: control frames may stand within a fragmented message, this one too.
        row(
            "a Close within a fragmented message",
            [fragment(TEXT, b"a"), close(1000)].concat(),
            Closed(Some(1000)),
        ),
        row("data behind a Close", [close(1000), frame(TEXT, b"bad")].concat(), Closed(Some(1000))),
        row("compressed", compressed(HELLO), Open).on(true).hands_out(&["Hello"]),
        row(
            "RSV1 on a continuation",
            [fragment(RSV1 | TEXT, &HELLO[..3]), frame(RSV1 | CONTINUATION, &HELLO[3..])].concat(),
            Failed(1002, ReservedBits),
        )
        .on(true),
        row("RSV1 on a Ping", frame(RSV1 | PING, &deflate("bad")), Failed(1002, ReservedBits)).on(true),
        // RFC 7692 §7.2.3.6 has 0x00 for an empty message; some senders leave that away too.
        row("compressed to nothing", compressed(b""), Open).on(true).hands_out(&[""]),
        row("an empty message", compressed(b"\x00"), Open).on(true).hands_out(&[""]),
        // RFC 7692 §7.2.3.4 has a byte behind the last block, and not all senders do.
        row("BFINAL", compressed(b"\xF3\x48\xCD\xC9\xC9\x07\x00"), Open).on(true).hands_out(&["Hello"]),
        row("BFINAL and an empty block", compressed(b"\xF3\x48\xCD\xC9\xC9\x07\x00\x00"), Open)
            .on(true)
            .hands_out(&["Hello"]),
        row("a tail that was left on", compressed(&[HELLO, &TAIL].concat()), Open)
            .on(true)
            .hands_out(&["Hello"]),
        row("no DEFLATE stream", compressed(b"\xFF\xFF\xFF\xFF"), Failed(1007, CorruptDeflate)).on(true),
        row(
            "text that is not UTF-8, compressed",
            compressed(&deflate(b"valid, and \xC3\x28")),
            Failed(1007, InvalidUtf8),
        )
        .on(true),
        row("half a block", compressed(&HELLO[..3]), Failed(1007, CorruptDeflate)).on(true),
        row("64 MiB of zeros", frame(RSV1 | BINARY, &bomb()), Failed(1009, TOO_BIG)).on(true),
    ]
}

/// With the first window of its output that is beyond the limit.
const TOO_BIG: ProtocolError = MessageTooBig { len: MAX + 1, max: MAX };

fn row(name: &'static str, frames: Vec<u8>, verdict: Verdict) -> Row {
    Row { name, frames, compression: None, messages: &[], verdict }
}

impl Row {
    fn on(self, compression: bool) -> Self {
        Self { compression: Some(compression), ..self }
    }

    fn hands_out(self, messages: &'static [&'static str]) -> Self {
        Self { messages, ..self }
    }
}

/// Some 64 KiB.
fn bomb() -> Vec<u8> {
    let zeros = vec![0; 1 << 20];
    let mut deflater = deflater();
    let [mut payload, mut again] = [Vec::new(), Vec::new()];
    deflater.piece(&zeros, &mut payload);
    deflater.piece(&zeros, &mut again);
    // Another MiB is another repetition of the same.
    (1..BOMB >> 20).for_each(|_| payload.extend_from_slice(&again));
    payload.push(0);
    payload
}

/// A row, and how it is sent.
#[derive(Clone, Debug)]
pub struct Attack {
    pub row: Row,
    pub receiver: Role,
    /// Both ends have agreed upon permessage-deflate.
    pub compression: bool,
    /// A good message and a Close stand behind it.
    pub goes_on: bool,
}

/// All rows, on all connections that they are for. Those that end a connection also with nothing behind
/// them: they do it at once.
pub fn attacks(receiver: Role) -> Vec<Attack> {
    let mut attacks = Vec::new();
    for row in rows(receiver) {
        for compression in [false, true] {
            if row.compression.is_none_or(|only| only == compression) {
                let attack = Attack { row: row.clone(), receiver, compression, goes_on: true };
                if row.verdict != Open {
                    attacks.push(Attack { goes_on: false, ..attack.clone() });
                }
                attacks.push(attack);
            }
        }
    }
    attacks
}

/// The settings of both ends.
pub fn config(compression: bool) -> Config {
    Config::new().compression(compression.then(Compression::new))
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = if self.compression { "with" } else { "without" };
        let behind = if self.goes_on { "more" } else { "nothing" };
        write!(f, "{:?}, {}: {with} compression, {behind} behind it", self.receiver, self.row.name)
    }
}

impl Attack {
    /// The row's frames behind a good message, and before another if it goes on.
    pub fn stream(&self) -> Vec<u8> {
        let message = |text| match self.compression {
            false => wire::frame(self.receiver, TEXT, text),
            true => compressed::frame(self.receiver, Kind::Text, deflate(text)),
        };
        let mut stream = [message("before"), self.row.frames.clone()].concat();
        if self.goes_on {
            stream.extend(message("after"));
            stream.extend(wire::close(self.receiver, 1000, ""));
        }
        stream
    }

    /// Whether the attacked end fails the connection.
    pub fn is_fatal(&self) -> bool {
        matches!(self.row.verdict, Failed(..))
    }

    /// Runs it on the bare state machine, cut at many places.
    #[track_caller]
    pub fn run(&self, delivery: Delivery) {
        let config = config(self.compression).delivery(delivery);
        let make = || match self.compression {
            false => open(self.receiver, &config),
            true => compressed::open(self.receiver, &config),
        };
        self.check_record(at_many_splits(make, &self.stream()));
    }

    /// What the bare state machine shows, besides what all surfaces do.
    #[track_caller]
    pub fn check_record(&self, record: Record) {
        let Record { state, shutdown, .. } = record;
        // §7.1.1: the server ends the TCP connection, and whoever fails the connection does.
        let ends = self.is_fatal() || self.receiver == Role::Server;
        assert_eq!((state, shutdown), (State::Closing, ends));
        let closes = record.events.iter().filter(|event| matches!(event, Event::Close(_))).count();
        assert_eq!(closes, usize::from(!self.is_fatal()));
        self.check(false, &Seen::from(record));
    }

    /// All of it is as the row has it; `echoes` if messages are sent back.
    #[track_caller]
    pub fn check(&self, echoes: bool, seen: &Seen) {
        let mut messages = vec!["before"];
        messages.extend(self.row.messages);
        if self.row.verdict == Open {
            messages.push("after");
        }
        assert_eq!(seen.events, messages);

        let (code, received, cause) = match self.row.verdict {
            Failed(code, error) => (Some(code), None, Cause::Violation(error)),
            Closed(code) => (code, Some(code), Cause::Closed(Side::Remote)),
            Open => (Some(1000), Some(Some(1000)), Cause::Closed(Side::Remote)),
        };
        let frame = |first, payload| wire::Parsed { first, masked: self.receiver == Role::Client, payload };
        let echoes = if echoes { &messages[..] } else { &[] };
        let mut frames: Vec<_> =
            echoes.iter().map(|text| frame(0x80 | TEXT, text.as_bytes().to_vec())).collect();
        frames.push(frame(0x80 | CLOSE, code.map(wire::close_payload).unwrap_or_default()));
        assert_eq!(wire::parse(&seen.output), frames);

        let code_of = |frame: Option<&CloseFrame<'_>>| frame.map(|frame| frame.code().map(|code| code.get()));
        assert_eq!(seen.end.cause(), &cause);
        assert_eq!((code_of(seen.end.sent()), code_of(seen.end.received())), (Some(code), received));
    }
}

/// What there was to see of an end that was attacked.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What its peer read behind the opening handshake, to the end of the stream.
    pub output: Vec<u8>,
    /// The messages that its program was handed, and whatever else.
    pub events: Vec<String>,
    pub end: Disconnect,
}

impl From<Record> for Seen {
    fn from(record: Record) -> Self {
        let events = record.events.iter().filter_map(|event| match event {
            Event::Message(message) => Some(String::from_utf8_lossy(message.as_bytes()).into_owned()),
            Event::Data(data) if data.last => Some(String::from_utf8_lossy(&data.payload).into_owned()),
            // Of a message that came to nothing.
            Event::Data(_) => None,
            Event::Close(frame) if Some(frame) == record.end.received() => None,
            other => Some(format!("{other:?}")),
        });
        Self { events: events.collect(), output: record.output, end: record.end }
    }
}
