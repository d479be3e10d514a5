//! Frames in (RFC 6455 §5, §6.2): one event at a time.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use core::fmt;

use super::{Connection, ControlPayload, Frame, Inbound, Phase};
use crate::close::CloseFrame;
use crate::config::{Delivery, Options};
use crate::error::ProtocolError;
use crate::event::Event;
use crate::frame::{Decoder, Header, Input, MAX_CONTROL_PAYLOAD, Opcode};
use crate::message::{Data, Kind, Message};
use crate::time::Instant;

impl Connection {
    /// Takes a message by the shortest way, if one is there: most come like this.
    #[inline]
    pub(super) fn receive_quickly<'b>(&mut self, input: &mut Input<'b>) -> Option<(Kind, &'b mut [u8])> {
        debug_assert!(self.may_be_quick(), "it was not put off");
        if self.is_over_high_water(self.outbox.len()) {
            return None;
        }
        self.decoder.message(input, self.options.max_message.min(self.options.max_frame))
    }

    /// Takes what comes, whatever it is.
    #[inline(never)]
    pub(super) fn receive_any<'b>(&mut self, now: Instant, input: &mut Input<'b>) -> Option<Event<'b>> {
        let offered = input.remaining();
        input.limit_patience(match self.options.delivery {
            Delivery::Whole => self.options.max_message.min(self.options.max_frame),
            Delivery::Streaming => 0,
        });
        let event = match self.phase {
            Phase::Open | Phase::Closing if self.inbound.extra => self.receive_with_extras(now, input),
            Phase::Open | Phase::Closing => self.receive_frames::<false>(now, input),
            Phase::Asked(_) => self.receive_request(now, input),
            Phase::Asking(_) => self.receive_response(now, input),
            Phase::Draining { .. } | Phase::Closed => {
                let _ = input.take(offered);
                None
            }
        };
        if input.remaining() < offered || input.missing() > 0 {
            self.heard(now);
        }
        self.inbound.quick = self.may_be_quick();
        event
    }

    fn may_be_quick(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Closing)
            && !self.paused
            && !self.inbound.extra
            && !self.inbound.held
            && self.inbound.frame.is_none()
            && matches!(self.options.delivery, Delivery::Whole)
            && self.decoder.is_between_messages()
    }

    /// `CODED`: frames may be compressed. Twice the code, so that those who do not compress have none of it.
    #[inline]
    pub(super) fn receive_frames<'b, const CODED: bool>(
        &mut self,
        now: Instant,
        input: &mut Input<'b>,
    ) -> Option<Event<'b>> {
        loop {
            if self.is_stopped() {
                return None;
            }
            match self.receive_frame::<CODED>(input) {
                Ok(Step::More) => {}
                Ok(Step::Wait) => return None,
                Ok(Step::Message(message)) => return Some(Event::Message(message)),
                Ok(Step::Data(data)) => return Some(Event::Data(data)),
                Ok(Step::Control(opcode, payload)) => match self.receive_control(now, opcode, payload) {
                    Ok(event) => return Some(event),
                    Err(error) => self.fail(now, error),
                },
                Ok(Step::Last(data, error)) => {
                    self.receive_fault(now, input, error);
                    return data.map(Event::Data);
                }
                Err(error) => self.fail(now, error),
            }
            if !matches!(self.phase, Phase::Open | Phase::Closing) {
                let _ = input.take(usize::MAX);
                return None;
            }
        }
    }

    /// The peer is at fault: what else it has sent makes no difference.
    #[cold]
    pub(super) fn receive_fault(&mut self, now: Instant, input: &mut Input<'_>, error: ProtocolError) {
        self.fail(now, error);
        let _ = input.take(usize::MAX);
    }

    /// Whether nothing may be taken: paused, or too much output waits to be written.
    pub(super) fn is_stopped(&self) -> bool {
        self.paused || self.is_over_high_water(self.outbox.ready())
    }

    /// Whether something may not be taken before output is written.
    pub(super) fn is_backed_up(&self) -> bool {
        self.is_over_high_water(self.outbox.ready()) || self.inbound_waits()
    }

    /// Whether the next frame is a data frame that may not be taken, since fragments of ours still wait:
    /// control frames pass them, more work for the outbox does not.
    pub(super) fn inbound_waits(&self) -> bool {
        self.is_over_high_water(self.outbox.len())
            && self.inbound.frame.map_or(self.inbound.held, |frame| !frame.opcode.is_control())
    }

    fn is_over_high_water(&self, bytes: usize) -> bool {
        bytes >= self.options.high_water && self.backpressure
    }

    /// Takes the next frame, or more of the one that has begun.
    #[inline]
    fn receive_frame<'b, const CODED: bool>(
        &mut self,
        input: &mut Input<'b>,
    ) -> Result<Step<'b>, ProtocolError> {
        let frame = match self.inbound.frame {
            Some(frame) => frame,
            None => {
                self.inbound.held =
                    self.is_over_high_water(self.outbox.len()) && self.decoder.next_is_data(input);
                if self.inbound.held {
                    return Ok(Step::Wait);
                }
                let Some(header) = self.decoder.header(input)? else { return Ok(Step::Wait) };
                self.begin_frame::<CODED>(&header)?
            }
        };
        self.receive_payload::<CODED>(frame, input)
    }

    #[inline]
    fn begin_frame<const CODED: bool>(&mut self, header: &Header) -> Result<Frame, ProtocolError> {
        #[cfg(feature = "deflate")]
        if CODED && self.is_compressed(header) {
            return self.begin_compressed(header);
        }
        self.inbound.begin(header, header.len, &self.options)
    }

    #[inline]
    fn receive_payload<'b, const CODED: bool>(
        &mut self,
        frame: Frame,
        input: &mut Input<'b>,
    ) -> Result<Step<'b>, ProtocolError> {
        if frame.opcode.is_control() {
            return Ok(match self.inbound.take_control(&mut self.decoder, input) {
                Some(payload) => Step::Control(frame.opcode, payload),
                None => Step::Wait,
            });
        }
        if self.inbound_waits() {
            return Ok(Step::Wait);
        }
        #[cfg(feature = "deflate")]
        if CODED && frame.compressed {
            return self.receive_compressed(frame, input);
        }
        match self.inbound.message.delivery() {
            Delivery::Whole => self.inbound.take_whole(frame, &mut self.decoder, input),
            Delivery::Streaming => Ok(self.inbound.take_piece(frame, &mut self.decoder, input)),
        }
    }

    fn receive_control<'b>(
        &mut self,
        now: Instant,
        opcode: Opcode,
        payload: Cow<'b, [u8]>,
    ) -> Result<Event<'b>, ProtocolError> {
        match opcode {
            Opcode::Ping => {
                if self.options.auto_pong {
                    self.answer_ping(&payload);
                }
                Ok(Event::Ping(payload))
            }
            Opcode::Pong => {
                self.timers.ponged(now, &payload);
                Ok(Event::Pong(payload))
            }
            Opcode::Close | Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                let frame = match payload {
                    Cow::Borrowed(payload) => CloseFrame::decode(payload)?,
                    Cow::Owned(payload) => CloseFrame::decode(&payload)?.into_owned(),
                };
                self.close_received(now, &frame);
                Ok(Event::Close(frame))
            }
        }
    }
}

