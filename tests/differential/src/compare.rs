//! The same streams to us and to a peer, and what becomes of the differences.

use std::io;

use sansocket::Role;
use sansocket_tests::pair::Dice;

use crate::generate;
use crate::known::{self, Known};
use crate::minimise::minimise;
use crate::parting::Parting;
use crate::peer::Peer;
use crate::stream::Stream;
use crate::verdict::{End, Verdict, ours};

/// Streams that are sent at once.
const BATCH: u64 = 250;

/// After so many differences that nothing explains, there is no need for more.
const ENOUGH: usize = 5;

/// So many streams have every difference among them that is known.
const MANY: u64 = 500_000;

/// What came of it.
#[derive(Default)]
pub(crate) struct Comparison {
    pub(crate) streams: u64,
    /// Those to a client, the others being to a server.
    pub(crate) to_clients: u64,
    pub(crate) compressed: u64,
    pub(crate) bytes: usize,
    pub(crate) events: usize,
    pub(crate) agreed: u64,
    /// One of the two judges a frame before all of it is there; then they agree.
    pub(crate) sooner: u64,
    /// How often each of the known differences occurred.
    pub(crate) known: Vec<(&'static Known, u64)>,
    /// What nothing explains.
    pub(crate) failures: Vec<String>,
}

/// Why two verdicts differ.
pub(crate) enum Reason {
    /// They do not.
    Agreed,
    Sooner,
    Known(usize),
    Unknown(Box<Parting>),
}

impl Comparison {
    /// So many streams, beginning with the one of this number.
    pub(crate) fn run(peer: &mut Peer, streams: u64, seed: u64, first: u64) -> io::Result<Self> {
        let known = known::of(&peer.name).map(|known| (known, 0)).collect();
        let mut comparison = Self { known, ..Self::default() };
        let mut numbered = (first..)
            .map(|number| (number, Dice::new(Dice::new(seed).roll() ^ Dice::new(number).roll())))
            .map(|(number, mut dice)| (number, generate::stream(&mut dice), dice));
        while comparison.streams < streams && comparison.failures.len() < ENOUGH {
            let most = usize::try_from((streams - comparison.streams).min(BATCH)).unwrap_or(usize::MAX);
            let batch = numbered.by_ref().filter(|(_, stream, _)| peer.takes(stream)).take(most).collect();
            comparison.batch(peer, batch)?;
        }
        Ok(comparison)
    }

    /// What is wrong. In many streams, each of the known differences must have occurred.
    pub(crate) fn problems(&self) -> Vec<String> {
        let stale = self.known.iter().filter(|(_, count)| *count == 0 && self.streams >= MANY);
        let stale = stale.map(|(known, _)| format!("a known difference that did not occur: {}", known.what));
        self.failures.iter().cloned().chain(stale).collect()
    }

    fn batch(&mut self, peer: &mut Peer, batch: Vec<(u64, Stream, Dice)>) -> io::Result<()> {
        let (mut numbers, mut streams, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (number, stream, mut dice) in batch {
            let (verdict, _) = ours(&stream.setup, [&stream.bytes[..]]);
            let cut = ours(&stream.setup, pieces(&mut dice, &stream.bytes)).0;
            if cut != verdict {
                self.failures.push(format!("stream {number}, whole: {verdict}\n  in pieces: {cut}"));
            }
            self.streams += 1;
            self.bytes += stream.bytes.len();
            self.events += verdict.events.len();
            self.to_clients += u64::from(stream.setup.role == Role::Client);
            self.compressed += u64::from(stream.setup.compression.is_some());
            numbers.push(number);
            streams.push(stream);
            expected.push(verdict);
        }
        let verdicts = peer.ask(&streams)?;
        let differing: Vec<_> = (0..streams.len()).filter(|i| verdicts[*i] != expected[*i]).collect();
        self.agreed += (streams.len() - differing.len()) as u64;
        let reasons = explain(peer, differing.iter().map(|i| &streams[*i]))?;
        for (i, reason) in differing.into_iter().zip(reasons) {
            match reason {
                Reason::Agreed => self.failures.push(format!("stream {}: another verdict now", numbers[i])),
                Reason::Sooner => self.sooner += 1,
                Reason::Known(known) => self.known[known].1 += 1,
                Reason::Unknown(_) if self.failures.len() < ENOUGH => {
                    let parting = minimise(peer, &streams[i])?;
                    self.failures.push(format!("stream {}, at its shortest: {parting}", numbers[i]));
                }
                Reason::Unknown(_) => {}
            }
        }
        Ok(())
    }
}

/// Why we and the peer differ over these streams.
pub(crate) fn explain<'s>(
    peer: &mut Peer,
    streams: impl Iterator<Item = &'s Stream>,
) -> io::Result<Vec<Reason>> {
    let (mut candidates, mut ends) = (Vec::new(), Vec::new());
    for stream in streams {
        beginnings(stream, &mut candidates);
        ends.push(candidates.len());
    }
    let mut verdicts = peer.ask(&candidates)?.into_iter().zip(candidates);
    let mut start = 0;
    let mut reasons = Vec::new();
    for end in ends {
        let of_stream: Vec<_> = verdicts.by_ref().take(end - start).collect();
        start = end;
        reasons.push(reason(peer, of_stream));
    }
    Ok(reasons)
}

/// All beginnings of a stream in whole frames; then all of it, its last frame made whole; then all of it as
/// it is.
fn beginnings(stream: &Stream, into: &mut Vec<Stream>) {
    let frames = stream.frames();
    into.extend(frames.iter().filter(|frame| frame.whole).map(|frame| stream.up_to(frame.range.end)));
    into.extend([stream.completed(), stream.clone()]);
}

fn reason(peer: &Peer, candidates: Vec<(Verdict, Stream)>) -> Reason {
    for (theirs, stream) in candidates {
        let (ours, fault) = ours(&stream.setup, [&stream.bytes[..]]);
        if ours == theirs {
            continue;
        }
        let frames = stream.frames();
        // If all of it were there, they would agree; or it is too long for that.
        let is_part = frames.last().is_some_and(|last| !last.whole);
        let is_open = (ours.end == End::Open && ours.begins(&theirs))
            || (theirs.end == End::Open && theirs.begins(&ours));
        let parting = Parting { stream, frames, ours, fault, theirs };
        return match known::of(&peer.name).position(|known| (known.applies)(&parting)) {
            Some(known) => Reason::Known(known),
            None if is_part && is_open => Reason::Sooner,
            None => Reason::Unknown(Box::new(parting)),
        };
    }
    Reason::Agreed
}

/// The stream in some pieces.
fn pieces<'s>(dice: &mut Dice, mut bytes: &'s [u8]) -> Vec<&'s [u8]> {
    let mut pieces = Vec::new();
    let most = dice.pick(&[1, 3, 10, 100, 1000]).max(bytes.len() / 50);
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at((1 + dice.below(most)).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}
