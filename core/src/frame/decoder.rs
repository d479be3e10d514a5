//! Walks a byte stream frame by frame, wherever it is cut.

use alloc::vec::Vec;
use core::{fmt, mem};

use super::header::{CONTROL_BIT, FINAL_BINARY, FINAL_TEXT, Header, LEN_16, LEN_64, MASK};
use super::{MAX_HEADER, Opcode, mask};
use crate::Role;
use crate::error::ProtocolError;
use crate::message::Kind;

/// Shorter texts are never left in the input: one that is not UTF-8 fails at once, while it costs little.
const LONG_TEXT: u64 = 16 * 1024;

/// Bytes from the peer, lent for one round of [`Connection::receive`](crate::Connection::receive).
///
/// What the connection takes is split off the front; what is left when it returns `None` is still the
/// caller's, to be offered again when the connection can go on.
#[must_use]
pub struct Input<'b> {
    bytes: &'b mut [u8],
    lender: Option<&'b mut dyn FnMut(usize) -> Vec<u8>>,
    /// Payloads of up to this length are left until they are whole.
    patience: u64,
    missing: usize,
}

impl<'b> Input<'b> {
    /// Lends `bytes`, which will be unmasked in place.
    pub fn new(bytes: &'b mut [u8]) -> Self {
        Self { bytes, lender: None, patience: 0, missing: 0 }
    }

    /// Asks `lender` for memory of some length when a long message begins that does not come whole with one read; it is put
    /// together there, unless that is too short, or four times as long: the application may keep it. Where it is to come
    /// from: [`transmitted_with`](crate::Connection::transmitted_with).
    ///
    /// Of use to loops that pass long messages on: memory from the allocator may have been with the operating system
    /// meanwhile, and comes back a page at a time.
    pub fn with_memory(self, lender: &'b mut dyn FnMut(usize) -> Vec<u8>) -> Self {
        Self { lender: Some(lender), ..self }
    }

    /// Has a message of up to `max` bytes left where it is until all of it is there, so that it is lent, and not put
    /// together elsewhere: read more behind what is left, [`missing`](Self::missing) tells how much, and offer both
    /// then. Without it, all is taken.
    ///
    /// This is for messages of one frame, those that come whole and are not compressed. A text shorter than 16 KiB is
    /// taken nevertheless, and so fails at its first wrong byte; one that is left fails when all of it is there.
    pub fn with_patience(self, max: usize) -> Self {
        Self { patience: u64::try_from(max).unwrap_or(u64::MAX), ..self }
    }

    /// How many bytes have not been taken: the last ones of what was lent.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// How many bytes, at least, must come behind what remains before the connection can go on; 0 if it is not that
    /// what it waits for.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// Whether everything has been taken.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes that have not been taken.
    pub fn into_rest(self) -> &'b mut [u8] {
        self.bytes
    }

    pub(crate) fn peek(&self) -> &[u8] {
        self.bytes
    }

    /// Leaves no longer payloads than that.
    pub(crate) fn limit_patience(&mut self, max: u64) {
        self.patience = self.patience.min(max);
    }

    #[inline]
    fn is_patient(&self) -> bool {
        self.patience > 0
    }

    /// Whether a frame is left, as its payload is not all there; `end` is where its header does.
    #[inline]
    fn leaves(&mut self, header: &Header, end: usize) -> bool {
        let is_message = header.fin
            && !header.rsv1
            && match header.opcode {
                Opcode::Binary => true,
                Opcode::Text => header.len >= LONG_TEXT,
                Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => false,
            };
        if !is_message || header.len > self.patience {
            return false;
        }
        let Some(whole) = usize::try_from(header.len).ok().and_then(|len| len.checked_add(end)) else {
            return false;
        };
        self.missing = whole.saturating_sub(self.bytes.len());
        self.missing > 0
    }

    /// Memory for a message of `len` bytes, if there is some that is lent.
    pub(crate) fn memory(&mut self, len: usize) -> Option<Vec<u8>> {
        let mut memory = self.lender.as_mut()?(len);
        memory.clear();
        (len..=len.saturating_mul(4)).contains(&memory.capacity()).then_some(memory)
    }

    /// Splits off `n` bytes, if there are so many.
    #[inline]
    pub(crate) fn take_all(&mut self, n: usize) -> Option<&'b mut [u8]> {
        if self.bytes.len() < n {
            return None;
        }
        let (taken, rest) = mem::take(&mut self.bytes).split_at_mut(n);
        self.bytes = rest;
        Some(taken)
    }

    /// Splits off up to `n` bytes.
    #[inline]
    pub(crate) fn take(&mut self, n: usize) -> &'b mut [u8] {
        let n = n.min(self.bytes.len());
        let (taken, rest) = mem::take(&mut self.bytes).split_at_mut(n);
        self.bytes = rest;
        taken
    }
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("remaining", &self.remaining()).finish_non_exhaustive()
    }
}

