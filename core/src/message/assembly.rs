//! Puts a message together that did not arrive whole in one read, within its limits.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::utf8::Validator;
use super::{Data, Kind, Message};
use crate::config::{Delivery, Options};
use crate::error::ProtocolError;
#[cfg(feature = "deflate")]
use crate::frame::mask;
use crate::frame::{Decoder, Input};

/// Memory is reserved ahead of what has arrived by at most this, or by as much as has arrived already.
const AHEAD: usize = 64 * 1024;

/// A message from this length on is put together in memory that is lent: about what its way out chains, and gives back.
const LONG: usize = 16 * 1024;

/// Text is unmasked, validated and appended in blocks of this size, so that each pass finds it in the
/// first-level cache.
const BLOCK: usize = 16 * 1024;

/// The message that is being received.
pub(crate) struct Assembly {
    partial: Partial,
    validator: Validator,
    /// Streaming: whether a piece has been handed out.
    begun: bool,
    kind: Kind,
    /// As it was set when the message began.
    delivery: Delivery,
    fragments: u32,
    /// Bytes that the frames so far declare.
    declared: u64,
    /// What the message can come to at most: what is declared if this is its last frame, else the limit.
    ceiling: u64,
}

enum Partial {
    Text(String),
    Binary(Vec<u8>),
}

impl Partial {
    /// As text; what was there of another kind is gone. It is always there.
    #[inline]
    fn text(&mut self) -> Option<&mut String> {
        if !matches!(self, Self::Text(_)) {
            *self = Self::Text(String::new());
        }
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// As bytes; what was there of another kind is gone. They are always there.
    #[inline]
    fn binary(&mut self) -> Option<&mut Vec<u8>> {
        if !matches!(self, Self::Binary(_)) {
            *self = Self::Binary(Vec::new());
        }
        match self {
            Self::Binary(bytes) => Some(bytes),
            Self::Text(_) => None,
        }
    }
}

/// A message that is all in `payload`.
#[inline]
pub(crate) fn lend(kind: Kind, payload: &[u8]) -> Result<Message<'_>, ProtocolError> {
    match kind {
        Kind::Binary => Ok(Message::Binary(Cow::Borrowed(payload))),
        Kind::Text => match super::utf8::validate(payload) {
            Some(text) => Ok(Message::Text(Cow::Borrowed(text))),
            None => Err(ProtocolError::InvalidUtf8),
        },
    }
}

impl Assembly {
    pub(crate) const fn new() -> Self {
        Self {
            partial: Partial::Binary(Vec::new()),
            validator: Validator::new(),
            begun: false,
            kind: Kind::Binary,
            delivery: Delivery::Whole,
            fragments: 0,
            declared: 0,
            ceiling: 0,
        }
    }

    /// Begins a message.
    #[inline]
    pub(crate) fn begin(&mut self, kind: Kind, delivery: Delivery) {
        self.kind = kind;
        self.delivery = delivery;
        self.begun = false;
        self.fragments = 0;
        self.declared = 0;
    }

    #[inline]
    pub(crate) fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// Counts a frame of the message in.
    #[inline]
    pub(crate) fn frame(&mut self, len: u64, fin: bool, options: &Options) -> Result<(), ProtocolError> {
        self.fragments = self.fragments.saturating_add(1);
        self.declared = self.declared.saturating_add(len);
        self.ceiling = if fin { self.declared } else { options.max_message };
        if self.declared > options.max_message {
            return Err(ProtocolError::MessageTooBig { len: self.declared, max: options.max_message });
        }
        if self.fragments > options.max_fragments {
            return Err(ProtocolError::TooManyFragments { max: options.max_fragments });
        }
        Ok(())
    }

    /// Whether nothing of the message has been taken from the input yet, so that a frame that is all there
    /// can be lent.
    #[inline]
    pub(crate) fn is_untouched(&self, left: u64) -> bool {
        self.fragments == 1 && left == self.declared
    }

