//! Connections that have agreed to compress, and what their peers send.

use std::borrow::Cow;

use sansocket::deflate::{Deflater, Params};
use sansocket::extension::{Extension, Negotiated};
use sansocket::{Agreed, Config, Connection, Data, Delivery, Endpoint, Event, Kind, Message, Role};
#[cfg(feature = "driver")]
use sansocket_driver::WebSocket;

use crate::inflate::{Inflated, Naive};
#[cfg(feature = "driver")]
use crate::scripted::{Clock, Scene, stream};
use crate::{SEED, START, take_output, wire};

/// What says that a frame, or its message, is compressed.
pub const RSV1: u8 = 0x40;

pub const PER_MESSAGE: Negotiated = Negotiated::new(Extension::PermessageDeflate);
pub const PER_FRAME: Negotiated = Negotiated::new(Extension::XWebkitDeflateFrame);

pub const DELIVERIES: [Delivery; 2] = [Delivery::Whole, Delivery::Streaming];

/// An open connection in `role` that has agreed upon this.
pub fn agreed(role: Role, config: &Config, compression: Negotiated) -> Connection {
    let endpoint = match role {
        Role::Client => Endpoint::Client(SEED),
        Role::Server => Endpoint::Server,
    };
    Connection::established(endpoint, config, Agreed::new().with_compression(compression), START)
}

/// One that takes contexts over, by permessage-deflate.
pub fn open(role: Role, config: &Config) -> Connection {
    agreed(role, config, PER_MESSAGE)
}

/// A server's WebSocket on a scripted stream that has agreed upon this, or upon nothing.
#[cfg(feature = "driver")]
pub fn scene(config: &Config, compression: Option<Negotiated>) -> Scene {
    let ((end, grip), clock) = (stream(), Clock::new());
    let agreed = compression.map_or_else(Agreed::new, |it| Agreed::new().with_compression(it));
    let socket = WebSocket::established(end, clock.alarm(), Endpoint::Server, config, agreed, b"");
    Scene { socket, grip, clock }
}

/// Nothing is taken over, in either direction.
pub fn anew(compression: Negotiated) -> Negotiated {
    let mut anew = compression;
    anew.server_no_context_takeover = true;
    anew.client_no_context_takeover = true;
    anew
}

pub fn deflater() -> Deflater {
    Deflater::new(&Params::new())
}

/// The payload of a message that refers to none.
pub fn deflate(message: impl AsRef<[u8]>) -> Vec<u8> {
    next(&mut deflater(), message)
}

/// The payload of the next message.
pub fn next(deflater: &mut Deflater, message: impl AsRef<[u8]>) -> Vec<u8> {
    let mut payload = Vec::new();
    deflater.finish(message.as_ref(), &mut payload);
    payload
}

/// A mebibyte on the wire that inflates to a gibibyte: pieces that stand each for itself, one and the same.
///
/// # Panics
/// It became more than two mebibytes.
pub fn bomb() -> Vec<u8> {
    let mut piece = Vec::new();
    deflater().piece(&vec![0; 1 << 20], &mut piece);
    let bomb = piece.repeat(1 << 10);
    assert!(bomb.len() < 2 << 20);
    bomb
}

pub fn opcode(kind: Kind) -> u8 {
    match kind {
        Kind::Text => wire::TEXT,
        Kind::Binary => wire::BINARY,
    }
}

/// A compressed message whose payload comes in these frames.
pub fn frames<P: AsRef<[u8]>>(receiver: Role, kind: Kind, parts: &[P]) -> Vec<Vec<u8>> {
    let last = parts.len() - 1;
    let frame = |(i, part): (usize, &P)| {
        let first = if i == 0 { RSV1 | opcode(kind) } else { wire::CONTINUATION };
        if i == last { wire::frame(receiver, first, part) } else { wire::fragment(receiver, first, part) }
    };
    parts.iter().enumerate().map(frame).collect()
}

/// A compressed message in one frame.
pub fn frame(receiver: Role, kind: Kind, payload: impl AsRef<[u8]>) -> Vec<u8> {
    wire::frame(receiver, RSV1 | opcode(kind), payload)
}

/// How the message is handed out, pieces joined.
pub fn event(delivery: Delivery, kind: Kind, bytes: impl AsRef<[u8]>) -> Event<'static> {
    let bytes = bytes.as_ref().to_vec();
    match (delivery, kind) {
        (Delivery::Whole, Kind::Text) => Event::Message(Message::text(String::from_utf8(bytes).unwrap())),
        (Delivery::Whole, Kind::Binary) => Event::Message(Message::binary(bytes)),
        (Delivery::Streaming, kind) => {
            Event::Data(Data { kind, payload: Cow::Owned(bytes), first: true, last: true })
        }
    }
}

/// Reads what a connection writes, and takes everything over.
pub struct Peer {
    naive: Naive,
    of: Role,
}

/// A message as it came.
pub struct Got {
    pub kind: Kind,
    pub frames: usize,
    /// The payload on the wire, if it was compressed.
    pub payload: Option<Vec<u8>>,
    pub inflated: Inflated,
}

impl Peer {
    pub fn new(of: Role) -> Self {
        Self { naive: Naive::new(32_768), of }
    }

    /// The messages that the connection has written and nobody has read; control frames among them are dropped.
    pub fn read(&mut self, connection: &mut Connection) -> Vec<Got> {
        let mut messages = Vec::new();
        let mut open: Option<(u8, usize, Vec<u8>)> = None;
        for frame in wire::parse(&take_output(connection)) {
            assert_eq!(frame.masked, self.of == Role::Client);
            let (fin, bits, opcode) = (frame.first & 0x80 != 0, frame.first & 0x70, frame.first & 0x0F);
            if opcode & 0x08 != 0 {
                assert_eq!((fin, bits), (true, 0), "a control frame is one, and not compressed");
                continue;
            }
            let (first, frames, payload) = match open.take() {
                None => (bits | opcode, 1, frame.payload),
                Some((first, frames, payload)) => {
                    assert_eq!((bits, opcode), (0, 0), "only the first frame says so");
                    (first, frames + 1, [payload, frame.payload].concat())
                }
            };
            if !fin {
                open = Some((first, frames, payload));
                continue;
            }
            let is_compressed = first & 0x70 == RSV1;
            let inflated = match is_compressed {
                true => self.naive.message(&payload).unwrap(),
                false => Inflated { bytes: payload.clone(), ..Inflated::default() },
            };
            let kind = if first & 0x0F == wire::TEXT { Kind::Text } else { Kind::Binary };
            messages.push(Got { kind, frames, payload: is_compressed.then_some(payload), inflated });
        }
        assert!(open.is_none());
        messages
    }

    /// The one message.
    #[track_caller]
    pub fn one(&mut self, connection: &mut Connection) -> Got {
        let mut messages = self.read(connection);
        assert_eq!(messages.len(), 1);
        messages.remove(0)
    }

    /// The one message is this; whether it was compressed.
    #[track_caller]
    pub fn reads(&mut self, connection: &mut Connection, message: impl AsRef<[u8]>) -> bool {
        let got = self.one(connection);
        assert!(got.inflated.bytes == message.as_ref());
        got.payload.is_some()
    }
}
