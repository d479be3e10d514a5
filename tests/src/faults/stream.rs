//! Streams and timers of which one operation does not do what it should.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sansocket::Instant;
use sansocket_driver::{Io, Timer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Fault, Trial};
use crate::scripted::End;

/// Nobody does more with a stream.
const MOST_OPERATIONS: usize = 200_000;

/// An operation on a stream, or its timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Read,
    Write,
    Flush,
    Shutdown,
    Timer,
}

/// A stream whose operations are counted, one of which may not do what it should. It is one of the driver's, of
/// tokio's and of `futures-io`'s.
pub struct Faulty {
    pub(super) end: End,
    pub(super) counter: Counter,
    /// Behind the end, so that it rings when that is gone.
    pub(super) bell: Bell,
}

/// A timer that may be early.
pub struct FaultyAlarm(pub(super) Box<dyn Timer + Unpin + Send + Sync>, pub(super) Counter);

/// A stream as a runtime's adapter wraps it, whichever that is.
pub struct AnyStream(pub(super) Box<dyn Io + Unpin + Send>);

/// Rings whenever the stream was used, and when it is gone.
#[derive(Default)]
pub(super) struct Bell(pub(super) Option<Box<dyn Fn() + Send + Sync>>);

#[derive(Clone)]
pub(super) struct Counter(Arc<Mutex<Counts>>);

pub(super) struct Counts {
    trial: Trial,
    pub(super) operations: usize,
    pub(super) alarms: usize,
    pub(super) hit: Option<Operation>,
    /// Everything fails from now on.
    gone: Option<ErrorKind>,
    /// Nothing may be read any more, or written.
    read_over: bool,
    write_over: bool,
    pub(super) shut: bool,
    /// It was asked to shut down, whatever came of that.
    pub(super) asked_to_shut: bool,
    pub(super) read: usize,
    /// Operations that were done since the fault.
    pub(super) done: usize,
    /// How often the timer was due since the fault.
    pub(super) rings: usize,
}

