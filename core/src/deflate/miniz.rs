//! The backend `miniz_oxide`.

use alloc::boxed::Box;
use alloc::vec;
#[cfg(not(feature = "zlib-rs"))]
use alloc::vec::Vec;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::TAIL;
use super::inflater::{Corrupt, Step};
use crate::extension::WindowBits;

#[cfg(not(feature = "zlib-rs"))]
pub(super) use encoder::Encoder;

/// A smaller window is kept in as much memory: a step costs something too.
const MIN_BLOCK: usize = 4096;

/// Empty, stored, and the last of its stream: one in codes would have the core build their tables.
const FINAL_BLOCK: [u8; 5] = [0x01, 0x00, 0x00, 0xff, 0xff];

#[derive(Clone)]
pub(super) struct Decoder {
    core: Box<DecompressorOxide>,
    /// A ring of what was inflated last.
    block: Box<[u8]>,
    at: usize,
    /// The ring has been full: all of it may be referred to.
    full: bool,
}

impl Decoder {
    pub(super) fn new(window: WindowBits) -> Self {
        let len = (1_usize << window.get()).max(MIN_BLOCK);
        Self { core: Box::default(), block: vec![0; len].into(), at: 0, full: false }
    }

    pub(super) fn step(&mut self, input: &[u8]) -> Result<Step, Corrupt> {
        if self.at == self.block.len() {
            self.at = 0;
            self.full = true;
        }
        // While the ring is filled for the first time it is no ring, so that nothing before the beginning can
        // be referred to: what is left there may be another connection's.
        let flags = match self.full {
            true => TINFL_FLAG_HAS_MORE_INPUT,
            false => TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
        };
        let start = self.at;
        let (status, taken, given) = decompress(&mut self.core, input, &mut self.block, start, flags);
        self.at += given;
        let ended = match status {
            TINFLStatus::Done => true,
            TINFLStatus::NeedsMoreInput | TINFLStatus::HasMoreOutput => false,
            // What came before the fault is shown first; the next step fails again.
            TINFLStatus::Failed if given > 0 => false,
            TINFLStatus::Failed
            | TINFLStatus::FailedCannotMakeProgress
            | TINFLStatus::BadParam
            | TINFLStatus::Adler32Mismatch
            | _ => return Err(Corrupt(())),
        };
        if ended {
            self.core.init();
        }
        Ok(Step { taken, output: start..self.at, ended, more: status != TINFLStatus::NeedsMoreInput })
    }

    pub(super) fn block(&self) -> &[u8] {
        &self.block
    }

    /// Puts the tail back, unless it is there, and a final block behind it: whether the stream ends with that
    /// tells whether it was whole.
    pub(super) fn finish(&mut self, has_tail: bool) -> Result<(), Corrupt> {
        let mut end = [0; TAIL.len() + FINAL_BLOCK.len()];
        end[..TAIL.len()].copy_from_slice(&TAIL);
        end[TAIL.len()..].copy_from_slice(&FINAL_BLOCK);
        let end = if has_tail { &end[TAIL.len()..] } else { &end[..] };
        let step = self.step(end)?;
        // The block that the tail belongs to may be final itself.
        let is_end = step.taken == end.len() || (!has_tail && step.taken == TAIL.len());
        let whole = step.ended && is_end && step.output.is_empty();
        whole.then_some(()).ok_or(Corrupt(()))
    }

    pub(super) fn reset(&mut self) {
        self.core.init();
        self.at = 0;
        self.full = false;
    }
}

#[cfg(not(feature = "zlib-rs"))]
mod encoder {
    use super::{Box, Vec, WindowBits};
    use crate::deflate::{Params, Strategy};
    use miniz_oxide::DataFormat;
    use miniz_oxide::deflate::core::{CompressionStrategy, CompressorOxide, TDEFLFlush, compress_to_output};

    pub(in crate::deflate) struct Encoder {
        core: Box<CompressorOxide>,
        /// A smaller window than the core's own, in bytes.
        window: Option<usize>,
        /// Bytes that may be referred to.
        history: usize,
    }

    impl Encoder {
        pub(in crate::deflate) fn new(params: &Params) -> Self {
            let strategy = match params.strategy {
                Strategy::Default => CompressionStrategy::Default,
                Strategy::Filtered => CompressionStrategy::Filtered,
                Strategy::HuffmanOnly => CompressionStrategy::HuffmanOnly,
                Strategy::Rle => CompressionStrategy::RLE,
            };
            // Asked for a smaller window, the core would look for runs only.
            let bits = WindowBits::MAX.get();
            // At level 1 the core looks for repetitions of any kind whatever the strategy.
            let runs_only = params.strategy == Strategy::Rle;
            let level = if runs_only && params.level == 1 { 2 } else { params.level };
            Self {
                core: Box::new(CompressorOxide::with_params(DataFormat::Raw, level, strategy, bits)),
                window: (params.window < WindowBits::MAX).then(|| 1 << params.window.get()),
                history: 0,
            }
        }

        /// Compresses `bytes`, and ends at a byte with an empty stored block.
        pub(in crate::deflate) fn sync(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
            let Some(window) = self.window else { return self.compress(bytes, TDEFLFlush::Sync, out) };
            // What was forgotten cannot be too far back.
            while bytes.len() >= window - self.history {
                let (part, rest) = bytes.split_at(window - self.history);
                self.compress(part, TDEFLFlush::Full, out);
                self.history = 0;
                if rest.is_empty() {
                    return;
                }
                bytes = rest;
            }
            self.history += bytes.len();
            self.compress(bytes, TDEFLFlush::Sync, out);
        }

        pub(in crate::deflate) fn reset(&mut self) {
            // A full flush would cost less, but what is made after it is not quite what a new one makes.
            self.core.reset();
            self.history = 0;
        }

        fn compress(&mut self, bytes: &[u8], flush: TDEFLFlush, out: &mut Vec<u8>) {
            let (_, taken) = compress_to_output(&mut self.core, bytes, flush, |output| {
                out.extend_from_slice(output);
                true
            });
            debug_assert_eq!(taken, bytes.len(), "all is taken if all output is");
        }
    }
}
