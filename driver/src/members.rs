//! The connections of one server: how many there are, their alarms, and how all of them are told that it ends.
//!
//! A timer of the runtime's own for each connection would be the largest thing that an idle one has. Here each has
//! its next deadline in a list, and one task looks through that.

use core::fmt;
use core::future::poll_fn;
use core::sync::atomic::Ordering;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::{Arc, PoisonError};

use sansocket::Instant;
use slab::Slab;

use crate::io::Timer;
use crate::sync::{AtomicU8, Mutex, MutexGuard};

const NEVER: Instant = Instant::from_nanos(u64::MAX);

/// The list is looked through no more often than this, and than once a microsecond for each of its places: alarms
/// may be that late.
const PACE: Duration = Duration::from_millis(5);

/// What is to become of the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// Nothing yet.
    No,
    /// They are to close.
    Close,
    /// They are to be gone at once.
    Abort,
}

pub(crate) struct Members {
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
    /// An [`End`], apart, since each poll of each connection looks at it.
    end: AtomicU8,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    places: Slab<Place>,
    /// How many have left since the list of places was made shorter, or could have been.
    left: usize,
    /// No alarm is earlier.
    next: Instant,
    /// The task that keeps time.
    keeper: Option<Waker>,
    /// Nobody joins any more.
    closed: bool,
    /// Who waits for one of them to leave.
    leaving: Vec<Waker>,
    /// Who waits for the end to begin.
    ending: Vec<Waker>,
    /// How many there were when they were to close, and when they had to be gone.
    told: [usize; 2],
}

#[derive(Debug)]
struct Place {
    /// Of no task, until it was polled.
    task: Waker,
    alarm: Instant,
}

/// A connection's place among the others, until it is dropped.
#[derive(Debug)]
pub(crate) struct Member(Arc<Members>, usize);

/// A connection's clock and alarm. It wakes the task of its [`Member`].
#[derive(Debug)]
pub(crate) struct Alarm {
    members: Arc<Members>,
    place: usize,
    at: Instant,
}

impl Members {
    pub(crate) fn new(clock: impl Timer + Send + Sync + 'static) -> Arc<Self> {
        let state = State {
            places: Slab::new(),
            left: 0,
            next: NEVER,
            keeper: None,
            closed: false,
            leaving: Vec::new(),
            ending: Vec::new(),
            told: [0; 2],
        };
        let clock = Box::new(move || clock.now());
        Arc::new(Self { clock, end: AtomicU8::new(End::No as u8), state: Mutex::new(state) })
    }

    /// A place, unless the end has begun.
    pub(crate) fn join(self: &Arc<Self>) -> Option<(Member, Alarm)> {
        let mut state = self.lock();
        if self.end() > End::No {
            return None;
        }
        let place = state.places.insert(Place { task: Waker::noop().clone(), alarm: NEVER });
        Some((Member(Arc::clone(self), place), Alarm { members: Arc::clone(self), place, at: NEVER }))
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().places.len()
    }

    /// How many there were when they were to close, and when they had to be gone.
    pub(crate) fn told(&self) -> [usize; 2] {
        self.lock().told
    }

    pub(crate) fn end(&self) -> End {
        match self.end.load(Ordering::Acquire) {
            0 => End::No,
            1 => End::Close,
            _ => End::Abort,
        }
    }

    /// Tells all of them.
    pub(crate) fn set_end(&self, end: End) {
        let mut state = self.lock();
        if self.end.fetch_max(end as u8, Ordering::AcqRel) >= end as u8 {
            return;
        }
        match end {
            End::No => {}
            End::Close => state.told[0] = state.places.len(),
            End::Abort => state.told[1] = state.places.len(),
        }
        let mut wakers: Vec<Waker> = state.places.iter().map(|(_, place)| place.task.clone()).collect();
        wakers.append(&mut state.ending);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ready once the end has begun.
    pub(crate) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if self.end() > End::No {
            return Poll::Ready(());
        }
        wait(&mut state.ending, cx);
        Poll::Pending
    }

    /// Ready once there are no more than `most`.
    pub(crate) fn poll_count(&self, cx: &mut Context<'_>, most: usize) -> Poll<()> {
        let mut state = self.lock();
        if state.places.len() <= most {
            return Poll::Ready(());
        }
        wait(&mut state.leaving, cx);
        Poll::Pending
    }

