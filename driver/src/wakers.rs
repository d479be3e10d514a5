//! One task may receive while another sends on the same connection, and both need the stream in both
//! directions: whoever polled last must not steal the other's wake-up.

use core::task::{Context, Waker};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

/// Which side of a [`WebSocket`](crate::WebSocket) polls.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Receive,
    Send,
}

/// The tasks that wait, by side. As long as one task does both, nothing is allocated.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    receive: Option<Waker>,
    send: Option<Waker>,
    both: Option<Arc<Both>>,
}

#[derive(Debug, Default)]
struct Both(Mutex<[Option<Waker>; 2]>);

impl Wakers {
    /// The waker to poll the stream with on behalf of `side`: one that wakes the task of the other side too,
    /// if that waits.
    pub(crate) fn begin(&mut self, side: Side, cx: &Context<'_>) -> Waker {
        let (own, other) = match side {
            Side::Receive => (&mut self.receive, &self.send),
            Side::Send => (&mut self.send, &self.receive),
        };
        match own {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *own = Some(cx.waker().clone()),
        }
        match other {
            Some(other) if !other.will_wake(cx.waker()) => {
                let both = self.both.get_or_insert_default();
                *both.0.lock().unwrap_or_else(PoisonError::into_inner) =
                    [self.receive.clone(), self.send.clone()];
                Waker::from(Arc::clone(both))
            }
            _ => cx.waker().clone(),
        }
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.receive.is_none() && self.send.is_none()
    }

    /// `side` does not wait any more. What it did may be what the other waits for, if that is another task.
    pub(crate) fn end(&mut self, side: Side) {
        let (own, other) = match side {
            Side::Receive => (&mut self.receive, &self.send),
            Side::Send => (&mut self.send, &self.receive),
        };
        if let (Some(own), Some(other)) = (own.take(), other)
            && !other.will_wake(&own)
        {
            other.wake_by_ref();
        }
    }

    /// Wakes `side`, which may be in the task that runs: there is something to write, or the end to be told.
    pub(crate) fn wake(&self, side: Side) {
        let waker = match side {
            Side::Receive => &self.receive,
            Side::Send => &self.send,
        };
        if let Some(waker) = waker {
            waker.wake_by_ref();
        }
    }
}

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }
}
