//! Panics in callbacks, which are one connection's affair.

use core::any::Any;
use core::fmt;
use core::future::{Future, poll_fn};
use core::panic::AssertUnwindSafe;
use core::pin::pin;
use core::task::Poll;
use std::panic::catch_unwind;

/// A callback of a [`Handler`](crate::Handler) panicked. The connection is closed as for an error, and
/// [`Handler::error`](crate::Handler::error) is given this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerPanic(String);

impl HandlerPanic {
    /// What it panicked with, if that was text.
    pub fn message(&self) -> &str {
        &self.0
    }

    fn new(payload: &(dyn Any + Send)) -> Self {
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self(message.unwrap_or_default().to_owned())
    }
}

impl fmt::Display for HandlerPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a callback panicked: {}", self.0)
    }
}

impl core::error::Error for HandlerPanic {}

/// The driver's own state is whole while a callback has the turn, and the handler's is the application's to
/// look after, as with a poisoned mutex that it recovers.
pub(crate) fn guard<R>(callback: impl FnOnce() -> R) -> Result<R, HandlerPanic> {
    catch_unwind(AssertUnwindSafe(callback)).map_err(|payload| HandlerPanic::new(&*payload))
}

pub(crate) async fn guard_async<F: Future>(callback: F) -> Result<F::Output, HandlerPanic> {
    let mut callback = pin!(callback);
    poll_fn(|cx| match guard(|| callback.as_mut().poll(cx)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}
