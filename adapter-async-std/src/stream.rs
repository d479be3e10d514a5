//! `futures-io` streams and a clock, as the driver wants them.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{IoSlice, Result};

use futures_io::{AsyncRead, AsyncWrite};
use sansocket::Instant;
use sansocket_driver::Io;

/// A `futures-io` stream `S`.
#[derive(Debug)]
pub struct Stream<S>(pub S);

impl<S: AsyncRead + AsyncWrite + Unpin> Io for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }

    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

/// The system's clock, and an alarm that is only set anew when the deadline is another.
pub struct Timer {
    origin: std::time::Instant,
    alarm: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
    at: Instant,
}

impl Timer {
    /// A clock that begins now.
    pub(crate) fn new() -> Self {
        Self { origin: std::time::Instant::now(), alarm: None, at: Instant::ORIGIN }
    }
}

impl sansocket_driver::Timer for Timer {
    fn now(&self) -> Instant {
        Instant::ORIGIN + self.origin.elapsed()
    }

    fn poll_at(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let now = self.now();
        if now >= at {
            self.alarm = None;
            return Poll::Ready(());
        }
        if self.at != at {
            self.alarm = None;
            self.at = at;
        }
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(async_std::task::sleep(at - now)));
        let polled = alarm.as_mut().poll(cx);
        if polled.is_ready() {
            self.alarm = None;
        }
        polled
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("at", &self.at).finish_non_exhaustive()
    }
}
