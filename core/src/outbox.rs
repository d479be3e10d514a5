//! Output that is queued until the caller says it was written.
//!
//! Small things stand one behind the other in one block; a large payload that is owned or shared is chained
//! between two parts of the block instead of being copied. A message that is sent in fragments waits apart
//! and moves over frame by frame, so that a control frame finds its way between two of them.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use bytes::{Buf, Bytes};

use crate::frame::{Header, MAX_HEADER, Opcode, mask};
use crate::keys::Keys;

/// An owned payload of this size or more is chained: a write of several slices costs less than a copy from
/// here on (measured: between 1 and 16 KiB, depending on the system).
pub(crate) const CHAIN: usize = 16 * 1024;

/// Fragments move over while less than this is queued, so that a control frame waits for little.
const FRAGMENTS_AHEAD: usize = 16 * 1024;

/// Pongs are queued one behind the other while less than this waits to be written. Behind that only the
/// newest Ping is answered (§5.5.3), and the keepalive is silent, so that neither can make output grow.
const CONTROL_ROOM: usize = 4096;

/// The block moves its content to the front when this much at least, and half of it, has been written.
const COMPACT: usize = 16 * 1024;

pub(crate) struct Outbox {
    block: Vec<u8>,
    /// How much of the block has been written.
    written: usize,
    /// Boxed, since few connections have any: an idle connection's size is what counts.
    #[expect(clippy::box_collection, reason = "a pointer in place of four words")]
    chained: Option<Box<VecDeque<Chained>>>,
    /// Bytes in `block` and `chained` that have not been written.
    ready: usize,
    waiting: Option<Box<Waiting>>,
}

#[derive(Debug)]
struct Chained {
    /// Goes out before `block[at]`.
    at: usize,
    payload: Bytes,
}

/// Messages that go out in fragments, and what must go behind them.
#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<Fragmented>,
    /// Payload bytes and what else the messages take up: many empty ones must count too.
    len: usize,
}

#[derive(Debug)]
struct Fragmented {
    /// Of the next frame. FIN is the last one's: not set, if this is a piece of a message that is sent in
    /// pieces.
    head: Head,
    payload: Bytes,
    /// The longest frame.
    limit: usize,
}

/// What a frame's first byte says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) opcode: Opcode,
    pub(crate) fin: bool,
    pub(crate) rsv1: bool,
}

impl Head {
    /// A frame that is a whole message, not compressed.
    pub(crate) const fn new(opcode: Opcode) -> Self {
        Self { opcode, fin: true, rsv1: false }
    }

    #[inline]
    fn header(self, len: usize, mask: Option<[u8; 4]>) -> Header {
        // A slice is shorter than 2⁶³ bytes.
        let header = Header::new(self.opcode, u64::try_from(len).unwrap_or(u64::MAX));
        Header { fin: self.fin, rsv1: self.rsv1, mask, ..header }
    }
}

/// A payload on its way into the outbox.
#[derive(Debug)]
pub(crate) enum Payload<'m> {
    Borrowed(&'m [u8]),
    Owned(Vec<u8>),
    Shared(Bytes),
}

impl Payload<'_> {
    fn as_slice(&self) -> &[u8] {
        match self {
            Payload::Borrowed(bytes) => bytes,
            Payload::Owned(bytes) => bytes,
            Payload::Shared(bytes) => bytes,
        }
    }

    fn into_shared(self) -> Bytes {
        match self {
            Payload::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Payload::Owned(bytes) => Bytes::from(bytes),
            Payload::Shared(bytes) => bytes,
        }
    }
}

impl Outbox {
    pub(crate) const fn new() -> Self {
        Self { block: Vec::new(), written: 0, chained: None, ready: 0, waiting: None }
    }