    /// A message that is all in `payload`.
    #[inline]
    pub(crate) fn whole<'b>(&self, payload: &'b [u8]) -> Result<Message<'b>, ProtocolError> {
        lend(self.kind, payload)
    }

    /// Takes what `input` has of the current frame.
    pub(crate) fn take(&mut self, decoder: &mut Decoder, input: &mut Input<'_>) -> Result<(), ProtocolError> {
        let coming = usize::try_from(decoder.left()).unwrap_or(usize::MAX).min(input.remaining());
        match self.kind {
            Kind::Binary => {
                let Some(bytes) = self.partial.binary() else { return Ok(()) };
                let more = room(bytes.len(), bytes.capacity(), coming, self.declared, self.ceiling);
                if let Some(memory) = reuse(bytes.capacity(), self.declared, input) {
                    *bytes = memory;
                }
                bytes.reserve_exact(more);
                decoder.payload_into(input, bytes);
            }
            Kind::Text => {
                // With what was held back of a character that was not complete.
                let coming = coming + self.validator.carried();
                let Some(text) = self.partial.text() else { return Ok(()) };
                let more = room(text.len(), text.capacity(), coming, self.declared, self.ceiling);
                if let Some(memory) = reuse(text.capacity(), self.declared, input) {
                    *text = String::from_utf8(memory).unwrap_or_default();
                }
                text.reserve_exact(more);
                while decoder.left() > 0 && !input.is_empty() {
                    let block = decoder.payload(input, BLOCK);
                    self.validator.feed_into(block, text).map_err(|_| ProtocolError::InvalidUtf8)?;
                }
            }
        }
        Ok(())
    }

    /// How much of what a compressed frame turned out to have may be stored, and counts it in: if not all, the
    /// message is too big.
    #[cfg(feature = "deflate")]
    pub(crate) fn grow(&mut self, more: usize, max: u64) -> usize {
        let left = usize::try_from(max.saturating_sub(self.declared)).unwrap_or(usize::MAX);
        let allowed = more.min(left);
        self.declared = self.declared.saturating_add(u64::try_from(allowed).unwrap_or(u64::MAX));
        allowed
    }

    /// Takes bytes that were counted in already.
    #[cfg(feature = "deflate")]
    pub(crate) fn append(&mut self, bytes: &[u8], max: u64) -> Result<(), ProtocolError> {
        match self.kind {
            Kind::Binary => {
                let Some(target) = self.partial.binary() else { return Ok(()) };
                target.reserve_exact(room(target.len(), target.capacity(), bytes.len(), 0, max));
                mask::copy(bytes, target);
                Ok(())
            }
            Kind::Text => {
                let coming = bytes.len() + self.validator.carried();
                let Some(text) = self.partial.text() else { return Ok(()) };
                text.reserve_exact(room(text.len(), text.capacity(), coming, 0, max));
                self.validator.feed_into(bytes, text).map_err(|_| ProtocolError::InvalidUtf8)
            }
        }
    }

    /// The message, whose last byte has been taken.
    pub(crate) fn finish(&mut self) -> Result<Message<'static>, ProtocolError> {
        self.check_complete()?;
        let partial = core::mem::replace(&mut self.partial, Partial::Binary(Vec::new()));
        Ok(match (partial, self.kind) {
            (Partial::Text(text), Kind::Text) => Message::Text(Cow::Owned(text)),
            (Partial::Binary(bytes), Kind::Binary) => Message::Binary(Cow::Owned(bytes)),
            // Only empty frames came.
            (_, Kind::Text) => Message::Text(Cow::Borrowed("")),
            (_, Kind::Binary) => Message::Binary(Cow::Borrowed(&[])),
        })
    }

    /// Streaming: what of `payload` may be handed out, and the fault behind it if there is one.
    pub(crate) fn piece<'b>(
        &mut self,
        payload: impl Into<Cow<'b, [u8]>>,
        last: bool,
    ) -> (Option<Data<'b>>, Result<(), ProtocolError>) {
        let mut payload = payload.into();
        let checked = match self.kind {
            Kind::Binary => Ok(()),
            Kind::Text => self.validator.feed(&payload),
        };
        let result = match checked {
            Ok(()) if last => self.check_complete(),
            Ok(()) => Ok(()),
            Err(error) => {
                match &mut payload {
                    Cow::Borrowed(payload) => *payload = &payload[..error.valid_up_to],
                    Cow::Owned(payload) => payload.truncate(error.valid_up_to),
                }
                Err(ProtocolError::InvalidUtf8)
            }
        };
        let last = last && result.is_ok();
        if payload.is_empty() && !last {
            return (None, result);
        }
        let first = !core::mem::replace(&mut self.begun, true);
        (Some(Data { kind: self.kind, payload, first, last }), result)
    }

    /// Gives the memory of an unfinished message up.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    fn check_complete(&self) -> Result<(), ProtocolError> {
        match self.kind {
            Kind::Text if !self.validator.is_complete() => Err(ProtocolError::InvalidUtf8),
            Kind::Text | Kind::Binary => Ok(()),
        }
    }
}

