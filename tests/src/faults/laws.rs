//! What holds whatever operation of a stream goes wrong, and however.

use std::io::ErrorKind;
use std::thread;

use sansocket::Cause;

use super::{Fault, Operation, Outcome, Told, Trial, UNDISTURBED};

/// All of which end something, but for a stream's shutdown.
pub const FATAL: [Fault; 6] = [
    Fault::Break(ErrorKind::ConnectionReset),
    Fault::Fail(ErrorKind::BrokenPipe),
    Fault::Fail(ErrorKind::TimedOut),
    Fault::Fail(ErrorKind::UnexpectedEof),
    Fault::Fail(ErrorKind::WouldBlock),
    Fault::Zero,
];
/// These should make no difference.
pub const HARMLESS: [Fault; 3] = [Fault::Yield, Fault::Interrupt, Fault::Early];

/// A connection that is lost is over after this many seconds: time for what the peer has left to say, and for
/// the stream to shut down.
pub const SECONDS: usize = 11;

/// What holds whatever happens.
pub fn is_sound(outcome: &Outcome, whole: &Outcome) {
    let Outcome { seen, peer, .. } = outcome;
    // Nothing came twice, or that was not said; and all that was read was told, if anybody listened.
    let expected: Vec<_> = peer.messages.iter().filter(|(_, end)| *end <= outcome.read).collect();
    assert!(seen.messages.len() <= expected.len(), "{} messages", seen.messages.len());
    assert!(seen.messages.iter().zip(&expected).all(|(message, (expected, _))| message == expected));
    if seen.drained && seen.end.is_some() {
        assert_eq!(seen.messages.len(), expected.len(), "{:?} {:?}", seen.told, seen.end);
    }
    // The peer understood all that came.
    assert!(!peer.is_offended());
    assert!(whole.peer.heard.starts_with(&peer.heard));
    // It was told how it ended.
    assert!(seen.done || !seen.told.is_empty());
    let ends = seen.told.iter().filter(|told| **told == Told::End).count();
    if ends > 0 {
        assert!(peer.close.is_some_and(|close| close <= outcome.read), "{:?}, {:?}", seen.told, seen.end);
    }
    assert!(outcome.is_dropped);
    // So was the peer, if there was time.
    assert!(outcome.asked_to_shut || seen.end.is_none(), "its stream was not shut: {:?}", seen.end);
    // No busy loop.
    assert!(
        outcome.polls <= 2 * outcome.reasons + 2,
        "{} polls for {} reasons",
        outcome.polls,
        outcome.reasons
    );
}

/// What holds if something fails: it is told what, once, and soon.
pub fn is_told(outcome: &Outcome, whole: &Outcome, fault: Fault) {
    is_sound(outcome, whole);
    let Outcome { seen, .. } = outcome;
    let Some(hit) = outcome.hit else { return assert_eq!(seen.told, whole.seen.told) };
    assert!(outcome.seconds <= SECONDS, "{} seconds", outcome.seconds);
    let kind = match (fault, hit) {
        (Fault::Break(kind) | Fault::Fail(kind), _) => Some(kind),
        (_, Operation::Write) => Some(ErrorKind::WriteZero),
        _ => None,
    };
    let told = seen.told.iter().filter_map(|told| match told {
        Told::Io(kind) => Some(*kind),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    // A stream that breaks does so once for who writes and once for who reads.
    let most = if matches!(fault, Fault::Break(_)) { 2 } else { 1 };
    assert!(told.len() <= most && told.iter().all(|told| Some(*told) == kind), "{:?}", seen.told);
    let is_lost = match &seen.end {
        Some(end) => *end.cause() == Cause::Lost,
        None => seen.told.contains(&Told::Disconnected(Cause::Lost)),
    };
    if is_lost && kind.is_some() && hit != Operation::Shutdown && !seen.silent {
        assert!(!told.is_empty(), "nobody says what went wrong: {:?}", seen.told);
    }
}

/// What holds if nothing fails, whatever else happens.
pub fn is_the_same(outcome: &Outcome, whole: &Outcome) {
    is_sound(outcome, whole);
    assert!(outcome.seen.messages == whole.seen.messages, "other messages");
    // What waits to be written to a peer that is gone is lost with it.
    let is_gone = whole.seen.end.as_ref().is_some_and(|end| *end.cause() == Cause::Lost);
    assert!(is_gone || outcome.peer.heard == whole.peer.heard, "the peer heard others");
    assert_eq!((&outcome.seen.told, outcome.seen.done), (&whole.seen.told, whole.seen.done));
}

/// Short reads and writes, polls that nothing called for, and calls that are dropped whenever they wait.
pub fn by_halves(whole: &Outcome) -> Trial {
    let most = (whole.read.max(whole.written.len()) / 20).max(9);
    Trial { most, spurious: true, fickle: true, ..UNDISTURBED }
}

/// Tells which trial it was, if that fails.
pub struct Tale(pub String);

impl Drop for Tale {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}
