//! A socket that is memory, with all the traits that libraries want of one. Clones are the same socket.
//!
//! There is something to read in turns, as an event loop is woken: what one turn brings is read in as many reads as the
//! reader's buffer needs; then the socket would block, until [`Socket::wake`].

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::BufMut;
use tokio::io::ReadBuf;

use crate::cell::Reads;

#[derive(Clone, Debug)]
pub struct Socket(Rc<Kernel>);

#[derive(Debug)]
struct Kernel {
    input: Vec<u8>,
    /// What one turn brings.
    turn: usize,
    position: Cell<usize>,
    /// Where this turn's input ends.
    arrived: Cell<usize>,
    /// What was written in this turn.
    output: RefCell<Vec<u8>>,
    /// What was written before, if it is kept.
    log: RefCell<Option<Vec<u8>>>,
}

impl Socket {
    pub fn new(frame: &[u8], count: usize, reads: Reads) -> Self {
        let turn = match reads {
            Reads::Bytes(bytes) => bytes,
            Reads::Message => frame.len(),
        };
        Self(Rc::new(Kernel {
            input: frame.repeat(count),
            turn,
            position: Cell::new(0),
            arrived: Cell::new(0),
            output: RefCell::default(),
            log: RefCell::new(None),
        }))
    }

    /// Lets the next turn's bytes arrive. At the end of the stream there are none, once; then it begins again.
    pub fn wake(&self) -> bool {
        let kernel = &*self.0;
        assert_eq!(kernel.position.get(), kernel.arrived.get(), "all was read");
        let mut output = kernel.output.borrow_mut();
        if let Some(log) = &mut *kernel.log.borrow_mut() {
            log.extend_from_slice(&output);
        }
        // The peer has read it.
        output.clear();
        let is_over = kernel.position.get() == kernel.input.len();
        if is_over {
            kernel.position.set(0);
        }
        let arrived = if is_over { 0 } else { kernel.input.len().min(kernel.position.get() + kernel.turn) };
        kernel.arrived.set(arrived);
        !is_over
    }

    /// How much a read brings at most.
    pub fn turn(&self) -> usize {
        self.0.turn
    }

    /// Reads as many bytes as are there and fit, none if it would block.
    pub fn read(&self, buffer: &mut [u8]) -> usize {
        let there = self.take(buffer.len());
        buffer[..there.len()].copy_from_slice(there);
        there.len()
    }

    /// The same, into memory that has not been written before.
    pub fn read_buf(&self, buffer: &mut impl BufMut) -> usize {
        let there = self.take(buffer.remaining_mut());
        buffer.put_slice(there);
        there.len()
    }

    fn take(&self, most: usize) -> &[u8] {
        let kernel = &*self.0;
        let from = kernel.position.get();
        let to = kernel.arrived.get().min(from.saturating_add(most));
        kernel.position.set(to);
        &kernel.input[from..to]
    }

    /// Writes all of it.
    pub fn write(&self, bytes: &[u8]) -> usize {
        self.0.output.borrow_mut().extend_from_slice(bytes);
        bytes.len()
    }

    /// Keeps what is written.
    pub fn log(&self) {
        *self.0.log.borrow_mut() = Some(Vec::new());
    }

    pub fn logged(&self) -> Vec<u8> {
        let mut log = self.0.log.take().unwrap_or_default();
        log.extend_from_slice(&self.0.output.borrow());
        log
    }

    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> usize {
        slices.iter().map(|slice| self.write(slice)).sum()
    }
}

impl io::Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match Self::read(self, buffer) {
            0 => Err(ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl io::Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(Self::write(self, bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(Self::write_vectored(self, slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Nobody is woken: who waits is polled again when the socket was.
fn ready(len: usize) -> Poll<io::Result<usize>> {
    if len == 0 { Poll::Pending } else { Poll::Ready(Ok(len)) }
}

impl tokio::io::AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready(self.read_buf(buffer)).map_ok(|_| ())
    }
}

impl tokio::io::AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(Self::write(&self, bytes)))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(Self::write_vectored(&self, slices)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl futures::io::AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        ready(Self::read(&self, buffer))
    }
}

impl futures::io::AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(Self::write(&self, bytes)))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(Self::write_vectored(&self, slices)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl wtx::stream::StreamReader for Socket {
    async fn read(&mut self, buffer: &mut [u8]) -> wtx::Result<usize> {
        Ok(std::future::poll_fn(|_| ready(Self::read(self, buffer))).await?)
    }
}

impl wtx::stream::StreamWriter for Socket {
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        self.write(bytes);
        Ok(())
    }

    async fn write_all_vectored(&mut self, slices: &[&[u8]]) -> wtx::Result<()> {
        for slice in slices {
            self.write(slice);
        }
        Ok(())
    }
}
