//! Streams as the TLS libraries want them.

use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::io::{self, ErrorKind, IoSlice};

use crate::io::Io;

/// A stream that fails with `WouldBlock` where it would have to wait; it wakes the task of the last
/// [`on`](Self::on) then.
#[derive(Debug)]
pub(super) struct Blocking<I> {
    io: I,
    waker: Waker,
    unflushed: bool,
}

/// The way back: what has failed with `WouldBlock` waits.
pub(super) fn polled<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

impl<I> Blocking<I> {
    pub(super) fn new(io: I, waker: Waker) -> Self {
        Self { io, waker, unflushed: false }
    }

    pub(super) fn io(&self) -> &I {
        &self.io
    }

    pub(super) fn on(&mut self, cx: &Context<'_>) -> &mut Self {
        self.waker.clone_from(cx.waker());
        self
    }
}

impl<I: Io + Unpin> Blocking<I> {
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.call(|io, cx| io.poll_flush(cx))
    }

    pub(super) fn shutdown(&mut self) -> io::Result<()> {
        self.call(|io, cx| io.poll_shutdown(cx))
    }

    /// Does not tell of interruptions: by then a TLS library has taken bytes, and would be given them again.
    fn call<T>(
        &mut self,
        mut call: impl FnMut(Pin<&mut I>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        loop {
            match call(Pin::new(&mut self.io), &mut Context::from_waker(&self.waker)) {
                Poll::Ready(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Poll::Ready(result) => return result,
                Poll::Pending => return Err(ErrorKind::WouldBlock.into()),
            }
        }
    }
}

impl<I: Io + Unpin> io::Read for Blocking<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unflushed {
            // Writing will fail as well, if it does.
            let _ = io::Write::flush(self);
        }
        self.call(|io, cx| io.poll_read(cx, buffer))
    }
}

impl<I: Io + Unpin> io::Write for Blocking<I> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.call(|io, cx| io.poll_write(cx, slices))
    }

    /// Never fails with `WouldBlock`, which OpenSSL would not come back from: the next read flushes again.
    fn flush(&mut self) -> io::Result<()> {
        let flushed = polled(self.flush());
        self.unflushed = flushed.is_pending();
        if let Poll::Ready(flushed) = flushed { flushed } else { Ok(()) }
    }
}
