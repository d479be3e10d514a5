//! TLS by rustls, whose connection has no IO of its own.

use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::sync::Arc;

use ::rustls::pki_types::ServerName;
use ::rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use super::blocking::{Blocking, polled};
use crate::io::Io;

/// A stream in TLS by rustls, after its handshake.
#[derive(Debug)]
pub struct RustlsStream<I> {
    io: Blocking<I>,
    connection: Connection,
}

impl<I> RustlsStream<I> {
    pub(super) fn io(&self) -> &I {
        self.io.io()
    }

    /// What was agreed on, and who the peer is.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl<I: Io + Unpin> RustlsStream<I> {
    pub(super) async fn connect(io: I, config: &Arc<ClientConfig>, host: &str) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        // By default rustls offers no protocol (RFC 7301). A configuration that other clients use too may
        // offer `h2`, which is not what we speak.
        let alpn = config.alpn_protocols.iter().filter(|id| *id == b"http/1.1").cloned().collect();
        let connection = ClientConnection::new_with_alpn(Arc::clone(config), name, alpn)
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        Self::handshake(io, connection.into()).await
    }

    pub(super) async fn accept(io: I, config: Arc<ServerConfig>) -> io::Result<Self> {
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        Self::handshake(io, connection.into()).await
    }

    async fn handshake(io: I, connection: Connection) -> io::Result<Self> {
        let mut this = Self { io: Blocking::new(io, Waker::noop().clone()), connection };
        loop {
            poll_fn(|cx| this.poll_flush(cx)).await?;
            if !this.connection.is_handshaking() {
                return Ok(this);
            }
            if poll_fn(|cx| polled(this.connection.read_tls(this.io.on(cx)))).await? == 0 {
                let what = "the stream ended within the TLS handshake";
                return Err(io::Error::new(ErrorKind::UnexpectedEof, what));
            }
            if let Err(error) = this.process() {
                // The alert that tells the peer.
                let _ = poll_fn(|cx| this.poll_flush(cx)).await;
                return Err(error);
            }
        }
    }

    /// An error stays.
    fn process(&mut self) -> io::Result<()> {
        match self.connection.process_new_packets() {
            Ok(_) => Ok(()),
            Err(error) => Err(io::Error::new(ErrorKind::InvalidData, error)),
        }
    }

    /// Gives the stream the records that there are.
    fn poll_transmit(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        while self.connection.wants_write() {
            if ready!(polled(self.connection.write_tls(self.io.on(cx))))? == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_transmit(cx))?;
        polled(self.io.on(cx).flush())
    }
}

impl<I: Io + Unpin> Io for RustlsStream<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.io.on(cx);
        // Until the stream, or other tasks, are to be waited for.
        loop {
            let processed = this.process();
            // What came before a faulty record is good. 0 behind `close_notify`, an error at an end without.
            if let Poll::Ready(read) = polled(this.connection.reader().read(buffer)) {
                return Poll::Ready(read);
            }
            processed?;
            ready!(polled(this.connection.read_tls(&mut this.io)))?;
        }
    }

    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // One batch of records at a time, so that no more is taken than the stream keeps up with.
        ready!(self.poll_transmit(cx))?;
        let n = self.connection.writer().write_vectored(slices)?;
        match self.poll_transmit(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(n)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_flush(&mut self, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Does nothing the second time.
        self.connection.send_close_notify();
        ready!(Self::poll_flush(&mut self, cx))?;
        polled(self.io.on(cx).shutdown())
    }
}

/// Trusts the roots of the features that are on.
#[cfg(any(feature = "webpki-roots", feature = "rustls-native-certs"))]
pub(super) fn default_config() -> io::Result<Arc<ClientConfig>> {
    let mut roots = ::rustls::RootCertStore::empty();
    #[cfg(feature = "webpki-roots")]
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    #[cfg(feature = "rustls-native-certs")]
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(io::Error::new(ErrorKind::Unsupported, "the platform has no root certificates"));
    }
    // Not the process's default: that is for the application to choose.
    let provider = Arc::new(::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
