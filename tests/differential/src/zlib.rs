//! Sequences of messages, deflated by us and inflated by zlib, and the reverse.

use std::io;

use sansocket::deflate::{Deflater, Inflater, Params, Strategy};
use sansocket::extension::WindowBits;
use sansocket_tests::inflate::{json, noise, windows};
use sansocket_tests::pair::Dice;

use crate::peer::Peer;

/// Messages that are sent at once.
const BATCH: usize = 500;

const STRATEGIES: [(Strategy, u8); 4] =
    [(Strategy::Default, 0), (Strategy::Filtered, 1), (Strategy::HuffmanOnly, 2), (Strategy::Rle, 3)];

/// Who deflates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Ours,
    Theirs,
}

/// What became of the messages in one window.
pub(crate) struct Row {
    pub(crate) direction: Direction,
    pub(crate) window: WindowBits,
    /// Each message stands for itself.
    pub(crate) anew: bool,
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    pub(crate) deflated: usize,
    pub(crate) failure: Option<String>,
}

/// A row for each direction, window and choice of context.
pub(crate) fn run(peer: &mut Peer, messages: usize, seed: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    for direction in [Direction::Ours, Direction::Theirs] {
        for window in windows() {
            for anew in [false, true] {
                let mut row =
                    Row { direction, window, anew, messages: 0, bytes: 0, deflated: 0, failure: None };
                let seed = seed << 8 | u64::from(window.get()) << 2 | u64::from(anew) << 1;
                let mut dice = Dice::new(seed | u64::from(direction == Direction::Ours));
                while row.messages < messages && row.failure.is_none() {
                    let most = BATCH.min(messages - row.messages);
                    row.failure = row.sequence(peer, most, &mut dice).err().map(|error| error.to_string());
                }
                rows.push(row);
            }
        }
    }
    rows
}

impl Row {
    /// A sequence of its own, at any level and with any strategy.
    fn sequence(&mut self, peer: &mut Peer, count: usize, dice: &mut Dice) -> io::Result<()> {
        let level = u8::try_from(dice.below(10)).unwrap_or(6);
        let mem_level = dice.pick(&[1, 8, 9]);
        let (strategy, number) = dice.pick(&STRATEGIES);
        let params = Params::new().window(self.window).level(level).mem_level(mem_level).strategy(strategy);
        let direction = if self.direction == Direction::Ours { b'i' } else { b'd' };
        let mut batch = vec![direction, 1, self.window.get(), u8::from(self.anew), level, mem_level, number];
        let messages = messages(dice, count);
        let mut deflater = Deflater::new(&params);
        for message in &messages {
            match self.direction {
                Direction::Ours => append(&mut batch, &self.deflate(&mut deflater, message, dice)),
                Direction::Theirs => append(&mut batch, message),
            }
        }
        let answer = peer.exchange(&batch)?;
        let (mut rest, mut inflater) = (&answer[..], Inflater::new(self.window));
        for (i, message) in messages.iter().enumerate() {
            let got = next(&mut rest).ok_or(io::ErrorKind::InvalidData)?;
            let same = match self.direction {
                Direction::Ours => got == message,
                Direction::Theirs => {
                    self.deflated += got.len();
                    if self.anew {
                        inflater.reset();
                    }
                    inflater.message(got, message.len()).as_ref() == Ok(message)
                }
            };
            if !same {
                let (at, len) = (self.messages + i, message.len());
                let instead = got[..got.len().min(60)].escape_ascii();
                return Err(io::Error::other(format!("message {at} of {len} bytes, {params:?}: {instead}")));
            }
            self.bytes += message.len();
        }
        self.messages += count;
        Ok(())
    }

    /// In one piece, or two.
    fn deflate(&mut self, deflater: &mut Deflater, message: &[u8], dice: &mut Dice) -> Vec<u8> {
        if self.anew {
            deflater.reset();
        }
        let mut payload = Vec::new();
        let cut = if dice.below(3) == 0 { dice.below(message.len() + 1) } else { 0 };
        if cut > 0 {
            deflater.piece(&message[..cut], &mut payload);
        }
        deflater.finish(&message[cut..], &mut payload);
        self.deflated += payload.len();
        payload
    }
}

/// Messages that repeat what is in them and before them, near and far.
fn messages(dice: &mut Dice, count: usize) -> Vec<Vec<u8>> {
    let mut all: Vec<u8> = Vec::new();
    (0..count)
        .map(|_| {
            let len = match dice.below(50) {
                0 => 0,
                1 => dice.below(40_000),
                2..6 => dice.below(3000),
                _ => dice.below(200),
            };
            let message = match dice.below(5) {
                0 => noise(dice, len),
                1 => json(dice, len),
                2 => vec![b'a'; len],
                _ => collage(dice, &all, len),
            };
            all.extend(&message);
            all.drain(..all.len().saturating_sub(70_000));
            message
        })
        .collect()
}

/// Some bytes of noise, then some from further up, and so on.
fn collage(dice: &mut Dice, before: &[u8], len: usize) -> Vec<u8> {
    let mut bytes = before.to_vec();
    while bytes.len() < before.len() + len {
        let fresh = 1 + dice.below(20);
        bytes.extend(noise(dice, fresh));
        // Up to twice the largest window, mostly near.
        let farthest = 1 << dice.below(17);
        let start = bytes.len().saturating_sub(1 + dice.below(farthest));
        let end = bytes.len().min(start + dice.below(300));
        bytes.extend_from_within(start..end);
    }
    bytes.truncate(before.len() + len);
    bytes.split_off(before.len())
}

fn append(batch: &mut Vec<u8>, bytes: &[u8]) {
    batch.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    batch.extend(bytes);
}

fn next<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let len = u32::from_be_bytes(rest.split_off(..4)?.try_into().ok()?);
    rest.split_off(..usize::try_from(len).ok()?)
}
