//! The fail-loop: whatever operation on the stream goes wrong, and however, the program is told what, has all
//! that came before, and is through soon after; what was written is what should have been, up to there; no
//! memory is kept.
#![cfg(feature = "driver")]

use std::alloc::System;
use std::io::ErrorKind;
use std::thread;

use sansocket::{Cause, Config, Role};
use sansocket_tests::ROLES;
use sansocket_tests::faults::{
    Fault, Operation, Outcome, Scenario, Told, Trial, UNDISTURBED, all, config, run,
};
use sansocket_tests::meter::{Meter, alone};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// All of which end something, but for a stream's shutdown.
const FATAL: [Fault; 6] = [
    Fault::Break(ErrorKind::ConnectionReset),
    Fault::Fail(ErrorKind::BrokenPipe),
    Fault::Fail(ErrorKind::TimedOut),
    Fault::Fail(ErrorKind::UnexpectedEof),
    Fault::Fail(ErrorKind::WouldBlock),
    Fault::Zero,
];
/// These should make no difference.
const HARMLESS: [Fault; 3] = [Fault::Yield, Fault::Interrupt, Fault::Early];

/// A connection that is lost is over after this many seconds: time for what the peer has left to say, and for
/// the stream to shut down.
const SECONDS: usize = 11;

/// The threads of a test may keep this much to themselves.
const KEPT: usize = 4096;

/// Bytes that were allocated, and that were freed.
fn counts() -> [usize; 2] {
    let stats = ALLOCATOR.stats();
    [stats.bytes_allocated, stats.bytes_deallocated]
}

/// Runs each scenario in each role, plain and compressed, in a thread of its own, so that no memory is
/// anybody's once it is over.
fn for_all(test: fn(&Scenario, Role, &Config) -> usize) -> [usize; 2] {
    let _turn = alone(counts);
    let (mut scenarios, mut trials, mut broken) = (0, 0, Vec::new());
    for scenario in all() {
        for (role, compresses) in ROLES.into_iter().flat_map(|role| [(role, false), (role, true)]) {
            if !scenario.roles.contains(&role) {
                continue;
            }
            let meter = Meter::new(counts);
            let result =
                thread::scope(|scope| scope.spawn(|| test(scenario, role, &config(compresses))).join());
            let kept = meter.now();
            let name = format!("{}, as {role:?}, compressed: {compresses}", scenario.name);
            match result {
                Ok(_) if kept > KEPT => broken.push(format!("{name}: keeps {kept} bytes")),
                Ok(done) => trials += done,
                Err(_) => broken.push(name),
            }
            scenarios += 1;
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    [scenarios, trials]
}

/// Runs it with this fault at each operation.
fn fail_loop(
    scenario: &Scenario,
    role: Role,
    config: &Config,
    way: Trial,
    faults: &[Fault],
    check: impl Fn(&Outcome, &Outcome, Fault),
) -> usize {
    let whole = run(scenario, role, config, way);
    assert!(whole.seen.done || !whole.seen.told.is_empty(), "{whole:?}");
    assert!(whole.peer.is_through() && whole.peer.heard_right(), "{:?}", whole.peer);
    check(&whole, &whole, Fault::None);
    let mut trials = 1;
    for &fault in faults {
        for at in 0.. {
            let outcome = run(scenario, role, config, Trial { fault, at, ..way });
            trials += 1;
            let tale = format!("{}, as {role:?}: {fault:?} at {at}, {:?}", scenario.name, outcome.hit);
            let _tale = Tale(&tale);
            check(&outcome, &whole, fault);
            let of = if fault == Fault::Early { outcome.alarms } else { outcome.operations };
            if outcome.hit.is_none() && at >= of {
                break;
            }
        }
    }
    trials
}

/// What holds whatever happens.
fn is_sound(outcome: &Outcome, whole: &Outcome) {
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
    // No busy loop.
    assert!(
        outcome.polls <= 2 * outcome.reasons + 2,
        "{} polls for {} reasons",
        outcome.polls,
        outcome.reasons
    );
}

fn is_told(outcome: &Outcome, whole: &Outcome, fault: Fault) {
    is_sound(outcome, whole);
    let Outcome { seen, .. } = outcome;
    assert!(whole.written.starts_with(&outcome.written), "it wrote something else");
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

fn is_the_same(outcome: &Outcome, whole: &Outcome, _: Fault) {
    is_sound(outcome, whole);
    assert!(outcome.seen.messages == whole.seen.messages, "other messages");
    assert!(outcome.peer.heard == whole.peer.heard, "the peer heard others");
    assert_eq!((&outcome.seen.told, outcome.seen.done), (&whole.seen.told, whole.seen.done));
}

/// Short reads and writes, polls that nothing called for, and calls that are dropped whenever they wait.
fn by_halves(whole: &Outcome) -> Trial {
    let most = (whole.read.max(whole.written.len()) / 20).max(9);
    Trial { most, spurious: true, fickle: true, ..UNDISTURBED }
}

/// Tells which trial it was, if that fails.
struct Tale<'t>(&'t str);

impl Drop for Tale<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

#[test]
fn whatever_operation_fails_it_is_told_once_and_nothing_is_lost_or_torn() {
    let [scenarios, trials] =
        for_all(|scenario, role, config| fail_loop(scenario, role, config, UNDISTURBED, &FATAL, is_told));
    assert!(scenarios > 150 && trials > 10_000, "{scenarios}, {trials}");
}

#[test]
fn whatever_operation_fails_on_a_stream_that_does_all_by_halves_it_is_told_once() {
    for_all(|scenario, role, config| {
        let whole = run(scenario, role, config, UNDISTURBED);
        let halves = run(scenario, role, config, by_halves(&whole));
        is_the_same(&halves, &whole, Fault::None);
        let faults = [Fault::Break(ErrorKind::ConnectionReset), Fault::Zero];
        fail_loop(scenario, role, config, by_halves(&whole), &faults, is_told)
    });
}

#[test]
fn whatever_operation_is_put_off_interrupted_or_early_it_makes_no_difference() {
    for_all(|scenario, role, config| fail_loop(scenario, role, config, UNDISTURBED, &HARMLESS, is_the_same));
}

#[test]
fn wherever_a_program_is_dropped_nothing_of_it_is_left() {
    for_all(|scenario, role, config| {
        let whole = run(scenario, role, config, UNDISTURBED);
        let way = by_halves(&whole);
        let whole = run(scenario, role, config, way);
        for n in 0.. {
            let outcome = run(scenario, role, config, Trial { dropped: Some(n), ..way });
            assert!(outcome.is_dropped && whole.written.starts_with(&outcome.written));
            assert!(!outcome.peer.is_offended());
            if outcome.seen.done || outcome.waits < n {
                return n;
            }
        }
        0
    });
}
