//! The body of a response that refuses a client, as it arrives (RFC 9112 §6, §7.1).

use alloc::vec::Vec;

use super::head::{Fields, list};
use super::response::Status;
use crate::frame::Input;

/// This much of a body is kept.
const MAX: usize = 64 * 1024;

/// How the end of a body is known, and how far it has come.
#[derive(Debug)]
pub(super) enum Body {
    /// So many bytes are to come.
    Length(u64),
    Chunked(Chunks),
    /// Up to the end of the connection.
    UntilEof,
}

/// Where in the chunked coding (§7.1) the next byte stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Chunks {
    /// In a chunk's size.
    Size(u64),
    /// Behind the size: an extension, or the end of the line.
    SizeEnd(u64),
    Data(u64),
    /// In the line end behind a chunk's data.
    DataEnd,
    /// In the trailer; whether at the beginning of a line.
    Trailer(bool),
    Done,
}

impl Body {
    pub(super) fn new(status: Status, fields: &Fields) -> Self {
        if !status.has_body() {
            return Self::Length(0);
        }
        match fields.all("transfer-encoding").flat_map(list).last() {
            Some(coding) if coding.eq_ignore_ascii_case(b"chunked") => return Self::Chunked(Chunks::Size(0)),
            Some(_) => return Self::UntilEof,
            None => {}
        }
        let mut lengths = fields.all("content-length").flat_map(list);
        match lengths.next() {
            // Repeating it is allowed, contradicting it is not.
            Some(length) if lengths.all(|other| other == length) => {
                parse(length).map_or(Self::UntilEof, Self::Length)
            }
            _ => Self::UntilEof,
        }
    }

    /// Appends what `input` has of the body to `body`, and nothing else; whether that was the last of it, or
    /// enough.
    pub(super) fn receive(&mut self, input: &mut Input<'_>, body: &mut Vec<u8>) -> bool {
        let ended = match self {
            Self::Length(left) => {
                *left -= take(input, *left, body);
                *left == 0
            }
            Self::Chunked(chunks) => chunks.receive(input, body),
            Self::UntilEof => {
                take(input, u64::MAX, body);
                false
            }
        };
        ended || body.len() == MAX
    }
}

impl Chunks {
    fn receive(&mut self, input: &mut Input<'_>, body: &mut Vec<u8>) -> bool {
        while !input.is_empty() && !matches!(self, Self::Done) {
            *self = match *self {
                Self::Data(left) => match left - take(input, left, body) {
                    0 => Self::DataEnd,
                    left => Self::Data(left),
                },
                state
                @ (Self::Size(_) | Self::SizeEnd(_) | Self::DataEnd | Self::Trailer(_) | Self::Done) => {
                    let byte = input.take(1).first().copied().unwrap_or_default();
                    state.after(byte)
                }
            };
        }
        matches!(self, Self::Done)
    }

    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Size(size), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                // A size that does not fit ends the body: nobody sends it, and what came is kept.
                size.checked_mul(16).map_or(Self::Done, |size| Self::Size(size | u64::from(digit)))
            }
            (Self::Size(0) | Self::SizeEnd(0), b'\n') => Self::Trailer(true),
            (Self::Size(size) | Self::SizeEnd(size), b'\n') => Self::Data(size),
            (Self::Size(size), b';' | b'\r' | b' ' | b'\t') | (Self::SizeEnd(size), _) => Self::SizeEnd(size),
            (Self::DataEnd, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::Size(0),
            (Self::Trailer(at_start), b'\r') => Self::Trailer(at_start),
            (Self::Trailer(true), b'\n') => Self::Done,
            (Self::Trailer(_), byte) => Self::Trailer(byte == b'\n'),
            // Not the chunked coding.
            (Self::Size(_) | Self::DataEnd | Self::Data(_) | Self::Done, _) => Self::Done,
        }
    }
}

fn parse(length: &[u8]) -> Option<u64> {
    let digits = length.iter().all(u8::is_ascii_digit);
    core::str::from_utf8(length).ok()?.parse().ok().filter(|_| digits)
}

/// Appends up to `most` bytes of `input` to `body`, as far as that may grow; how many were taken.
fn take(input: &mut Input<'_>, most: u64, body: &mut Vec<u8>) -> u64 {
    let bytes = input.take(usize::try_from(most).unwrap_or(usize::MAX));
    let kept = bytes.len().min(MAX - body.len());
    if body.capacity() - body.len() < kept {
        // Doubling, but never beyond the limit.
        body.reserve_exact(kept.max(body.len().min(MAX - body.len())));
    }
    body.extend_from_slice(&bytes[..kept]);
    u64::try_from(bytes.len()).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(mut bytes: Vec<u8>, cut: usize) -> (Vec<u8>, bool, usize) {
        let mut body = Vec::new();
        let mut chunked = Body::Chunked(Chunks::Size(0));
        let (first, second) = bytes.split_at_mut(cut);
        let mut done = false;
        let mut left = 0;
        for part in [first, second] {
            let mut input = Input::new(part);
            done = done || chunked.receive(&mut input, &mut body);
            left += input.remaining();
        }
        (body, done, left)
    }

    #[test]
    fn chunks_are_joined_wherever_they_are_cut() {
        for (coded, body, done, left) in [
            ("5\r\nHello\r\n7;x=y\r\n, world\r\n0\r\n\r\n", "Hello, world", true, 0),
            ("5\r\nHello\r\n0;last\r\nTrailer: x\r\n\r\nmore", "Hello", true, 4),
            ("A\r\nAB0\r\n\r\nxyz\r\n0\r\n\r\n", "AB0\r\n\r\nxyz", true, 0),
            ("5\r\nHello\r\n7\r\n, wo", "Hello, wo", false, 0),
            ("5\r\nHello!", "Hello", true, 0),
            ("nonsense", "", true, 7),
            ("FFFFFFFFFFFFFFFFF\r\n", "", true, 2),
        ] {
            for cut in 0..=coded.len() {
                let (have, ended, remaining) = decode(coded.into(), cut);
                assert_eq!((&have[..], ended), (body.as_bytes(), done), "{coded:?} cut at {cut}");
                assert_eq!(remaining, left, "{coded:?} cut at {cut}");
            }
        }
    }
}
