//! Streams as the TLS libraries want them.

use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::io::{self, ErrorKind, IoSlice};

use crate::io::Io;

/// In one poll the stream is read so often at most. A TLS library reads on for as long as records have nothing for us
/// in them, such as tickets for sessions, and a peer can have any number of those ready.
const READS: u32 = 16;

/// A stream that fails with `WouldBlock` where it would have to wait, or other tasks are to have their turn; it wakes the
/// task of the last [`on`](Self::on) then.
#[derive(Debug)]
pub(super) struct Blocking<I> {
    io: I,
    waker: Waker,
    unflushed: bool,
    /// Since the last `on`.
    reads: u32,
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
        Self { io, waker, unflushed: false, reads: 0 }
    }

    pub(super) fn io(&self) -> &I {
        &self.io
    }

    /// For what is called in one poll of the task.
    pub(super) fn on(&mut self, cx: &Context<'_>) -> &mut Self {
        self.waker.clone_from(cx.waker());
        self.reads = 0;
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
        if self.reads == READS {
            self.waker.wake_by_ref();
            return Err(ErrorKind::WouldBlock.into());
        }
        self.reads += 1;
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