    /// Nobody will join any more.
    pub(crate) fn close(&self) {
        let keeper = {
            let mut state = self.lock();
            state.closed = true;
            state.keeper.take()
        };
        keeper.into_iter().for_each(Waker::wake);
    }

    /// Rings the alarms, by a timer of its own, until nobody is left.
    pub(crate) async fn keep_time(self: Arc<Self>, mut timer: impl Timer) {
        poll_fn(|cx| {
            loop {
                let (now, mut state) = ((self.clock)(), self.lock());
                if state.closed && state.places.is_empty() {
                    return Poll::Ready(());
                }
                match &mut state.keeper {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                if state.next == NEVER {
                    return Poll::Pending;
                }
                if now < state.next {
                    let at = timer.now() + (state.next - now);
                    drop(state);
                    if timer.poll_at(cx, at).is_pending() {
                        return Poll::Pending;
                    }
                    continue;
                }
                let due = state.ring(now);
                drop(state);
                due.into_iter().for_each(Waker::wake);
            }
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl State {
    /// Takes the tasks whose alarms are due.
    fn ring(&mut self, now: Instant) -> Vec<Waker> {
        let (mut due, mut next) = (Vec::new(), NEVER);
        for (_, place) in &mut self.places {
            if place.alarm <= now {
                place.alarm = NEVER;
                due.push(place.task.clone());
            }
            next = next.min(place.alarm);
        }
        let pace = PACE.max(Duration::from_micros(self.places.capacity() as u64));
        self.next = next.max(now + pace);
        due
    }

    /// What was for a crowd costs time and memory for ever. To give it up costs time for each place, and may yield
    /// little, as whoever is left keeps its place: whoever leaves pays for eight.
    fn shrink(&mut self) {
        let (len, places) = (self.places.len(), self.places.capacity());
        if places > 1024 && len < places / 8 && (len == 0 || self.left >= places / 8) {
            self.places.shrink_to_fit();
            self.left = 0;
        }
    }
}

fn wait(wakers: &mut Vec<Waker>, cx: &Context<'_>) {
    if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
        wakers.push(cx.waker().clone());
    }
}

impl Member {
    /// What is to become of the connection. Its task is woken when that changes.
    pub(crate) fn end(&self) -> End {
        self.0.end()
    }

    /// Notes the task, which stays the same.
    pub(crate) fn begin(&self, cx: &Context<'_>) {
        self.0.lock().places[self.1].task.clone_from(cx.waker());
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        let place = state.places.remove(self.1);
        state.left += 1;
        state.shrink();
        let leaving = core::mem::take(&mut state.leaving);
        let keeper = if state.places.is_empty() { state.keeper.take() } else { None };
        drop(state);
        drop(place);
        leaving.into_iter().chain(keeper).for_each(Waker::wake);
    }
}

impl Timer for Alarm {
    fn now(&self) -> Instant {
        (self.members.clock)()
    }

    fn poll_at(&mut self, _: &mut Context<'_>, at: Instant) -> Poll<()> {
        if self.now() >= at {
            return Poll::Ready(());
        }
        if self.at != at {
            self.at = at;
            let mut state = self.members.lock();
            if let Some(place) = state.places.get_mut(self.place) {
                place.alarm = at;
            }
            let keeper = if at < state.next { state.keeper.take() } else { None };
            state.next = state.next.min(at);
            drop(state);
            keeper.into_iter().for_each(Waker::wake);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::pin::{Pin, pin};
    use core::sync::atomic::AtomicUsize;
    use std::task::Wake;

    /// A clock that is moved by hand. What polls it is polled again whenever that was done.
    #[derive(Clone, Debug, Default)]
    struct Clock(Arc<Mutex<u64>>);

    impl Clock {
        fn set(&self, ms: u64) {
            *self.0.lock().unwrap() = ms * 1_000_000;
        }
    }

    impl Timer for Clock {
        fn now(&self) -> Instant {
            Instant::from_nanos(*self.0.lock().unwrap())
        }

        fn poll_at(&mut self, _: &mut Context<'_>, at: Instant) -> Poll<()> {
            if self.now() >= at { Poll::Ready(()) } else { Poll::Pending }
        }
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Count {
        fn take(&self) -> usize {
            self.0.swap(0, Ordering::SeqCst)
        }
    }

    struct Scene {
        clock: Clock,
        members: Arc<Members>,
        keeper: Pin<Box<dyn Future<Output = ()>>>,
        keepers: Arc<Count>,
    }

    impl Scene {
        fn new() -> Self {
            let clock = Clock::default();
            let members = Members::new(clock.clone());
            let keeper = Box::pin(Arc::clone(&members).keep_time(clock.clone()));
            Self { clock, members, keeper, keepers: Arc::default() }
        }

        /// Lets the keeper do what there is to do.
        fn keep(&mut self) -> Poll<()> {
            let waker = Arc::clone(&self.keepers).into();
            self.keeper.as_mut().poll(&mut Context::from_waker(&waker))
        }

        fn join(&self) -> (Member, Alarm, Arc<Count>) {
            let (member, alarm) = self.members.join().unwrap();
            let count = Arc::<Count>::default();
            member.begin(&Context::from_waker(&Arc::clone(&count).into()));
            (member, alarm, count)
        }
    }

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn set(alarm: &mut Alarm, when: Instant) -> Poll<()> {
        alarm.poll_at(&mut Context::from_waker(Waker::noop()), when)
    }

    #[test]
    fn an_alarm_wakes_its_task_when_it_is_due_and_not_before() {
        let mut scene = Scene::new();
        let (_one, mut first, ones) = scene.join();
        let (_other, mut second, others) = scene.join();
        assert!(scene.keep().is_pending());
        assert!(set(&mut first, at(100)).is_pending());
        assert_eq!(scene.keepers.take(), 1, "there is something to keep now");
        assert!(set(&mut second, at(200)).is_pending());
        assert_eq!(scene.keepers.take(), 0, "it wakes earlier anyway");
        for (ms, rung) in [(99, [0, 0]), (100, [1, 0]), (150, [0, 0]), (200, [0, 1]), (300, [0, 0])] {
            scene.clock.set(ms);
            assert!(scene.keep().is_pending());
            assert_eq!([ones.take(), others.take()], rung, "at {ms}");
        }
        assert!(set(&mut first, at(100)).is_ready());
    }

    #[test]
    fn an_alarm_may_be_moved_either_way() {
        let mut scene = Scene::new();
        let (_member, mut alarm, rung) = scene.join();
        for (from, to) in [(500, 900), (2000, 1500)] {
            assert!(set(&mut alarm, at(from)).is_pending());
            assert!(scene.keep().is_pending());
            scene.keepers.take();
            assert!(set(&mut alarm, at(to)).is_pending());
            assert_eq!(scene.keepers.take() == 1, to < from);
            scene.clock.set(to - 1);
            assert!(scene.keep().is_pending());
            assert_eq!(rung.take(), 0);
            scene.clock.set(to + 5);
            assert!(scene.keep().is_pending());
            assert_eq!(rung.take(), 1);
        }
    }

    #[test]
    fn many_alarms_are_rung_together_and_none_more_than_the_pace_too_late() {
        let mut scene = Scene::new();
        let mut all: Vec<_> = (0..10_000).map(|_| scene.join()).collect();
        for (i, (_, alarm, _)) in all.iter_mut().enumerate() {
            assert!(set(alarm, at(1000 + i as u64)).is_pending());
        }
        // A microsecond for each place, of which there are more than connections.
        let late = u64::try_from(scene.members.lock().places.capacity()).unwrap() / 1000 + 1;
        assert!(late < 20);
        let mut looked = 0;
        for ms in 1000..12_000 {
            scene.clock.set(ms);
            let before = scene.members.lock().next;
            assert!(scene.keep().is_pending());
            looked += usize::from(scene.members.lock().next != before);
            for (i, (_, _, rung)) in
                all.iter().enumerate().skip(usize::try_from(ms).unwrap().saturating_sub(1030)).take(31)
            {
                let due = 1000 + i as u64;
                let count = rung.0.load(Ordering::SeqCst);
                assert!(count == 0 || due <= ms, "too early");
                assert!(count == 1 || due + late > ms, "{due} is too late at {ms}");
            }
        }
        assert!(looked <= 1_100, "{looked}");
    }

    #[test]
    fn who_takes_the_place_of_one_that_left_is_not_woken_by_its_alarm() {
        let mut scene = Scene::new();
        let (member, mut alarm, _) = scene.join();
        assert!(set(&mut alarm, at(100)).is_pending());
        drop((member, alarm));
        let (_member, _alarm, rung) = scene.join();
        scene.clock.set(200);
        assert!(scene.keep().is_pending());
        assert_eq!(rung.take(), 0);
    }

    #[test]
    fn the_keeper_ends_once_nobody_joins_and_all_have_left() {
        let mut scene = Scene::new();
        let (member, mut alarm, _) = scene.join();
        assert!(set(&mut alarm, at(100)).is_pending());
        assert!(scene.keep().is_pending());
        scene.members.close();
        assert_eq!(scene.keepers.take(), 1);
        assert!(scene.keep().is_pending());
        drop(member);
        assert_eq!(scene.keepers.take(), 1);
        assert!(scene.keep().is_ready());
    }

    /// Lets these leave, and tells the work of making the list shorter: its places, each time.
    fn work_of(scene: &Scene, leaving: impl IntoIterator<Item = Member>) -> usize {
        let capacity = || scene.members.lock().places.capacity();
        let mut work = 0;
        for member in leaving {
            let before = capacity();
            drop(member);
            work += if capacity() == before { 0 } else { before };
        }
        work
    }

    #[test]
    fn whoever_leaves_costs_the_others_no_more_than_a_few_places_in_whatever_order_they_do() {
        const COUNT: usize = 1 << 14;
        // Where the last of them leave from the end, each could make the list some places shorter.
        for kept in [7, 8, 9, 10, 16, 100] {
            let scene = Scene::new();
            let all = (0..COUNT).map(|place| (place, scene.join().0));
            let (last, first): (Vec<_>, Vec<_>) = all.partition(|(place, _)| place % kept == 0);
            let leaving = first.into_iter().chain(last.into_iter().rev());
            let work = work_of(&scene, leaving.map(|(_, member)| member));
            assert!(
                work <= 10 * COUNT,
                "{work} places for {COUNT} connections, every {kept}th of which stayed"
            );
            assert!(scene.members.lock().places.capacity() <= 1024);
        }
    }

    #[test]
    fn a_list_for_a_crowd_is_given_up_as_others_come_and_go_once_nobody_of_it_holds_it_up() {
        const COUNT: usize = 1 << 14;
        let scene = Scene::new();
        let first = scene.join();
        let crowd: Vec<_> = (0..COUNT).map(|_| scene.join().0).collect();
        let last = scene.join();
        drop(crowd);
        assert!(scene.members.lock().places.capacity() > COUNT, "the last has its place");
        drop(last);
        for _ in 0..COUNT / 4 {
            drop(scene.join());
        }
        assert!(scene.members.lock().places.capacity() <= 1024);
        drop(first);
    }

    #[test]
    fn all_tasks_are_told_the_end_and_whoever_waits_that_they_left() {
        let scene = Scene::new();
        let (one, _alarm, ones) = scene.join();
        let (other, _alarm, others) = scene.join();
        let waits = Arc::<Count>::default();
        let waker = Arc::clone(&waits).into();
        let mut cx = Context::from_waker(&waker);
        assert!(scene.members.poll_count(&mut cx, 0).is_pending());
        assert!(scene.members.poll_end(&mut cx).is_pending());
        scene.members.set_end(End::Close);
        assert_eq!([ones.take(), others.take(), waits.take()], [1, 1, 1]);
        assert_eq!(one.end(), End::Close);
        drop(one);
        assert_eq!(waits.take(), 1);
        assert!(scene.members.poll_count(&mut cx, 0).is_pending());
        scene.members.set_end(End::Abort);
        scene.members.set_end(End::Close);
        assert_eq!((other.end(), scene.members.told()), (End::Abort, [2, 1]));
        drop(other);
        assert!(pin!(poll_fn(|cx| scene.members.poll_count(cx, 0))).poll(&mut cx).is_ready());
    }
}
