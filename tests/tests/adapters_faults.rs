//! What `driver_faults` runs on scripted tasks, on the runtimes: their tasks, their timers, and what their adapters
//! wrap a stream in, around a stream of which one operation goes wrong.
//!
//! Each scenario runs in each of its roles, plain and compressed, and is to come to the same as there: nearly all of them on
//! tokio with a clock that stands; on the other runtimes those for which none need pass, with faults at some operations. With
//! `SANSOCKET_LONG=1` it is at each, and the longest are compressed as well.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::panic::AssertUnwindSafe;
use core::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use sansocket_tests::faults::ground::{Ground, TokioAlone};
use sansocket_tests::faults::laws::{FATAL, HARMLESS, Tale, by_halves, is_sound, is_the_same, is_told};
use sansocket_tests::faults::server::House;
use sansocket_tests::faults::{Case, Fault, LEFT, Outcome, Told, Trial, UNDISTURBED, cases, served};
use sansocket_tests::is_long;
use sansocket_tests::runtimes::{AsyncStd, Smol, Tokio, spawn};

/// So many cases run at once where some wait for a clock.
const AT_ONCE: usize = 16;

/// So many operations go wrong, one at a time, if not each does.
const SOME: usize = 4;
/// So many bytes take long to compress, a thousand times.
const MUCH: usize = 1 << 20;

/// Makes a test on each runtime of laws that are `async fn law<G: Ground>(Case) -> usize`, the trials.
macro_rules! on_each_ground {
    ($($law:ident($cases:expr)),+ $(,)?) => {
        on_each_ground!(@ on_tokio_alone, TokioAlone, $($law, $cases),+);
        on_each_ground!(@ on_tokio, Tokio, $($law, $cases),+);
        on_each_ground!(@ on_async_std, AsyncStd, $($law, $cases),+);
        on_each_ground!(@ on_smol, Smol, $($law, $cases),+);
    };
    (@ $module:ident, $ground:ident, $($law:ident, $cases:expr),+) => {
        mod $module {
            use super::*;
            $(
                #[test]
                fn $law() {
                    for_all::<$ground, _>($cases, super::$law::<$ground>);
                }
            )+
        }
    };
}

on_each_ground!(
    whatever_operation_fails_the_program_is_told_and_is_through_soon(cases()),
    whatever_operation_is_put_off_short_or_early_it_makes_no_difference(cases()),
    a_half_that_is_dropped_wherever_it_waits_takes_nothing_from_the_other(
        LEFT.into_iter().flat_map(|(scenario, _)| Case::of(scenario))
    ),
    wherever_a_program_is_dropped_its_stream_is_and_nothing_was_torn(cases()),
    a_server_goes_on_whatever_operation_fails_and_tells_its_handlers(served()),
);

fn for_all<G: Ground, F: Future<Output = usize> + Send + 'static>(
    cases: impl Iterator<Item = Case>,
    law: fn(Case) -> F,
) {
    let at_once = if G::CLOCK_STANDS { 1 } else { AT_ONCE };
    let cases = cases.filter(is_for::<G>);
    let results = G::block_on(async {
        let cases = stream::iter(cases.enumerate());
        let results = cases.map(|(number, case)| async move {
            let law = AssertUnwindSafe(law(case)).catch_unwind();
            (number, case, spawn::<G::Runtime, _>(law).await)
        });
        results.buffer_unordered(at_once).collect::<Vec<_>>().await
    });
    let broken = results.iter().filter(|(_, _, result)| result.is_err()).map(|(_, case, _)| case.to_string());
    let broken = broken.collect::<Vec<_>>();
    assert!(broken.is_empty(), "{broken:#?}");
    let trials: usize = results.iter().map(|(_, _, result)| result.as_ref().unwrap_or(&0)).sum();
    eprintln!("{} cases, {trials} trials", results.len());
}

fn is_for<G: Ground>(case: &Case) -> bool {
    let whole = case.run(UNDISTURBED);
    let bytes: usize = whole.seen.messages.iter().chain(&whole.peer.heard).map(Vec::len).sum();
    (G::CLOCK_STANDS || whole.time_taken == 0) && (is_long() || !case.compresses || bytes < MUCH)
}

/// What comes of a case if nothing goes wrong.
async fn undisturbed<G: Ground>(case: &Case) -> Outcome {
    let whole = case.run_on::<G>(UNDISTURBED).await;
    assert!(whole.peer.is_through() && whole.peer.heard_right(), "{:?}", whole.peer);
    let model = case.run(UNDISTURBED);
    is_the_same(&whole, &model);
    is_in_time(&whole, &model);
    whole
}

/// Nothing waits for a clock that should be woken by something else.
fn is_in_time(outcome: &Outcome, whole: &Outcome) {
    let seconds = outcome.time_taken;
    assert!(seconds <= whole.time_taken, "{seconds} seconds instead of {}", whole.time_taken);
}

/// From one operation that goes wrong to the next.
fn step<G: Ground>(whole: &Outcome) -> usize {
    if G::CLOCK_STANDS || is_long() { 1 } else { whole.operations.div_ceil(SOME) }
}

