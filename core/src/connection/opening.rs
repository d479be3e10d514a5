//! The opening handshake (RFC 6455 §4): requests and responses in and out of the machine.

use super::{Connection, Phase};
use crate::event::{Cause, Event};
use crate::frame::Input;
use crate::handshake::{Accept, AcceptError, Answer, Progress, Refusal, Response};
use crate::time::Instant;

impl Connection {
    /// Accepts the request that [`Event::Request`] brought: the connection is open, its response queued.
    ///
    /// If the request asks for no WebSocket, it is refused instead, with 426 or 405, and the connection is
    /// closing: see [`state`](Self::state).
    ///
    /// # Errors
    /// Nothing waits for an answer, or the subprotocol is not one that the client offered. A request still
    /// waits then.
    pub fn accept(&mut self, now: Instant, accept: Accept) -> Result<(), AcceptError> {
        let Phase::Asked(handshake) = &self.phase else { return Err(AcceptError::NoRequest) };
        match handshake.accept(&accept)? {
            Ok((response, agreed)) => {
                #[cfg(feature = "deflate")]
                let compression = handshake.compression(&accept);
                if let Some(config) = accept.config {
                    self.options = config.options;
                }
                self.outbox.raw(&response);
                self.open(agreed, now);
                #[cfg(feature = "deflate")]
                self.begin_compression(compression);
            }
            Err(refusal) => self.refuse(now, refusal),
        }
        Ok(())
    }

    /// Answers the request that [`Event::Request`] brought with `response`, and closes the connection behind
    /// it. If no request waits for an answer, nothing happens.
    pub fn reject(&mut self, now: Instant, response: Response) {
        if matches!(&self.phase, Phase::Asked(handshake) if handshake.is_asked()) {
            self.respond(now, &response, Cause::Rejected(response.status()));
        }
    }

    pub(super) fn receive_request<'b>(&mut self, now: Instant, input: &mut Input<'b>) -> Option<Event<'b>> {
        let Phase::Asked(handshake) = &mut self.phase else { return None };
        match handshake.receive(input) {
            Progress::More => None,
            Progress::Asked(request) => {
                // The time that the application takes is its own affair.
                self.timers.stop();
                Some(Event::Request(request))
            }
            Progress::Refused(refusal) => {
                let _ = input.take(usize::MAX);
                self.refuse(now, refusal);
                None
            }
        }
    }

    pub(super) fn receive_response<'b>(&mut self, now: Instant, input: &mut Input<'b>) -> Option<Event<'b>> {
        let Phase::Asking(handshake) = &mut self.phase else { return None };
        match handshake.receive(input) {
            Answer::More => None,
            Answer::Open(response, agreed) => {
                #[cfg(feature = "deflate")]
                let compression = handshake.compression;
                self.open(agreed, now);
                #[cfg(feature = "deflate")]
                self.begin_compression(compression);
                Some(Event::Open(response))
            }
            Answer::Refused(response) => {
                let _ = input.take(usize::MAX);
                self.end(Cause::Rejected(response.status()));
                Some(Event::Rejected(response))
            }
            Answer::Failed(error) => {
                let _ = input.take(usize::MAX);
                self.end(Cause::Handshake(error));
                None
            }
        }
    }

    /// The handshake took too long.
    pub(super) fn handshake_timed_out(&mut self, now: Instant, cause: Cause) {
        match &mut self.phase {
            Phase::Asked(handshake) if !handshake.is_untouched() => {
                self.respond(now, &Refusal::TimedOut.response(), cause);
            }
            Phase::Asking(handshake) => match handshake.receive_eof() {
                // It was refused; only the end of the body is missing.
                Some(response) => {
                    self.end(Cause::Rejected(response.status()));
                    if let Some(ending) = &mut self.ending {
                        ending.0.response = Some(response);
                    }
                }
                None => self.end(cause),
            },
            Phase::Asked(_) | Phase::Open | Phase::Closing | Phase::Draining { .. } | Phase::Closed => {
                self.end(cause);
            }
        }
    }

    fn refuse(&mut self, now: Instant, refusal: Refusal) {
        self.respond(now, &refusal.response(), Cause::Refused(refusal));
    }

    fn respond(&mut self, now: Instant, response: &Response, cause: Cause) {
        if let Phase::Asked(handshake) = &self.phase {
            self.outbox.raw(&handshake.encode(response));
        }
        self.drain(now, cause);
    }
}
