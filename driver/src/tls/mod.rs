//! TLS around the streams of any runtime: by rustls, or by the platform's library.

#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod blocking;
#[cfg(feature = "native-tls")]
mod native;
#[cfg(feature = "rustls")]
mod rustls;

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};
#[cfg(feature = "rustls")]
use std::sync::Arc;
use std::sync::OnceLock;

#[cfg(feature = "native-tls")]
pub use native::NativeTlsStream;
#[cfg(feature = "rustls")]
pub use rustls::RustlsStream;

use crate::handler::Handler;
use crate::io::Io;

/// A stream that may have TLS around it.
#[derive(Debug)]
#[non_exhaustive]
pub enum MaybeTls<I> {
    /// None.
    Plain(I),
    /// That of rustls.
    #[cfg(feature = "rustls")]
    Rustls(Box<RustlsStream<I>>),
    /// That of the platform.
    #[cfg(feature = "native-tls")]
    NativeTls(Box<NativeTlsStream<I>>),
}

impl<I: Io + Unpin> MaybeTls<I> {
    /// The stream below, to look at.
    pub fn io(&self) -> &I {
        match self {
            Self::Plain(stream) => stream,
            #[cfg(feature = "rustls")]
            Self::Rustls(stream) => stream.io(),
            #[cfg(feature = "native-tls")]
            Self::NativeTls(stream) => stream.io(),
        }
    }

    /// Tells a handler who the peer is, if TLS does.
    pub(crate) fn tell(&self, handler: &mut impl Handler) {
        let _ = &handler;
        #[cfg(feature = "rustls")]
        if let Self::Rustls(stream) = self {
            handler.secured(stream.connection());
        }
    }

    fn stream(&mut self) -> Pin<&mut (dyn Io + Unpin + '_)> {
        Pin::new(match self {
            Self::Plain(stream) => stream,
            #[cfg(feature = "rustls")]
            Self::Rustls(stream) => &mut **stream,
            #[cfg(feature = "native-tls")]
            Self::NativeTls(stream) => &mut **stream,
        })
    }
}

impl<I: Io + Unpin> Io for MaybeTls<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_read(cx, buffer)
    }

    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

/// How a server answers TLS handshakes: not at all, unless it is told.
#[derive(Clone, Default)]
pub(crate) enum Acceptor {
    #[default]
    Plain,
    #[cfg(feature = "rustls")]
    Rustls(Arc<::rustls::ServerConfig>),
    #[cfg(feature = "native-tls")]
    NativeTls(native_tls::TlsAcceptor),
}

impl Acceptor {
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    pub(crate) async fn accept<I: Io + Unpin>(self, stream: I) -> io::Result<MaybeTls<I>> {
        Ok(match self {
            Self::Plain => MaybeTls::Plain(stream),
            #[cfg(feature = "rustls")]
            Self::Rustls(config) => MaybeTls::Rustls(Box::new(RustlsStream::accept(stream, config).await?)),
            #[cfg(feature = "native-tls")]
            Self::NativeTls(acceptor) => {
                MaybeTls::NativeTls(Box::new(NativeTlsStream::accept(stream, &acceptor).await?))
            }
        })
    }
}

/// How a client begins TLS: as it is told, else by the default of the features, made when it is first needed.
#[derive(Clone, Default)]
pub(crate) struct Initiator(OnceLock<Choice>);

#[derive(Clone)]
enum Choice {
    #[cfg(feature = "rustls")]
    Rustls(Arc<::rustls::ClientConfig>),
    #[cfg(feature = "native-tls")]
    NativeTls(native_tls::TlsConnector),
}

impl Initiator {
    #[cfg(feature = "rustls")]
    pub(crate) fn rustls(config: Arc<::rustls::ClientConfig>) -> Self {
        Self(Choice::Rustls(config).into())
    }

    #[cfg(feature = "native-tls")]
    pub(crate) fn native_tls(connector: native_tls::TlsConnector) -> Self {
        Self(Choice::NativeTls(connector).into())
    }

    /// Whether there is TLS at all.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.choice().map(drop)
    }

    #[cfg_attr(not(any(feature = "rustls", feature = "native-tls")), expect(unused_variables))]
    pub(crate) async fn connect<I: Io + Unpin>(&self, stream: I, host: &str) -> io::Result<MaybeTls<I>> {
        match *self.choice()? {
            #[cfg(feature = "rustls")]
            Choice::Rustls(ref config) => {
                Ok(MaybeTls::Rustls(Box::new(RustlsStream::connect(stream, config, host).await?)))
            }
            #[cfg(feature = "native-tls")]
            Choice::NativeTls(ref connector) => {
                Ok(MaybeTls::NativeTls(Box::new(NativeTlsStream::connect(stream, connector, host).await?)))
            }
        }
    }

    fn choice(&self) -> io::Result<&Choice> {
        match self.0.get() {
            Some(choice) => Ok(choice),
            None => {
                let default = default()?;
                Ok(self.0.get_or_init(|| default))
            }
        }
    }
}

#[cfg(any(feature = "webpki-roots", feature = "rustls-native-certs"))]
fn default() -> io::Result<Choice> {
    rustls::default_config().map(Choice::Rustls)
}

#[cfg(all(feature = "native-tls", not(any(feature = "webpki-roots", feature = "rustls-native-certs"))))]
fn default() -> io::Result<Choice> {
    native_tls::TlsConnector::new().map(Choice::NativeTls).map_err(io::Error::other)
}

#[cfg(not(any(feature = "native-tls", feature = "webpki-roots", feature = "rustls-native-certs")))]
fn default() -> io::Result<Choice> {
    let what = match cfg!(feature = "rustls") {
        true => "wss:// needs roots to trust: switch on a feature for them, or use `Connector::rustls`",
        false => {
            "wss:// needs TLS: switch on a feature for it, or bring a stream of your own to `connect_on`"
        }
    };
    Err(io::Error::new(io::ErrorKind::Unsupported, what))
}