impl Counter {
    pub(super) fn new(trial: Trial) -> Self {
        Self(Arc::new(Mutex::new(Counts {
            trial,
            operations: 0,
            alarms: 0,
            hit: None,
            gone: None,
            read_over: false,
            write_over: false,
            shut: false,
            asked_to_shut: false,
            read: 0,
            done: 0,
            rings: 0,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_hit(&self) -> bool {
        self.lock().hit.is_some()
    }

    pub(super) fn is_shut(&self) -> bool {
        self.lock().shut
    }

    /// What an operation comes to without being done; else how many bytes it may move.
    fn count(&self, cx: &Context<'_>, operation: Operation) -> Result<usize, Poll<io::Result<usize>>> {
        let mut counts = self.lock();
        let (reads, writes) = (operation == Operation::Read, operation == Operation::Write);
        assert!(!reads || !counts.read_over, "reads on behind the end");
        let flushes = operation == Operation::Flush;
        assert!(!(writes || flushes) || !counts.write_over, "{operation:?} behind a write that failed");
        let number = counts.operations;
        counts.operations += 1;
        counts.asked_to_shut |= operation == Operation::Shutdown;
        assert!(number < MOST_OPERATIONS, "no end");
        if let Some(error) = counts.gone {
            counts.fail(operation);
            return Err(Poll::Ready(Err(error.into())));
        }
        let Trial { fault, at, most, .. } = counts.trial;
        let fails = match fault {
            Fault::None | Fault::Early => false,
            Fault::Zero | Fault::Interrupt => reads || writes,
            Fault::Yield | Fault::Break(_) | Fault::Fail(_) => true,
        };
        if number != at || !fails {
            return Ok(most);
        }
        counts.hit = Some(operation);
        Err(match fault {
            Fault::Break(error) => {
                counts.gone = Some(error);
                counts.fail(operation);
                Poll::Ready(Err(error.into()))
            }
            Fault::Fail(error) => {
                counts.fail(operation);
                Poll::Ready(Err(error.into()))
            }
            Fault::Zero => {
                counts.fail(operation);
                Poll::Ready(Ok(0))
            }
            Fault::Interrupt => Poll::Ready(Err(ErrorKind::Interrupted.into())),
            Fault::Yield | Fault::None | Fault::Early => {
                counts.done += 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        })
    }
}

impl Counts {
    fn fail(&mut self, operation: Operation) {
        match operation {
            Operation::Read => self.read_over = true,
            Operation::Write | Operation::Flush => self.write_over = true,
            Operation::Shutdown | Operation::Timer => {}
        }
        self.done += 1;
    }

    /// Notes that an operation is through.
    fn finish(&mut self, is_ready: bool) {
        self.done += usize::from(is_ready && self.hit.is_some());
    }
}

impl Bell {
    fn ring(&self) {
        if let Some(ring) = &self.0 {
            ring();
        }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.ring();
    }
}

impl Faulty {
    fn read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let most = match self.counter.count(cx, Operation::Read) {
            Ok(most) => most.min(buffer.len()),
            Err(result) => return result,
        };
        let result = Pin::new(&mut self.end).poll_read(cx, &mut buffer[..most]);
        let mut counts = self.counter.lock();
        counts.finish(result.is_ready());
        if let Poll::Ready(result) = &result {
            counts.read += *result.as_ref().unwrap_or(&0);
            counts.read_over = matches!(result, Ok(0));
        }
        result
    }

    fn write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut left = match self.counter.count(cx, Operation::Write) {
            Ok(most) => most,
            Err(result) => return result,
        };
        let mut some = Vec::new();
        for slice in slices {
            let n = slice.len().min(left);
            some.extend((n > 0).then(|| IoSlice::new(&slice[..n])));
            left -= n;
        }
        let result = Pin::new(&mut self.end).poll_write(cx, &some);
        self.counter.lock().finish(result.is_ready());
        result
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Err(result) = self.counter.count(cx, Operation::Flush) {
            return result.map(|result| result.map(|_| ()));
        }
        let result = Pin::new(&mut self.end).poll_flush(cx);
        self.counter.lock().finish(result.is_ready());
        result
    }

    fn shut_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Err(result) = self.counter.count(cx, Operation::Shutdown) {
            return result.map(|result| result.map(|_| ()));
        }
        let mut counts = self.counter.lock();
        counts.finish(true);
        counts.shut = true;
        drop(counts);
        Pin::new(&mut self.end).poll_shutdown(cx)
    }

    fn used<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let result = work(self);
        self.bell.ring();
        result
    }
}

impl Io for Faulty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.used(|stream| stream.read(cx, buffer))
    }

    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.used(|stream| stream.write(cx, slices))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.used(|stream| stream.flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.used(|stream| stream.shut_down(cx))
    }
}

impl AsyncRead for Faulty {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = ready!(Io::poll_read(self, cx, buffer.initialize_unfilled()))?;
        buffer.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Faulty {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Io::poll_write(self, cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Io::poll_write(self, cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Io::poll_flush(self, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Io::poll_shutdown(self, cx)
    }
}

#[cfg(feature = "runtimes")]
impl futures_io::AsyncRead for Faulty {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Io::poll_read(self, cx, buffer)
    }
}

#[cfg(feature = "runtimes")]
impl futures_io::AsyncWrite for Faulty {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Io::poll_write(self, cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Io::poll_write(self, cx, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Io::poll_flush(self, cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Io::poll_shutdown(self, cx)
    }
}

impl Io for AnyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_read(cx, buffer)
    }

    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}

impl Timer for FaultyAlarm {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn poll_at(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let mut counts = self.1.lock();
        let number = counts.alarms;
        counts.alarms += 1;
        assert!(number < MOST_OPERATIONS, "no end");
        if counts.trial.fault == Fault::Early && counts.trial.at == number {
            (counts.hit, counts.done) = (Some(Operation::Timer), counts.done + 1);
            return Poll::Ready(());
        }
        drop(counts);
        let due = self.0.poll_at(cx, at);
        let mut counts = self.1.lock();
        counts.rings += usize::from(due.is_ready() && counts.hit.is_some());
        due
    }
}
