//! Valid streams as the dice have them: messages in any fragments, compressed or not, control frames between,
//! and mostly short, so that they can be cut in every way.

use sansocket::deflate::Deflater;
use sansocket::{Kind, Role};

use super::{Setup, Stream};
use crate::ROLES;
use crate::compressed::{PER_FRAME, RSV1, deflater, next, opcode};
use crate::pair::Dice;
use crate::wire::{self, CONTINUATION, PING, PONG};

const STREAMS: usize = 500;

pub(super) fn streams() -> Vec<Stream> {
    let mut streams = Vec::new();
    for n in 0..STREAMS {
        for role in ROLES {
            let mut dice = Dice::new(u64::try_from(n).unwrap());
            let mut setup = Setup::nth(role, n);
            let compresses = dice.below(3) == 0;
            if compresses {
                setup = setup.compressing(dice.below(4));
            }
            let bytes = stream(&mut dice, setup);
            streams.push(Stream::frames(format_args!("dice {n}"), bytes, setup));
        }
    }
    streams
}

fn stream(dice: &mut Dice, setup: Setup) -> Vec<u8> {
    let role = setup.role;
    let mut bytes = Vec::new();
    let mut deflater = setup.compression.map(|_| deflater());
    for _ in 0..1 + dice.below(4) {
        match dice.below(4) {
            0 => bytes.extend(control(dice, role)),
            _ => {
                // Each stands for itself or refers to those before; both may be sent, whatever was agreed.
                if let Some(deflater) = &mut deflater
                    && setup.compression.is_some_and(|it| it.client_no_context_takeover || it == PER_FRAME)
                {
                    deflater.reset();
                }
                let plain = dice.below(4) == 0;
                bytes.extend(message(dice, role, deflater.as_mut().filter(|_| !plain)));
            }
        }
    }
    if dice.below(3) == 0 {
        bytes.extend(close(dice, role));
        if dice.below(2) == 0 {
            bytes.extend(control(dice, role));
        }
    }
    // The end may come anywhere.
    if dice.below(8) == 0 {
        bytes.truncate(1 + dice.below(bytes.len()));
    }
    bytes
}

fn message(dice: &mut Dice, role: Role, deflater: Option<&mut Deflater>) -> Vec<u8> {
    let len = if dice.below(20) == 0 {
        120 + dice.below(10)
    } else {
        dice.pick(&[0, 0, 1, 1, 2, 3, 4, 5, 7, 8, 16, 30])
    };
    let kind = dice.pick(&[Kind::Text, Kind::Binary]);
    let payload = match kind {
        Kind::Text => text(dice, len).into_bytes(),
        Kind::Binary => (0..len).map(|_| u8::try_from(dice.below(256)).unwrap()).collect(),
    };
    let (first, payload) = match deflater {
        Some(deflater) => (RSV1 | opcode(kind), next(deflater, payload)),
        None => (opcode(kind), payload),
    };
    let fragments = dice.pick(&[1, 1, 1, 2, 3]);
    let mut bytes = Vec::new();
    let mut rest = &payload[..];
    for i in 0..fragments {
        let first = if i == 0 { first } else { CONTINUATION };
        if i == fragments - 1 {
            bytes.extend(wire::frame(role, first, rest));
            break;
        }
        let (part, behind) = rest.split_at(dice.below(rest.len() + 1));
        bytes.extend(wire::fragment(role, first, part));
        if dice.below(3) == 0 {
            bytes.extend(control(dice, role));
        }
        rest = behind;
    }
    bytes
}

/// Some `len` bytes.
fn text(dice: &mut Dice, len: usize) -> String {
    let mut text = String::new();
    while text.len() < len {
        text.push(dice.pick(&['a', 'b', ' ', 'ß', '€', '\u{FFFD}', '😀', '\u{10FFFF}', '\0']));
    }
    text
}

fn control(dice: &mut Dice, role: Role) -> Vec<u8> {
    let len = dice.pick(&[0, 0, 1, 4, 9]);
    wire::frame(role, dice.pick(&[PING, PING, PONG]), &b"ping-pong"[..len])
}

fn close(dice: &mut Dice, role: Role) -> Vec<u8> {
    match dice.below(3) {
        0 => wire::frame(role, wire::CLOSE, ""),
        1 => wire::close(role, 1000, ""),
        _ => wire::close(role, dice.pick(&[1001, 1011, 3000, 4999]), &text(dice, 5)),
    }
}
