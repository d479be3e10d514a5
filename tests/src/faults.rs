//! The fail-loop: a scenario is run with its nth operation on the stream failing, for each n until it is over
//! before.
//!
//! A [`Scenario`] is what a program does with the driver, and what its peer says meanwhile. [`run`] runs it
//! once, under a [`Trial`], and tells all that came of it.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sansocket::{Cause, Config, Disconnect, Instant, Role};
use sansocket_driver::{Error, Io, Timer};

use crate::scripted::{Alarm, Clock, End, Grip, stream};
use crate::task::Task;

pub use peer::{Peer, Say, payload};
pub use place::{Place, Socket, View};
pub use scenarios::{all, config};

mod handlers;
mod peer;
mod place;
mod scenarios;

const SECOND: Duration = Duration::from_secs(1);
/// No scenario takes longer.
const MOST_SECONDS: usize = 150;
/// Nor does any do more with its stream.
const MOST_OPERATIONS: usize = 200_000;

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
}

/// As it should be.
pub const UNDISTURBED: Trial =
    Trial { fault: Fault::None, at: 0, most: usize::MAX, spurious: false, fickle: false, dropped: None };

pub type Play = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a program does with a WebSocket.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub roles: &'static [Role],
    pub peer: &'static [Say],
    /// Changes the settings.
    pub config: fn(Config) -> Config,
    /// The stream holds this much that the peer has not taken.
    pub room: usize,
    pub play: fn(Place) -> Play,
}

/// An operation on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Read,
    Write,
    Flush,
    Shutdown,
    Timer,
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
    /// How often it waited.
    pub waits: usize,
    /// Since the fault: seconds, polls, and what there was to poll for.
    pub seconds: usize,
    pub polls: usize,
    pub reasons: usize,
    pub is_dropped: bool,
}

/// A stream whose operations are counted, one of which may not do what it should.
#[derive(Debug)]
pub struct Faulty(End, Counter);

/// A timer that may be early.
#[derive(Debug)]
pub struct FaultyAlarm(Alarm, Counter);

#[derive(Clone, Debug)]
pub(crate) struct Counter(Arc<Mutex<Counts>>);

#[derive(Debug)]
struct Counts {
    trial: Trial,
    operations: usize,
    alarms: usize,
    hit: Option<Operation>,
    /// Everything fails from now on.
    gone: Option<ErrorKind>,
    /// Nothing may be read any more, or written.
    read_over: bool,
    write_over: bool,
    shut: bool,
    read: usize,
    /// Operations that were done since the fault.
    done: usize,
}

impl Counter {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an operation comes to without being done; else how many bytes it may move.
    fn count(&self, cx: &Context<'_>, operation: Operation) -> Result<usize, Poll<io::Result<usize>>> {
        let mut counts = self.lock();
        let (reads, writes) = (operation == Operation::Read, operation == Operation::Write);
        assert!(!reads || !counts.read_over, "reads on behind the end");
        let flushes = operation == Operation::Flush;
        assert!(!(writes || flushes) || !counts.write_over, "{operation:?} behind a write that failed");
        let number = counts.operations;
        counts.operations += 1;
        assert!(number < MOST_OPERATIONS, "no end");
        if let Some(error) = counts.gone {
            counts.fail(operation);
            return Err(Poll::Ready(Err(error.into())));
        }
        let Trial { fault, at, most, .. } = counts.trial;
        let fails = match fault {
            Fault::None | Fault::Early => false,
            Fault::Zero | Fault::Interrupt => reads || writes,
            Fault::Yield | Fault::Break(_) | Fault::Fail(_) => true,
        };
        if number != at || !fails {
            return Ok(most);
        }
        counts.hit = Some(operation);
        Err(match fault {
            Fault::Break(error) => {
                counts.gone = Some(error);
                counts.fail(operation);
                Poll::Ready(Err(error.into()))
            }
            Fault::Fail(error) => {
                counts.fail(operation);
                Poll::Ready(Err(error.into()))
            }
            Fault::Zero => {
                counts.fail(operation);
                Poll::Ready(Ok(0))
            }
            Fault::Interrupt => Poll::Ready(Err(ErrorKind::Interrupted.into())),
            Fault::Yield | Fault::None | Fault::Early => {
                counts.done += 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        })
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.lock().shut
    }
}

impl Counts {
    fn fail(&mut self, operation: Operation) {
        match operation {
            Operation::Read => self.read_over = true,
            Operation::Write | Operation::Flush => self.write_over = true,
            Operation::Shutdown | Operation::Timer => {}
        }
        self.done += 1;
    }

