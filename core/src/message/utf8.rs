//! UTF-8 validation of text that arrives in pieces (RFC 6455 §8.1), failing at the first impossible byte.

use alloc::string::String;

use crate::frame::mask::COPIED;

/// Validates a text piece by piece; the pieces may split characters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Validator {
    /// The beginning of a character that is not complete.
    carry: [u8; 3],
    carried: u8,
}

/// The text is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUtf8 {
    /// How many bytes of the piece can still be part of a valid text; the byte behind them cannot.
    pub valid_up_to: usize,
}

impl Validator {
    /// A validator at the beginning of a text.
    pub const fn new() -> Self {
        Self { carry: [0; 3], carried: 0 }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// As soon as no continuation could make the text valid.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), InvalidUtf8> {
        self.runs(piece, |_| ())
    }

    /// Takes the next piece and appends the characters that are complete to `text`.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub fn feed_into(&mut self, piece: &[u8], text: &mut String) -> Result<(), InvalidUtf8> {
        self.runs(piece, |run| append(run, text))
    }

    /// Whether the text may end here, with no character half done.
    pub const fn is_complete(&self) -> bool {
        self.carried == 0
    }

    /// How many bytes of an unfinished character are held back.
    pub(crate) fn carried(&self) -> usize {
        usize::from(self.carried)
    }

    #[inline]
    fn runs(&mut self, piece: &[u8], mut run: impl FnMut(&str)) -> Result<(), InvalidUtf8> {
        let mut start = 0;
        while self.carried > 0 {
            let Some(&byte) = piece.get(start) else { return Ok(()) };
            let prefix = &self.carry[..usize::from(self.carried)];
            if !may_follow(prefix, byte) {
                return Err(InvalidUtf8 { valid_up_to: start });
            }
            let mut character = [0; 4];
            character[..prefix.len()].copy_from_slice(prefix);
            character[prefix.len()] = byte;
            let len = prefix.len() + 1;
            if len == width(self.carry[0]) {
                self.carried = 0;
                // Every byte was checked above; the standard library's word makes it a `&str`.
                run(core::str::from_utf8(&character[..len])
                    .map_err(|_| InvalidUtf8 { valid_up_to: start })?);
            } else {
                self.carry[usize::from(self.carried)] = byte;
                self.carried += 1;
            }
            start += 1;
        }

        let rest = &piece[start..];
        let (whole, tail) = rest.split_at(rest.len() - unfinished(rest));
        match validate(whole) {
            Some(text) => run(text),
            None => return Err(InvalidUtf8 { valid_up_to: start + first_impossible(rest) }),
        }
        for (i, &byte) in tail.iter().enumerate() {
            // The first one begins a character, or it would not be in the tail.
            if i > 0 && !may_follow(&tail[..i], byte) {
                return Err(InvalidUtf8 { valid_up_to: start + whole.len() + i });
            }
            self.carry[i] = byte;
            self.carried += 1;
        }
        Ok(())
    }
}

/// `bytes` as text, if it is all valid.
#[inline]
pub fn validate(bytes: &[u8]) -> Option<&str> {
    // Below this the standard library is as fast (measured at 16 and 125 bytes).
    const WIDE: usize = 64;
    if bytes.len() < WIDE { core::str::from_utf8(bytes).ok() } else { simdutf8::basic::from_utf8(bytes).ok() }
}

/// Appends `run` in steps that the C library copies well ([`COPIED`]).
#[inline]
fn append(mut run: &str, text: &mut String) {
    while run.len() > COPIED {
        let at = (COPIED - 3..=COPIED).rfind(|&at| run.is_char_boundary(at)).unwrap_or(run.len());
        let (step, rest) = run.split_at(at);
        text.push_str(step);
        run = rest;
    }
    text.push_str(run);
}

/// How many bytes at the end of `bytes` begin a character that they do not finish.
fn unfinished(bytes: &[u8]) -> usize {
    for (back, &byte) in bytes.iter().rev().take(3).enumerate() {
        match byte {
            0x80..=0xBF => {}
            lead if width(lead) > back + 1 => return back + 1,
            _ => return 0,
        }
    }
    0
}

/// The length of the character that `lead` begins, 0 if that is not one of several bytes.
const fn width(lead: u8) -> usize {
    match lead {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 0,
    }
}

/// Whether `byte` may follow the unfinished character `prefix` (RFC 3629 §4).
const fn may_follow(prefix: &[u8], byte: u8) -> bool {
    match prefix {
        [0xE0] => matches!(byte, 0xA0..=0xBF),
        [0xED] => matches!(byte, 0x80..=0x9F),
        [0xF0] => matches!(byte, 0x90..=0xBF),
        [0xF4] => matches!(byte, 0x80..=0x8F),
        _ => matches!(byte, 0x80..=0xBF),
    }
}

/// The index of the first byte that no valid text could have there.
#[cold]
fn first_impossible(bytes: &[u8]) -> usize {
    let Err(error) = core::str::from_utf8(bytes) else { return bytes.len() };
    let start = error.valid_up_to();
    let possible = if width(bytes[start]) == 0 { 0 } else { error.error_len().unwrap_or(0) };
    start + possible
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// Byte by byte, by the standard library alone: how many bytes may stand, and whether the text may end
    /// there.
    fn naive(bytes: &[u8]) -> (usize, bool) {
        for end in 1..=bytes.len() {
            if core::str::from_utf8(&bytes[..end]).is_err_and(|error| error.error_len().is_some()) {
                return (end - 1, false);
            }
        }
        (bytes.len(), core::str::from_utf8(bytes).is_ok())
    }

    fn check(bytes: &[u8], cut: usize) {
        let (valid, complete) = naive(bytes);
        let mut validator = Validator::new();
        let mut text = String::new();
        let (first, second) = bytes.split_at(cut);
        let result = validator
            .feed_into(first, &mut text)
            .map_err(|error| error.valid_up_to)
            .and_then(|()| validator.feed_into(second, &mut text).map_err(|error| cut + error.valid_up_to));
        match result {
            Err(at) => assert_eq!((at, false), (valid, complete), "{bytes:02x?} cut at {cut}"),
            Ok(()) => {
                assert_eq!(valid, bytes.len(), "{bytes:02x?} cut at {cut}");
                assert_eq!(validator.is_complete(), complete, "{bytes:02x?} cut at {cut}");
                if complete {
                    assert_eq!(text.as_bytes(), bytes);
                }
            }
        }
    }

    #[test]
    fn every_sequence_of_two_bytes_and_every_cut_agrees_with_the_standard_library() {
        for a in 0..=255 {
            for b in 0..=255 {
                for cut in 0..=2 {
                    check(&[a, b], cut);
                }
            }
        }
    }

    #[test]
    fn every_interesting_sequence_of_four_bytes_and_every_cut_agrees_with_the_standard_library() {
        let edges = [
            0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC,
            0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF,
        ];
        for a in edges {
            for b in edges {
                for c in edges {
                    for d in edges {
                        for cut in 0..=4 {
                            check(&[a, b, c, d], cut);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_fault_behind_a_long_valid_text_is_found_where_it_stands() {
        let text = "κόσμε ".repeat(40);
        for at in 0..text.len() {
            let mut bytes = Vec::from(text.as_bytes());
            bytes[at] = 0xFF;
            for cut in [0, at / 2, at, at + 1, bytes.len()] {
                check(&bytes, cut);
            }
        }
    }
}