    /// All bytes that are not written.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.ready + self.waiting.as_ref().map_or(0, |waiting| waiting.len)
    }

    /// Bytes that can be written now.
    #[inline]
    pub(crate) fn ready(&self) -> usize {
        self.ready
    }

    /// Whether no fragments wait.
    pub(crate) fn is_all_ready(&self) -> bool {
        self.waiting.is_none()
    }

    /// Queues the header of a frame whose payload follows it.
    pub(crate) fn head(&mut self, head: Head, len: usize, key: Option<[u8; 4]>) {
        self.make_room(MAX_HEADER);
        let start = self.block.len();
        head.header(len, key).append(&mut self.block);
        self.ready += self.block.len() - start;
    }

    /// Queues bytes that are no frame: the opening handshake; the rest of a payload.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        mask::copy(bytes, &mut self.block);
        self.ready += bytes.len();
    }

    /// Queues a control frame, before fragments that wait.
    pub(crate) fn control(&mut self, opcode: Opcode, payload: &[u8], keys: Option<&mut Keys>) {
        self.copied(Head::new(opcode), payload, keys.map(Keys::next));
    }

    /// Queues a control frame behind everything: Close.
    pub(crate) fn last(&mut self, opcode: Opcode, payload: &[u8], keys: Option<&mut Keys>) {
        self.data(Head::new(opcode), Payload::Borrowed(payload), usize::MAX, keys);
    }

    /// Queues a message or a piece of one; `limit` is the longest frame.
    #[inline]
    pub(crate) fn data(&mut self, head: Head, payload: Payload<'_>, limit: usize, keys: Option<&mut Keys>) {
        let bytes = payload.as_slice();
        if bytes.len() < CHAIN && bytes.len() <= limit && self.waiting.is_none() {
            self.copied(head, bytes, keys.map(Keys::next));
        } else {
            self.long_data(head, payload, limit, keys);
        }
    }

    #[inline(never)]
    fn long_data(&mut self, head: Head, payload: Payload<'_>, limit: usize, keys: Option<&mut Keys>) {
        let len = payload.as_slice().len();
        if len <= limit && self.waiting.is_none() {
            self.frame(head, payload, keys.map(Keys::next));
        } else {
            let waiting = self.waiting.get_or_insert_default();
            waiting.len += len + size_of::<Fragmented>();
            waiting.messages.push_back(Fragmented { head, payload: payload.into_shared(), limit });
            self.advance(keys);
        }
    }

    /// The slices to write, in order.
    pub(crate) fn slices(&self) -> Slices<'_> {
        Slices { outbox: self, at: self.written, index: 0, payload_next: false }
    }

    /// `n` bytes have been written, no more than are ready. `memory` of a long payload that is through, if that is
    /// more than there was, can be used again.
    #[inline]
    pub(crate) fn written(&mut self, n: usize, memory: &mut Vec<u8>) {
        self.ready -= n;
        let rest = if self.chained.is_none() { n } else { self.written_chained(n, memory) };
        self.written += rest;
        if self.ready == 0 {
            self.block.clear();
            self.written = 0;
        }
    }

    /// How many of the bytes are left for what stands in the block behind the last payload that is through.
    fn written_chained(&mut self, mut n: usize, memory: &mut Vec<u8>) -> usize {
        while let Some(next) = self.chained.as_mut().and_then(|chain| chain.front_mut()) {
            let before = n.min(next.at - self.written);
            self.written += before;
            n -= before;
            let chained = n.min(next.payload.len());
            next.payload.advance(chained);
            n -= chained;
            if !next.payload.is_empty() {
                break;
            }
            // Empty, so nothing is copied if others have it too.
            let through = self.chained.as_mut().and_then(|chain| chain.pop_front());
            let through = through.map(|next| Vec::from(next.payload)).unwrap_or_default();
            if through.capacity() > memory.capacity() {
                *memory = through;
            }
        }
        n
    }

    /// Drops what will never be written.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Drops the messages that wait, of which nothing has been sent, and the rest of the one that has begun:
    /// a Close follows. Whether there were any.
    pub(crate) fn drop_waiting(&mut self) -> bool {
        self.waiting.take().is_some()
    }

    /// The block, if it is empty and there is one; other memory that nothing needs is freed.
    pub(crate) fn reclaim(&mut self) -> Option<Vec<u8>> {
        if self.ready > 0 {
            return None;
        }
        self.chained = None;
        (self.block.capacity() > 0).then(|| core::mem::take(&mut self.block))
    }

    pub(crate) fn wants_output(&self) -> bool {
        self.block.capacity() == 0
    }

    /// Puts a block to use; returns it if there is one already.
    pub(crate) fn lend(&mut self, mut block: Vec<u8>) -> Option<Vec<u8>> {
        if !self.wants_output() {
            return Some(block);
        }
        block.clear();
        self.block = block;
        None
    }

    /// Frees what is reserved and not in use.
    pub(crate) fn shrink(&mut self) {
        if self.ready == 0 {
            self.reclaim();
        } else {
            self.compact();
            self.block.shrink_to_fit();
        }
    }

    /// Whether a control frame that nobody asked for may be queued now. While fragments wait there is always
    /// so much before it that it must not wait for less.
    pub(crate) fn has_control_room(&self) -> bool {
        self.ready < if self.waiting.is_some() { FRAGMENTS_AHEAD } else { CONTROL_ROOM }
    }

    /// Moves fragments over while little is queued.
    #[inline]
    pub(crate) fn advance(&mut self, keys: Option<&mut Keys>) {
        if self.waiting.is_some() {
            self.advance_waiting(keys);
        }
    }

    fn advance_waiting(&mut self, mut keys: Option<&mut Keys>) {
        while self.ready < FRAGMENTS_AHEAD {
            let Some(waiting) = &mut self.waiting else { return };
            let Some(message) = waiting.messages.front_mut() else {
                self.waiting = None;
                return;
            };
            let part = message.payload.split_to(message.limit.min(message.payload.len()));
            let done = message.payload.is_empty();
            let head = Head { fin: done && message.head.fin, ..message.head };
            message.head = Head { fin: message.head.fin, ..Head::new(Opcode::Continuation) };
            waiting.len -= part.len();
            if done {
                waiting.messages.pop_front();
                waiting.len -= size_of::<Fragmented>();
            }
            self.frame(head, Payload::Shared(part), keys.as_deref_mut().map(Keys::next));
        }
    }

    /// Queues one frame: masked if there is a key, that is on a client (§5.3). A long payload that can be kept as it
    /// is, or masked in place, is.
    fn frame(&mut self, head: Head, payload: Payload<'_>, key: Option<[u8; 4]>) {
        let payload = match (payload, key) {
            (payload, _) if payload.as_slice().len() < CHAIN => {
                return self.copied(head, payload.as_slice(), key);
            }
            (Payload::Owned(mut bytes), Some(key)) => {
                mask::apply(key, &mut bytes);
                Bytes::from(bytes)
            }
            (Payload::Owned(bytes), None) => Bytes::from(bytes),
            (Payload::Shared(bytes), None) => bytes,
            (payload @ (Payload::Borrowed(_) | Payload::Shared(_)), _) => {
                return self.copied(head, payload.as_slice(), key);
            }
        };
        self.head(head, payload.len(), key);
        self.ready += payload.len();
        self.chain(payload);
    }

    /// Queues one frame in the block.
    #[inline]
    fn copied(&mut self, head: Head, payload: &[u8], key: Option<[u8; 4]>) {
        self.make_room(MAX_HEADER + payload.len());
        let start = self.block.len();
        head.header(payload.len(), key).append(&mut self.block);
        match key {
            Some(key) => mask::append(key, payload, &mut self.block),
            None => mask::copy(payload, &mut self.block),
        }
        self.ready += self.block.len() - start;
    }

    fn chain(&mut self, payload: Bytes) {
        let at = self.block.len();
        self.chained.get_or_insert_default().push_back(Chained { at, payload });
    }

    /// Keeps a block that is never quite empty from growing behind what has been written.
    #[inline]
    fn make_room(&mut self, more: usize) {
        if self.block.capacity() - self.block.len() < more
            && self.written >= COMPACT.max(self.block.len() / 2)
        {
            self.compact();
        }
    }

    fn compact(&mut self) {
        self.block.drain(..self.written);
        for chained in self.chained.iter_mut().flat_map(|chained| chained.iter_mut()) {
            chained.at -= self.written;
        }
        self.written = 0;
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is sent is nobody's business in a log.
        f.debug_struct("Outbox").field("ready", &self.ready).field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Output to write, as slices in order: for `writev`, a ring, or one by one.
///
/// It stays the same until [`transmitted`](crate::Connection::transmitted) says what was written, or the
/// transport is given up; commands only add behind it.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Transmit<'c> {
    outbox: &'c Outbox,
}

