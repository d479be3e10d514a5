//! Runs a model by many schedules.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

use crate::world;

/// The same schedules each time, so that what they find belongs to the change that is tested. shuttle takes another
/// seed from `SHUTTLE_RANDOM_SEED`.
const SEED: u64 = 6455;

/// So many times a PCT schedule puts another task first. Nearly all bugs of this kind need no more than two or three.
const DEPTH: usize = 3;

/// Lets `model` and all tasks that it starts come to their end, by 12,000 schedules; with `SANSOCKET_LONG=1`, by
/// 200,000. Half of them are random at each step, which finds what needs many changes of task; the other half lets one
/// task run for as long as it can, which finds what needs one to be far ahead.
pub(crate) fn explore<F>(model: fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let schedules = if std::env::var_os("SANSOCKET_LONG").is_some() { 200_000 } else { 12_000 };
    run("random", RandomScheduler::new_from_seed(SEED, schedules / 2), model);
    run("PCT", PctScheduler::new_from_seed(SEED, DEPTH, schedules / 2), model);
}

fn run<F>(name: &'static str, scheduler: impl Scheduler + 'static, model: fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut config = Config::new();
    config.stack_size = 256 * 1024;
    // A task that is polled for ever is a fault as well.
    config.max_steps = MaxSteps::FailAfter(100_000);
    // That it takes all atomics as sequentially consistent.
    config.silence_warnings = true;
    let count = Count(name, Arc::default());
    let begun = Arc::clone(&count.1);
    Runner::new(scheduler, config).run(move || {
        begun.fetch_add(1, Ordering::Relaxed);
        world::run(model());
    });
}

/// Says which schedule failed.
struct Count(&'static str, Arc<AtomicUsize>);

impl Drop for Count {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} schedule {} failed", self.0, self.1.load(Ordering::Relaxed));
        }
    }
}
