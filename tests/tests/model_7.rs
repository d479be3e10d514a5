//! RFC 6455 §7, and all that leads there: two endpoints do what a model of them says, whatever their
//! applications, their clocks and the transport between them do.
//!
//! A sequence that fails is named by its seed, and told as short as it still fails. To see it again, and for
//! more of them:
//!
//! ```sh
//! SANSOCKET_SEED=123 cargo test -p sansocket-tests --test model_7
//! SANSOCKET_LONG=1 cargo test --release -p sansocket-tests --test model_7
//! ```

use core::panic::AssertUnwindSafe;
use std::collections::HashMap;
use std::panic::{catch_unwind, set_hook, take_hook};

use sansocket::{Role, Side, Timer};
use sansocket_tests::model::ops::{Op, Start};
use sansocket_tests::model::world::{Outcome, World};
use sansocket_tests::model::{End, Why};
use sansocket_tests::pair::Dice;
use sansocket_tests::{ROLES, is_long};

type Sequence = (Start, Vec<(Role, Op)>);

fn sequence(seed: u64) -> Sequence {
    let mut dice = Dice::new(seed);
    let start = Start::roll(&mut dice);
    let most = dice.pick(&[10, 50, 200]);
    let ops = (0..dice.below(most)).map(|_| (dice.pick(&ROLES), Op::roll(&mut dice)));
    let ops = ops.collect();
    (start, ops)
}

fn run((start, ops): &Sequence) -> Outcome {
    let mut world = World::new(*start);
    for (role, op) in ops {
        world.apply(*role, op);
    }
    world.finish()
}

#[test]
fn two_endpoints_do_what_their_models_do_7_1() {
    if let Ok(seed) = std::env::var("SANSOCKET_SEED") {
        println!("{:?}", run(&sequence(seed.parse().expect("a number"))));
        return;
    }
    let sequences = match (is_long(), cfg!(miri)) {
        (_, true) => 10,
        (true, false) => 1_000_000,
        (false, false) => 50_000,
    };
    let mut ends = HashMap::new();
    let (mut clean, mut messages) = (0_u64, 0);
    for seed in 0..sequences {
        let outcome = run_or_tell(seed);
        messages += outcome.received.iter().sum::<usize>();
        for end in &outcome.ends {
            clean += u64::from(end.sent.is_some() && end.received.is_some());
            *ends.entry(name(end)).or_insert(0) += 1;
        }
    }
    println!("{clean} of {} ends clean, {messages} messages, {ends:?}", 2 * sequences);
    if !cfg!(miri) {
        // All that can happen does, and often.
        assert!(messages > 0 && clean > sequences / 2);
        let kinds = ["closed", "was closed", "lost", "violation", "idle", "no pong", "no close"];
        assert!(kinds.iter().all(|kind| ends[kind] >= 50), "{ends:?}");
    }
}

fn name(end: &End) -> &'static str {
    match end.why {
        Why::Closed(Side::Local) => "closed",
        Why::Closed(Side::Remote) => "was closed",
        Why::Lost => "lost",
        Why::Violation(_) => "violation",
        Why::TimedOut(Timer::Idle) => "idle",
        Why::TimedOut(Timer::Pong) => "no pong",
        Why::TimedOut(_) => "no close",
    }
}

/// Runs a sequence; one that fails is told.
fn run_or_tell(seed: u64) -> Outcome {
    let mut sequence = sequence(seed);
    let failure = match catch_unwind(AssertUnwindSafe(|| run(&sequence))) {
        Ok(outcome) => return outcome,
        Err(failure) => failure,
    };
    shorten(&mut sequence);
    let (start, ops) = &sequence;
    eprintln!("seed {seed}\n{start:?}");
    for (role, op) in ops {
        eprintln!("{role:?}: {op:?}");
    }
    std::panic::resume_unwind(failure)
}

/// Leaves away what it fails without.
fn shorten((start, ops): &mut Sequence) {
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let mut i = ops.len();
    while i > 0 {
        i -= 1;
        let left_out = ops.remove(i);
        let shorter = (*start, core::mem::take(ops));
        let fails = catch_unwind(AssertUnwindSafe(|| run(&shorter))).is_err();
        *ops = shorter.1;
        if !fails {
            ops.insert(i, left_out);
        }
    }
    set_hook(hook);
}
