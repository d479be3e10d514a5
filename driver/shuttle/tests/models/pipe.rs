//! Streams between two tasks. As with a socket, each direction wakes whoever polled it last, and nobody else.

use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice, Result};
use std::sync::{Arc, PoisonError};

use sansocket_shuttle::Io;
use shuttle::sync::{Mutex, MutexGuard};

/// One end of a stream.
#[derive(Debug)]
pub(crate) struct Pipe {
    incoming: Arc<Way>,
    outgoing: Arc<Way>,
}

#[derive(Debug)]
struct Way(Mutex<Flow>);

#[derive(Debug)]
struct Flow {
    bytes: VecDeque<u8>,
    room: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Nothing more is written.
    ended: bool,
    /// Nobody reads any more.
    gone: bool,
}

/// Both ends of a stream that holds `room` bytes in each direction.
pub(crate) fn pipe(room: usize) -> (Pipe, Pipe) {
    let ways = [(); 2].map(|()| {
        let bytes = VecDeque::new();
        Arc::new(Way(Mutex::new(Flow { bytes, room, reader: None, writer: None, ended: false, gone: false })))
    });
    let [one, other] = &ways;
    let end = |incoming, outgoing| Pipe { incoming: Arc::clone(incoming), outgoing: Arc::clone(outgoing) };
    (end(one, other), end(other, one))
}

impl Way {
    fn lock(&self) -> MutexGuard<'_, Flow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        let mut flow = self.lock();
        flow.ended = true;
        let reader = flow.reader.take();
        drop(flow);
        reader.into_iter().for_each(Waker::wake);
    }

    fn abandon(&self) {
        let mut flow = self.lock();
        flow.gone = true;
        let writer = flow.writer.take();
        drop(flow);
        writer.into_iter().for_each(Waker::wake);
    }
}

impl Io for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize>> {
        let mut flow = self.incoming.lock();
        let n = flow.bytes.len().min(buffer.len());
        if n == 0 && !flow.ended {
            flow.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        for (place, byte) in buffer.iter_mut().zip(flow.bytes.drain(..n)) {
            *place = byte;
        }
        let writer = flow.writer.take();
        drop(flow);
        writer.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(n))
    }

    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        let mut flow = self.outgoing.lock();
        if flow.gone || flow.ended {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let room = flow.room - flow.bytes.len();
        if room == 0 {
            flow.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let before = flow.bytes.len();
        flow.bytes.extend(slices.iter().flat_map(|slice| slice.iter()).take(room));
        let n = flow.bytes.len() - before;
        let reader = flow.reader.take();
        drop(flow);
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        self.outgoing.end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.outgoing.end();
        self.incoming.abandon();
    }
}