impl fmt::Debug for Assembly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What came is nobody's business in a log.
        f.debug_struct("Assembly")
            .field("kind", &self.kind)
            .field("declared", &self.declared)
            .finish_non_exhaustive()
    }
}

/// Memory that is lent, for a message that has none yet and is long. Not for a header alone: the message may be lent from
/// where it is read, still.
fn reuse(capacity: usize, declared: u64, input: &mut Input<'_>) -> Option<Vec<u8>> {
    let declared = usize::try_from(declared).unwrap_or(usize::MAX);
    if capacity == 0 && declared >= LONG && !input.is_empty() { input.memory(declared) } else { None }
}

/// How much to reserve beyond `len` for `coming` bytes that are here: enough that a long message does not
/// grow often, and never because of a declared length alone (at most 64 KiB ahead, or as much again as has
/// arrived).
fn room(len: usize, capacity: usize, coming: usize, declared: u64, ceiling: u64) -> usize {
    let needed = len.saturating_add(coming);
    if capacity >= needed {
        return 0;
    }
    let doubled = needed.saturating_mul(2);
    let [declared, ceiling] = [declared, ceiling].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let target = ceiling.min(doubled.max(declared.min(AHEAD)));
    target.max(needed) - len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Role};

    /// 1000 bytes that end three bytes into a character, and the 1003 behind them.
    fn cut_within_a_character() -> (Vec<u8>, Vec<u8>) {
        let text = ["x".repeat(997), "😀".into(), "x".repeat(1002)].concat();
        let (first, second) = text.as_bytes().split_at(1000);
        (first.into(), second.into())
    }

    fn capacity(message: &Message<'_>) -> usize {
        let Message::Text(Cow::Owned(text)) = message else { panic!("not put together: {message:?}") };
        text.capacity()
    }

    #[test]
    fn a_text_in_fragments_that_cut_a_character_takes_no_more_memory_than_it_has_bytes() {
        let (first, second) = cut_within_a_character();
        let mut stream = [&[0x01, 126, 0x03, 0xE8][..], &first, &[0x80, 126, 0x03, 0xEB], &second].concat();
        let options = Config::new().max_message(2003).options;
        let (mut input, mut decoder, mut assembly) =
            (Input::new(&mut stream), Decoder::new(Role::Client), Assembly::new());
        assembly.begin(Kind::Text, Delivery::Whole);
        while let Some(header) = decoder.header(&mut input).unwrap() {
            assembly.frame(header.len, header.fin, &options).unwrap();
            assembly.take(&mut decoder, &mut input).unwrap();
        }
        assert_eq!(capacity(&assembly.finish().unwrap()), 2003);
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn a_compressed_text_that_is_cut_within_a_character_takes_no_more_memory_than_its_limit() {
        let (first, second) = cut_within_a_character();
        let mut assembly = Assembly::new();
        assembly.begin(Kind::Text, Delivery::Whole);
        assembly.append(&first, 2003).unwrap();
        assembly.append(&second, 2003).unwrap();
        assert_eq!(capacity(&assembly.finish().unwrap()), 2003);
    }
}
