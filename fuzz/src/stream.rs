//! Streams of frames, long ones too, from few of the fuzzer's bytes.

use arbitrary::Arbitrary;
use sansocket::Role;
use sansocket_tests::wire::{self, BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT};

use crate::settings::scaled;

/// A stream is cut off behind the frame that makes it longer than this.
const LONG: usize = 200 * 1024;

/// Something that a peer sends. A `len` is about as long as the payload is made, of the bytes again and again.
#[derive(Arbitrary, Clone, Debug)]
pub enum Part {
    Text {
        text: String,
        len: u16,
        fin: bool,
    },
    /// Which may be a text all the same.
    NoText {
        bytes: Vec<u8>,
        len: u16,
    },
    Binary {
        byte: u8,
        len: u16,
        fin: bool,
    },
    Continuation {
        payload: Vec<u8>,
        len: u16,
        fin: bool,
    },
    Ping(u8),
    Pong(u8),
    Close {
        code: u16,
    },
    Raw {
        first: u8,
        payload: Vec<u8>,
    },
    Bytes(Vec<u8>),
}

/// What an endpoint in `receiver` gets.
pub fn stream(receiver: Role, parts: &[Part]) -> Vec<u8> {
    let mut stream = Vec::new();
    for part in parts {
        stream.extend(part.bytes(receiver));
        if stream.len() > LONG {
            break;
        }
    }
    stream
}

/// A stream in pieces of these sizes, used in turn: whole, if there are none. There are some hundreds at most, for longer ones
/// are as good when a stream is long.
pub fn pieces<'s>(stream: &'s [u8], sizes: &[u16]) -> Vec<&'s [u8]> {
    let least = 1 + stream.len() / 500;
    let mut sizes = sizes.iter().cycle();
    let mut pieces = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let size = sizes.next().map_or(rest.len(), |size| scaled(*size).clamp(least, rest.len().max(least)));
        let (piece, behind) = rest.split_at(size.min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

impl Part {
    fn bytes(&self, receiver: Role) -> Vec<u8> {
        let frame = |opcode, fin: bool, payload: &[u8]| {
            let write = if fin { wire::frame } else { wire::fragment };
            write(receiver, opcode, payload)
        };
        match self {
            Self::Text { text, len, fin } => frame(TEXT, *fin, &repeated(text.as_bytes(), *len)),
            Self::NoText { bytes, len } => frame(TEXT, true, &repeated(bytes, *len)),
            Self::Binary { byte, len, fin } => frame(BINARY, *fin, &repeated(&[*byte], *len)),
            Self::Continuation { payload, len, fin } => frame(CONTINUATION, *fin, &repeated(payload, *len)),
            Self::Ping(len) => frame(PING, true, &vec![*len; usize::from(len % 126)]),
            Self::Pong(len) => frame(PONG, true, &vec![*len; usize::from(len % 126)]),
            Self::Close { code: 0 } => frame(CLOSE, true, b""),
            Self::Close { code } => wire::close(receiver, *code, "bye"),
            Self::Raw { first, payload } => {
                wire::raw(*first, (receiver == Role::Server).then_some(wire::KEY), payload)
            }
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

/// At least once; some are longer than 64 KiB.
fn repeated(bytes: &[u8], len: u16) -> Vec<u8> {
    bytes.repeat(((scaled(len) + scaled(len) / 4) / bytes.len().max(1)).max(1))
}
