//! Streams with TLS or without.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};

use crate::io::Io;

/// A stream that may have TLS around it.
#[derive(Debug)]
#[non_exhaustive]
pub enum MaybeTls<I> {
    /// None.
    Plain(I),
}

/// How a server answers TLS handshakes: not at all, unless it is told.
#[derive(Clone, Default)]
pub(crate) struct Acceptor;

impl Acceptor {
    pub(crate) fn is_plain(&self) -> bool {
        true
    }

    pub(crate) async fn accept<I: Io + Unpin>(self, stream: I) -> io::Result<MaybeTls<I>> {
        Ok(MaybeTls::Plain(stream))
    }
}

/// How a client begins TLS.
#[derive(Clone, Default)]
pub(crate) struct Initiator;

impl Initiator {
    /// Whether there is TLS at all.
    pub(crate) fn check(&self) -> io::Result<()> {
        let what =
            "wss:// needs TLS: switch on a feature for it, or bring a stream of your own to `connect_on`";
        Err(io::Error::new(io::ErrorKind::Unsupported, what))
    }

    pub(crate) async fn connect<I: Io + Unpin>(&self, _: I, _: &str) -> io::Result<MaybeTls<I>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl<I: Io + Unpin> Io for MaybeTls<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, slices),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