impl<'c> Transmit<'c> {
    pub(crate) fn new(outbox: &'c Outbox) -> Self {
        Self { outbox }
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.outbox.ready() == 0
    }

    /// How many bytes there are to write.
    pub fn len(&self) -> usize {
        self.outbox.ready()
    }

    /// The slices, none of them empty.
    pub fn slices(self) -> Slices<'c> {
        self.outbox.slices()
    }

    /// As many of the slices as `slots` has room for, for a vectored write.
    #[cfg(feature = "std")]
    pub fn io_slices<'s>(self, slots: &'s mut [std::io::IoSlice<'c>]) -> &'s [std::io::IoSlice<'c>] {
        fill(slots, self.slices())
    }

    /// The first slice; empty only if there is nothing to write.
    pub fn first(self) -> &'c [u8] {
        self.outbox.slices().next().unwrap_or_default()
    }

    /// All of it, copied into one vector.
    pub fn to_vec(self) -> Vec<u8> {
        self.outbox.slices().flatten().copied().collect()
    }
}

/// Puts as many of the slices into `slots` as there is room for; those that were filled.
#[cfg(feature = "std")]
#[inline]
pub(crate) fn fill<'d, 's>(
    slots: &'s mut [std::io::IoSlice<'d>],
    slices: impl Iterator<Item = &'d [u8]>,
) -> &'s mut [std::io::IoSlice<'d>] {
    let mut filled = 0;
    for (slot, slice) in slots.iter_mut().zip(slices) {
        *slot = std::io::IoSlice::new(slice);
        filled += 1;
    }
    &mut slots[..filled]
}

