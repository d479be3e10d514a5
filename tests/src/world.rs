//! A runtime that does nothing by itself: tasks run when a test lets them, time passes when a test says so,
//! and who connects is the test. One for each thread, so that tests do not meet.

use core::cell::RefCell;
use core::future::Future;
use core::net::SocketAddr;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sansocket_driver::Runtime;

use crate::scripted::{Alarm, Clock, End, Grip, Task, stream};

/// The runtime.
#[derive(Debug)]
pub enum World {}

struct Running {
    task: Task<'static, ()>,
    fresh: bool,
}

thread_local! {
    static TASKS: RefCell<Vec<Running>> = const { RefCell::new(Vec::new()) };
    static CLOCK: Clock = Clock::new();
}

impl Runtime for World {
    type Timer = Alarm;
    type Tcp = End;
    type Listener = Listener;

    fn timer() -> Alarm {
        CLOCK.with(Clock::alarm)
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        start(task);
    }

    async fn connect(_: &str, _: u16) -> io::Result<End> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    async fn accept(listener: &mut Listener) -> io::Result<(End, SocketAddr)> {
        core::future::poll_fn(|cx| listener.poll_accept(cx)).await
    }

    fn set_nodelay(_: &End, _: bool) -> io::Result<()> {
        // It tells nothing that reading does not tell.
        Err(io::ErrorKind::NotConnected.into())
    }
}

/// What a task came to, once it has.
#[derive(Debug)]
pub struct Outcome<T>(Rc<RefCell<Option<T>>>);

impl<T> Outcome<T> {
    /// Takes it.
    pub fn take(&self) -> Option<T> {
        self.0.borrow_mut().take()
    }
}

/// Runs a future in a task of its own.
pub fn start<T: 'static>(future: impl Future<Output = T> + 'static) -> Outcome<T> {
    let outcome = Rc::new(RefCell::new(None));
    let done = Rc::clone(&outcome);
    let task = Task::new(async move {
        let value = future.await;
        *done.borrow_mut() = Some(value);
    });
    TASKS.with_borrow_mut(|tasks| tasks.push(Running { task, fresh: true }));
    Outcome(outcome)
}

/// Lets every task run for as long as it is woken.
pub fn settle() {
    for _ in 0..10_000 {
        let mut tasks = TASKS.take();
        let mut ran = false;
        tasks.retain_mut(|running| {
            if !core::mem::take(&mut running.fresh) && !running.task.is_woken() {
                return true;
            }
            ran = true;
            running.task.poll().is_pending()
        });
        // Behind them those that they started.
        TASKS.with_borrow_mut(|new| {
            tasks.append(new);
            *new = tasks;
        });
        if !ran {
            return;
        }
    }
    panic!("it never comes to rest");
}

/// Lets time pass, and every task run.
pub fn pass(duration: Duration) {
    CLOCK.with(|clock| clock.pass(duration));
    settle();
}

/// What accepts connections.
#[derive(Debug)]
pub struct Listener(Arc<Mutex<Queue>>);

/// The test's grip on a listener.
#[derive(Debug)]
pub struct Door(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<io::Result<End>>,
    waker: Option<Waker>,
    accepted: usize,
    closed: bool,
}

/// A listener, and what comes to it.
pub fn listener() -> (Listener, Door) {
    let queue = Arc::default();
    (Listener(Arc::clone(&queue)), Door(queue))
}

impl Door {
    /// A client connects.
    pub fn knock(&self) -> Grip {
        let (end, grip) = stream();
        self.push(Ok(end));
        grip
    }

    /// Accepting fails.
    pub fn fail(&self, error: io::Error) {
        self.push(Err(error));
    }

    /// How often accepting succeeded or failed.
    pub fn accepted(&self) -> usize {
        lock(&self.0).accepted
    }

    /// The listener was dropped.
    pub fn is_closed(&self) -> bool {
        lock(&self.0).closed
    }

    fn push(&self, accepted: io::Result<End>) {
        let mut queue = lock(&self.0);
        queue.waiting.push_back(accepted);
        if let Some(waker) = queue.waker.take() {
            waker.wake();
        }
    }
}

impl Listener {
    fn poll_accept(&self, cx: &Context<'_>) -> Poll<io::Result<(End, SocketAddr)>> {
        let mut queue = lock(&self.0);
        let Some(accepted) = queue.waiting.pop_front() else {
            queue.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        queue.accepted += 1;
        Poll::Ready(accepted.map(|end| (end, SocketAddr::from(([127, 0, 0, 1], 1)))))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        lock(&self.0).closed = true;
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
