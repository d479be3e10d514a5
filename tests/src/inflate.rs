//! DEFLATE by the letter of RFC 1951, to judge by: streams are written symbol by symbol and read bit by bit.

use sansocket::deflate::{Corrupt, Inflater};
use sansocket::extension::WindowBits;

use crate::pair::Dice;

/// What a sender takes off, and a receiver puts back (RFC 7692 §7.2).
pub const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// "Hello" (§7.2.3.1).
pub const HELLO: &[u8] = b"\xF2\x48\xCD\xC9\xC9\x07\x00";

/// Whether the backend under test begins anew behind a block with BFINAL.
pub const FORGETS: bool = cfg!(feature = "zlib-rs");

/// The order in which the lengths of the code length code are sent (RFC 1951 §3.2.7).
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// The smallest length of a symbol, and how many bits are added (RFC 1951 §3.2.5).
fn length(symbol: usize) -> Option<(usize, u32)> {
    match symbol {
        257..265 => Some((symbol - 254, 0)),
        265..285 => {
            let extra = (symbol - 257) / 4 - 1;
            Some((((4 + (symbol - 257) % 4) << extra) + 3, u32::try_from(extra).unwrap()))
        }
        285 => Some((258, 0)),
        _ => None,
    }
}

/// The smallest distance of a symbol, and how many bits are added.
fn distance(symbol: usize) -> Option<(usize, u32)> {
    match symbol {
        0..4 => Some((symbol + 1, 0)),
        4..30 => {
            let extra = symbol / 2 - 1;
            Some((((2 + symbol % 2) << extra) + 1, u32::try_from(extra).unwrap()))
        }
        _ => None,
    }
}

/// The lengths of the fixed codes (RFC 1951 §3.2.6).
fn fixed() -> (Vec<usize>, Vec<usize>) {
    ([vec![8; 144], vec![9; 112], vec![7; 24], vec![8; 8]].concat(), vec![5; 32])
}

/// Reads the messages of one direction.
#[derive(Clone, Debug)]
pub struct Naive {
    output: Vec<u8>,
    begin: usize,
    window: usize,
    /// Blocks that end a stream, in all that was read, accepted or not.
    pub finals: usize,
    /// The largest distance of a repetition in it.
    pub farthest: usize,
}

/// A message, and what it is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inflated {
    pub bytes: Vec<u8>,
    /// The largest distance of a repetition.
    pub farthest: usize,
    /// Something before the message was repeated.
    pub looks_back: bool,
    /// How many blocks there were: stored, with the fixed codes, with codes of their own.
    pub blocks: [usize; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not whole.
    Cut,
    /// A repetition of what is before the beginning, or the window.
    TooFar,
    /// It is no DEFLATE stream.
    Malformed,
}

struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Result<usize, Fault> {
        let mut value = 0;
        for bit in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or(Fault::Cut)?;
            value |= usize::from(byte >> (self.at % 8) & 1) << bit;
            self.at += 1;
        }
        Ok(value)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}

/// A code as RFC 1951 §3.2.2 has it: the symbols in the order of their codes, and how many there are of each length.
struct Huffman {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Huffman {
    /// `one`: no symbol will do, or one of a single bit (§3.2.7).
    fn new(lengths: &[usize], one: bool) -> Result<Self, Fault> {
        let mut counts = [0; 16];
        let mut symbols: Vec<_> = (0..lengths.len()).filter(|symbol| lengths[*symbol] > 0).collect();
        symbols.sort_by_key(|symbol| lengths[*symbol]);
        symbols.iter().for_each(|symbol| counts[lengths[*symbol]] += 1);
        let used: usize = (1..16).map(|length| counts[length] << (15 - length)).sum();
        let is_small = one && symbols.len() == counts[1] && symbols.len() < 2;
        if used == 1 << 15 || is_small { Ok(Self { counts, symbols }) } else { Err(Fault::Malformed) }
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Result<usize, Fault> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.take(1)?;
            if code < first + count {
                return Ok(self.symbols[index + code - first]);
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(Fault::Malformed)
    }
}

impl Naive {
    /// With a history of `window` bytes.
    pub fn new(window: usize) -> Self {
        Self { output: Vec::new(), begin: 0, window, finals: 0, farthest: 0 }
    }

