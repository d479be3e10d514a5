//! The runtime of the models: tasks that must all come to their end, and a clock that nobody waits for.

use core::cell::RefCell;
use core::future::{Future, poll_fn};
use core::net::{Ipv4Addr, SocketAddr};
use core::task::{Context, Poll, Waker};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::sync::{Arc, PoisonError};

use sansocket::Instant;
use sansocket_shuttle::{Runtime, Timer};
use shuttle::future::{JoinHandle, block_on, spawn};
use shuttle::sync::{Mutex, MutexGuard};

use crate::pipe::{Pipe, pipe};

/// The runtime.
pub(crate) enum World {}

std::thread_local! {
    /// Tasks of shuttle are all in one thread, and nobody else gets a turn while this is looked at.
    static STATE: RefCell<State> = RefCell::default();
}

#[derive(Default)]
struct State {
    /// What the server has started.
    tasks: Vec<JoinHandle<()>>,
    now: u64,
    alarms: BTreeMap<usize, (u64, Waker)>,
    clocks: usize,
    /// The task that lets time pass, while it has nothing to do.
    idle: Option<Waker>,
    /// It stands still again.
    over: bool,
}

/// Runs a model to its end, and all that was spawned.
pub(crate) fn run(model: impl Future<Output = ()>) {
    with(|state| *state = State::default());
    block_on(async {
        model.await;
        while let Some(task) = with(|state| state.tasks.pop()) {
            task.await.unwrap();
        }
    });
}

/// Lets time pass until it is dropped: from one alarm to the next, whatever else is still to be done before.
#[must_use]
pub(crate) fn let_time_pass() -> Time {
    drop(spawn(async {
        while let Some(due) = poll_fn(next_alarm).await {
            due.into_iter().for_each(Waker::wake);
            turn();
        }
    }));
    Time
}

pub(crate) struct Time;

impl Drop for Time {
    fn drop(&mut self) {
        let idle = with(|state| {
            state.over = true;
            state.idle.take()
        });
        idle.into_iter().for_each(Waker::wake);
    }
}

fn next_alarm(cx: &mut Context<'_>) -> Poll<Option<Vec<Waker>>> {
    with(|state| {
        if state.over {
            return Poll::Ready(None);
        }
        let Some(at) = state.alarms.values().map(|(at, _)| *at).min() else {
            state.idle = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.now = state.now.max(at);
        let mut due = Vec::new();
        state.alarms.retain(|_, (when, waker)| {
            let waits = *when > at;
            if !waits {
                due.push(waker.clone());
            }
            waits
        });
        Poll::Ready(Some(due))
    })
}

/// Lets other tasks run, as a lock does.
pub(crate) fn turn() {
    drop(Mutex::new(()).lock());
}

fn with<R>(work: impl FnOnce(&mut State) -> R) -> R {
    STATE.with(|state| work(&mut state.borrow_mut()))
}

/// A clock. Its time passes if the model says so, and stands still else, so that no deadline makes up for a wake-up
/// that was lost.
#[derive(Debug)]
pub(crate) struct Clock(usize);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(with(|state| {
            state.clocks += 1;
            state.clocks
        }))
    }
}

impl Timer for Clock {
    fn now(&self) -> Instant {
        Instant::from_nanos(with(|state| state.now))
    }

    fn poll_at(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        if self.now() >= at {
            return Poll::Ready(());
        }
        let idle = with(|state| {
            state.alarms.insert(self.0, (at.as_nanos(), cx.waker().clone()));
            state.idle.take()
        });
        idle.into_iter().for_each(Waker::wake);
        Poll::Pending
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        with(|state| state.alarms.remove(&self.0));
    }
}

impl Runtime for World {
    type Timer = Clock;
    type Tcp = Pipe;
    type Listener = Listener;

    fn timer() -> Clock {
        Clock::new()
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        let task = spawn(task);
        with(|state| state.tasks.push(task));
    }

    async fn connect(_: &str, _: u16) -> io::Result<Pipe> {
        Err(ErrorKind::Unsupported.into())
    }

    async fn accept(listener: &mut Listener) -> io::Result<(Pipe, SocketAddr)> {
        let stream = poll_fn(|cx| {
            let mut queue = listener.0.lock();
            match queue.streams.pop_front() {
                Some(stream) => Poll::Ready(stream),
                None => {
                    queue.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        });
        Ok((stream.await, (Ipv4Addr::LOCALHOST, 1).into()))
    }

    fn set_nodelay(_: &Pipe, _: bool) -> io::Result<()> {
        Ok(())
    }
}

/// What clients connect to.
#[derive(Clone)]
pub(crate) struct Network(Arc<Shared>);

/// What a server accepts from. Whoever waits there when it is dropped is cut off.
pub(crate) struct Listener(Network);

struct Shared(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    streams: VecDeque<Pipe>,
    waker: Option<Waker>,
    closed: bool,
}

pub(crate) fn listen() -> (Network, Listener) {
    let network = Network(Arc::new(Shared(Mutex::default())));
    (network.clone(), Listener(network))
}

impl Network {
    /// A stream to the server, which may never accept it.
    pub(crate) fn connect(&self, room: usize) -> Pipe {
        let (ours, theirs) = pipe(room);
        let mut queue = self.lock();
        if !queue.closed {
            queue.streams.push_back(theirs);
        }
        let waker = queue.waker.take();
        drop(queue);
        waker.into_iter().for_each(Waker::wake);
        ours
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.closed = true;
        let streams = core::mem::take(&mut queue.streams);
        drop(queue);
        drop(streams);
    }
}

/// What one task waits for until another has it: it may be told any number of times, and everybody hears the last.
pub(crate) struct Slot<T>(Arc<Mutex<(Option<T>, Vec<Waker>)>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Clone> Slot<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new((None, Vec::new()))))
    }

    pub(crate) fn tell(&self, value: T) {
        let mut state = self.0.lock().unwrap();
        state.0 = Some(value);
        let wakers = core::mem::take(&mut state.1);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) async fn wait(&self) -> T {
        poll_fn(|cx| {
            let mut state = self.0.lock().unwrap();
            match &state.0 {
                Some(value) => Poll::Ready(value.clone()),
                None => {
                    state.1.push(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}
