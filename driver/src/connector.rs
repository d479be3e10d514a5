//! Clients: from a URL to an open WebSocket.

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

use sansocket::{ClientRequest, Config, Response};

use crate::error::Error;
use crate::incoming::connect;
use crate::runtime::{Runtime, within};
use crate::seed;
use crate::tls::{Initiator, MaybeTls};
use crate::websocket::WebSocket;

/// A WebSocket that a [`Connector`] opened.
pub type Connected<R> = WebSocket<MaybeTls<<R as Runtime>::Tcp>, <R as Runtime>::Timer>;

/// Opens WebSockets as a client: what goes for all of them. What one asks for is its [`ClientRequest`].
pub struct Connector<R> {
    config: Config,
    timeout: Option<Duration>,
    nodelay: bool,
    tls: Initiator,
    runtime: PhantomData<fn() -> R>,
}

impl<R: Runtime> Connector<R> {
    /// A connector with the defaults.
    pub fn new() -> Self {
        Self {
            config: Config::new(),
            timeout: Some(Duration::from_secs(30)),
            nodelay: true,
            tls: Initiator::default(),
            runtime: PhantomData,
        }
    }

    /// The settings of the connections.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// How long it may take until the WebSocket is open, everything in it: 30 s by default, which lets TCP try
    /// several addresses. `None` leaves it to the system, and to
    /// [`Config::handshake_timeout`](sansocket::Config::handshake_timeout) for the opening handshake alone.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whether to turn Nagle's algorithm off. On by default: messages are written whole, and holding them back for
    /// more would only delay them.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// How `wss://` does TLS: by rustls, with this configuration and its crypto provider. Of its ALPN protocols
    /// only `http/1.1` is offered.
    ///
    /// The default is rustls with the roots of the features `webpki-roots` and `rustls-native-certs`, with those
    /// of both if both are on. Without these features it is the platform's library, if `native-tls` is on; else
    /// `wss://` is an error. It is made when it is first needed, and kept: connections of one connector resume
    /// each other's TLS sessions.
    #[cfg(feature = "rustls")]
    pub fn rustls(mut self, config: std::sync::Arc<rustls::ClientConfig>) -> Self {
        self.tls = Initiator::rustls(config);
        self
    }

    /// How `wss://` does TLS: by the platform's library. That is the default if `native-tls` is on, and neither
    /// `webpki-roots` nor `rustls-native-certs` is.
    #[cfg(feature = "native-tls")]
    pub fn native_tls(mut self, connector: native_tls::TlsConnector) -> Self {
        self.tls = Initiator::native_tls(connector);
        self
    }

    /// Opens a WebSocket; also returns the server's response, for its headers.
    ///
    /// # Errors
    /// [`Error::Io`], with `TimedOut` if it took too long, with `Unsupported` for `wss://` where there is no TLS,
    /// or with what is wrong with the server's certificate; [`Error::Rejected`] with the server's answer if it is no
    /// WebSocket; [`Error::Disconnected`].
    ///
    /// # Cancel safety
    /// Safe: the connection is given up.
    pub async fn connect(&self, request: &ClientRequest) -> Result<(Connected<R>, Response), Error> {
        within::<R, _>(self.timeout, self.open(request)).await?
    }

    async fn open(&self, request: &ClientRequest) -> Result<(Connected<R>, Response), Error> {
        if request.is_secure() {
            self.tls.check()?;
        }
        let stream = R::connect(request.host(), request.port()).await?;
        R::set_nodelay(&stream, self.nodelay)?;
        let stream = match request.is_secure() {
            true => self.tls.connect(stream, request.host()).await?,
            false => MaybeTls::Plain(stream),
        };
        connect(stream, R::timer(), &self.config, request, seed()?).await
    }
}

impl<R: Runtime> Default for Connector<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> Clone for Connector<R> {
    fn clone(&self) -> Self {
        Self { config: self.config.clone(), tls: self.tls.clone(), runtime: PhantomData, ..*self }
    }
}

impl<R> fmt::Debug for Connector<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