    /// The next message. What is not accepted leaves no trace.
    pub fn message(&mut self, payload: &[u8]) -> Result<Inflated, Fault> {
        let before = (self.output.len(), self.begin);
        let mut result = match payload {
            [] => Ok(Inflated::default()),
            _ => self.read(&[payload, &TAIL].concat(), payload.len()),
        };
        // The tail may still be there.
        if result.is_err() && payload.ends_with(&TAIL) {
            self.restore(before);
            let first = result;
            result = self.read(payload, payload.len()).or(first);
        }
        if result.is_err() {
            self.restore(before);
        }
        result
    }

    /// Whether this can be the beginning of the next message's payload.
    pub fn accepts(&self, payload: &[u8]) -> bool {
        let read = self.clone().read(payload, payload.len() + 1);
        !matches!(read, Err(Fault::TooFar | Fault::Malformed))
    }

    /// Nothing before may be repeated.
    pub fn reset(&mut self) {
        self.begin = self.output.len();
    }

    fn restore(&mut self, (len, begin): (usize, usize)) {
        self.output.truncate(len);
        self.begin = begin;
    }

    /// Blocks to the end of the input, or to a final one at `end`.
    fn read(&mut self, input: &[u8], end: usize) -> Result<Inflated, Fault> {
        let start = self.output.len();
        let mut message = Inflated::default();
        let bits = &mut Bits { bytes: input, at: 0 };
        while bits.at < 8 * input.len() {
            let last = bits.take(1)? == 1;
            let kind = bits.take(2)?;
            *message.blocks.get_mut(kind).ok_or(Fault::Malformed)? += 1;
            let before = self.output.len();
            match kind {
                0 => self.stored(bits)?,
                _ => {
                    let (literals, distances) = if kind == 1 { fixed() } else { lengths(bits)? };
                    let codes = (Huffman::new(&literals, true)?, Huffman::new(&distances, true)?);
                    self.symbols(bits, &codes, start, &mut message)?;
                }
            }
            if last {
                self.finals += 1;
                bits.align();
                self.begin = if FORGETS { self.output.len() } else { self.begin };
            }
            if last && bits.at == 8 * end {
                break;
            }
            // What was put back is the end of a block, and no part of the message.
            let is_end = kind == 0 && before == self.output.len();
            if bits.at == 8 * input.len() && input.len() > end && !is_end {
                return Err(Fault::Cut);
            }
        }
        message.bytes = self.output[start..].to_vec();
        Ok(message)
    }

    fn stored(&mut self, bits: &mut Bits<'_>) -> Result<(), Fault> {
        bits.align();
        let [length, complement] = [bits.take(16)?, bits.take(16)?];
        if length ^ complement != 0xFFFF {
            return Err(Fault::Malformed);
        }
        let at = bits.at / 8;
        self.output.extend_from_slice(bits.bytes.get(at..at + length).ok_or(Fault::Cut)?);
        bits.at += 8 * length;
        Ok(())
    }