/// The slices of a [`Transmit`], in order.
#[derive(Clone, Debug)]
pub struct Slices<'c> {
    outbox: &'c Outbox,
    /// How far in the block.
    at: usize,
    /// Which chained payload is next.
    index: usize,
    /// Whether the part of the block before it has been shown.
    payload_next: bool,
}

impl<'c> Iterator for Slices<'c> {
    type Item = &'c [u8];

    #[inline]
    fn next(&mut self) -> Option<&'c [u8]> {
        if self.outbox.chained.is_some() {
            return self.next_chained();
        }
        let part = &self.outbox.block[self.at..];
        self.at += part.len();
        (!part.is_empty()).then_some(part)
    }
}

impl<'c> Slices<'c> {
    fn next_chained(&mut self) -> Option<&'c [u8]> {
        loop {
            let chained = self.outbox.chained.as_ref().and_then(|chained| chained.get(self.index));
            let slice = match chained {
                Some(chained) if self.payload_next => {
                    self.index += 1;
                    &chained.payload[..]
                }
                chained => {
                    let end = chained.map_or(self.outbox.block.len(), |chained| chained.at);
                    let part = &self.outbox.block[self.at..end];
                    self.at = end;
                    if part.is_empty() && chained.is_none() {
                        return None;
                    }
                    part
                }
            };
            self.payload_next = !self.payload_next && chained.is_some();
            if !slice.is_empty() {
                return Some(slice);
            }
        }
    }
}
