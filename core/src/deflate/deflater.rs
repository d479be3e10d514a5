//! Messages to compressed payloads (RFC 7692 §7.2.1).

use alloc::vec::Vec;
use core::fmt;

use super::TAIL;
#[cfg(not(feature = "zlib-rs"))]
use super::miniz::Encoder;
#[cfg(feature = "zlib-rs")]
use super::zlib::Encoder;
use crate::extension::WindowBits;

/// How to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    pub(super) window: WindowBits,
    pub(super) level: u8,
    pub(super) mem_level: u8,
    pub(super) strategy: Strategy,
}

/// What the compressor looks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// Repetitions of any kind.
    #[default]
    Default,
    /// Long repetitions only: for data that is mostly noise in a small range.
    Filtered,
    /// None: each byte for itself.
    HuffmanOnly,
    /// Runs of one byte.
    Rle,
}

impl Params {
    /// The defaults.
    pub const fn new() -> Self {
        Self { window: WindowBits::MAX, level: 6, mem_level: 8, strategy: Strategy::Default }
    }

    /// The largest distance of a repetition. 32 KiB unless less was agreed.
    pub const fn window(mut self, bits: WindowBits) -> Self {
        self.window = bits;
        self
    }

    /// From 0, not at all, over 1, fast, to 9, small. More is taken as 9.
    ///
    /// 6, as everywhere.
    pub const fn level(mut self, level: u8) -> Self {
        self.level = if level > 9 { 9 } else { level };
        self
    }

    /// How much memory the compressor takes beside its window, from 1 to 9: a hint, for backends that can.
    /// Anything else is taken as the nearest of these.
    ///
    /// 8, as everywhere.
    pub const fn mem_level(mut self, level: u8) -> Self {
        self.mem_level = match level {
            0 => 1,
            1..=9 => level,
            _ => 9,
        };
        self
    }

    /// What to look for.
    pub const fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }
}

impl Params {
    pub(crate) const fn window_bits(&self) -> WindowBits {
        self.window
    }
}

impl Default for Params {
    fn default() -> Self {
        Self::new()
    }
}

/// Compresses the messages of one direction.
///
/// A message may refer to those before it, unless [`reset`](Self::reset) comes between.
pub struct Deflater {
    encoder: Encoder,
    params: Params,
    /// Something may be referred to.
    used: bool,
}

impl Deflater {
    /// A compressor with nothing to refer to. It allocates some hundred kilobytes.
    pub fn new(params: &Params) -> Self {
        Self { encoder: Encoder::new(params), params: *params, used: false }
    }

    /// What it was made with.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Appends a piece of a message to `out`, compressed, so that the receiver can have all of it. Its last
    /// bytes stay: another frame follows.
    pub fn piece(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.used = true;
        self.encoder.sync(bytes, out);
    }

    /// Appends a message, or the last piece of one, to `out`, compressed.
    pub fn finish(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        // A compressor that has nothing to say says nothing, but an empty stored block must have its bits
        // (RFC 7692 §7.2.3.6).
        if !bytes.is_empty() {
            self.piece(bytes, out);
        }
        if out[start..].ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
        if out.len() == start {
            out.push(0x00);
        }
    }

    /// Forgets what was compressed: the next message stands for itself (§7.1.1).
    pub fn reset(&mut self) {
        if core::mem::take(&mut self.used) {
            self.encoder.reset();
        }
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was compressed is nobody's business in a log.
        f.debug_struct("Deflater").field("params", &self.params).finish_non_exhaustive()
    }
}