    fn symbols(
        &mut self,
        bits: &mut Bits<'_>,
        (literals, distances): &(Huffman, Huffman),
        start: usize,
        message: &mut Inflated,
    ) -> Result<(), Fault> {
        loop {
            let symbol = literals.symbol(bits)?;
            match u8::try_from(symbol) {
                Ok(byte) => self.output.push(byte),
                Err(_) if symbol == 256 => return Ok(()),
                Err(_) => {
                    let (least, extra) = length(symbol).ok_or(Fault::Malformed)?;
                    let length = least + bits.take(extra)?;
                    let (least, extra) = distance(distances.symbol(bits)?).ok_or(Fault::Malformed)?;
                    let distance = least + bits.take(extra)?;
                    let at = self.output.len();
                    if distance > self.window.min(at - self.begin) {
                        return Err(Fault::TooFar);
                    }
                    message.farthest = message.farthest.max(distance);
                    self.farthest = self.farthest.max(distance);
                    message.looks_back |= at - distance < start;
                    (at..at + length).for_each(|at| self.output.push(self.output[at - distance]));
                }
            }
        }
    }
}

/// The lengths of a block's own codes (RFC 1951 §3.2.7).
fn lengths(bits: &mut Bits<'_>) -> Result<(Vec<usize>, Vec<usize>), Fault> {
    let [literals, distances, codes] = [bits.take(5)? + 257, bits.take(5)? + 1, bits.take(4)? + 4];
    if literals > 286 || distances > 30 {
        return Err(Fault::Malformed);
    }
    let mut own = [0; 19];
    for symbol in &ORDER[..codes] {
        own[*symbol] = bits.take(3)?;
    }
    let code = Huffman::new(&own, false)?;
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match code.symbol(bits)? {
            16 => (*lengths.last().ok_or(Fault::Malformed)?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (length, 1),
        };
        lengths.resize(lengths.len() + times, length);
    }
    // Every block has an end.
    if lengths.len() > literals + distances || lengths[256] == 0 {
        return Err(Fault::Malformed);
    }
    let distances = lengths.split_off(literals);
    Ok((lengths, distances))
}

/// Writes blocks.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    /// How many bits of the last byte are taken.
    taken: u32,
    literals: Vec<(usize, u32)>,
    distances: Vec<(usize, u32)>,
}

impl Writer {
    pub fn new() -> Self {
        Self::default()
    }

    /// The lowest bit first.
    pub fn bits(&mut self, value: usize, count: u32) -> &mut Self {
        for bit in 0..count {
            if self.taken.is_multiple_of(8) {
                self.bytes.push(0);
                self.taken = 0;
            }
            *self.bytes.last_mut().unwrap() |= u8::try_from(value >> bit & 1).unwrap() << self.taken;
            self.taken += 1;
        }
        self
    }

