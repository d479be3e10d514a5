//! What is told of a connection, and how it is known what went over the wire.

use core::fmt;
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, ready};
use std::io::{IoSlice, Result};
use std::sync::Arc;

use sansocket_tokio::Disconnect;
use sansocket_tokio::extension::Negotiated;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The line on a connection: what was agreed, how many messages went there and back, their payload, how many
/// bytes were read and written for that, and how it ended, separated by ` | `.
pub(crate) struct Report<'r> {
    pub(crate) agreed: &'r str,
    pub(crate) messages: usize,
    pub(crate) payload: usize,
    pub(crate) wire: &'r Wire,
    pub(crate) disconnect: &'r Disconnect,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { agreed, messages, payload, wire, disconnect } = self;
        let (read, written) = (wire.read.load(Ordering::Relaxed), wire.written.load(Ordering::Relaxed));
        write!(f, "{agreed} | {messages} | {payload} | {read} | {written} | ")?;
        match disconnect.is_clean() {
            true => f.write_str("clean"),
            false => disconnect.fmt(f),
        }
    }
}

/// What was agreed, with both windows, as it would stand in a header.
pub(crate) fn describe(agreed: Option<&Negotiated>) -> String {
    let Some(agreed) = agreed else { return "none".to_owned() };
    let mut header = agreed.extension.name().to_owned();
    for (on, name) in [
        (agreed.server_no_context_takeover, "; server_no_context_takeover"),
        (agreed.client_no_context_takeover, "; client_no_context_takeover"),
    ] {
        header.push_str(if on { name } else { "" });
    }
    let (server, client) = (agreed.server_max_window_bits, agreed.client_max_window_bits);
    header + &format!("; server_max_window_bits={server}; client_max_window_bits={client}")
}

/// The bytes of a stream, the handshake's included.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    read: AtomicUsize,
    written: AtomicUsize,
}

/// A stream whose bytes are counted.
#[derive(Debug)]
pub(crate) struct Counted<S> {
    stream: S,
    wire: Arc<Wire>,
}

impl<S> Counted<S> {
    pub(crate) fn new(stream: S, wire: Arc<Wire>) -> Self {
        Self { stream, wire }
    }

    fn wrote(&self, written: Result<usize>) -> Result<usize> {
        self.wire.written.fetch_add(*written.as_ref().unwrap_or(&0), Ordering::Relaxed);
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.wire.read.fetch_add(buffer.filled().len() - before, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        Poll::Ready(self.wrote(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices));
        Poll::Ready(self.wrote(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