/// How far one look at the input came.
pub(super) enum Step<'b> {
    More,
    Wait,
    Message(Message<'b>),
    Data(Data<'b>),
    Control(Opcode, Cow<'b, [u8]>),
    /// The last valid piece of a message, and the fault behind it.
    Last(Option<Data<'b>>, ProtocolError),
}

impl Inbound {
    /// Begins a frame; `len` is what it adds to its message.
    #[inline]
    pub(super) fn begin(
        &mut self,
        header: &Header,
        len: u64,
        options: &Options,
    ) -> Result<Frame, ProtocolError> {
        let frame = Frame { opcode: header.opcode, fin: header.fin, compressed: false };
        let kind = match header.opcode {
            Opcode::Text => Some(Kind::Text),
            Opcode::Binary => Some(Kind::Binary),
            Opcode::Continuation => None,
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                self.frame = Some(frame);
                return Ok(frame);
            }
        };
        if header.len > options.max_frame {
            return Err(ProtocolError::FrameTooBig { len: header.len, max: options.max_frame });
        }
        if let Some(kind) = kind {
            self.message.begin(kind, options.delivery);
        }
        self.message.frame(len, header.fin, options)?;
        self.frame = Some(frame);
        Ok(frame)
    }

    #[inline]
    fn take_whole<'b>(
        &mut self,
        frame: Frame,
        decoder: &mut Decoder,
        input: &mut Input<'b>,
    ) -> Result<Step<'b>, ProtocolError> {
        let left = decoder.left();
        let here = u64::try_from(input.remaining()).unwrap_or(u64::MAX);
        if frame.fin && left <= here && self.message.is_untouched(left) {
            let payload = decoder.payload(input, usize::MAX);
            self.frame = None;
            return self.message.whole(payload).map(Step::Message);
        }
        self.message.take(decoder, input)?;
        if decoder.left() > 0 {
            return Ok(Step::Wait);
        }
        self.frame = None;
        match frame.fin {
            true => self.message.finish().map(Step::Message),
            false => Ok(Step::More),
        }
    }

    fn take_piece<'b>(&mut self, frame: Frame, decoder: &mut Decoder, input: &mut Input<'b>) -> Step<'b> {
        if decoder.left() > 0 && input.is_empty() {
            return Step::Wait;
        }
        let payload = decoder.payload(input, usize::MAX);
        let ended = decoder.left() == 0;
        if ended {
            self.frame = None;
        }
        match self.message.piece(&*payload, ended && frame.fin) {
            (data, Err(error)) => Step::Last(data, error),
            (Some(data), Ok(())) => Step::Data(data),
            (None, Ok(())) => Step::More,
        }
    }

    /// The payload of a control frame, once it is complete.
    fn take_control<'b>(&mut self, decoder: &mut Decoder, input: &mut Input<'b>) -> Option<Cow<'b, [u8]>> {
        let payload = decoder.payload(input, MAX_CONTROL_PAYLOAD);
        let ended = decoder.left() == 0;
        if ended {
            self.frame = None;
            if self.control.is_none() {
                return Some(Cow::Borrowed(payload));
            }
        }
        let control = self.control.get_or_insert_with(|| Box::new(ControlPayload::new(&[])));
        control.push(payload);
        if !ended {
            return None;
        }
        self.control.take().map(|control| Cow::Owned(control.as_slice().into()))
    }
}

impl ControlPayload {
    /// `payload` has at most 125 bytes.
    pub(super) fn new(payload: &[u8]) -> Self {
        let mut new = Self { bytes: [0; MAX_CONTROL_PAYLOAD], len: 0 };
        new.push(payload);
        new
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push(&mut self, more: &[u8]) {
        let end = self.len + more.len();
        self.bytes[self.len..end].copy_from_slice(more);
        self.len = end;
    }
}

impl fmt::Debug for ControlPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What came is nobody's business in a log.
        f.debug_struct("ControlPayload").field("len", &self.len).finish_non_exhaustive()
    }
}
