//! The fail-loop: whatever operation on the stream goes wrong, and however, the program is told what, has all
//! that came before, and is through soon after; what was written is what should have been, up to there; no
//! memory is kept.
#![cfg(feature = "driver")]

use std::io::ErrorKind;
use std::thread;

use sansocket_tests::faults::laws::{FATAL, HARMLESS, Tale, by_halves, is_the_same, is_told};
use sansocket_tests::faults::{Case, Fault, Outcome, Trial, UNDISTURBED, cases};
use sansocket_tests::meter::{Meter, alone};

sansocket_tests::count_allocations!();

/// The threads of a test may keep this much to themselves.
const KEPT: usize = 4096;

/// Runs each scenario in each role, plain and compressed, in a thread of its own, so that no memory is
/// anybody's once it is over.
fn for_all(test: fn(&Case) -> usize) -> [usize; 2] {
    let _turn = alone(counts);
    let (mut scenarios, mut trials, mut broken) = (0, 0, Vec::new());
    for case in cases() {
        let meter = Meter::new(counts);
        let result = thread::scope(|scope| scope.spawn(|| test(&case)).join());
        let kept = meter.now();
        match result {
            Ok(_) if kept > KEPT => broken.push(format!("{case}: keeps {kept} bytes")),
            Ok(done) => trials += done,
            Err(_) => broken.push(case.to_string()),
        }
        scenarios += 1;
    }
    assert!(broken.is_empty(), "{broken:#?}");
    [scenarios, trials]
}

/// Runs it with this fault at each operation.
fn fail_loop(case: &Case, way: Trial, faults: &[Fault], check: impl Fn(&Outcome, &Outcome, Fault)) -> usize {
    let whole = case.run(way);
    assert!(whole.seen.done || !whole.seen.told.is_empty(), "{whole:?}");
    assert!(whole.peer.is_through() && whole.peer.heard_right(), "{:?}", whole.peer);
    check(&whole, &whole, Fault::None);
    let mut trials = 1;
    for &fault in faults {
        for at in 0.. {
            let outcome = case.run(Trial { fault, at, ..way });
            trials += 1;
            let _tale = Tale(format!("{case}: {fault:?} at {at}, {:?}", outcome.hit));
            check(&outcome, &whole, fault);
            let of = if fault == Fault::Early { outcome.alarms } else { outcome.operations };
            if outcome.hit.is_none() && at >= of {
                break;
            }
        }
    }
    trials
}

fn is_told_and_not_torn(outcome: &Outcome, whole: &Outcome, fault: Fault) {
    is_told(outcome, whole, fault);
    assert!(whole.written.starts_with(&outcome.written), "it wrote something else");
}

#[test]
fn whatever_operation_fails_it_is_told_once_and_nothing_is_lost_or_torn() {
    let [scenarios, trials] = for_all(|case| fail_loop(case, UNDISTURBED, &FATAL, is_told_and_not_torn));
    assert!(scenarios > 150 && trials > 10_000, "{scenarios}, {trials}");
}

#[test]
fn whatever_operation_fails_on_a_stream_that_does_all_by_halves_it_is_told_once() {
    for_all(|case| {
        let whole = case.run(UNDISTURBED);
        let halves = case.run(by_halves(&whole));
        is_the_same(&halves, &whole);
        let faults = [Fault::Break(ErrorKind::ConnectionReset), Fault::Zero];
        fail_loop(case, by_halves(&whole), &faults, is_told_and_not_torn)
    });
}

#[test]
fn whatever_operation_is_put_off_interrupted_or_early_it_makes_no_difference() {
    for_all(|case| fail_loop(case, UNDISTURBED, &HARMLESS, |outcome, whole, _| is_the_same(outcome, whole)));
}

#[test]
fn wherever_a_program_is_dropped_nothing_of_it_is_left() {
    for_all(|case| {
        let way = by_halves(&case.run(UNDISTURBED));
        let whole = case.run(way);
        for n in 0.. {
            let outcome = case.run(Trial { dropped: Some(n), ..way });
            assert!(outcome.is_dropped && whole.written.starts_with(&outcome.written));
            assert!(!outcome.peer.is_offended());
            if outcome.seen.done || outcome.waits < n {
                return n;
            }
        }
        0
    });
}
