//! tokio's streams and clock, as the driver wants them.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{IoSlice, Result};

use sansocket::{Accept, ClientRequest, Config, Instant, Response};
use sansocket_driver::{Error, Handler, Io};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A tokio stream `S`.
#[derive(Debug)]
pub struct Stream<S>(pub S);

impl<S: AsyncRead + AsyncWrite + Unpin> Io for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
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
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// tokio's clock, and an alarm that is only set anew when the deadline is another.
#[derive(Debug)]
pub struct Timer {
    origin: tokio::time::Instant,
    /// Boxed, since it must not move; made when there is a first deadline.
    alarm: Option<Pin<Box<Sleep>>>,
    at: Instant,
}

impl Timer {
    /// A clock that begins now.
    pub(crate) fn new() -> Self {
        Self { origin: tokio::time::Instant::now(), alarm: None, at: Instant::ORIGIN }
    }
}

impl sansocket_driver::Timer for Timer {
    fn now(&self) -> Instant {
        Instant::ORIGIN + self.origin.elapsed()
    }

    fn poll_at(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let when = self.origin + (at - Instant::ORIGIN);
        match &mut self.alarm {
            None => self.alarm = Some(Box::pin(tokio::time::sleep_until(when))),
            Some(alarm) if self.at != at => alarm.as_mut().reset(when),
            Some(_) => {}
        }
        self.at = at;
        match self.alarm.as_mut().map(|alarm| alarm.as_mut().poll(cx)) {
            Some(Poll::Ready(())) => Poll::Ready(()),
            // tokio lets a due alarm wait when the task has used up its turn: the clock decides.
            Some(Poll::Pending) | None if self.now() >= at => Poll::Ready(()),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    }
}

sansocket_driver::streams!("tokio", AsyncRead + AsyncWrite);
