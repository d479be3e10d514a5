//! TLS by the platform's library: SChannel, Secure Transport, OpenSSL.

use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice, Read as _, Write as _};

use native_tls::{Certificate, HandshakeError, TlsAcceptor, TlsConnector, TlsStream};

use super::blocking::{Blocking, polled};
use crate::io::Io;

/// A stream in TLS by the platform's library, after its handshake.
pub struct NativeTlsStream<I> {
    tls: TlsStream<Blocking<I>>,
    /// `close_notify` is out.
    shut: bool,
}

impl<I: Io + Unpin> NativeTlsStream<I> {
    pub(super) fn io(&self) -> &I {
        self.tls.get_ref().io()
    }

    /// The peer's certificate, if it has shown one.
    ///
    /// # Errors
    /// Those of the platform.
    pub fn peer_certificate(&self) -> native_tls::Result<Option<Certificate>> {
        self.tls.peer_certificate()
    }

    // By default native-tls offers no protocol (RFC 7301).
    pub(super) async fn connect(io: I, connector: &TlsConnector, host: &str) -> io::Result<Self> {
        Self::handshake(io, |stream| connector.connect(host, stream)).await
    }

    pub(super) async fn accept(io: I, acceptor: &TlsAcceptor) -> io::Result<Self> {
        Self::handshake(io, |stream| acceptor.accept(stream)).await
    }

    async fn handshake(
        io: I,
        begin: impl FnOnce(Blocking<I>) -> Result<TlsStream<Blocking<I>>, HandshakeError<Blocking<I>>>,
    ) -> io::Result<Self> {
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let mut step = begin(Blocking::new(io, waker));
        loop {
            match step {
                Ok(tls) => return Ok(Self { tls, shut: false }),
                Err(HandshakeError::Failure(error)) => return Err(failure(error)),
                Err(HandshakeError::WouldBlock(mut tls)) => {
                    // Until the stream has woken the task.
                    let mut first = true;
                    poll_fn(|cx| {
                        tls.get_mut().on(cx);
                        if core::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }
                    })
                    .await;
                    step = tls.handshake();
                }
            }
        }
    }

    fn poll<T>(
        &mut self,
        cx: &Context<'_>,
        call: impl FnOnce(&mut TlsStream<Blocking<I>>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        self.tls.get_mut().on(cx);
        polled(call(&mut self.tls))
    }
}

impl<I: Io + Unpin> Io for NativeTlsStream<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(cx, |tls| tls.read(buffer))
    }

    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // After a write that had to wait, the same bytes must come again, for they are encrypted already.
        // They do, with more behind them perhaps: what the outbox has shown stays, and what a handler would have
        // had written at once is queued behind that.
        self.poll(cx, |tls| tls.write_vectored(slices))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll(cx, TlsStream::flush))?;
        self.poll(cx, |tls| tls.get_mut().flush())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A second `shutdown` would wait for the peer's.
        if !self.shut {
            ready!(self.poll(cx, TlsStream::shutdown))?;
            self.shut = true;
        }
        ready!(self.as_mut().poll_flush(cx))?;
        self.poll(cx, |tls| tls.get_mut().shutdown())
    }
}

impl<I> fmt::Debug for NativeTlsStream<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeTlsStream").field("shut", &self.shut).finish_non_exhaustive()
    }
}

/// A failure of the stream below keeps its kind; what else there is, trying again would not help.
fn failure(error: native_tls::Error) -> io::Error {
    let mut source: Option<&(dyn core::error::Error + 'static)> = Some(&error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return io::Error::new(error.kind(), error.to_string());
        }
        source = error.source();
    }
    io::Error::new(io::ErrorKind::InvalidData, error)
}
