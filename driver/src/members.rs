//! The connections of one server: how many there are, and how all of them are told that it ends.

use core::sync::atomic::{AtomicU8, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slab::Slab;

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

#[derive(Debug, Default)]
pub(crate) struct Members {
    /// An [`End`], apart, since each poll of each connection looks at it.
    end: AtomicU8,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Their tasks, once they were polled.
    tasks: Slab<Option<Waker>>,
    /// Who waits for one of them to leave.
    leaving: Vec<Waker>,
    /// Who waits for the end to begin.
    ending: Vec<Waker>,
    aborted: usize,
}

/// A connection's place among the others, until it is dropped.
#[derive(Debug)]
pub(crate) struct Member {
    members: Arc<Members>,
    key: usize,
}

impl Members {
    pub(crate) fn join(self: &Arc<Self>) -> Member {
        Member { key: self.lock().tasks.insert(None), members: Arc::clone(self) }
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().tasks.len()
    }

    /// How many were there when all had to be gone.
    pub(crate) fn aborted(&self) -> usize {
        self.lock().aborted
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
        if end == End::Abort {
            state.aborted = state.tasks.len();
        }
        let mut wakers: Vec<Waker> = state.tasks.iter().filter_map(|(_, task)| task.clone()).collect();
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
        if state.tasks.len() <= most {
            return Poll::Ready(());
        }
        wait(&mut state.leaving, cx);
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.members.end()
    }

    /// Notes the task.
    pub(crate) fn begin(&self, cx: &Context<'_>) {
        self.members.lock().tasks[self.key] = Some(cx.waker().clone());
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = self.members.lock();
        let task = state.tasks.remove(self.key);
        let leaving = core::mem::take(&mut state.leaving);
        drop(state);
        drop(task);
        leaving.into_iter().for_each(Waker::wake);
    }
}