    /// Notes that an operation is through.
    fn finish(&mut self, is_ready: bool) {
        self.done += usize::from(is_ready && self.hit.is_some());
    }
}

impl Io for Faulty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let most = match self.1.count(cx, Operation::Read) {
            Ok(most) => most.min(buffer.len()),
            Err(result) => return result,
        };
        let result = Pin::new(&mut self.0).poll_read(cx, &mut buffer[..most]);
        let mut counts = self.1.lock();
        counts.finish(result.is_ready());
        if let Poll::Ready(result) = &result {
            counts.read += *result.as_ref().unwrap_or(&0);
            counts.read_over = matches!(result, Ok(0));
        }
        result
    }

    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut left = match self.1.count(cx, Operation::Write) {
            Ok(most) => most,
            Err(result) => return result,
        };
        let mut some = Vec::new();
        for slice in slices {
            let n = slice.len().min(left);
            some.extend((n > 0).then(|| IoSlice::new(&slice[..n])));
            left -= n;
        }
        let result = Pin::new(&mut self.0).poll_write(cx, &some);
        self.1.lock().finish(result.is_ready());
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Err(result) = self.1.count(cx, Operation::Flush) {
            return result.map(|result| result.map(|_| ()));
        }
        let result = Pin::new(&mut self.0).poll_flush(cx);
        self.1.lock().finish(result.is_ready());
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Err(result) = self.1.count(cx, Operation::Shutdown) {
            return result.map(|result| result.map(|_| ()));
        }
        let mut counts = self.1.lock();
        counts.finish(true);
        counts.shut = true;
        drop(counts);
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Timer for FaultyAlarm {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn poll_at(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let mut counts = self.1.lock();
        let number = counts.alarms;
        counts.alarms += 1;
        assert!(number < MOST_OPERATIONS, "no end");
        if counts.trial.fault == Fault::Early && counts.trial.at == number {
            (counts.hit, counts.done) = (Some(Operation::Timer), counts.done + 1);
            return Poll::Ready(());
        }
        drop(counts);
        self.0.poll_at(cx, at)
    }
}

/// Tells which trial it was, if that fails.
struct Tale<'t>(&'t str);

impl Drop for Tale<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

/// Runs a scenario.
pub fn run(scenario: &Scenario, role: Role, config: &Config, trial: Trial) -> Outcome {
    let tale = format!("{}, as {role:?}, {trial:?}", scenario.name);
    let _tale = Tale(&tale);
    let ((end, grip), clock) = (stream(), Clock::new());
    grip.set_room(scenario.room);
    let counter = Counter(Arc::new(Mutex::new(Counts {
        trial,
        operations: 0,
        alarms: 0,
        hit: None,
        gone: None,
        read_over: false,
        write_over: false,
        shut: false,
        read: 0,
        done: 0,
    })));
    let seen = Arc::<Mutex<Seen>>::default();
    let place = Place::new(
        (Faulty(end, counter.clone()), FaultyAlarm(clock.alarm(), counter.clone())),
        role,
        (scenario.config)(config.clone()),
        trial.fickle,
        Arc::clone(&seen),
    );
    let peer = Peer::new(role, config, scenario.peer, clock.alarm().now());
    let time = clock.alarm();
    let mut stage = Stage { grip, clock, time, counter, peer };
    let [waits, seconds, polls, reasons] = stage.play(&trial, Task::new((scenario.play)(place)));
    let Stage { grip, counter, peer, .. } = stage;
    let counts = counter.lock();
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Outcome {
        hit: counts.hit,
        operations: counts.operations,
        alarms: counts.alarms,
        seen,
        written: grip.log().written,
        read: counts.read,
        peer,
        waits,
        seconds,
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
}

impl Stage {
    /// Lets everybody have their turn until the program is through.
    fn play(&mut self, trial: &Trial, mut task: Task<'_, ()>) -> [usize; 4] {
        let [mut waits, mut seconds, mut polls, mut reasons] = [0; 4];
        let mut passed = 0;
        let mut is_due = true;
        loop {
            if is_due || task.is_woken() {
                let was_hit = self.counter.lock().hit.is_some();
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
                assert!(waits < MOST_OPERATIONS, "it waits for ever, and is woken for ever");
                if task.is_woken() {
                    continue;
                }
            }
            let was_hit = self.counter.lock().hit.is_some();
            let now = self.time.now();
            if self.peer.turn(&self.grip, now, self.counter.is_shut()) {
                reasons += usize::from(was_hit);
                is_due = trial.spurious;
                continue;
            }
            if task.is_woken() {
                continue;
            }
            passed += 1;
            assert!(passed < MOST_SECONDS, "it hangs; the peer: {:?}", self.peer);
            seconds += usize::from(was_hit);
            reasons += usize::from(was_hit);
            self.clock.pass(SECOND);
            is_due = trial.spurious;
        }
        [waits, seconds, polls, reasons]
    }
}