/// Whether the trials with a fault at each operation are over.
fn is_last(outcome: &Outcome, fault: Fault, at: usize) -> bool {
    let of = if fault == Fault::Early { outcome.alarms } else { outcome.operations };
    outcome.hit.is_none() && at >= of
}

fn check_failed<G: Ground>(case: &Case, outcome: &Outcome, whole: &Outcome, fault: Fault, at: usize) {
    let _tale = Tale(format!("{case}: {fault:?} at {at}, {:?}", outcome.hit));
    if outcome.hit.is_none() && !G::CLOCK_STANDS {
        // Its peer was not waited for as long.
        return is_sound(outcome, whole);
    }
    is_told(outcome, whole, fault);
}

async fn whatever_operation_fails_the_program_is_told_and_is_through_soon<G: Ground>(case: Case) -> usize {
    let whole = undisturbed::<G>(&case).await;
    let mut trials = 1;
    for fault in FATAL {
        for at in (0..).step_by(step::<G>(&whole)) {
            let outcome = case.run_on::<G>(Trial { fault, at, ..UNDISTURBED }).await;
            trials += 1;
            check_failed::<G>(&case, &outcome, &whole, fault, at);
            if is_last(&outcome, fault, at) {
                break;
            }
        }
    }
    trials
}

async fn whatever_operation_is_put_off_short_or_early_it_makes_no_difference<G: Ground>(case: Case) -> usize {
    let whole = undisturbed::<G>(&case).await;
    let mut trials = 1;
    for way in [UNDISTURBED, by_halves(&whole)] {
        for fault in HARMLESS {
            for at in (0..).step_by(step::<G>(&whole)) {
                let outcome = case.run_on::<G>(Trial { fault, at, ..way }).await;
                trials += 1;
                let _tale = Tale(format!("{case}: {fault:?} at {at}, {:?}", outcome.hit));
                is_the_same(&outcome, &whole);
                is_in_time(&outcome, &whole);
                if is_last(&outcome, fault, at) {
                    break;
                }
            }
        }
    }
    trials
}

async fn a_half_that_is_dropped_wherever_it_waits_takes_nothing_from_the_other<G: Ground>(
    case: Case,
) -> usize {
    let whole = undisturbed::<G>(&case).await;
    let of = LEFT.iter().find(|(scenario, _)| scenario.name == case.scenario.name).map(|(_, task)| *task);
    let mut trials = 1;
    for way in [UNDISTURBED, by_halves(&whole)] {
        for n in 0.. {
            let outcome = case.run_on::<G>(Trial { dropped: Some(n), of, ..way }).await;
            trials += 1;
            let _tale = Tale(format!("{case}: dropped at {n}"));
            is_sound(&outcome, &whole);
            is_in_time(&outcome, &whole);
            assert_eq!(outcome.seen.told, [Told::End]);
            match of {
                Some(1) => assert!(outcome.seen.messages == whole.seen.messages, "it received others"),
                _ => assert!(outcome.peer.heard == whole.peer.heard, "it sent others"),
            }
            if outcome.waits <= n {
                assert!(n > 1, "it never waited");
                break;
            }
        }
    }
    trials
}

async fn wherever_a_program_is_dropped_its_stream_is_and_nothing_was_torn<G: Ground>(case: Case) -> usize {
    let whole = undisturbed::<G>(&case).await;
    let way = by_halves(&whole);
    for n in 0.. {
        let outcome = case.run_on::<G>(Trial { dropped: Some(n), ..way }).await;
        let _tale = Tale(format!("{case}: dropped at {n}"));
        assert!(outcome.is_dropped && !outcome.peer.is_offended());
        assert!(whole.seen.messages.starts_with(&outcome.seen.messages), "it received others");
        assert!(whole.peer.heard.starts_with(&outcome.peer.heard), "it sent others");
        if outcome.waits <= n {
            is_the_same(&outcome, &whole);
            return n;
        }
    }
    0
}

async fn a_server_goes_on_whatever_operation_fails_and_tells_its_handlers<G: Ground>(case: Case) -> usize {
    let [patient, house] = [false, true].map(|may_fail| House::<G>::open(case, may_fail));
    let (whole, model) = (patient.run(UNDISTURBED).await, case.run(UNDISTURBED));
    assert!(whole.peer.is_through() && whole.seen.messages == model.seen.messages);
    assert!(whole.peer.heard == model.peer.heard, "the peer heard others");
    is_sound(&whole, &model);
    is_in_time(&whole, &model);
    let mut trials = 1;
    for fault in FATAL {
        for at in (0..).step_by(step::<G>(&whole)) {
            let outcome = house.run(Trial { fault, at, ..UNDISTURBED }).await;
            trials += 1;
            check_failed::<G>(&case, &outcome, &whole, fault, at);
            if is_last(&outcome, fault, at) {
                break;
            }
        }
    }
    for house in [patient, house] {
        let (shutdown, end) = house.close(Duration::from_secs(10)).await;
        // The last one has told its handler, and may still be on its way out.
        assert!(shutdown.closed <= 1 && shutdown.aborted == 0, "{shutdown:?}");
        end.expect("nobody broke it");
    }
    trials
}
