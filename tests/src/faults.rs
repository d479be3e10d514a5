//! The fail-loop: a scenario is run with its nth operation on the stream failing, for each n until it is over
//! before.
//!
//! A [`Scenario`] is what a program does with the driver, and what its peer says meanwhile. [`run`] runs it
//! once, under a [`Trial`], and tells all that came of it.
#![cfg_attr(not(all(feature = "runtimes", not(miri))), allow(dead_code, reason = "only `ground` uses it"))]

use core::pin::Pin;
use core::time::Duration;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};

use sansocket::{Cause, Config, Disconnect, Role};
use sansocket_driver::{Error, Timer};

use crate::scripted::{Alarm, Clock, Grip, stream};
use crate::task::Task;

use laws::Tale;
use place::{Means, Stand};
use stream::{Bell, Counter};

pub use halves::LEFT;
pub use peer::{Peer, Say, payload};
pub use place::{Place, Socket, View};
pub use scenarios::{Case, cases, served};
pub use stream::{AnyStream, Faulty, FaultyAlarm, Operation};

#[cfg(all(feature = "runtimes", not(miri)))]
mod board;
#[cfg(all(feature = "runtimes", not(miri)))]
pub mod ground;
mod halves;
mod handlers;
pub mod laws;
mod peer;
mod place;
mod scenarios;
#[cfg(all(feature = "runtimes", not(miri)))]
pub mod server;
mod stream;

const SECOND: Duration = Duration::from_secs(1);
/// No scenario takes longer.
const MOST_SECONDS: u32 = 150;
/// Nor is any awake more often.
const MOST_WAITS: usize = 200_000;

/// What the nth operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Fails, and every one after it.
    Break(ErrorKind),
    /// Fails; the other direction goes on.
    Fail(ErrorKind),
    /// Moves nothing: the end for who reads, an error for who writes.
    Zero,
    /// Is pending, and wakes the task at once.
    Yield,
    /// Is interrupted, if it reads or writes.
    Interrupt,
    /// Is that of the timer, which is due before its time.
    Early,
}

impl Fault {
    /// Whether it ends something.
    pub fn is_fatal(self) -> bool {
        matches!(self, Self::Break(_) | Self::Fail(_) | Self::Zero)
    }
}

/// How a scenario is run.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    pub fault: Fault,
    /// The number of the operation, from 0 on.
    pub at: usize,
    /// No more bytes are moved at once.
    pub most: usize,
    /// Tasks are polled though nothing woke them.
    pub spurious: bool,
    /// Calls that are safe to cancel are dropped each time they wait, and made again.
    pub fickle: bool,
    /// The whole is dropped when it waits for the nth time.
    pub dropped: Option<usize>,
    /// Or only this one of its tasks is, where each is a runtime's own.
    pub of: Option<usize>,
}

/// As it should be.
pub const UNDISTURBED: Trial = Trial {
    fault: Fault::None,
    at: 0,
    most: usize::MAX,
    spurious: false,
    fickle: false,
    dropped: None,
    of: None,
};

pub type Play = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a program does with a WebSocket.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub roles: &'static [Role],
    pub peer: &'static [Say],
    /// Changes the settings, where a second takes this long.
    pub config: fn(Config, Duration) -> Config,
    /// The stream holds this much that the peer has not taken.
    pub room: usize,
    pub play: fn(Place) -> Play,
}

/// What was told of how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// In order.
    End,
    Io(ErrorKind),
    Disconnected(Cause),
    Other(String),
}

impl Told {
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Io(error) => Self::Io(error.kind()),
            Error::Disconnected(disconnect) => Self::Disconnected(disconnect.cause().clone()),
            error => Self::Other(error.to_string()),
        }
    }
}

/// What the program saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub messages: Vec<Vec<u8>>,
    pub told: Vec<Told>,
    pub end: Option<Disconnect>,
    /// It received all there was to receive.
    pub drained: bool,
    /// Errors of the stream are not told where this ends.
    pub silent: bool,
    /// It came to its last line.
    pub done: bool,
}

