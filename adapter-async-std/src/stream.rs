//! `futures-io` streams and a clock, as the driver wants them.

use core::any::Any;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{IoSlice, Result};
use std::net::Shutdown;

use futures_io::{AsyncRead, AsyncWrite};
use sansocket::{Accept, ClientRequest, Config, Instant, Response};
use sansocket_driver::{Error, Handler, Io};

/// A `futures-io` stream `S`.
#[derive(Debug)]
pub struct Stream<S>(pub S);

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Io for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }

    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        match slices {
            [slice] => Pin::new(&mut self.0).poll_write(cx, slice),
            _ => Pin::new(&mut self.0).poll_write_vectored(cx, slices),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(Pin::new(&mut self.0).poll_close(cx))?;
        Poll::Ready(shut_down(&self.0))
    }
}

/// Closes the writing direction of streams whose `poll_close` does not: async-std's, and those of async-io itself.
/// Their peers would wait for the end until a timer is up.
fn shut_down(stream: &dyn Any) -> Result<()> {
    #[cfg(feature = "async-std")]
    if let Some(stream) = stream.downcast_ref::<async_std::net::TcpStream>() {
        return stream.shutdown(Shutdown::Write);
    }
    #[cfg(all(feature = "async-std", unix))]
    if let Some(stream) = stream.downcast_ref::<async_std::os::unix::net::UnixStream>() {
        return stream.shutdown(Shutdown::Write);
    }
    if let Some(stream) = stream.downcast_ref::<async_io::Async<std::net::TcpStream>>() {
        return stream.get_ref().shutdown(Shutdown::Write);
    }
    #[cfg(unix)]
    if let Some(stream) = stream.downcast_ref::<async_io::Async<std::os::unix::net::UnixStream>>() {
        return stream.get_ref().shutdown(Shutdown::Write);
    }
    Ok(())
}

/// The system's clock, and an alarm on the reactor that async-std and smol share, which is only set anew when
/// the deadline is another.
pub struct Timer {
    origin: std::time::Instant,
    /// Made when there is a first deadline.
    alarm: Option<Box<async_io::Timer>>,
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
        // An alarm that has rung stays silent: the clock decides.
        if self.now() >= at {
            return Poll::Ready(());
        }
        let when = self.origin + (at - Instant::ORIGIN);
        let alarm = match &mut self.alarm {
            None => self.alarm.insert(Box::new(async_io::Timer::at(when))),
            Some(alarm) => {
                if self.at != at {
                    alarm.set_at(when);
                }
                alarm
            }
        };
        self.at = at;
        ready!(Pin::new(&mut **alarm).poll(cx));
        Poll::Ready(())
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("at", &self.at).finish_non_exhaustive()
    }
}

sansocket_driver::streams!("`futures-io`", AsyncRead + AsyncWrite + 'static);
