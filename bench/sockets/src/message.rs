//! What is sent, and what has to come back.

use std::iter;

use crate::Result;

/// What a client's frames are masked with. Long payloads repeat with a period that is a multiple of its length.
const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
/// Longer payloads repeat after this.
const PERIOD: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Binary,
    Ascii,
    Utf8,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Ascii => "ASCII",
            Self::Utf8 => "UTF-8",
        }
    }

    fn opcode(self) -> u8 {
        if self == Self::Binary { 2 } else { 1 }
    }

    /// The payload of a message, or as much of it as repeats.
    pub fn payload(self, size: usize) -> Vec<u8> {
        /// Of one to four bytes each.
        const CHARACTERS: &str = "Grüße, мир! 你好,世界 🙂 ελληνικά … naïve café ";
        let size = size.min(PERIOD);
        match self {
            Self::Binary => {
                let mut state = 1_u32;
                let next = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    Some(state.to_be_bytes()[0])
                };
                iter::from_fn(next).take(size).collect()
            }
            Self::Ascii => (b' '..=b'~').cycle().take(size).collect(),
            Self::Utf8 => {
                let mut text = String::new();
                for character in CHARACTERS.chars().cycle() {
                    if text.len() + character.len_utf8() > size {
                        break;
                    }
                    text.push(character);
                }
                let mut bytes = text.into_bytes();
                bytes.resize(size, b'.');
                bytes
            }
        }
    }
}

/// What a client sends in one go before it waits for the answers.
#[derive(Debug)]
pub struct Batch {
    /// Frames, or the first bytes of one
    head: Vec<u8>,
    /// whose payload goes on with this,
    block: Vec<u8>,
    /// so often.
    repeats: u64,
    answers: Answers,
}

#[derive(Debug)]
enum Answers {
    /// The same bytes.
    Same,
    Frames {
        opcode: u8,
        size: u64,
        payload: Vec<u8>,
        messages: u64,
    },
}

impl Batch {
    /// `depth` messages; a server that knows nothing of WebSockets is `raw`.
    pub fn new(kind: Kind, size: usize, depth: usize, raw: bool) -> Self {
        let payload = kind.payload(size);
        let masked: Vec<u8> = payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        let mut head = Vec::new();
        let mut block = Vec::new();
        for _ in 0..depth {
            head.extend(header(kind.opcode(), size));
            if payload.len() == size {
                head.extend(&masked);
            } else {
                assert!(depth == 1 && size.is_multiple_of(PERIOD));
                block = masked.clone();
            }
        }
        let (size, messages) = (size as u64, depth as u64);
        let repeats = if block.is_empty() { 0 } else { size / block.len() as u64 };
        let answers = match raw {
            true => Answers::Same,
            false => Answers::Frames { opcode: kind.opcode(), size, payload, messages },
        };
        Self { head, block, repeats, answers }
    }

    fn len(&self) -> u64 {
        self.head.len() as u64 + self.block.len() as u64 * self.repeats
    }

    /// What is to be written when `sent` bytes are.
    pub fn rest(&self, sent: u64) -> &[u8] {
        let head = self.head.len() as u64;
        if sent < head {
            &self.head[to_usize(sent)..]
        } else if sent < self.len() {
            &self.block[to_usize((sent - head) % self.block.len() as u64)..]
        } else {
            &[]
        }
    }
}

fn header(opcode: u8, size: usize) -> Vec<u8> {
    let mut header = vec![0x80 | opcode];
    match (u8::try_from(size), u16::try_from(size)) {
        (Ok(len @ 0..126), _) => header.push(0x80 | len),
        (_, Ok(len)) => {
            header.push(0x80 | 126);
            header.extend(len.to_be_bytes());
        }
        _ => {
            header.push(0x80 | 127);
            header.extend((size as u64).to_be_bytes());
        }
    }
    header.extend(KEY);
    header
}

fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// What has come back of a batch. Every byte is compared.
#[derive(Debug, Default)]
pub struct Check {
    /// Of the batch, if it has to come back as it was sent.
    bytes: u64,
    header: [u8; 10],
    header_len: usize,
    /// Of the frame's payload.
    remaining: u64,
    fin: bool,
    /// Of the message's payload.
    offset: u64,
    messages: u64,
}

impl Check {
    /// Whether the batch is complete.
    pub fn take(&mut self, mut input: &[u8], batch: &Batch) -> Result<bool> {
        let &Answers::Frames { opcode, size, ref payload, messages } = &batch.answers else {
            return self.take_same(input, batch);
        };
        while !input.is_empty() {
            if self.remaining == 0 && !self.take_header(&mut input, opcode)? {
                break;
            }
            let at = to_usize(self.offset % payload.len() as u64);
            let len = input.len().min(payload.len() - at).min(to_usize(self.remaining));
            let (now, rest) = input.split_at(len);
            if *now != payload[at..at + len] {
                return Err("another payload came back".into());
            }
            input = rest;
            self.offset += len as u64;
            self.remaining -= len as u64;
            if self.remaining == 0 && self.fin {
                if self.offset != size {
                    return Err(format!("a message of {} bytes came back", self.offset).into());
                }
                self.offset = 0;
                self.messages += 1;
            }
        }
        if self.messages == messages && (self.header_len != 0 || self.remaining != 0) {
            return Err("more came back than was sent".into());
        }
        let complete = self.messages == messages;
        if complete {
            *self = Self::default();
        }
        Ok(complete)
    }

    /// Whether the header is complete.
    fn take_header(&mut self, input: &mut &[u8], opcode: u8) -> Result<bool> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.header[self.header_len] = byte;
            self.header_len += 1;
            let header = &self.header[..self.header_len];
            let len = match *header {
                [_, len @ 0..126] => len.into(),
                [_, 126, a, b] => u16::from_be_bytes([a, b]).into(),
                [_, 127, a, b, c, d, e, f, g, h] => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
                [] | [_] | [_, 126 | 127, ..] => continue,
                _ => return Err("a masked frame came back".into()),
            };
            let expected = if self.offset == 0 { opcode } else { 0 };
            if header[0] & 0x7F != expected {
                return Err(format!("a frame that begins with {:#x} came back", header[0]).into());
            }
            (self.fin, self.remaining, self.header_len) = (header[0] & 0x80 != 0, len, 0);
            return Ok(true);
        }
        Ok(false)
    }

    fn take_same(&mut self, mut input: &[u8], batch: &Batch) -> Result<bool> {
        while !input.is_empty() {
            let expected = batch.rest(self.bytes);
            let len = expected.len().min(input.len());
            if len == 0 || input[..len] != expected[..len] {
                return Err("other bytes came back".into());
            }
            self.bytes += len as u64;
            input = &input[len..];
        }
        let complete = self.bytes == batch.len();
        if complete {
            self.bytes = 0;
        }
        Ok(complete)
    }
}