/// Where reserved bit 1 may be set, as an extension defines it (RFC 7692 §6): of a data frame only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rsv1 {
    /// Nowhere: there is no extension.
    #[default]
    Never,
    /// On the first frame of a message: permessage-deflate.
    FirstFrame,
    /// On any frame of a message: `deflate-frame`.
    AnyFrame,
}

/// Finds frames in a stream and checks what can be checked without reading payloads (RFC 6455 §5.2–§5.5):
/// masking direction, reserved bits, opcodes, fragmentation order, lengths.
///
/// Between two reads it keeps at most the bytes of one unfinished header.
#[derive(Clone, Debug)]
pub struct Decoder {
    role: Role,
    rsv1: Rsv1,
    /// A fragmented message is open: the next data frame must continue it.
    fragmented: bool,
    /// Payload bytes of the current frame that are still to come.
    left: u64,
    /// The current frame's key, rotated to the next byte.
    key: [u8; 4],
    spill: [u8; MAX_HEADER],
    spilled: u8,
}

impl Decoder {
    /// A decoder for what an endpoint in `role` receives.
    pub const fn new(role: Role) -> Self {
        Self {
            role,
            rsv1: Rsv1::Never,
            fragmented: false,
            left: 0,
            key: [0; 4],
            spill: [0; MAX_HEADER],
            spilled: 0,
        }
    }

    /// Lets reserved bit 1 be set there, from the next header on. Nowhere, to begin with.
    pub const fn allow_rsv1(&mut self, rsv1: Rsv1) {
        self.rsv1 = rsv1;
    }

    /// Takes the next frame's header from `input`, or its beginning; neither if it is [left](Input::with_patience).
    /// The payload of the frame before must have been taken.
    ///
    /// # Errors
    /// The first byte that no valid header could have, as soon as it is there. It is not taken: the same input comes to
    /// the same error again.
    #[inline]
    pub fn header(&mut self, input: &mut Input<'_>) -> Result<Option<Header>, ProtocolError> {
        debug_assert_eq!(self.left, 0, "the payload before was not taken");
        if self.spilled > 0 {
            return self.header_over_reads(input);
        }
        match self.parse(input.peek())? {
            Some((header, end)) => {
                if input.is_patient() && input.leaves(&header, end) {
                    return Ok(None);
                }
                input.take(end);
                self.begin(&header);
                Ok(Some(header))
            }
            None if input.is_patient() && !input.is_empty() => {
                input.missing = 1;
                Ok(None)
            }
            None => {
                self.spill(input);
                Ok(None)
            }
        }
    }

    /// Between frames: whether the next byte begins a message, or a control frame between two.
    pub(crate) fn is_between_messages(&self) -> bool {
        debug_assert_eq!(self.left, 0, "within a frame");
        self.spilled == 0 && !self.fragmented
    }

