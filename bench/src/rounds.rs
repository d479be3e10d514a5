//! Times contestants in turn, so that what else the machine does hits all of them alike. Time is the processor's, as
//! the thread had it: what others take in between does not count.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// One sample is at least this long.
const SAMPLE: Duration = Duration::from_millis(2);
const MIN_ROUNDS: usize = 5;
const MAX_ROUNDS: usize = 41;

/// What one contestant does for message `index`.
pub type Work<'w> = Box<dyn FnMut(usize) + 'w>;

/// Each contestant does `messages` messages a round, over and over, for about as long as `time` in all: nanoseconds per
/// message of each contestant in each round.
pub fn rounds(contestants: &mut [Work<'_>], messages: usize, time: Duration) -> Vec<Vec<f64>> {
    let passes: Vec<usize> = contestants.iter_mut().map(|work| warm_up(work, messages)).collect();
    let mut rounds: Vec<Vec<f64>> = Vec::new();
    let began = Instant::now();
    while rounds.len() < MIN_ROUNDS || (rounds.len() < MAX_ROUNDS && began.elapsed() < time) {
        let mut round = vec![0.0; contestants.len()];
        for turn in 0..contestants.len() {
            // Each has each of the others before it at some time.
            let index = (turn + rounds.len()) % contestants.len();
            let took = pass(&mut contestants[index], messages, passes[index]);
            round[index] = took.as_secs_f64() * 1e9 / (messages * passes[index]) as f64;
        }
        rounds.push(round);
    }
    rounds
}

/// How many passes make a sample.
fn warm_up(work: &mut Work<'_>, messages: usize) -> usize {
    pass(work, messages, 1);
    let one = pass(work, messages, 1);
    let passes = SAMPLE.as_nanos() / one.as_nanos().max(1) + 1;
    usize::try_from(passes).unwrap_or(usize::MAX)
}

fn pass(work: &mut Work<'_>, messages: usize, passes: usize) -> Duration {
    let began = processor_time();
    for _ in 0..passes {
        for index in 0..messages {
            work(black_box(index));
        }
    }
    processor_time().saturating_sub(began)
}

fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}
