//! Futures that are polled by hand.

use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::task::Wake;

use crate::pair::Dice;

/// How often a task was woken.
#[derive(Debug, Default)]
pub struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A future that is polled by hand, with a waker of its own.
pub struct Task<'t, T> {
    future: Pin<Box<dyn Future<Output = T> + 't>>,
    wakes: Arc<Wakes>,
    waker: Waker,
}

impl<'t, T> Task<'t, T> {
    pub fn new(future: impl Future<Output = T> + 't) -> Self {
        let wakes = Arc::<Wakes>::default();
        Self { future: Box::pin(future), waker: Arc::clone(&wakes).into(), wakes }
    }

    pub fn poll(&mut self) -> Poll<T> {
        self.wakes.0.store(0, Ordering::SeqCst);
        self.future.as_mut().poll(&mut Context::from_waker(&self.waker))
    }

    /// Polls it for as long as it is woken.
    pub fn settle(&mut self) -> Poll<T> {
        for _ in 0..1_000_000 {
            match self.poll() {
                Poll::Pending if self.is_woken() => {}
                done => return done,
            }
        }
        panic!("it is woken again and again");
    }

    /// Whether it was woken since it was polled.
    pub fn is_woken(&self) -> bool {
        self.wakes.0.load(Ordering::SeqCst) > 0
    }
}

/// Runs a future that must come to its end without the test's help.
#[track_caller]
pub fn run<T>(future: impl Future<Output = T>) -> T {
    match Task::new(future).settle() {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something that nobody does"),
    }
}

/// Runs two tasks, in an order that is left to chance. Each is only polled when it was woken.
#[track_caller]
pub fn run_both<A, B>(dice: &mut Dice, a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut task_a, mut task_b) = (Task::new(a), Task::new(b));
    let (mut done_a, mut done_b) = (task_a.poll(), task_b.poll());
    for _ in 0..1_000_000 {
        let a_runs = done_a.is_pending() && task_a.is_woken();
        let b_runs = done_b.is_pending() && task_b.is_woken();
        match (a_runs, b_runs) {
            (true, false) => done_a = task_a.poll(),
            (false, true) => done_b = task_b.poll(),
            (true, true) if dice.below(2) == 0 => done_a = task_a.poll(),
            (true, true) => done_b = task_b.poll(),
            (false, false) => match (done_a, done_b) {
                (Poll::Ready(a), Poll::Ready(b)) => return (a, b),
                (a, b) => panic!("asleep for ever: {}, {}", a.is_pending(), b.is_pending()),
            },
        }
    }
    panic!("no end")
}

/// Runs tasks, in an order that is left to chance. Each is only polled when it was woken.
#[track_caller]
pub fn run_all(dice: &mut Dice, mut tasks: Vec<Task<'_, ()>>) {
    tasks.retain_mut(|task| task.poll().is_pending());
    for _ in 0..1_000_000 {
        let woken: Vec<_> = (0..tasks.len()).filter(|i| tasks[*i].is_woken()).collect();
        if woken.is_empty() {
            assert!(tasks.is_empty(), "{} are asleep for ever", tasks.len());
            return;
        }
        let chosen = dice.pick(&woken);
        if tasks[chosen].poll().is_ready() {
            drop(tasks.remove(chosen));
        }
    }
    panic!("no end");
}

/// A future that may be dropped when it waits.
pub struct Fickle<'d, F> {
    future: Pin<Box<F>>,
    dice: &'d mut Dice,
    once_in: usize,
}

/// A future that is dropped once in so many times that it waits: it comes to `None` then.
pub fn fickle<F: Future>(dice: &mut Dice, once_in: usize, future: F) -> Fickle<'_, F> {
    Fickle { future: Box::pin(future), dice, once_in }
}

impl<F: Future> Future for Fickle<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { future, dice, once_in } = &mut *self;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if dice.below(*once_in) == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Lets other tasks run.
pub async fn yield_now() {
    let mut yielded = false;
    core::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if core::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
