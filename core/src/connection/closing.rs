//! The end of a connection (RFC 6455 §7): the closing handshake, failures, timers, and the one verdict.

use super::{Connection, Phase, Role};
use crate::close::{CloseCode, CloseFrame};
use crate::error::{ProtocolError, SendError};
use crate::event::{Cause, Disconnect, Event, Side};
use crate::frame::{MAX_CONTROL_PAYLOAD, Opcode};
use crate::time::{Instant, Timer};

/// A peer that reads this many bytes in the time of a timeout is slow and not dead; one that reads fewer
/// could hold a connection for days.
const MIN_PROGRESS: u32 = 4096;

impl Connection {
    /// Begins the closing handshake (§7.1.2): queues a Close with this code or frame behind what is queued
    /// already.
    ///
    /// Messages go on coming in until the peer's Close does. A [`pause`](Self::pause) is lifted, since that
    /// Close must be read. A message that is being sent in pieces stays unfinished.
    ///
    /// # Errors
    /// [`SendError::NotOpen`] or [`SendError::Closed`].
    pub fn close<'c>(&mut self, now: Instant, frame: impl Into<CloseFrame<'c>>) -> Result<(), SendError> {
        match self.phase {
            Phase::Open => {
                self.begin_close(now, Cause::Closed(Side::Local), frame.into());
                Ok(())
            }
            Phase::Asking(_) | Phase::Asked(_) => Err(SendError::NotOpen),
            Phase::Closing | Phase::Draining { .. } | Phase::Closed => Err(SendError::Closed),
        }
    }

    /// The peer's Close came: answer it (§5.5.1) unless it is the answer.
    pub(super) fn close_received(&mut self, now: Instant, frame: &CloseFrame<'_>) {
        if let Phase::Open = self.phase {
            let echo = frame.code().map_or_else(CloseFrame::empty, CloseFrame::from);
            // What waits behind a fragment is not wanted any more: the peer discards it.
            self.cut_short(now, Cause::Closed(Side::Remote), echo);
        }
        if let Some(ending) = &mut self.ending {
            ending.0.received = Some(frame.clone().into_owned());
            // The transport broke because the peer had said this.
            if ending.0.cause == Cause::Lost {
                ending.0.cause = Cause::Closed(Side::Remote);
            }
        }
        // Without a Close of ours on its way there is nothing to wait for.
        if self.ending.as_ref().is_some_and(|ending| ending.0.sent.is_none()) {
            return self.conclude();
        }
        // §7.1.1: the server closes the TCP connection first, the client waits for that.
        self.drain_as_is(now, self.role == Role::Server);
    }

    /// Fails the connection (§7.1.7).
    pub(super) fn fail(&mut self, now: Instant, error: ProtocolError) {
        if let Phase::Open = self.phase {
            self.cut_short(now, Cause::Violation(error), error.close_code().into());
        } else if let Some(ending) = &mut self.ending {
            ending.0.cause = Cause::Violation(error);
        }
        self.drain_as_is(now, true);
    }

    pub(super) fn end_of_input(&mut self) -> Option<Event<'static>> {
        match &mut self.phase {
            Phase::Asking(handshake) => {
                let response = handshake.receive_eof();
                self.end(
                    response.as_ref().map_or(Cause::Lost, |response| Cause::Rejected(response.status())),
                );
                return response.map(Event::Rejected);
            }
            Phase::Draining { eof, .. } if self.outbox.len() > 0 => *eof = true,
            Phase::Draining { .. } | Phase::Closed => self.conclude(),
            Phase::Asked(_) | Phase::Open | Phase::Closing => self.end(Cause::Lost),
        }
        None
    }

    pub(super) fn run_timers(&mut self, now: Instant) {
        while let Some(timer) = self.timers.expired(now, &self.options) {
            match timer {
                Timer::Handshake => self.handshake_timed_out(now, Cause::TimedOut(timer)),
                Timer::KeepAlive => {
                    // If the peer does not read, the idle timeout decides, and Pings would only pile up.
                    self.timers.unasked = !self.outbox.has_control_room();
                    if !self.timers.unasked {
                        let _ = self.probe(now);
                    }
                }
                // We do not listen while the peer has to read first: that it does is what we hear.
                Timer::Idle | Timer::Pong if self.has_progressed() => {
                    self.timers.rearm(now, &self.options);
                }
                Timer::Idle => self.time_out(now, timer, CloseCode::NORMAL_CLOSURE),
                Timer::Pong => self.time_out(now, timer, CloseCode::INTERNAL_ERROR),
                // What was said before the Close is still on its way.
                Timer::Close if self.has_progressed() => self.timers.close(now, self.options.close_timeout),
                Timer::Close => {
                    // If the peer answered our Close, it is just slow to end the transport: the verdict
                    // stands.
                    self.end(Cause::TimedOut(timer));
                }
            }
        }
    }

    /// Nothing more is received: what is queued is written, then this end closes the transport.
    pub(super) fn drain(&mut self, now: Instant, cause: Cause) {
        self.ending.get_or_insert_with(|| Disconnect::new(cause));
        self.drain_as_is(now, true);
    }

    /// The transport ended, or must: there is nothing to write and nobody to read it.
    pub(super) fn end(&mut self, cause: Cause) {
        if let Phase::Closed = self.phase {
            return;
        }
        match &mut self.ending {
            None => self.ending = Some(Disconnect::new(cause)),
            Some(ending) if matches!(ending.0.cause, Cause::Closed(_)) && !ending.is_clean() => {
                ending.0.cause = cause;
            }
            Some(_) => {}
        }
        self.forget_unsent();
        self.drop_output();
        self.conclude();
    }

    /// The last step: the verdict stands.
    pub(super) fn conclude(&mut self) {
        self.ending.get_or_insert_with(|| Disconnect::new(Cause::Lost));
        self.phase = Phase::Closed;
        self.inbound.quick = false;
        self.timers.stop();
        self.inbound.control = None;
        self.pong = None;
        self.forget_messages();
    }

    /// Whether the peer has read enough since this was last asked to be waited for.
    fn has_progressed(&mut self) -> bool {
        let progress = core::mem::take(&mut self.progress);
        let enough = progress >= MIN_PROGRESS;
        // The last of much may be little.
        let last = core::mem::replace(&mut self.lagging, enough) && progress > 0 && self.outbox.len() == 0;
        enough || last
    }

    fn time_out(&mut self, now: Instant, timer: Timer, code: CloseCode) {
        self.cut_short(now, Cause::TimedOut(timer), code.into());
    }

    /// Nothing can be sent any more.
    pub(super) fn go_mute(&mut self, now: Instant) {
        match self.phase {
            Phase::Open => {
                self.ending = Some(Disconnect::new(Cause::Lost));
                self.enter_closing(now);
            }
            Phase::Closing => self.forget_unsent(),
            // Without its answer an opening handshake goes nowhere; and at the end there was only something
            // left to write.
            Phase::Asking(_) | Phase::Asked(_) | Phase::Draining { .. } | Phase::Closed => {
                self.end(Cause::Lost);
            }
        }
        self.drop_output();
    }

    fn drop_output(&mut self) {
        let dropped = self.outbox.len() > 0;
        self.outbox.clear();
        self.note_dropped(dropped);
    }

    fn note_dropped(&mut self, dropped: bool) {
        if let Some(ending) = &mut self.ending {
            ending.0.dropped |= dropped;
        }
    }

    /// Our Close is the last thing in the outbox: if anything is, it never went out.
    fn forget_unsent(&mut self) {
        if self.outbox.len() > 0
            && let Some(ending) = &mut self.ending
        {
            ending.0.sent = None;
        }
    }

    fn enter_closing(&mut self, now: Instant) {
        self.phase = Phase::Closing;
        self.progress = 0;
        self.lagging = false;
        self.paused = false;
        self.outgoing = None;
        self.pong = None;
        #[cfg(feature = "deflate")]
        if let Some(codec) = super::codec::Codec::of(&mut self.extras) {
            codec.release_memory();
        }
        self.timers.close(now, self.options.close_timeout);
    }

    /// As [`begin_close`](Self::begin_close), and nothing that waits in fragments goes before it.
    fn cut_short(&mut self, now: Instant, cause: Cause, frame: CloseFrame<'_>) {
        let dropped = self.outbox.drop_waiting();
        self.begin_close(now, cause, frame);
        self.note_dropped(dropped);
    }

    fn begin_close(&mut self, now: Instant, cause: Cause, frame: CloseFrame<'_>) {
        let mut payload = [0; MAX_CONTROL_PAYLOAD];
        let len = frame.encode(&mut payload);
        self.outbox.last(Opcode::Close, &payload[..len], self.keys.as_deref_mut());
        let mut ending = Disconnect::new(cause);
        ending.0.sent = Some(frame.into_owned());
        self.ending = Some(ending);
        self.enter_closing(now);
    }

    fn drain_as_is(&mut self, now: Instant, shutdown: bool) {
        self.phase = Phase::Draining { shutdown, eof: false };
        self.inbound.quick = false;
        self.timers.close(now, self.options.close_timeout);
        self.forget_messages();
    }

    /// No message comes or goes any more: what they took of memory is free.
    fn forget_messages(&mut self) {
        self.inbound.message.clear();
        #[cfg(feature = "deflate")]
        if let Some(codec) = super::codec::Codec::of(&mut self.extras) {
            codec.clear();
        }
    }
}
