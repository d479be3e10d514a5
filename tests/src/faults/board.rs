//! The tasks of a program on a runtime: who of them is awake, and whether one is to be dropped.

use core::any::Any;
use core::future::poll_fn;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::panic::{catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

use super::stream::Counter;
use super::{Play, Trial};

/// What the tasks of a program are about, for the test that runs it: the peer has its turn when none is awake.
#[derive(Clone)]
pub(super) struct Board {
    state: Arc<Mutex<State>>,
    counter: Counter,
}

struct State {
    tasks: Vec<Doing>,
    trial: Trial,
    /// How often something came to rest.
    rests: usize,
    /// How often tasks waited, those that count.
    waits: usize,
    polls: usize,
    /// All is to be dropped.
    is_off: bool,
    panic: Option<Box<dyn Any + Send>>,
    test: Option<Waker>,
}

#[derive(Default)]
struct Doing {
    is_woken: bool,
    runs: bool,
    is_over: bool,
    waker: Option<Waker>,
}

/// What the test finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// All tasks wait, for the so-manieth time.
    Asleep(usize),
    /// All tasks are over.
    Over,
}

impl Board {
    pub(super) fn new(trial: Trial, counter: Counter) -> Self {
        let state = State {
            tasks: Vec::new(),
            trial,
            rests: 0,
            waits: 0,
            polls: 0,
            is_off: false,
            panic: None,
            test: None,
        };
        Self { state: Arc::new(Mutex::new(state)), counter }
    }

    /// A task of the program's, to be spawned.
    pub(super) fn task(&self, play: Play) -> impl Future<Output = ()> + Send + use<> {
        let mut state = self.lock();
        state.tasks.push(Doing { is_woken: true, ..Doing::default() });
        let index = state.tasks.len() - 1;
        let waker = Waker::from(Arc::new(Nudge { board: self.clone(), index }));
        Watched { board: self.clone(), index, waker, play: Some(play) }
    }

    /// Waits until all tasks rest, and not as in `seen`.
    pub(super) async fn rest(&self, seen: Option<usize>) -> Rest {
        poll_fn(|cx| {
            let mut state = self.lock();
            if let Some(panic) = state.panic.take() {
                drop(state);
                resume_unwind(panic);
            }
            if state.tasks.iter().all(|task| task.is_over) {
                return Poll::Ready(Rest::Over);
            }
            if state.is_asleep() && seen != Some(state.rests) {
                return Poll::Ready(Rest::Asleep(state.rests));
            }
            state.test = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Waits until something is as it should, which is told by a [`touch`](Self::touch).
    pub(super) async fn until(&self, is_so: impl Fn() -> bool) {
        poll_fn(|cx| {
            self.lock().test = Some(cx.waker().clone());
            if is_so() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Wakes all tasks, for no reason.
    pub(super) fn wake_all(&self) {
        let tasks = self.lock().tasks.len();
        for index in 0..tasks {
            self.wake(index);
        }
    }

    /// Tells that something was done that no task did.
    pub(super) fn touch(&self) {
        self.lock().come_to_rest();
    }

    pub(super) fn trial(&self) -> Trial {
        self.lock().trial
    }

    pub(super) fn counter(&self) -> &Counter {
        &self.counter
    }

    pub(super) fn tasks(&self) -> usize {
        self.lock().tasks.len()
    }

    pub(super) fn waits(&self) -> usize {
        self.lock().waits
    }

    /// Since the fault.
    pub(super) fn polls(&self) -> usize {
        self.lock().polls
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, index: usize) {
        let mut state = self.lock();
        let task = &mut state.tasks[index];
        task.is_woken = !task.is_over;
        let waker = task.waker.clone();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether the task may go on.
    fn begin(&self, index: usize, cx: &Context<'_>) -> bool {
        let is_hit = self.counter.is_hit();
        let mut state = self.lock();
        state.polls += usize::from(is_hit);
        let is_off = state.is_off;
        let task = &mut state.tasks[index];
        task.waker = Some(cx.waker().clone());
        (task.is_woken, task.runs) = (false, true);
        !is_off
    }

    /// Whether the task, which waits, may go on.
    fn pause(&self, index: usize) -> bool {
        let mut state = self.lock();
        let Trial { dropped, of, .. } = state.trial;
        if of.is_none_or(|of| of == index) {
            state.waits += 1;
            if dropped.is_some_and(|at| at < state.waits) {
                state.is_off = of.is_none();
                return false;
            }
        }
        state.tasks[index].runs = false;
        state.come_to_rest();
        true
    }

    fn end(&self, index: usize, panic: Option<Box<dyn Any + Send>>) {
        let mut state = self.lock();
        let task = &mut state.tasks[index];
        (task.is_woken, task.runs, task.is_over, task.waker) = (false, false, true, None);
        if panic.is_some() {
            state.panic = panic;
        }
        let is_off = state.is_off;
        state.come_to_rest();
        drop(state);
        if is_off {
            self.wake_all();
        }
    }
}

impl State {
    fn is_asleep(&self) -> bool {
        self.tasks.iter().all(|task| !task.is_woken && !task.runs)
    }

    fn come_to_rest(&mut self) {
        if self.is_asleep() || self.panic.is_some() {
            self.rests += 1;
            if let Some(test) = self.test.take() {
                test.wake();
            }
        }
    }
}

/// A task of the program's, with wakers of our own.
struct Watched {
    board: Board,
    index: usize,
    waker: Waker,
    play: Option<Play>,
}

impl Future for Watched {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { board, index, waker, play } = &mut *self;
        let Some(future) = play else { return Poll::Ready(()) };
        let mut panic = None;
        if board.begin(*index, cx) {
            let polled = AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(waker)));
            match catch_unwind(polled) {
                Ok(Poll::Pending) if board.pause(*index) => return Poll::Pending,
                Ok(_) => {}
                Err(payload) => panic = Some(payload),
            }
        }
        *play = None;
        board.end(*index, panic);
        Poll::Ready(())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.play.take().is_some() {
            self.board.end(self.index, None);
        }
    }
}

struct Nudge {
    board: Board,
    index: usize,
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.board.wake(self.index);
    }
}