/// What came of a trial.
#[derive(Debug)]
pub struct Outcome {
    pub hit: Option<Operation>,
    pub operations: usize,
    pub alarms: usize,
    pub seen: Seen,
    pub written: Vec<u8>,
    /// So many bytes came from the peer.
    pub read: usize,
    pub peer: Peer,
    /// The stream was asked to close its writing direction.
    pub asked_to_shut: bool,
    /// How often it waited.
    pub waits: usize,
    /// Seconds in all.
    pub time_taken: usize,
    /// Since the fault: seconds, polls, and what there was to poll for.
    pub seconds: usize,
    pub polls: usize,
    pub reasons: usize,
    pub is_dropped: bool,
}

/// Runs a scenario.
pub fn run(scenario: &Scenario, role: Role, config: &Config, trial: Trial) -> Outcome {
    let _tale = Tale(format!("{}, as {role:?}, {trial:?}", scenario.name));
    let ((end, grip), clock) = (stream(), Clock::new());
    grip.set_room(scenario.room);
    let counter = Counter::new(trial);
    let seen = Arc::<Mutex<Seen>>::default();
    let io = Faulty { end, counter: counter.clone(), bell: Bell::default() };
    let place = Place::new(
        Stand::Stream(AnyStream(Box::new(io)), FaultyAlarm(Box::new(clock.alarm()), counter.clone())),
        role,
        (scenario.config)(config.clone(), SECOND),
        View::new(&seen, trial.fickle, Means::Own),
    );
    let peer = Peer::new(role, config, scenario.peer, clock.alarm().now());
    let time = clock.alarm();
    let mut stage = Stage { grip, clock, time, counter, peer, time_taken: 0 };
    let [waits, seconds, polls, reasons] = stage.play(&trial, Task::new((scenario.play)(place)));
    stage.peer.finish(&stage.grip, stage.time.now());
    let Stage { grip, counter, peer, time_taken, .. } = stage;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let counts = counter.lock();
    Outcome {
        hit: counts.hit,
        operations: counts.operations,
        alarms: counts.alarms,
        asked_to_shut: counts.asked_to_shut,
        seen,
        written: grip.log().written,
        read: counts.read,
        peer,
        waits,
        seconds,
        time_taken,
        polls,
        reasons: reasons + counts.done,
        is_dropped: grip.is_dropped(),
    }
}

struct Stage {
    grip: Grip,
    clock: Clock,
    time: Alarm,
    counter: Counter,
    peer: Peer,
    time_taken: usize,
}

impl Stage {
    /// Lets everybody have their turn until the program is through.
    fn play(&mut self, trial: &Trial, mut task: Task<'_, ()>) -> [usize; 4] {
        let [mut waits, mut seconds, mut polls, mut reasons] = [0; 4];
        let mut is_due = true;
        loop {
            if is_due || task.is_woken() {
                let was_hit = self.counter.is_hit();
                polls += usize::from(was_hit);
                reasons += usize::from(was_hit && is_due);
                is_due = false;
                if task.poll().is_ready() {
                    break;
                }
                if trial.dropped == Some(waits) {
                    break;
                }
                waits += 1;
                assert!(waits < MOST_WAITS, "it waits for ever, and is woken for ever");
                if task.is_woken() {
                    continue;
                }
            }
            let was_hit = self.counter.is_hit();
            let now = self.time.now();
            if self.peer.turn(&self.grip, now, self.counter.is_shut()) {
                reasons += usize::from(was_hit);
                is_due = trial.spurious;
                continue;
            }
            if task.is_woken() {
                continue;
            }
            self.time_taken += 1;
            assert!(self.time_taken < MOST_SECONDS as usize, "it hangs; the peer: {:?}", self.peer);
            seconds += usize::from(was_hit);
            reasons += usize::from(was_hit);
            self.clock.pass(SECOND);
            is_due = trial.spurious;
        }
        [waits, seconds, polls, reasons]
    }
}
