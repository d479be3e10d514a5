//! Where we and a peer part.

use core::fmt;
use core::mem::discriminant;

use sansocket::deflate::Inflater;
use sansocket::extension::WindowBits;
use sansocket::{ProtocolError, Role};
use sansocket_tests::inflate::{Fault, Naive, TAIL};
use sansocket_tests::wire::CONTINUATION;

use crate::stream::{Frame, Stream};
use crate::verdict::{End, Verdict};

/// The shortest beginning of a stream, in whole frames, that is judged differently.
pub(crate) struct Parting {
    pub(crate) stream: Stream,
    pub(crate) frames: Vec<Frame>,
    pub(crate) ours: Verdict,
    pub(crate) fault: Option<ProtocolError>,
    pub(crate) theirs: Verdict,
}

/// What is unusual about the compressed messages that a decompressor has seen, up to the parting.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deflated {
    /// The last frame is of a compressed message.
    pub(crate) last: bool,
    /// A message of no bytes, or one whose last four were not taken off: with the four bytes that are put
    /// back, it is no DEFLATE stream.
    pub(crate) out_of_step: bool,
    /// A block that ends a stream (BFINAL).
    pub(crate) finals: bool,
    /// A repetition from outside the agreed window.
    pub(crate) far: bool,
    /// The last message is no whole DEFLATE stream, or not the beginning of one.
    pub(crate) fault: Option<Fault>,
    /// A control frame stood between fragments.
    pub(crate) interrupted: bool,
}

impl Parting {
    /// The frame over which they part.
    pub(crate) fn last(&self) -> &Frame {
        &self.frames[self.frames.len() - 1]
    }

    /// The first frame of the message that is open before the last frame.
    pub(crate) fn open(&self) -> Option<&Frame> {
        let mut open = None;
        for frame in self.frames[..self.frames.len() - 1].iter().filter(|frame| !frame.is_control()) {
            open = if frame.fin() { None } else { open.or(Some(frame)) };
        }
        open
    }

    /// They took something for good that we did not, whatever they made of it then.
    pub(crate) fn they_go_on(&self) -> bool {
        matches!(self.ours.end, End::Failed(_)) && self.ours.begins(&self.theirs)
    }

    /// They failed where we did, with this code.
    pub(crate) fn they_fail_with(&self, code: u16) -> bool {
        matches!(self.ours.end, End::Failed(_))
            && self.ours.events == self.theirs.events
            && self.theirs.end == End::Failed(code)
    }

    /// They failed with this code where we did not.
    pub(crate) fn only_they_fail_with(&self, code: u16) -> bool {
        !matches!(self.ours.end, End::Failed(_))
            && self.theirs.begins(&self.ours)
            && self.theirs.end == End::Failed(code)
    }

    /// What there is of the last data frame's message, inflated.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut inflater = Inflater::new(WindowBits::MAX);
        let (mut message, mut compressed) = (Vec::new(), false);
        for frame in self.frames.iter().filter(|frame| !frame.is_control()) {
            if frame.opcode() != CONTINUATION {
                if compressed && (self.anew() || inflater.finish().is_err()) {
                    inflater.reset();
                }
                compressed = frame.rsv1();
                message.clear();
            }
            let mut rest = &frame.payload[..];
            if !compressed {
                message.extend(rest);
                continue;
            }
            while let Ok(output @ [_, ..]) = inflater.inflate(&mut rest) {
                message.extend(output);
            }
        }
        message
    }

    /// The sender begins each message anew.
    fn anew(&self) -> bool {
        self.stream.setup.compression.is_some_and(|agreed| match self.stream.setup.role {
            Role::Server => agreed.client_no_context_takeover,
            Role::Client => agreed.server_no_context_takeover,
        })
    }

    pub(crate) fn deflated(&self) -> Deflated {
        let Some(agreed) = self.stream.setup.compression else { return Deflated::default() };
        let window = match self.stream.setup.role {
            Role::Server => agreed.client_max_window_bits,
            Role::Client => agreed.server_max_window_bits,
        };
        let mut inflater = Naive::new(32_768);
        let mut seen = Deflated::default();
        let mut open: Option<Vec<u8>> = None;
        for frame in &self.frames {
            if frame.is_control() {
                seen.last = false;
                seen.interrupted |= open.is_some();
                continue;
            }
            let begins = frame.opcode() != CONTINUATION;
            seen.last = if begins { frame.rsv1() } else { open.is_some() };
            if begins {
                open = frame.rsv1().then(Vec::new);
                if self.anew() && frame.rsv1() {
                    inflater = Naive::new(32_768);
                    seen = Deflated { last: true, interrupted: seen.interrupted, ..Deflated::default() };
                }
            }
            let Some(payload) = &mut open else { continue };
            payload.extend(&frame.payload);
            if frame.fin() {
                seen.out_of_step |= payload.is_empty() || payload.ends_with(&TAIL);
                seen.fault = inflater.message(payload).err();
                open = None;
            }
        }
        if let Some(payload) = open {
            seen.fault = (!inflater.accepts(&payload)).then_some(Fault::Malformed);
            // For what else it has to tell.
            let _ = inflater.message(&payload);
        }
        seen.finals |= inflater.finals > 0;
        seen.far |= inflater.farthest > 1 << window.get();
        seen
    }

    /// The same kind of difference.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let kind = |parting: &Self| {
            (
                parting.fault.as_ref().map(discriminant),
                discriminant(&parting.ours.end),
                parting.theirs.end.clone(),
            )
        };
        kind(self) == kind(other)
    }
}

impl fmt::Display for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setup = &self.stream.setup;
        write!(f, "to a {:?}, messages up to {}", setup.role, setup.max_message)?;
        if let Some(agreed) = setup.compression {
            write!(
                f,
                ", compressed, windows of {} (server{}) and {} (client{})",
                agreed.server_max_window_bits,
                if agreed.server_no_context_takeover { ", anew" } else { "" },
                agreed.client_max_window_bits,
                if agreed.client_no_context_takeover { ", anew" } else { "" },
            )?;
        }
        for frame in &self.frames {
            let (first, rest) = (frame.first, &frame.payload[..frame.payload.len().min(60)]);
            let key = if frame.key.is_some() { " masked" } else { "" };
            let part = if frame.whole { "" } else { ", not whole" };
            write!(f, "\n  {first:08b}{key} {} ({}{part}): {}", frame.declared, frame.short, hex(rest))?;
        }
        write!(f, "\n  ours:   {}", self.ours)?;
        if let Some(fault) = self.fault {
            write!(f, " ({fault})")?;
        }
        write!(f, "\n  theirs: {}", self.theirs)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
