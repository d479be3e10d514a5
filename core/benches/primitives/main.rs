//! The primitives beside the machine's limits: `cargo bench -p sansocket`, or `… -- mask::` for some of them.
//!
//! A limit does what must be done whoever does it, by the fastest means at hand, and nothing else: it checks
//! nothing, decides nothing and keeps nothing. Each module says what its limits are. Everything is in the
//! caches that have room for it, and every branch has been seen before.

use core::fmt;
use core::time::Duration;

use sansocket::frame::Header;

mod assemble;
mod decode;
#[cfg(feature = "deflate")]
mod deflate;
mod encode;
mod header;
mod mask;
mod utf8;

fn main() {
    // So many at a time that the clock's steps do not show; `deflate` has rounds of its own.
    let divan = divan::Divan::default().sample_size(128);
    divan.min_time(Duration::from_millis(50)).max_time(Duration::from_millis(250)).config_with_args().main();
}

/// Payloads of these lengths: the longest with a short header is 125 bytes.
const SIZES: [usize; 6] = [16, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20];

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// So that bytes are the same after they were unmasked in place, and can be received again. It makes masking
/// no cheaper.
const NEUTRAL_KEY: [u8; 4] = [0; 4];

/// What a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Binary,
    Ascii,
    MultiByte,
}

impl Content {
    /// So many bytes of it.
    fn bytes(self, len: usize) -> Vec<u8> {
        let phrase = match self {
            Self::Binary => return vec![0xA5; len],
            Self::Ascii => "The quick brown fox jumps over the lazy dog. ",
            Self::MultiByte => "Ξεσκεπάζω τὴν ψυχοφθόρα βδελυγμία. 我能吞下玻璃而不伤身体。🦊🐕 ",
        };
        let mut text = String::new();
        for character in phrase.chars().cycle() {
            if text.len() + character.len_utf8() > len {
                break;
            }
            text.push(character);
        }
        let rest = len - text.len();
        text.extend(core::iter::repeat_n('.', rest));
        text.into_bytes()
    }
}

/// A content and a length, as an argument.
#[derive(Clone, Copy)]
struct Sample {
    content: Content,
    len: usize,
}

impl Sample {
    fn all(contents: &[Content], sizes: &[usize]) -> Vec<Self> {
        contents.iter().flat_map(|&content| sizes.iter().map(move |&len| Self { content, len })).collect()
    }

    fn bytes(self) -> Vec<u8> {
        self.content.bytes(self.len)
    }

    fn is_text(self) -> bool {
        self.content != Content::Binary
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = match self.content {
            Content::Binary => "binary",
            Content::Ascii => "ASCII",
            Content::MultiByte => "multi-byte",
        };
        write!(f, "{content} {}", self.len)
    }
}

/// Appends a frame whose payload, as it is, goes behind a header with that key.
fn append_frame(header: Header, mask: Option<[u8; 4]>, payload: &[u8], stream: &mut Vec<u8>) {
    let header = Header { mask, len: length(payload), ..header };
    stream.extend_from_slice(&header.encode());
    stream.extend_from_slice(payload);
}

fn length(payload: &[u8]) -> u64 {
    u64::try_from(payload.len()).unwrap_or(u64::MAX)
}
