//! What happens to two endpoints, as the dice have it.

use core::time::Duration;

use sansocket::{Kind, Role};

use super::settings::Settings;
use crate::ROLES;
use crate::pair::Dice;

/// Something that happens at one end.
#[derive(Clone, Debug)]
pub enum Op {
    Send(Kind, usize),
    Begin(Kind),
    Push {
        len: usize,
        last: bool,
    },
    Ping(usize),
    Pong,
    Probe,
    Close(Option<u16>),
    Pause,
    Resume,
    ReleaseMemory,
    Reclaim,
    /// So many bytes go into the transport, and are acknowledged later.
    Write(usize),
    Acknowledge(usize),
    WriteAll,
    /// So many bytes, of those that the other end wrote.
    Read(usize),
    ReadAll,
    Wait(Duration),
    /// Until one of the two wants to be asked the time.
    WaitForDeadline,
    AskTime,
    Eof,
    WriteFailed,
    TransportFailed,
    /// Another peer would send this here.
    Hostile(usize),
}

/// What no endpoint of ours sends: a first byte, a payload.
pub(super) const HOSTILE: [(u8, &[u8]); 5] =
    [(0x83, b""), (0x91, b""), (0x88, b"\x03\xED"), (0x88, b"\x03\xE8\xFF"), (0x09, b"")];

impl Op {
    pub fn roll(dice: &mut Dice) -> Self {
        let kind = dice.pick(&[Kind::Text, Kind::Binary]);
        let some = dice.pick(&[1, 2, 3, 7, 50, 1000, 5000]);
        match dice.below(1000) {
            0..200 => Self::Send(kind, dice.pick(&[0, 1, 5, 120, 125, 126, 700, 4000, 20_000])),
            200..220 => Self::Begin(kind),
            220..300 => Self::Push { len: dice.pick(&[0, 1, 9, 200, 2000]), last: dice.below(3) == 0 },
            300..350 => Self::Ping(dice.pick(&[0, 8, 9, 125])),
            350..365 => Self::Pong,
            365..385 => Self::Probe,
            385..390 => Self::Close(dice.pick(&[None, Some(1000), Some(1001), Some(1011), Some(4000)])),
            390..400 => Self::Pause,
            400..430 => Self::Resume,
            430..440 => Self::ReleaseMemory,
            440..450 => Self::Reclaim,
            450..520 => Self::Write(some),
            520..580 => Self::Acknowledge(some),
            580..680 => Self::WriteAll,
            680..770 => Self::Read(some),
            770..880 => Self::ReadAll,
            880..920 => {
                Self::Wait(Duration::from_micros(dice.pick(&[1, 10_000, 99_999, 100_000, 1_000_000])))
            }
            920..955 => Self::WaitForDeadline,
            955..995 => Self::AskTime,
            995 => Self::Eof,
            996 => Self::WriteFailed,
            997 => Self::TransportFailed,
            _ => Self::Hostile(dice.below(HOSTILE.len())),
        }
    }
}

/// How it begins, and how it ends if nothing ends it before.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    pub(super) settings: [Settings; 2],
    pub(super) compresses: bool,
    pub(super) closer: Role,
    /// The transport carries nothing at the end.
    pub(super) dead: bool,
}

impl Start {
    pub fn roll(dice: &mut Dice) -> Self {
        let mut settings = [Settings::new(dice), Settings::new(dice)];
        let compresses = dice.below(12) == 0;
        if compresses {
            // What is too long then, only who inflates it knows.
            settings.iter_mut().for_each(|settings| settings.max_message = 1 << 20);
        }
        Self { settings, compresses, closer: dice.pick(&ROLES), dead: dice.below(4) == 0 }
    }
}