    /// The payload of the next frame, [between messages](Self::is_between_messages), if that is a message by itself,
    /// shorter than 64 KiB, and all there. Nothing is taken otherwise. It is what [`header`](Self::header) and
    /// [`payload`](Self::payload) come to, in one step.
    #[inline]
    pub(crate) fn message<'b>(&self, input: &mut Input<'b>, max: u64) -> Option<(Kind, &'b mut [u8])> {
        let bytes = input.peek();
        let &[b0, b1, ..] = bytes else { return None };
        let kind = match b0 {
            FINAL_TEXT => Kind::Text,
            FINAL_BINARY => Kind::Binary,
            _ => return None,
        };
        let masked = b1 & MASK != 0;
        if masked != (self.role == Role::Server) {
            return None;
        }
        let (len, head) = match (b1 & !MASK, bytes) {
            (LEN_64, _) => return None,
            (LEN_16, &[_, _, a, b, ..]) => (u16::from_be_bytes([a, b]), 4),
            (LEN_16, _) => return None,
            (short, _) => (u16::from(short), 2),
        };
        if u64::from(len) > max || (head == 4 && len < u16::from(LEN_16)) {
            return None;
        }
        let head = if masked { head + 4 } else { head };
        let (head, payload) = input.take_all(head + usize::from(len))?.split_at_mut(head);
        if masked {
            mask::apply(*head.last_chunk()?, payload);
        }
        Some((kind, payload))
    }

    /// Whether the next frame, as far as its first byte is there, carries data (§5.6) and not control.
    #[inline]
    pub(crate) fn next_is_data(&self, input: &Input<'_>) -> bool {
        let first = if self.spilled > 0 { self.spill.first() } else { input.peek().first() };
        first.is_some_and(|byte| byte & CONTROL_BIT == 0)
    }

    /// Payload bytes of the current frame that have not been taken.
    #[inline]
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Whether a fragmented message is open.
    pub fn is_fragmented(&self) -> bool {
        self.fragmented
    }

    /// Takes up to `max` bytes of the current frame's payload, unmasked in place.
    #[inline]
    pub fn payload<'b>(&mut self, input: &mut Input<'b>, max: usize) -> &'b mut [u8] {
        let bytes = self.masked_payload(input, max);
        if self.role == Role::Server {
            mask::apply(self.key, bytes);
            self.key = mask::rotate(self.key, bytes.len());
        }
        bytes
    }

    /// Appends what `input` has of the current frame's payload to `target`, unmasking the copy: one pass over
    /// memory.
    pub fn payload_into(&mut self, input: &mut Input<'_>, target: &mut Vec<u8>) {
        let bytes = self.masked_payload(input, usize::MAX);
        match self.role {
            Role::Server => {
                mask::append(self.key, bytes, target);
                self.key = mask::rotate(self.key, bytes.len());
            }
            Role::Client => mask::copy(bytes, target),
        }
    }

    /// Shows what `input` has of the current frame's payload, or as much of it as `target` has room for,
    /// unmasked in `target`. Nothing is taken.
    #[cfg(feature = "deflate")]
    pub(crate) fn peek_payload<'t>(&self, input: &Input<'_>, target: &'t mut [u8]) -> &'t [u8] {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let here = input.peek();
        let len = here.len().min(left).min(target.len());
        let target = &mut target[..len];
        target.copy_from_slice(&here[..len]);
        if self.role == Role::Server {
            mask::apply(self.key, target);
        }
        target
    }

    /// Takes that many bytes of the current frame's payload, unseen.
    #[cfg(feature = "deflate")]
    pub(crate) fn skip_payload(&mut self, input: &mut Input<'_>, n: usize) {
        let skipped = self.masked_payload(input, n).len();
        self.key = mask::rotate(self.key, skipped);
    }

    #[inline]
    fn masked_payload<'b>(&mut self, input: &mut Input<'b>, max: usize) -> &'b mut [u8] {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let bytes = input.take(left.min(max));
        self.left -= u64::try_from(bytes.len()).unwrap_or(self.left);
        bytes
    }

    #[inline]
    fn begin(&mut self, header: &Header) {
        self.left = header.len;
        self.key = header.mask.unwrap_or([0; 4]);
        if !header.opcode.is_control() {
            self.fragmented = !header.fin;
        }
    }

    #[cold]
    fn header_over_reads(&mut self, input: &mut Input<'_>) -> Result<Option<Header>, ProtocolError> {
        // Byte by byte, so that nothing behind the header is taken: at most 14 rounds a frame.
        while let Some(byte) = input.peek().first() {
            let end = usize::from(self.spilled);
            self.spill[end] = *byte;
            // A wrong byte is not taken, as where the header is in one read: it stays the answer.
            let found = self.parse(&self.spill[..=end])?;
            input.take(1);
            self.spilled += 1;
            if let Some((header, _)) = found {
                self.spilled = 0;
                self.begin(&header);
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    #[cold]
    fn may_have(&self, opcode: Opcode, rsv: super::header::Rsv) -> bool {
        rsv.only_first()
            && match self.rsv1 {
                Rsv1::Never => false,
                Rsv1::FirstFrame => !opcode.is_control() && opcode != Opcode::Continuation,
                Rsv1::AnyFrame => !opcode.is_control(),
            }
    }

    fn spill(&mut self, input: &mut Input<'_>) {
        for byte in input.take(MAX_HEADER) {
            self.spill[usize::from(self.spilled)] = *byte;
            self.spilled += 1;
        }
    }

    #[inline(always)]
    fn parse(&self, bytes: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
        use Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
        Header::decode_with(
            bytes,
            |opcode, _fin, rsv| {
                if !rsv.none() && !self.may_have(opcode, rsv) {
                    return Err(ProtocolError::ReservedBits);
                }
                match opcode {
                    Continuation if !self.fragmented => Err(ProtocolError::UnexpectedContinuation),
                    Text | Binary if self.fragmented => Err(ProtocolError::ExpectedContinuation),
                    Continuation | Text | Binary | Close | Ping | Pong => Ok(()),
                }
            },
            |masked| match (self.role, masked) {
                (Role::Server, false) => Err(ProtocolError::Unmasked),
                (Role::Client, true) => Err(ProtocolError::Masked),
                _ => Ok(()),
            },
        )
    }
}
