//! Compressed payloads to messages (RFC 7692 §7.2.2), never more at a time than a window.

use alloc::vec::Vec;
use core::fmt;

#[cfg(feature = "zlib-rs")]
use super::zlib;
use super::{TAIL, miniz};
use crate::extension::WindowBits;

/// The payload is no DEFLATE stream, or not a whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Corrupt(pub(super) ());

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("corrupt compressed data")
    }
}

impl core::error::Error for Corrupt {}

/// A message that cannot be had. The inflater is of no use after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InflateError {
    /// The payload is no DEFLATE stream, or not a whole one.
    Corrupt,
    /// The message is longer than it may be.
    TooBig,
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt => Corrupt(()).fmt(f),
            Self::TooBig => f.write_str("the message is longer than it may be"),
        }
    }
}

impl core::error::Error for InflateError {}

impl From<Corrupt> for InflateError {
    fn from(_: Corrupt) -> Self {
        Self::Corrupt
    }
}

/// Decompresses the messages of one direction.
///
/// Blocks that end a stream (BFINAL) may stand anywhere, and a payload whose last four bytes were not taken
/// off is understood too (§7.2.3.4, §7.2.3.5).
pub struct Inflater {
    decoder: Decoder,
    window: WindowBits,
    /// The last bytes of the message, newest in the lowest.
    last: u32,
    /// Something of the message was taken.
    begun: bool,
    /// Something may be referred to.
    used: bool,
    /// There may be more to show of what was taken.
    more: bool,
}

enum Decoder {
    Miniz(miniz::Decoder),
    #[cfg(feature = "zlib-rs")]
    Zlib(zlib::Decoder),
}

/// What one step of a decoder came to.
pub(super) struct Step {
    /// How much of the input it took.
    pub(super) taken: usize,
    /// Where in its block the output is.
    pub(super) output: core::ops::Range<usize>,
    /// A block that ends a stream ended.
    pub(super) ended: bool,
    /// There may be more of it without more input: output, or a fault.
    pub(super) more: bool,
}

impl Inflater {
    /// A decompressor for what was compressed with a window of at most this size.
    pub fn new(window: WindowBits) -> Self {
        #[cfg(not(feature = "zlib-rs"))]
        let decoder = Decoder::Miniz(miniz::Decoder::new(window));
        #[cfg(feature = "zlib-rs")]
        let decoder = Decoder::Zlib(zlib::Decoder::new());
        Self::with(decoder, window)
    }

    /// One that can be cloned.
    pub(crate) fn forkable(window: WindowBits) -> Self {
        Self::with(Decoder::Miniz(miniz::Decoder::new(window)), window)
    }

    fn with(decoder: Decoder, window: WindowBits) -> Self {
        Self { decoder, window, last: u32::MAX, begun: false, used: false, more: false }
    }

    /// A copy in the same state, if it was made for that.
    pub(crate) fn fork(&self) -> Option<Self> {
        match &self.decoder {
            Decoder::Miniz(decoder) => Some(Self { decoder: Decoder::Miniz(decoder.clone()), ..*self }),
            #[cfg(feature = "zlib-rs")]
            Decoder::Zlib(_) => None,
        }
    }

    /// Whether something of a message was taken that is not at an end.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// The window it was made for.
    pub fn window(&self) -> WindowBits {
        self.window
    }

    /// Takes from the front of `payload`, and shows the next bytes of the message: some, as long as there are
    /// any to be had from what was taken; none, when all of `payload` is taken and all of its output shown.
    ///
    /// No more than 32 KiB are shown at a time, so a limit can be kept before anything is stored.
    ///
    /// # Errors
    /// [`Corrupt`]; the inflater is of no use after that.
    pub fn inflate(&mut self, payload: &mut &[u8]) -> Result<&[u8], Corrupt> {
        loop {
            let offered = *payload;
            if offered.is_empty() && !self.more {
                return Ok(&[]);
            }
            // Whatever comes of it.
            self.used = true;
            let step = self.decoder.step(offered)?;
            self.more = step.more;
            let (taken, rest) = offered.split_at(step.taken);
            *payload = rest;
            if !taken.is_empty() {
                self.note(taken);
            }
            if step.ended && rest.is_empty() {
                self.begun = false;
            }
            if !step.output.is_empty() {
                return Ok(&self.decoder.block()[step.output]);
            }
            if rest.is_empty() {
                return Ok(&[]);
            }
            if taken.is_empty() && !step.ended {
                return Err(Corrupt(()));
            }
        }
    }

    /// The message's payload is all taken, and its output was shown.
    ///
    /// # Errors
    /// [`Corrupt`] if the message goes on.
    pub fn finish(&mut self) -> Result<(), Corrupt> {
        let begun = core::mem::take(&mut self.begun);
        let has_tail = self.last == u32::from_be_bytes(TAIL);
        self.last = u32::MAX;
        // Nothing came, or nothing behind a block that ended the stream.
        if !begun {
            return Ok(());
        }
        match &mut self.decoder {
            Decoder::Miniz(decoder) => decoder.finish(has_tail),
            #[cfg(feature = "zlib-rs")]
            Decoder::Zlib(decoder) => decoder.finish(has_tail),
        }
    }

    /// A whole message of at most `max` bytes.
    ///
    /// # Errors
    /// [`InflateError`].
    pub fn message(&mut self, mut payload: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
        let mut message = Vec::new();
        loop {
            let output = self.inflate(&mut payload)?;
            if output.is_empty() {
                break;
            }
            if output.len() > max - message.len() {
                return Err(InflateError::TooBig);
            }
            message.extend_from_slice(output);
        }
        self.finish()?;
        Ok(message)
    }

    /// Forgets what came: the next message stands for itself, and so can be another connection's.
    pub fn reset(&mut self) {
        self.begun = false;
        self.more = false;
        self.last = u32::MAX;
        if core::mem::take(&mut self.used) {
            match &mut self.decoder {
                Decoder::Miniz(decoder) => decoder.reset(),
                #[cfg(feature = "zlib-rs")]
                Decoder::Zlib(decoder) => decoder.reset(),
            }
        }
    }

    fn note(&mut self, taken: &[u8]) {
        self.begun = true;
        for byte in &taken[taken.len().saturating_sub(4)..] {
            self.last = self.last << 8 | u32::from(*byte);
        }
    }
}

impl Decoder {
    fn step(&mut self, input: &[u8]) -> Result<Step, Corrupt> {
        match self {
            Self::Miniz(decoder) => decoder.step(input),
            #[cfg(feature = "zlib-rs")]
            Self::Zlib(decoder) => decoder.step(input),
        }
    }

    fn block(&self) -> &[u8] {
        match self {
            Self::Miniz(decoder) => decoder.block(),
            #[cfg(feature = "zlib-rs")]
            Self::Zlib(decoder) => decoder.block(),
        }
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What came is nobody's business in a log.
        f.debug_struct("Inflater").field("window", &self.window).finish_non_exhaustive()
    }
}
