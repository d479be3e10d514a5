//! Where peers differ from us, and who is right.

use core::fmt;

use sansocket::ProtocolError as Fault;
use sansocket_tests::inflate;
use sansocket_tests::wire::{CLOSE, CONTINUATION, TEXT};

use crate::parting::Parting;
use crate::verdict::{End, Kind};

pub(crate) struct Known {
    pub(crate) peer: &'static str,
    /// What the peer does.
    pub(crate) what: &'static str,
    /// What decides it.
    pub(crate) section: &'static str,
    pub(crate) right: Right,
    pub(crate) applies: fn(&Parting) -> bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// We are.
    Ours,
    /// The peer is free to do either.
    Both,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "ours",
            Self::Both => "either",
        })
    }
}

/// Those of a peer. The first that applies explains a difference.
pub(crate) fn of(peer: &str) -> impl Iterator<Item = &'static Known> {
    KNOWN.iter().filter(move |known| known.peer == peer)
}

static KNOWN: [Known; 37] = [
    Known {
        peer: "websockets",
        what: "takes a length that is not in its shortest form",
        section: "RFC 6455 §5.2",
        right: Right::Ours,
        applies: |p| {
            matches!(p.fault, Some(Fault::NonMinimalLength | Fault::ControlTooLong))
                && p.last().is_too_long_a_header()
                && p.they_go_on()
        },
    },
    Known {
        peer: "websockets",
        what: "counts a control frame with the message that it stands in: 1009",
        section: "RFC 6455 §5.4",
        right: Right::Ours,
        applies: |p| {
            p.last().is_control()
                && p.open().is_some()
                && p.last().declared <= p.stream.setup.max_message.into()
                && (p.only_they_fail_with(1009) || p.they_fail_with(1009))
        },
    },
    Known {
        peer: "websockets",
        what: "looks at its limit before it looks at the rest of the header, or what is in the frame: 1009",
        section: "RFC 6455 §7.4.1",
        right: Right::Both,
        applies: |p| {
            let is_long = p.last().declared > p.stream.setup.max_message.into();
            p.they_fail_with(1009) && (is_long || p.open().is_some() || p.deflated().last)
        },
    },
    Known {
        peer: "websockets",
        what: "counts a compressed message as its bytes come, and at first not what zlib still holds",
        section: "RFC 6455 §10.4",
        right: Right::Both,
        applies: |p| {
            let is_held = matches!(p.fault, Some(Fault::MessageTooBig { .. }))
                && p.ours.events == p.theirs.events
                && p.theirs.end == End::Open
                && !p.last().fin();
            counts_compressed(p) || (is_held && p.deflated().last)
        },
    },
    Known {
        peer: "websockets",
        what: "waits for the third byte of a surrogate, as Python does",
        section: "RFC 6455 §8.1",
        right: Right::Both,
        applies: third_of_a_surrogate,
    },
    Known {
        peer: "websockets",
        what: "reads the reason of a Close before it looks at the code: 1007",
        section: "RFC 6455 §7.4.1",
        right: Right::Both,
        applies: |p| matches!(p.fault, Some(Fault::InvalidCloseCode(_))) && p.they_fail_with(1007),
    },
    Known {
        peer: "websockets",
        what: "takes no Close between the fragments of a message: 1002",
        section: "RFC 6455 §5.4, §5.5",
        right: Right::Ours,
        applies: |p| {
            p.ours.events.last().is_some_and(|event| event.kind == Kind::Close)
                && p.open().is_some()
                && p.only_they_fail_with(1002)
        },
    },
    Known {
        peer: "websockets",
        what: "fails with 1002 when compressed data is corrupt, 1007 here; at once, if a block has no code for its end",
        section: "RFC 7692 §7.2.2, RFC 1951 §3.2.7",
        right: Right::Both,
        applies: |p| {
            // miniz comes to it when the message ends, which no such block can.
            let is_endless = p.deflated().last && p.deflated().fault == Some(inflate::Fault::Malformed);
            (p.fault == Some(Fault::CorruptDeflate) && p.they_fail_with(1002))
                || (is_endless && p.only_they_fail_with(1002))
        },
    },
    Known {
        peer: "websockets",
        what: "sees that compressed data is corrupt before it sees what text came first: 1002",
        section: "RFC 6455 §8.1",
        right: Right::Both,
        applies: |p| p.fault == Some(Fault::InvalidUtf8) && p.deflated().last && p.they_fail_with(1002),
    },
    Known {
        peer: "websockets",
        what: "takes a compressed message that stops short, or at least does not get to what is wrong with it",
        section: "RFC 7692 §7.2.2",
        right: Right::Ours,
        applies: stops_short,
    },
    Known {
        peer: "websockets",
        what: "drops what is behind a block that ends a stream",
        section: "RFC 7692 §7.2.3.4",
        right: Right::Ours,
        applies: ends_a_stream,
    },
    Known {
        peer: "websockets",
        what: "is out of step behind a compressed message of no bytes, or with its last four",
        section: "RFC 7692 §7.2.1",
        right: Right::Both,
        applies: out_of_step,
    },
    Known {
        peer: "websockets",
        what: "has another opinion of a repetition from outside the window",
        section: "RFC 7692 §7.1.2",
        right: Right::Both,
        applies: far_back,
    },
    Known {
        peer: "wsproto",
        what: "takes the rest of a compressed message for plain if a control frame was between",
        section: "RFC 6455 §5.4, RFC 7692 §6.1",
        right: Right::Ours,
        applies: |p| p.deflated().interrupted,
    },
    Known {
        peer: "wsproto",
        what: "inflates a frame before it knows whether it is one of the message: 1007",
        section: "RFC 6455 §7.4.1",
        right: Right::Both,
        applies: |p| p.fault == Some(Fault::ExpectedContinuation) && p.they_fail_with(1007),
    },
    Known {
        peer: "wsproto",
        what: "waits for the third byte of a surrogate, as Python does",
        section: "RFC 6455 §8.1",
        right: Right::Both,
        applies: third_of_a_surrogate,
    },
    Known {
        peer: "wsproto",
        what: "has no limit",
        section: "RFC 6455 §10.4",
        right: Right::Both,
        applies: |p| matches!(p.fault, Some(Fault::MessageTooBig { .. })) && p.they_go_on(),
    },
    Known {
        peer: "wsproto",
        what: "does not know the close code 1014",
        section: "RFC 6455 §11.7",
        right: Right::Ours,
        applies: |p| {
            p.last().payload.starts_with(&1014_u16.to_be_bytes())
                && p.last().is_control()
                && p.theirs.end == End::Failed(1002)
        },
    },
    Known {
        peer: "wsproto",
        what: "takes a compressed message that stops short, or at least does not get to what is wrong with it",
        section: "RFC 7692 §7.2.2",
        right: Right::Ours,
        applies: stops_short,
    },
    Known {
        peer: "wsproto",
        what: "drops what is behind a block that ends a stream",
        section: "RFC 7692 §7.2.3.4",
        right: Right::Ours,
        applies: ends_a_stream,
    },
    Known {
        peer: "wsproto",
        what: "is out of step behind a compressed message of no bytes, or with its last four",
        section: "RFC 7692 §7.2.1",
        right: Right::Both,
        applies: out_of_step,
    },
    Known {
        peer: "wsproto",
        what: "has another opinion of a repetition from outside the window",
        section: "RFC 7692 §7.1.2",
        right: Right::Both,
        applies: far_back,
    },
    Known {
        peer: "cowboy",
        what: "inflates a control frame between the fragments of a compressed message",
        section: "RFC 6455 §5.4, RFC 7692 §6.1",
        right: Right::Ours,
        applies: |p| p.deflated().interrupted,
    },
    Known {
        peer: "cowboy",
        what: "lets RSV1 of a continuation pass",
        section: "RFC 7692 §6.1",
        right: Right::Ours,
        applies: |p| {
            p.fault == Some(Fault::ReservedBits) && p.last().opcode() == CONTINUATION && p.they_go_on()
        },
    },
    Known {
        peer: "cowboy",
        what: "crashes at RSV1 of a control frame, or lets it pass if that is empty",
        section: "RFC 6455 §5.2, §7.1.7",
        right: Right::Ours,
        applies: |p| {
            let is_empty = p.last().payload.is_empty();
            p.fault == Some(Fault::ReservedBits)
                && p.last().is_control()
                && (p.they_fail_with(0) || (is_empty && p.they_go_on()))
        },
    },
    Known {
        peer: "cowboy",
        what: "takes the reason of a Close for the rest of the character that a fragment ends in",
        section: "RFC 6455 §5.4, §5.5.1",
        right: Right::Ours,
        applies: |p| {
            p.last().opcode() == CLOSE
                && p.open().is_some_and(|first| first.opcode() == TEXT)
                && (p.only_they_fail_with(1007)
                    || p.only_they_fail_with(0)
                    || (p.fault == Some(Fault::InvalidCloseReason) && p.they_go_on()))
        },
    },
    Known {
        peer: "cowboy",
        what: "takes text that ends within a character if the last frame of a compressed message is empty",
        section: "RFC 6455 §8.1",
        right: Right::Ours,
        applies: |p| {
            let is_empty = p.last().payload.is_empty() && p.last().opcode() == CONTINUATION;
            p.fault == Some(Fault::InvalidUtf8) && p.deflated().last && is_empty && p.they_go_on()
        },
    },
    Known {
        peer: "cowboy",
        what: "looks at its limit before it looks at what is in the frame: 1009",
        section: "RFC 6455 §7.4.1",
        right: Right::Both,
        applies: |p| p.they_fail_with(1009) && p.last().declared > p.stream.setup.max_message.into(),
    },
    Known {
        peer: "cowboy",
        what: "crashes when compressed data is corrupt: no Close",
        section: "RFC 6455 §7.1.7",
        right: Right::Both,
        applies: |p| {
            matches!(p.fault, Some(Fault::CorruptDeflate | Fault::InvalidUtf8))
                && p.deflated().last
                && p.they_fail_with(0)
        },
    },
    Known {
        peer: "cowboy",
        what: "does not know the close codes 1012 to 1014",
        section: "RFC 6455 §11.7",
        right: Right::Ours,
        applies: |p| {
            p.last().opcode() == CLOSE
                && matches!(p.last().payload[..], [0x03, 0xF4..=0xF6, ..])
                && p.theirs.end == End::Failed(1002)
        },
    },
    Known {
        peer: "cowboy",
        what: "counts a fragment when it is there, and has looked at its text by then: 1007",
        section: "RFC 6455 §7.4.1",
        right: Right::Both,
        applies: |p| {
            let is_too_big = matches!(p.fault, Some(Fault::MessageTooBig { .. }));
            is_too_big && p.open().is_some() && p.they_fail_with(1007)
        },
    },
    Known {
        peer: "cowboy",
        what: "counts the bytes of a compressed message as they come",
        section: "RFC 6455 §10.4",
        right: Right::Both,
        applies: counts_compressed,
    },
    Known {
        peer: "cowboy",
        what: "does not count what a compressed message inflates to",
        section: "RFC 6455 §10.4",
        right: Right::Both,
        applies: |p| {
            let is_too_big = matches!(p.fault, Some(Fault::MessageTooBig { .. }));
            is_too_big && p.deflated().last && p.they_go_on()
        },
    },
    Known {
        peer: "cowboy",
        what: "takes a compressed message that stops short, or at least does not get to what is wrong with it",
        section: "RFC 7692 §7.2.2",
        right: Right::Ours,
        applies: stops_short,
    },
    Known {
        peer: "cowboy",
        what: "drops what is behind a block that ends a stream",
        section: "RFC 7692 §7.2.3.4",
        right: Right::Ours,
        applies: ends_a_stream,
    },
    Known {
        peer: "cowboy",
        what: "is out of step behind a compressed message of no bytes, or with its last four",
        section: "RFC 7692 §7.2.1",
        right: Right::Both,
        applies: out_of_step,
    },
    Known {
        peer: "cowboy",
        what: "has another opinion of a repetition from outside the window",
        section: "RFC 7692 §7.1.2",
        right: Right::Both,
        applies: far_back,
    },
];

fn stops_short(p: &Parting) -> bool {
    let fault = p.deflated().fault;
    p.fault == Some(Fault::CorruptDeflate)
        && matches!(fault, Some(inflate::Fault::Cut | inflate::Fault::Malformed))
        && p.they_go_on()
}

fn ends_a_stream(p: &Parting) -> bool {
    p.deflated().last && p.deflated().finals
}

fn out_of_step(p: &Parting) -> bool {
    p.deflated().last && p.deflated().out_of_step
}

fn far_back(p: &Parting) -> bool {
    p.deflated().last && p.deflated().far
}

fn counts_compressed(p: &Parting) -> bool {
    let is_long = p.last().declared > p.stream.setup.max_message.into();
    p.only_they_fail_with(1009) && is_long && p.deflated().last
}

fn third_of_a_surrogate(p: &Parting) -> bool {
    p.fault == Some(Fault::InvalidUtf8)
        && matches!(p.message()[..], [.., 0xED, 0xA0..=0xBF])
        && !p.last().fin()
        && p.they_go_on()
}
