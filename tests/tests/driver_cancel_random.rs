//! Calls that are dropped at random while they wait, on streams that do everything by halves.
//!
//! It holds for both roles in each schedule, since one end is a client and the other a server.
#![cfg(feature = "driver")]

use sansocket_tests::pair::Dice;
use sansocket_tests::scripted::{Clock, connect_on, duplex, run_both, serve_on};
use sansocket_tests::talk::{Reached, Seed, Talker, settings};
use sansocket_tests::task::{Task, run_all};

fn schedule(seed: u64, reached: &Reached) {
    let _seed = Seed(seed);
    let mut dice = Dice::new(seed);
    let (config, compressed) = settings(&mut dice);
    let [(one, grip_one), (other, grip_other)] = duplex(dice.pick(&[1, 7, 100, 10_000]));
    for grip in [grip_one, grip_other] {
        grip.at_random(dice.roll());
        if dice.below(4) == 0 {
            grip.hold_until_flush();
        }
    }
    let clock = Clock::new();
    let (client, server) =
        run_both(&mut dice, connect_on(one, &clock, &config), serve_on(other, &clock, &config));
    assert_eq!(client.connection().agreed().and_then(|agreed| agreed.compression()).is_some(), compressed);
    let mut talkers = Talker::both(&mut dice);
    let mut tasks = Vec::new();
    for (socket, talker) in [client, server].into_iter().zip(&mut talkers) {
        tasks.extend(talker.tasks(&mut dice, socket).into_iter().map(Task::new));
    }
    run_all(&mut dice, tasks);
    Talker::check(&talkers, reached);
}

#[test]
fn messages_arrive_once_whole_and_in_order_under_10_000_random_schedules() {
    let reached = Reached::default();
    for seed in 0..10_000 {
        schedule(seed, &reached);
    }
    assert!(reached.came.get() > 100 && reached.did_not.get() > 100, "{reached:?}");
}
