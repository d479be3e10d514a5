//! One task may receive while another sends on the same connection, and both need the stream in both
//! directions: whoever polled last must not steal the other's wake-up.

use core::task::{Context, Poll, Waker};
use std::sync::{Arc, PoisonError};
use std::task::Wake;

use crate::sync::Mutex;

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
    /// Polls the stream on behalf of `side`, and remembers its task if it has to wait. If the task of the other side
    /// waits already, the stream is given a waker that wakes both.
    pub(crate) fn poll<R>(
        &mut self,
        side: Side,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        let (own, other) = match side {
            Side::Receive => (&mut self.receive, &self.send),
            Side::Send => (&mut self.send, &self.receive),
        };
        let other = other.as_ref().filter(|other| !other.will_wake(cx.waker()));
        let result = match other {
            None => poll(cx),
            Some(other) => {
                let both = self.both.get_or_insert_default();
                *both.0.lock().unwrap_or_else(PoisonError::into_inner) =
                    [Some(cx.waker().clone()), Some(other.clone())];
                poll(&mut Context::from_waker(&Waker::from(Arc::clone(both))))
            }
        };
        if result.is_pending() {
            match own {
                Some(own) => own.clone_from(cx.waker()),
                None => *own = Some(cx.waker().clone()),
            }
        } else {
            *own = None;
            // What this side did may be what the other one waits for.
            if let Some(other) = other {
                other.wake_by_ref();
            }
        }
        result
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.receive.is_none() && self.send.is_none()
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
