//! How the rest of a program reaches a handler: Cowboy's pid.

use core::fmt;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use sansocket::CloseFrame;

use crate::sync::{Mutex, MutexGuard};

/// An address queues this much for a handler that does not get to it.
const CAPACITY: usize = 1024;

/// Sends to one connection's handler, or closes the connection, from any thread and without waiting.
///
/// It does not keep the connection open. Clones reach the same handler.
pub struct Address<Info>(Arc<Shared<Info>>);

/// Why something did not reach a handler. It is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressError<Info> {
    /// The connection is over.
    Closed(Info),
    /// 1,024 are queued already: the handler is busy, or its peer reads too slowly.
    Full(Info),
}

impl<Info> Address<Info> {
    /// Has `info` handed to [`Handler::info`](crate::Handler::info). It is dropped if the connection begins
    /// to close before that.
    ///
    /// # Errors
    /// [`AddressError`], with `info`.
    pub fn send(&self, info: Info) -> Result<(), AddressError<Info>> {
        let waker = {
            let mut state = self.0.lock();
            if state.closed {
                return Err(AddressError::Closed(info));
            }
            if state.queue.len() == CAPACITY {
                return Err(AddressError::Full(info));
            }
            state.queue.push_back(info);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Closes the connection, whatever its handler does. What is queued for that and not handled is dropped.
    pub fn close<'c>(&self, frame: impl Into<CloseFrame<'c>>) {
        let frame = Box::new(frame.into().into_owned());
        let waker = {
            let mut state = self.0.lock();
            if state.closed {
                return;
            }
            state.close.get_or_insert(frame);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether the connection is over.
    pub fn is_closed(&self) -> bool {
        self.0.lock().closed
    }

    /// Whether both reach the same handler.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<Info> Clone for Address<Info> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Info> fmt::Debug for Address<Info> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl<Info> fmt::Display for AddressError<Info> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed(_) => "the connection is over",
            Self::Full(_) => "too much is queued for this handler",
        })
    }
}

impl<Info: fmt::Debug> core::error::Error for AddressError<Info> {}

/// The handler's end.
pub(crate) struct Mailbox<Info> {
    /// Made when the first address is asked for.
    shared: Option<Arc<Shared<Info>>>,
    /// The handler has closed the connection, or its address or its server: it is only told the end.
    pub(crate) over: bool,
}

/// What comes from an address.
pub(crate) enum Mail<Info> {
    Info(Info),
    Close(Box<CloseFrame<'static>>),
}

struct Shared<Info>(Mutex<State<Info>>);

struct State<Info> {
    queue: VecDeque<Info>,
    close: Option<Box<CloseFrame<'static>>>,
    waker: Option<Waker>,
    closed: bool,
}

impl<Info> Mailbox<Info> {
    pub(crate) const fn new() -> Self {
        Self { shared: None, over: false }
    }

    pub(crate) fn address(&mut self) -> Address<Info> {
        let state = || State { queue: VecDeque::new(), close: None, waker: None, closed: false };
        Address(Arc::clone(self.shared.get_or_insert_with(|| Arc::new(Shared(Mutex::new(state()))))))
    }

    /// Ready when something was sent here that there is room for; else its sender wakes the task. There is always
    /// room for the end.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>, has_room: bool) -> Poll<()> {
        let Some(shared) = &self.shared else { return Poll::Pending };
        let mut state = shared.lock();
        if state.close.is_some() || (has_room && !state.queue.is_empty()) {
            return Poll::Ready(());
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    pub(crate) fn next(&self) -> Option<Mail<Info>> {
        let mut state = self.shared.as_ref()?.lock();
        match state.close.take() {
            Some(frame) => Some(Mail::Close(frame)),
            None => state.queue.pop_front().map(Mail::Info),
        }
    }
}

impl<Info> Drop for Mailbox<Info> {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            let mut state = shared.lock();
            state.closed = true;
            // Addresses may be kept for long; a waker keeps its task's memory.
            let left = (core::mem::take(&mut state.queue), state.close.take(), state.waker.take());
            // What is in it may have destructors that come back here.
            drop(state);
            drop(left);
        }
    }
}

impl<Info> fmt::Debug for Mailbox<Info> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("in_use", &self.shared.is_some()).finish()
    }
}

impl<Info> Shared<Info> {
    fn lock(&self) -> MutexGuard<'_, State<Info>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