    /// A stored block.
    pub fn stored(&mut self, last: bool, bytes: &[u8]) -> &mut Self {
        let length = usize::from(u16::try_from(bytes.len()).unwrap());
        self.bits(last.into(), 3).align().bits(length, 16).bits(length ^ 0xFFFF, 16);
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The beginning of a block with the fixed codes.
    pub fn fixed(&mut self, last: bool) -> &mut Self {
        let (literals, distances) = fixed();
        (self.literals, self.distances) = (codes(&literals), codes(&distances));
        self.bits(usize::from(last) | 1 << 1, 3)
    }

    /// The beginning of a block with codes of these lengths, whether they are any good or not.
    pub fn dynamic(&mut self, last: bool, literals: &[usize], distances: &[usize]) -> &mut Self {
        (self.literals, self.distances) = (codes(literals), codes(distances));
        self.bits(usize::from(last) | 2 << 1, 3);
        self.bits(literals.len() - 257, 5).bits(distances.len() - 1, 5).bits(19 - 4, 4);
        // All lengths are sent in four bits each, and no repetitions.
        ORDER.iter().for_each(|symbol| _ = self.bits(if *symbol < 16 { 4 } else { 0 }, 3));
        literals.iter().chain(distances).for_each(|length| _ = self.code((*length, 4)));
        self
    }

    /// Each byte for itself.
    pub fn literals(&mut self, bytes: &[u8]) -> &mut Self {
        bytes.iter().for_each(|byte| _ = self.code(self.literals[usize::from(*byte)]));
        self
    }

    /// The symbol of a literal or a length.
    pub fn symbol(&mut self, symbol: usize) -> &mut Self {
        self.code(self.literals[symbol])
    }

    /// The symbol of a distance.
    pub fn distance(&mut self, symbol: usize) -> &mut Self {
        self.code(self.distances[symbol])
    }

    /// A repetition.
    pub fn repeat(&mut self, long: usize, back: usize) -> &mut Self {
        let of = |symbol| length(symbol).filter(|(least, _)| *least <= long);
        let (symbol, (least, extra)) =
            (257..286).rev().find_map(|symbol| Some((symbol, of(symbol)?))).unwrap();
        self.symbol(symbol).bits(long - least, extra);
        let of = |symbol| distance(symbol).filter(|(least, _)| *least <= back);
        let (symbol, (least, extra)) = (0..30).rev().find_map(|symbol| Some((symbol, of(symbol)?))).unwrap();
        self.distance(symbol).bits(back - least, extra)
    }

    /// The end of a block.
    pub fn end(&mut self) -> &mut Self {
        self.symbol(256)
    }

    pub fn align(&mut self) -> &mut Self {
        self.taken = 8;
        self
    }

    /// The payload of a message: another header follows, whose block is left to the receiver.
    pub fn message(&mut self) -> Vec<u8> {
        self.bits(0, 3).align().bytes()
    }

    /// What was written, as it is.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// The highest bit first.
    fn code(&mut self, (code, length): (usize, u32)) -> &mut Self {
        (0..length).rev().for_each(|bit| _ = self.bits(code >> bit, 1));
        self
    }
}

/// A code and its length for each symbol (RFC 1951 §3.2.2).
fn codes(lengths: &[usize]) -> Vec<(usize, u32)> {
    let mut codes = vec![(0, 0); lengths.len()];
    let mut next = 0;
    for length in 1..16 {
        next <<= 1;
        for symbol in (0..lengths.len()).filter(|symbol| lengths[*symbol] == length) {
            codes[symbol] = (next, u32::try_from(length).unwrap());
            next += 1;
        }
    }
    codes
}

/// The payload of a message that is not compressed at all.
pub fn stored(message: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    message.chunks(65_535).for_each(|part| _ = writer.stored(false, part));
    writer.message()
}

/// Ten bits for each byte; two for the end, for a length of 3 and for one of 258.
pub fn own_codes() -> Vec<usize> {
    let mut lengths = vec![10; 256];
    lengths.extend([2, 2]);
    lengths.resize(285, 0);
    lengths.push(2);
    lengths
}

/// Writes `len` times the same byte in the block that has begun.
fn run(writer: &mut Writer, len: usize) -> Vec<u8> {
    let repetitions = len.saturating_sub(1) / 258;
    writer.literals(&vec![b'a'; len - 258 * repetitions]);
    (0..repetitions).for_each(|_| _ = writer.repeat(258, 1));
    writer.end().message()
}

/// So many of the same byte, in a block with the fixed codes.
pub fn fixed_run(len: usize) -> Vec<u8> {
    run(Writer::new().fixed(false), len)
}

/// The same in a block with codes of its own.
pub fn dynamic_run(len: usize) -> Vec<u8> {
    run(Writer::new().dynamic(false, &own_codes(), &[1, 1]), len)
}

/// Text that can be compressed, as applications send it.
pub fn json(dice: &mut Dice, len: usize) -> Vec<u8> {
    let mut text = String::from("[");
    while text.len() < len {
        let name = dice.pick(&["alpha", "beta", "gamma", "delta", "epsilon"]);
        let (id, price) = (dice.below(1_000_000), dice.below(10_000));
        text += &format!(r#"{{"id":{id},"name":"{name}","tags":["a","b"],"price":{price}.5}},"#);
    }
    text.truncate(len);
    text.into_bytes()
}

/// Bytes that cannot be compressed.
pub fn noise(dice: &mut Dice, len: usize) -> Vec<u8> {
    (0..len).map(|_| u8::try_from(dice.below(256)).unwrap()).collect()
}

/// All that is shown of a message whose payload comes in these pieces, and whether that was all of it. It takes no more
/// calls than there is reason for.
pub fn feed<'p>(
    inflater: &mut Inflater,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> (Vec<u8>, Result<(), Corrupt>) {
    let mut output = Vec::new();
    let (mut calls, mut reasons) = (0, 0);
    for mut piece in pieces {
        reasons += piece.len() + 1;
        loop {
            let before = piece.len();
            let shown = match inflater.inflate(&mut piece) {
                Ok(shown) => shown,
                Err(corrupt) => return (output, Err(corrupt)),
            };
            calls += 1;
            output.extend_from_slice(shown);
            assert!(shown.len() <= 32 * 1024 && piece.len() <= before);
            assert!(calls <= reasons + output.len() / 4096, "{calls} calls for {} bytes", output.len());
            if shown.is_empty() {
                assert!(piece.is_empty(), "neither bytes nor the end");
                break;
            }
        }
    }
    (output, inflater.finish())
}

/// All sizes of a window.
pub fn windows() -> impl Iterator<Item = WindowBits> {
    (8..=15).map(|bits| WindowBits::new(bits).unwrap())
}
