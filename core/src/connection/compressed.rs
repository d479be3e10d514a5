//! Compressed messages out and in (RFC 7692 §6, §7.2): where the connection meets its codec.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::codec::Codec;
use super::receive::Step;
use super::{Connection, Frame};
use crate::compression::Compression;
use crate::config::Delivery;
use crate::deflate::Pool;
use crate::error::{ProtocolError, SendError};
use crate::extension::WindowBits;
use crate::frame::{Header, Input, Opcode};
use crate::message::{Kind, Message};
use crate::outbox::{CHAIN, Head, Payload};

/// A piece of an inflated message ([`Delivery::Streaming`]) has this many bytes at least, if the input has
/// more to give, and as many and a window at most.
const PIECE: usize = 16 * 1024;

/// Sending compressed, or not.
impl Connection {
    /// Queues a message as [`send`](Self::send) does, and never compresses it: for one that has a secret in
    /// it, or is compressed already.
    ///
    /// # Errors
    /// [`SendError`]; the message is dropped then.
    pub fn send_plain<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        self.check_send()?;
        let message = message.into();
        self.count_queued(message.len(), true);
        self.queue_plain(message);
        Ok(())
    }

    /// Begins a message that is sent in pieces as [`begin`](Self::begin) does, and never compresses it.
    ///
    /// Of use towards peers that take a control frame between compressed pieces for one of them, against RFC
    /// 7692 §6.1: a Ping of the keepalive is enough. Cowboy does up to 2.18, and Python's wsproto up to 1.3.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn begin_plain(&mut self, kind: Kind) -> Result<(), SendError> {
        self.begin_message(kind, false)
    }

    /// Turns the compression of what is sent off or on again, if it was agreed upon. What the peer sends is
    /// its own affair.
    pub fn set_compression(&mut self, on: bool) {
        if let Some(codec) = Codec::of(&mut self.extras) {
            codec.set_on(on);
        }
    }

    pub(super) fn wants_compressed(&mut self, kind: Kind, len: usize) -> bool {
        Codec::of(&mut self.extras).is_some_and(|codec| codec.wants(kind, Some(len)))
    }

    pub(super) fn wants_compressed_pieces(&mut self, kind: Kind) -> bool {
        Codec::of(&mut self.extras).is_some_and(|codec| codec.wants(kind, None) && codec.deflating.fragments)
    }

    /// The window of what is sent, if each message stands for itself.
    pub(super) fn window_without_context(&mut self) -> Option<WindowBits> {
        Codec::of(&mut self.extras).and_then(|codec| codec.deflating.window_without_context())
    }

    /// Queues a compressed message, or a piece of one, as one frame: some peers handle fragments of compressed
    /// messages badly.
    #[cold]
    pub(super) fn queue_compressed(&mut self, head: Head, bytes: &[u8]) {
        let Some(codec) = Codec::of(&mut self.extras) else { return };
        let mut payload = codec.deflate(bytes, head.fin);
        let keys = self.keys.as_deref_mut();
        if payload.len() < CHAIN {
            self.outbox.data(head, Payload::Borrowed(&payload), usize::MAX, keys);
            codec.give_back(payload);
        } else {
            payload.shrink_to_fit();
            self.outbox.data(head, Payload::Owned(payload), usize::MAX, keys);
        }
    }
}

/// Codecs that are shared.
impl Connection {
    /// Whether the connection compresses and has no pool, so that [`lend_codecs`](Self::lend_codecs) would be
    /// of use.
    pub fn wants_codecs(&self) -> bool {
        let codec = self.extras.as_ref().and_then(|extras| extras.codec.as_ref());
        codec.is_some_and(|codec| codec.pool.is_none())
    }

    /// Lends a pool of codecs to take from and give back to, while the connection is worked on. It comes back
    /// if it is of no use. Without one, a connection that keeps no context makes a codec for each message.
    pub fn lend_codecs(&mut self, pool: Box<Pool>) -> Option<Box<Pool>> {
        match Codec::of(&mut self.extras) {
            Some(codec @ Codec { pool: None, .. }) => {
                codec.pool = Some(pool);
                None
            }
            _ => Some(pool),
        }
    }

    /// The pool that was lent.
    pub fn reclaim_codecs(&mut self) -> Option<Box<Pool>> {
        Codec::of(&mut self.extras).and_then(|codec| codec.pool.take())
    }
}

/// Receiving.
impl Connection {
    pub(super) fn begin_compression(&mut self, config: Option<Compression>) {
        let Some(extras) = &mut self.extras else { return };
        let Some(agreed) = extras.agreed.compression() else { return };
        let codec = Codec::new(self.role, agreed, &config.unwrap_or_default());
        self.decoder.allow_rsv1(codec.rsv1());
        self.inbound.extra = true;
        extras.codec = Some(codec);
    }

