//! What an implementation makes of a stream, in the form in which it is compared.

use core::fmt;

use sansocket::{Cause, CloseFrame, Event as Ours, Message, ProtocolError, Role};
use sansocket_tests::compressed::agreed;
use sansocket_tests::open;
use sansocket_tests::splits::{Record, run};

use crate::stream::{Setup, Stream};

/// Events up to the end, and the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) events: Vec<Event>,
    pub(crate) end: End,
}

/// A whole message, or a control frame.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Binary,
    Ping,
    Pong,
    Close,
}

/// Where the connection is when the stream ends, with the code of the Close frame that was sent: 0 if there
/// was none, or none in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum End {
    Open,
    /// The peer's Close came, and was answered.
    Closed(u16),
    /// It was failed (RFC 6455 §7.1.7).
    Failed(u16),
    /// By what should not happen.
    Crashed(String),
}

/// What we make of `stream` if it comes in these pieces, and the fault in it.
pub(crate) fn ours<'s>(
    setup: &Setup,
    pieces: impl IntoIterator<Item = &'s [u8]>,
) -> (Verdict, Option<ProtocolError>) {
    let config = sansocket::Config::new().max_message(setup.max_message.into());
    let connection = match setup.compression {
        None => open(setup.role, &config),
        Some(compression) => agreed(setup.role, &config, compression),
    };
    Verdict::of(&run(connection, pieces))
}

impl Verdict {
    fn of(record: &Record) -> (Self, Option<ProtocolError>) {
        let code = |frame: Option<&CloseFrame<'_>>| {
            frame.and_then(CloseFrame::code).map_or(0, sansocket::CloseCode::get)
        };
        let sent = code(record.end.sent());
        let (end, fault) = match record.end.cause() {
            Cause::Lost => (End::Open, None),
            Cause::Closed(_) => (End::Closed(sent), None),
            Cause::Violation(fault) => (End::Failed(sent), Some(*fault)),
            other => (End::Crashed(format!("{other:?}")), None),
        };
        (Self { events: record.events.iter().filter_map(Event::of).collect(), end }, fault)
    }

    /// Whether `events` begins with this.
    pub(crate) fn begins(&self, other: &Self) -> bool {
        other.events.starts_with(&self.events)
    }
}

impl Event {
    fn of(event: &Ours<'_>) -> Option<Self> {
        let (kind, payload) = match event {
            Ours::Message(Message::Text(text)) => (Kind::Text, text.as_bytes().to_vec()),
            Ours::Message(Message::Binary(bytes)) => (Kind::Binary, bytes.to_vec()),
            Ours::Ping(payload) => (Kind::Ping, payload.to_vec()),
            Ours::Pong(payload) => (Kind::Pong, payload.to_vec()),
            Ours::Close(frame) => {
                let code = frame.code().map(|code| code.get().to_be_bytes());
                (
                    Kind::Close,
                    [code.as_ref().map_or(&[][..], |code| &code[..]), frame.reason().as_bytes()].concat(),
                )
            }
            _ => return None,
        };
        Some(Self { kind, payload })
    }
}

/// Reading and writing what goes between the processes; `peers/batches.py` has the other side of it.
impl Stream {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let (setup, none) = (&self.setup, sansocket_tests::compressed::PER_MESSAGE);
        let negotiated = setup.compression.unwrap_or(none);
        let client = (negotiated.client_no_context_takeover, negotiated.client_max_window_bits.get());
        let server = (negotiated.server_no_context_takeover, negotiated.server_max_window_bits.get());
        let (remote, local) = match setup.role {
            Role::Server => (client, server),
            Role::Client => (server, client),
        };
        out.push(u8::from(setup.role == Role::Server));
        out.extend(setup.max_message.to_be_bytes());
        out.extend([
            u8::from(setup.compression.is_some()),
            u8::from(remote.0),
            remote.1,
            u8::from(local.0),
            local.1,
        ]);
        out.extend(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend(&self.bytes);
    }
}

impl Verdict {
    /// The next one in `bytes`.
    pub(crate) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut events = Vec::new();
        loop {
            let tag = *bytes.split_off_first()?;
            let end: fn(u16) -> End = match tag {
                b'.' => |_| End::Open,
                b'c' => End::Closed,
                b'f' => End::Failed,
                _ => {
                    let len = u32::from_be_bytes(bytes.split_off(..4)?.try_into().ok()?);
                    let payload = bytes.split_off(..usize::try_from(len).ok()?)?.to_vec();
                    let kind = match tag {
                        b'T' => Kind::Text,
                        b'B' => Kind::Binary,
                        b'P' => Kind::Ping,
                        b'O' => Kind::Pong,
                        b'C' => Kind::Close,
                        b'x' => {
                            let end = End::Crashed(String::from_utf8_lossy(&payload).into_owned());
                            return Some(Self { events, end });
                        }
                        _ => return None,
                    };
                    events.push(Event { kind, payload });
                    continue;
                }
            };
            let code = u16::from_be_bytes(bytes.split_off(..2)?.try_into().ok()?);
            return Some(Self { events, end: end(code) });
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events.iter().try_for_each(|event| write!(f, "{event:?}, "))?;
        write!(f, "{:?}", self.end)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.payload[..self.payload.len().min(40)];
        write!(f, "{:?}({} bytes: \"{}\")", self.kind, self.payload.len(), shown.escape_ascii())
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("open"),
            Self::Closed(0) => f.write_str("closed"),
            Self::Closed(code) => write!(f, "closed {code}"),
            Self::Failed(0) => f.write_str("failed without a Close"),
            Self::Failed(code) => write!(f, "failed {code}"),
            Self::Crashed(error) => write!(f, "crashed: {error}"),
        }
    }
}
