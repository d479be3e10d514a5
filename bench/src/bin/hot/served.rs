//! A handler that echoes, on a stream that is memory.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use sansocket::{Accept, Config, Instant, Message};
use sansocket_driver::{Error, Handler, Incoming, Io, Outcome, Reply, Serve, Timer};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// So many messages come, and so many bytes with each read.
pub fn echo(message: &[u8], read: usize, messages: usize) {
    let memory = Memory { request: REQUEST, stream: message.repeat(messages), taken: 0, read };
    let mut serve = pin!(Serve::new(memory, Still, Config::new(), Echo));
    let mut cx = Context::from_waker(Waker::noop());
    while serve.as_mut().poll(&mut cx).is_pending() {}
}

/// The same, received and sent by a loop.
pub fn feed(message: &[u8], read: usize, messages: usize) {
    let memory = Memory { request: REQUEST, stream: message.repeat(messages), taken: 0, read };
    let mut echo = pin!(async {
        let incoming = Incoming::read(memory, Still, &Config::new()).await?;
        let mut socket = incoming.accept(Accept::new()).await?;
        while let Some(message) = socket.recv().await? {
            socket.feed(message).await?;
        }
        Ok::<_, Error>(())
    });
    let mut cx = Context::from_waker(Waker::noop());
    while echo.as_mut().poll(&mut cx).is_pending() {}
}

struct Echo;

impl Handler for Echo {
    type Info = ();

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send(message)?)
    }
}

/// A request and a stream of messages; what is written is dropped.
struct Memory {
    request: &'static [u8],
    stream: Vec<u8>,
    taken: usize,
    read: usize,
}

impl Io for Memory {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, block: &mut [u8]) -> Poll<io::Result<usize>> {
        if !self.request.is_empty() {
            let request = std::mem::take(&mut self.request);
            block[..request.len()].copy_from_slice(request);
            return Poll::Ready(Ok(request.len()));
        }
        let rest = &self.stream[self.taken..];
        let len = rest.len().min(self.read).min(block.len());
        block[..len].copy_from_slice(&rest[..len]);
        self.taken += len;
        Poll::Ready(Ok(len))
    }

    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A clock that stands still.
struct Still;

impl Timer for Still {
    fn now(&self) -> Instant {
        Instant::ORIGIN
    }

    fn poll_at(&mut self, _: &mut Context<'_>, _: Instant) -> Poll<()> {
        Poll::Pending
    }
}
