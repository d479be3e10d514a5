//! Where peers differ from us, and who is right.

use sansocket::ProtocolError as Fault;
use sansocket_tests::inflate;

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

/// Those of a peer. The first that applies explains a difference.
pub(crate) fn of(peer: &str) -> impl Iterator<Item = &'static Known> {
    KNOWN.iter().filter(move |known| known.peer == peer)
}

static KNOWN: [Known; 21] = [
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
        what: "looks at its limit before it looks at the rest of the header, or what is in the frame: 1009",
        section: "RFC 6455 §7.4.1",
        right: Right::Both,
        applies: |p| {
            let is_long = p.last().declared > p.stream.setup.max_message.into();
            p.they_fail_with(1009) && (is_long || p.deflated().last)
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
                && p.last().declared < p.stream.setup.max_message.into()
                && (p.only_they_fail_with(1009) || p.they_fail_with(1009))
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
        what: "fails with 1002 when compressed data is corrupt, 1007 here",
        section: "RFC 7692 §7.2.2",
        right: Right::Both,
        applies: |p| p.fault == Some(Fault::CorruptDeflate) && p.they_fail_with(1002),
    },
    Known {
        peer: "websockets",
        what: "sees that compressed data is corrupt before it sees what text came first: 1002",
        section: "RFC 6455 §8.1",
        right: Right::Both,
        applies: |p| {
            p.fault == Some(Fault::InvalidUtf8) && p.deflated().fault.is_some() && p.they_fail_with(1002)
        },
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
        applies: |p| p.deflated().last && p.deflated().finals,
    },
    Known {
        peer: "websockets",
        what: "is out of step behind a compressed message of no bytes, or with its last four",
        section: "RFC 7692 §7.2.1",
        right: Right::Both,
        applies: |p| p.deflated().last && p.deflated().out_of_step,
    },
    Known {
        peer: "websockets",
        what: "has another opinion of a repetition from outside the window",
        section: "RFC 7692 §7.1.2",
        right: Right::Both,
        applies: |p| p.deflated().last && p.deflated().far,
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
        applies: |p| p.deflated().last && p.deflated().finals,
    },
    Known {
        peer: "wsproto",
        what: "is out of step behind a compressed message of no bytes, or with its last four",
        section: "RFC 7692 §7.2.1",
        right: Right::Both,
        applies: |p| p.deflated().last && p.deflated().out_of_step,
    },
    Known {
        peer: "wsproto",
        what: "has another opinion of a repetition from outside the window",
        section: "RFC 7692 §7.1.2",
        right: Right::Both,
        applies: |p| p.deflated().last && p.deflated().far,
    },
];

fn stops_short(p: &Parting) -> bool {
    let fault = p.deflated().fault;
    p.fault == Some(Fault::CorruptDeflate)
        && matches!(fault, Some(inflate::Fault::Cut | inflate::Fault::Malformed))
        && p.last().fin()
        && p.they_go_on()
}

fn third_of_a_surrogate(p: &Parting) -> bool {
    p.fault == Some(Fault::InvalidUtf8)
        && matches!(p.last().payload[..], [.., 0xED, 0xA0..=0xBF] | [0xA0..=0xBF])
        && !p.last().fin()
        && p.they_go_on()
}