    pub(super) fn is_compressed(&mut self, header: &Header) -> bool {
        let first = header.opcode != Opcode::Continuation;
        !header.opcode.is_control()
            && Codec::of(&mut self.extras).is_some_and(|codec| codec.begin_frame(header.rsv1, first))
    }

    pub(super) fn begin_compressed(&mut self, header: &Header) -> Result<Frame, ProtocolError> {
        let frame = Frame { compressed: true, ..self.inbound.begin(header, 0, &self.options)? };
        self.inbound.frame = Some(frame);
        if let Some(codec) = Codec::of(&mut self.extras) {
            codec.count_wire(header, self.options.max_message)?;
        }
        Ok(frame)
    }

    pub(super) fn receive_compressed<'b>(
        &mut self,
        frame: Frame,
        input: &mut Input<'b>,
    ) -> Result<Step<'b>, ProtocolError> {
        match self.inbound.message.delivery() {
            Delivery::Whole => self.inflate_whole(frame, input),
            Delivery::Streaming => Ok(self.inflate_piece(frame, input)),
        }
    }

    fn inflate_whole<'b>(&mut self, frame: Frame, input: &mut Input<'b>) -> Result<Step<'b>, ProtocolError> {
        let Some(codec) = Codec::of(&mut self.extras) else { return Ok(Step::Wait) };
        let max = self.options.max_message;
        let message = &mut self.inbound.message;
        let mut payload: &[u8] = self.decoder.payload(input, usize::MAX);
        loop {
            let output = codec.inflate(&mut payload)?;
            if output.is_empty() {
                break;
            }
            let allowed = message.grow(output.len(), max);
            message.append(&output[..allowed], max)?;
            if allowed < output.len() {
                return Err(too_big(max));
            }
        }
        if self.decoder.left() > 0 {
            return Ok(Step::Wait);
        }
        self.inbound.frame = None;
        codec.end_frame(frame.fin)?;
        match frame.fin {
            true => message.finish().map(Step::Message),
            false => Ok(Step::More),
        }
    }

    fn inflate_piece<'b>(&mut self, frame: Frame, input: &mut Input<'b>) -> Step<'b> {
        let mut piece = Vec::new();
        let ended = match self.inflate_some(frame, input, &mut piece) {
            Ok(ended) => ended,
            Err(error) => {
                let (data, result) = self.inbound.message.piece(piece, false);
                return Step::Last(data, result.err().unwrap_or(error));
            }
        };
        match self.inbound.message.piece(piece, ended && frame.fin) {
            (data, Err(error)) => Step::Last(data, error),
            (Some(data), Ok(())) => Step::Data(data),
            (None, Ok(())) if ended => Step::More,
            (None, Ok(())) => Step::Wait,
        }
    }

    /// Inflates up to some 16 KiB; says whether the frame ended. While there is output that did not fit, the
    /// input keeps its last byte, so that the caller comes back.
    fn inflate_some(
        &mut self,
        frame: Frame,
        input: &mut Input<'_>,
        piece: &mut Vec<u8>,
    ) -> Result<bool, ProtocolError> {
        let Some(codec) = Codec::of(&mut self.extras) else { return Ok(false) };
        let mut wire = [0; 1024];
        while piece.len() < PIECE {
            let here = self.decoder.peek_payload(input, &mut wire);
            let mut rest = here.get(usize::from(codec.inflating.ahead)..).unwrap_or_default();
            let output = codec.inflate(&mut rest)?;
            if output.is_empty() {
                self.decoder.skip_payload(input, here.len());
                codec.inflating.ahead = false;
                if self.decoder.left() == 0 {
                    self.inbound.frame = None;
                    return codec.end_frame(frame.fin).map(|()| true);
                }
                if input.is_empty() {
                    return Ok(false);
                }
            } else {
                let allowed = self.inbound.message.grow(output.len(), self.options.max_message);
                piece.extend_from_slice(&output[..allowed]);
                if allowed < output.len() {
                    return Err(too_big(self.options.max_message));
                }
                if let Some(before_last) = (here.len() - rest.len()).checked_sub(1) {
                    self.decoder.skip_payload(input, before_last);
                    codec.inflating.ahead = true;
                }
            }
        }
        Ok(false)
    }
}

/// How much longer the message would have become, nobody knows.
fn too_big(max: u64) -> ProtocolError {
    ProtocolError::MessageTooBig { len: max.saturating_add(1), max }
}
