//! The scenarios on the runtimes: a program's tasks, its timer and what wraps its stream are a runtime's and its
//! adapter's own.
//!
//! Its peer is a task too, which has its turn when all others wait, so that a trial goes the same way each time.

use core::future::Future;
use core::pin::pin;
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{Either, select};
use sansocket::Config;
use sansocket_driver::{Io, Runtime};
use tokio::runtime::Builder;

use super::board::{Board, Rest};
use super::laws::Tale;
use super::place::{Means, Stand};
use super::stream::{Bell, Counter};
use super::{
    AnyStream, Case, Faulty, FaultyAlarm, MOST_SECONDS, Outcome, Peer, Place, SECOND, Seen, Trial, View,
};
use crate::START;
use crate::runtimes::{AsyncStd, Smol, Tokio};
use crate::scripted::{Grip, stream};

/// Where a clock cannot stand, a peer that does not close is waited for this long if something fails,
const SHORT_PATIENCE: Duration = Duration::from_millis(20);
/// and what takes longer than this hangs. By default nothing happens by itself before.
const HANGS: Duration = Duration::from_secs(25);

/// A runtime to run scenarios on.
pub trait Ground: 'static {
    type Runtime: Runtime;
    /// What its adapter wraps streams in.
    type Stream: Io + Unpin + Send + 'static;
    /// Whether the clock stands while anybody has something to do, and jumps if nobody has.
    const CLOCK_STANDS: bool;

    fn wrap(stream: Faulty) -> Self::Stream;

    fn block_on<T>(future: impl Future<Output = T>) -> T;

    /// Waits, without the adapter.
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;
}

/// tokio on one thread, with a clock that stands.
#[derive(Debug)]
pub enum TokioAlone {}

impl Ground for TokioAlone {
    type Runtime = Tokio;
    type Stream = sansocket_tokio::Stream<Faulty>;
    const CLOCK_STANDS: bool = true;

    fn wrap(stream: Faulty) -> Self::Stream {
        sansocket_tokio::Stream(stream)
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(future)
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(time)
    }
}

impl Ground for Tokio {
    type Runtime = Self;
    type Stream = sansocket_tokio::Stream<Faulty>;
    const CLOCK_STANDS: bool = false;

    fn wrap(stream: Faulty) -> Self::Stream {
        sansocket_tokio::Stream(stream)
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build();
        runtime.expect("a runtime").block_on(future)
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(time)
    }
}

macro_rules! on_async_io {
    ($runtime:ty) => {
        impl Ground for $runtime {
            type Runtime = Self;
            type Stream = sansocket_async_std::Stream<Faulty>;
            const CLOCK_STANDS: bool = false;

            fn wrap(stream: Faulty) -> Self::Stream {
                sansocket_async_std::Stream(stream)
            }

            fn block_on<T>(future: impl Future<Output = T>) -> T {
                async_io::block_on(future)
            }

            async fn sleep(time: Duration) {
                async_io::Timer::after(time).await;
            }
        }
    };
}

on_async_io!(AsyncStd);
on_async_io!(Smol);

impl Case {
    /// Runs it on a runtime.
    pub async fn run_on<G: Ground>(&self, trial: Trial) -> Outcome {
        let (end, grip) = stream();
        let counter = Counter::new(trial);
        let io = Faulty { end, counter: counter.clone(), bell: Bell::default() };
        let alarm = FaultyAlarm(Box::new(G::Runtime::timer()), counter.clone());
        let stand = Stand::Stream(AnyStream(Box::new(G::wrap(io))), alarm);
        self.play::<G>(&Board::new(trial, counter), grip, stand).await
    }

    /// The settings of the program, and of its peer.
    pub(super) fn settings<G: Ground>(&self, may_fail: bool) -> [Config; 2] {
        let mut config = self.config();
        if may_fail && !G::CLOCK_STANDS {
            config = config.close_timeout(SHORT_PATIENCE);
        }
        [(self.scenario.config)(config.clone(), SECOND), config]
    }

    /// Lets everybody have their turn until the program is through.
    pub(super) async fn play<G: Ground>(&self, board: &Board, grip: Grip, stand: Stand) -> Outcome {
        let (trial, counter) = (board.trial(), board.counter());
        let _tale = Tale(format!("{self}, {trial:?}"));
        grip.set_room(self.scenario.room);
        if self.scenario.room == usize::MAX {
            grip.hold_until_flush();
        }
        let [config, peers] = self.settings::<G>(trial.fault.is_fatal());
        let began = tokio::time::Instant::now();
        let mut peer = Peer::new(self.role, &peers, self.scenario.peer, START);
        let seen = Arc::<Mutex<Seen>>::default();
        let crew = board.clone();
        let means = Means::Spawn(Arc::new(move |play| G::Runtime::spawn(crew.task(play))));
        let place = Place::new(stand, self.role, config, View::new(&seen, trial.fickle, means));
        G::Runtime::spawn(board.task((self.scenario.play)(place)));
        let hangs = if G::CLOCK_STANDS { SECOND * MOST_SECONDS } else { HANGS };
        let (mut known, mut turns, mut hit_at) = (None, 0, None);
        loop {
            let time = peer.deadline().map_or(hangs, |at| hangs.min(at - START));
            let rest = pin!(board.rest(known));
            let late = pin!(G::sleep(time.saturating_sub(began.elapsed())));
            let rest = match select(rest, late).await {
                Either::Left((rest, _)) => rest,
                Either::Right(_) => {
                    assert!(began.elapsed() < hangs, "it hangs; the peer: {peer:?}");
                    board.rest(None).await
                }
            };
            let Rest::Asleep(rests) = rest else { break };
            let was_hit = counter.is_hit();
            if was_hit {
                hit_at.get_or_insert_with(|| began.elapsed());
            }
            known = Some(rests);
            if peer.turn(&grip, START + began.elapsed(), counter.is_shut()) {
                turns += usize::from(was_hit);
                known = None;
                if trial.spurious {
                    board.wake_all();
                }
            }
        }
        board.until(|| grip.is_dropped()).await;
        peer.finish(&grip, START + began.elapsed());
        let time = if G::CLOCK_STANDS { began.elapsed() } else { Duration::ZERO };
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
            waits: board.waits(),
            seconds: seconds(time.saturating_sub(hit_at.unwrap_or(time))),
            time_taken: seconds(time),
            polls: board.polls(),
            // Each may be one for all tasks.
            reasons: (turns + counts.done + counts.rings) * board.tasks(),
            is_dropped: grip.is_dropped(),
        }
    }
}

fn seconds(time: Duration) -> usize {
    time.as_secs().try_into().expect("few")
}
