//! Frames out (RFC 6455 §5, §6.1).

use alloc::borrow::Cow;
use alloc::boxed::Box;

use super::{Connection, ControlPayload, Outgoing, Phase};
use crate::error::{Rejected, SendError};
use crate::frame::{MAX_CONTROL_PAYLOAD, Opcode};
use crate::message::utf8::Validator;
use crate::message::{Kind, Message, Prepared};
use crate::outbox::{Head, Payload};
use crate::time::Instant;

/// Sending.
impl Connection {
    /// Queues a message: a `&str`, a `String`, a `&[u8]`, a `Vec<u8>` or a [`Message`]. All of it or nothing.
    ///
    /// A borrowed payload is copied once, a long one not even that by [`send_direct`](Self::send_direct); an owned one of
    /// 16 KiB or more is not copied at all.
    ///
    /// # Errors
    /// [`SendError`]; the message is dropped then. Where it must not be lost, use
    /// [`try_send`](Self::try_send).
    #[inline]
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        self.check_send()?;
        self.queue_message(message.into());
        Ok(())
    }

    /// Queues a message, or gives it back.
    ///
    /// # Errors
    /// The message and why it was not queued.
    pub fn try_send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Rejected<'m>> {
        let message = message.into();
        match self.check_send() {
            Ok(()) => {
                self.queue_message(message);
                Ok(())
            }
            Err(error) => Err(Rejected { message, error }),
        }
    }

    /// Queues a message that is sent on many connections.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send_prepared(&mut self, message: &Prepared) -> Result<(), SendError> {
        self.check_send()?;
        let (kind, payload) = (message.kind(), message.payload());
        self.count_queued(payload.len(), true);
        #[cfg(feature = "deflate")]
        if self.wants_compressed(kind, payload.len()) {
            let head = Head { rsv1: true, ..Head::new(opcode(kind)) };
            match self.window_without_context().and_then(|window| message.deflated(window)) {
                Some(deflated) => {
                    let payload = Payload::Shared(deflated.clone());
                    self.outbox.data(head, payload, usize::MAX, self.keys.as_deref_mut());
                }
                None => self.queue_compressed(head, payload),
            }
            return Ok(());
        }
        self.queue_data(Head::new(opcode(kind)), Payload::Shared(payload.clone()));
        Ok(())
    }

    /// Begins a message that is sent in pieces (§5.4). Control frames may be sent between them, other
    /// messages not.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn begin(&mut self, kind: Kind) -> Result<(), SendError> {
        #[cfg(feature = "deflate")]
        let compressed = self.wants_compressed_pieces(kind);
        #[cfg(not(feature = "deflate"))]
        let compressed = false;
        self.begin_message(kind, compressed)
    }

    /// Queues the next piece of the message. A piece of text may end within a character.
    ///
    /// # Errors
    /// [`SendError`]; nothing of the piece is queued then.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), SendError> {
        self.push_fragment(piece, false)
    }

    /// Queues the last piece of the message, which may be empty.
    ///
    /// # Errors
    /// [`SendError`]; nothing of the piece is queued then, and the message is still unfinished.
    pub fn finish(&mut self, piece: &[u8]) -> Result<(), SendError> {
        self.push_fragment(piece, true)
    }

    /// Queues a Ping with a payload of the application's own (§5.5.2); its Pong comes as
    /// [`Event::Pong`](crate::Event::Pong).
    ///
    /// # Errors
    /// [`SendError`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.queue_control(Opcode::Ping, payload)
    }

    /// Queues a Ping whose round-trip time is measured, for [`latency`](Self::latency) and
    /// [`Config::pong_timeout`](crate::Config::pong_timeout).
    ///
    /// # Errors
    /// [`SendError`].
    pub fn probe(&mut self, now: Instant) -> Result<(), SendError> {
        self.check_open()?;
        self.check_room()?;
        let payload = self.timers.ping(now, &self.options, self.paused);
        self.outbox.control(Opcode::Ping, &payload, self.keys.as_deref_mut());
        Ok(())
    }

    /// Queues a Pong, asked for or not (§5.5.3).
    ///
    /// # Errors
    /// [`SendError`].
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.queue_control(Opcode::Pong, payload)
    }

    pub(super) fn begin_message(&mut self, kind: Kind, compressed: bool) -> Result<(), SendError> {
        self.check_send()?;
        self.outgoing = Some(Outgoing { kind, compressed, begun: false, validator: Validator::new() });
        Ok(())
    }

    #[inline]
    pub(super) fn check_send(&self) -> Result<(), SendError> {
        self.check_open()?;
        if self.outgoing.is_some() {
            return Err(SendError::MessageInProgress);
        }
        self.check_room()
    }

    pub(super) fn answer_ping(&mut self, payload: &[u8]) {
        if !matches!(self.phase, Phase::Open) {
            return;
        }
        if self.outbox.has_control_room() {
            self.outbox.control(Opcode::Pong, payload, self.keys.as_deref_mut());
        } else {
            self.pong = Some(Box::new(ControlPayload::new(payload)));
        }
    }

    pub(super) fn send_waiting_pong(&mut self) {
        if !self.outbox.has_control_room() {
            return;
        }
        if let Some(pong) = self.pong.take() {
            self.answer_ping(pong.as_slice());
        }
    }

    #[inline]
    fn check_open(&self) -> Result<(), SendError> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Asking(_) | Phase::Asked(_) => Err(SendError::NotOpen),
            Phase::Closing | Phase::Draining { .. } | Phase::Closed => Err(SendError::Closed),
        }
    }

    #[inline]
    fn check_room(&self) -> Result<(), SendError> {
        if self.outbox.len() >= self.options.hard_limit { Err(SendError::Full) } else { Ok(()) }
    }

    #[inline]
    pub(super) fn queue_message(&mut self, message: Message<'_>) {
        if self.extras.is_some() {
            self.count_queued(message.len(), true);
            #[cfg(feature = "deflate")]
            if self.wants_compressed(message.kind(), message.len()) {
                let head = Head { rsv1: true, ..Head::new(opcode(message.kind())) };
                return self.queue_compressed(head, message.as_bytes());
            }
        }
        self.queue_plain(message);
    }

    #[inline]
    pub(super) fn queue_plain(&mut self, message: Message<'_>) {
        let opcode = opcode(message.kind());
        let payload = match message {
            Message::Text(Cow::Borrowed(text)) => Payload::Borrowed(text.as_bytes()),
            Message::Binary(Cow::Borrowed(bytes)) => Payload::Borrowed(bytes),
            Message::Text(Cow::Owned(text)) => Payload::Owned(text.into_bytes()),
            Message::Binary(Cow::Owned(bytes)) => Payload::Owned(bytes),
        };
        self.queue_data(Head::new(opcode), payload);
    }

    #[inline]
    fn queue_data(&mut self, head: Head, payload: Payload<'_>) {
        self.outbox.data(head, payload, self.options.longest_frame(), self.keys.as_deref_mut());
    }

    fn queue_control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), SendError> {
        self.check_open()?;
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(SendError::ControlTooLong);
        }
        self.check_room()?;
        self.outbox.control(opcode, payload, self.keys.as_deref_mut());
        Ok(())
    }

    fn push_fragment(&mut self, piece: &[u8], fin: bool) -> Result<(), SendError> {
        self.check_open()?;
        self.check_room()?;
        let outgoing = self.outgoing.as_mut().ok_or(SendError::NoMessageInProgress)?;
        if let Kind::Text = outgoing.kind {
            let mut validator = outgoing.validator;
            validator.feed(piece).map_err(|_| SendError::InvalidUtf8)?;
            if fin && !validator.is_complete() {
                return Err(SendError::InvalidUtf8);
            }
            outgoing.validator = validator;
        }
        let first = !core::mem::replace(&mut outgoing.begun, true);
        let opcode = if first { opcode(outgoing.kind) } else { Opcode::Continuation };
        let compressed = outgoing.compressed;
        if fin {
            self.outgoing = None;
        }
        self.count_queued(piece.len(), fin);
        let head = Head { opcode, fin, rsv1: first && compressed };
        #[cfg(feature = "deflate")]
        if compressed {
            self.queue_compressed(head, piece);
            return Ok(());
        }
        self.queue_data(head, Payload::Borrowed(piece));
        Ok(())
    }
}

pub(super) fn opcode(kind: Kind) -> Opcode {
    match kind {
        Kind::Text => Opcode::Text,
        Kind::Binary => Opcode::Binary,
    }
}
