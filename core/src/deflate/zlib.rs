//! The backend `zlib-rs`.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush, Status};

use super::TAIL;
use super::deflater::{Params, Strategy};
use super::inflater::{Corrupt, Step};
use crate::extension::WindowBits;

/// Output is shown in blocks of this size.
const BLOCK: usize = 8 * 1024;

/// The blocks of a message that is longer than one: the core is faster the fewer there are.
const LONG_BLOCK: usize = 32 * 1024;

pub(super) struct Encoder {
    core: Deflate,
}

impl Encoder {
    pub(super) fn new(params: &Params) -> Self {
        // zlib has no window of 8 bits, but with 9 it never goes back further than 2⁹ - 262 bytes, which is
        // less than 2⁸.
        let bits = params.window.get().max(9);
        let core = Deflate::new_with_config(DeflateConfig {
            level: i32::from(params.level),
            window_bits: -i32::from(bits),
            mem_level: i32::from(params.mem_level),
            strategy: match params.strategy {
                Strategy::Default => zlib_rs::Strategy::Default,
                Strategy::Filtered => zlib_rs::Strategy::Filtered,
                Strategy::HuffmanOnly => zlib_rs::Strategy::HuffmanOnly,
                Strategy::Rle => zlib_rs::Strategy::Rle,
            },
            ..DeflateConfig::default()
        });
        Self { core }
    }

    /// Compresses `bytes`, and ends at a byte with an empty stored block.
    pub(super) fn sync(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        loop {
            let start = out.len();
            // Room for the flush, so that it is not done twice.
            out.resize(start + bytes.len() / 2 + 64, 0);
            let [taken, given] = [self.core.total_in(), self.core.total_out()];
            let result = self.core.compress(bytes, &mut out[start..], DeflateFlush::SyncFlush);
            debug_assert!(result.is_ok(), "{result:?}");
            let taken = since(taken, self.core.total_in());
            let end = start + since(given, self.core.total_out());
            bytes = &bytes[taken..];
            let full = end == out.len();
            out.truncate(end);
            if !full {
                debug_assert!(bytes.is_empty(), "the compressor takes all it is given");
                return;
            }
        }
    }

    pub(super) fn reset(&mut self) {
        self.core.reset();
    }
}

pub(super) struct Decoder {
    core: Inflate,
    block: Box<[u8]>,
    /// The last step filled the block.
    full: bool,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { core: new(), block: vec![0; BLOCK].into(), full: false }
    }

    pub(super) fn step(&mut self, input: &[u8]) -> Result<Step, Corrupt> {
        if self.full && self.block.len() < LONG_BLOCK {
            self.block = vec![0; LONG_BLOCK].into();
        }
        let step = self.inflate(input, InflateFlush::NoFlush)?;
        self.full = step.output.len() == self.block.len();
        Ok(step)
    }

    pub(super) fn block(&self) -> &[u8] {
        &self.block
    }

    /// Puts the tail back, or another empty block behind it if it is there; whether the core stops behind that, at
    /// the end of a block, tells whether the stream was whole.
    pub(super) fn finish(&mut self, has_tail: bool) -> Result<(), Corrupt> {
        self.shrink();
        // An empty stored block, and a byte that must be left over.
        let mut end = [0; 1 + TAIL.len() + 1];
        end[1..=TAIL.len()].copy_from_slice(&TAIL);
        let end = if has_tail { &end[..] } else { &end[1..] };
        let step = self.inflate(end, InflateFlush::Block)?;
        let whole = step.taken == end.len() - 1 && step.output.is_empty() && !(step.ended && has_tail);
        whole.then_some(()).ok_or(Corrupt(()))
    }

    pub(super) fn reset(&mut self) {
        self.shrink();
        self.core.reset(false);
    }

    /// Between messages, the memory is of no use.
    fn shrink(&mut self) {
        self.full = false;
        if self.block.len() > BLOCK {
            self.block = vec![0; BLOCK].into();
        }
    }

    fn inflate(&mut self, input: &[u8], flush: InflateFlush) -> Result<Step, Corrupt> {
        let [taken, given] = [self.core.total_in(), self.core.total_out()];
        let status = self.core.decompress(input, &mut self.block, flush);
        let taken = since(taken, self.core.total_in());
        let output = 0..since(given, self.core.total_out());
        // What came before the fault is shown first; the next step fails again.
        if status.is_err() && output.is_empty() {
            return Err(Corrupt(()));
        }
        let ended = status == Ok(Status::StreamEnd);
        if ended {
            self.core.reset(false);
        }
        let more = status.is_err() || output.len() == self.block.len();
        Ok(Step { taken, output, ended, more })
    }
}

/// For a raw stream of any window.
fn new() -> Inflate {
    Inflate::new(false, WindowBits::MAX.get())
}

/// How far a counter went in one call, over no more than one slice.
fn since(before: u64, after: u64) -> usize {
    usize::try_from(after - before).unwrap_or(usize::MAX)
}
