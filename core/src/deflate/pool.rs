//! Codecs between two messages, for connections that keep no context.

use alloc::vec::Vec;

use super::{Deflater, Inflater, Params};
use crate::extension::WindowBits;

/// How many of a kind are kept.
const MAX: usize = 4;

/// How much of a buffer is kept.
const MAX_BUFFER: usize = 64 * 1024;

/// Codecs that nobody is using, for whoever needs one for a message: an event loop has one pool, and lends it
/// to the connection it is about to work on ([`Connection::lend_codecs`](crate::Connection::lend_codecs)).
///
/// It keeps up to four compressors and four decompressors. What they worked on before cannot be referred to.
#[derive(Debug, Default)]
pub struct Pool {
    deflaters: Vec<Deflater>,
    inflaters: Vec<Inflater>,
    buffer: Vec<u8>,
}

impl Pool {
    /// An empty pool.
    pub const fn new() -> Self {
        Self { deflaters: Vec::new(), inflaters: Vec::new(), buffer: Vec::new() }
    }

    /// A compressor that refers to nothing.
    pub fn deflater(&mut self, params: &Params) -> Deflater {
        match self.deflaters.iter().position(|deflater| deflater.params() == params) {
            Some(index) => self.deflaters.swap_remove(index),
            None => Deflater::new(params),
        }
    }

    /// A decompressor for this window that knows of nothing.
    pub fn inflater(&mut self, window: WindowBits) -> Inflater {
        match self.inflaters.iter().position(|inflater| inflater.window() == window) {
            Some(index) => self.inflaters.swap_remove(index),
            None => Inflater::new(window),
        }
    }

    /// Takes a compressor back.
    pub fn put_deflater(&mut self, mut deflater: Deflater) {
        if self.deflaters.len() == MAX {
            self.deflaters.remove(0);
        }
        deflater.reset();
        self.deflaters.push(deflater);
    }

    /// Takes a decompressor back.
    pub fn put_inflater(&mut self, mut inflater: Inflater) {
        if self.inflaters.len() == MAX {
            self.inflaters.remove(0);
        }
        inflater.reset();
        self.inflaters.push(inflater);
    }

    pub(crate) fn take_buffer(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.buffer)
    }

    pub(crate) fn put_buffer(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        buffer.shrink_to(MAX_BUFFER);
        self.buffer = buffer;
    }
}
