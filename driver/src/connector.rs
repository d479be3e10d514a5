//! Clients: from a URL to an open WebSocket.

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

use sansocket::{ClientRequest, Config, Response};

use crate::error::Error;
use crate::incoming::connect;
use crate::proxy::Proxy;
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
    proxy: Option<Proxy>,
    redirects: u8,
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
            proxy: None,
            redirects: 0,
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

    /// Goes through a proxy. By default to the server itself, whatever the environment says.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// How many redirections to follow, one after the other: none by default, as the request then goes to
    /// nobody whom the program did not name (RFC 6455 §4.1 leaves it to the client).
    ///
    /// Followed are 301, 302, 303, 307 and 308 as [`ClientRequest::redirected`] says: without credentials to
    /// another origin, and never from `wss` to `ws`. One that is not followed is [`Error::Rejected`], with
    /// the `Location`.
    pub fn redirects(mut self, most: u8) -> Self {
        self.redirects = most;
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
    /// WebSocket; [`Error::Disconnected`]; [`Error::Proxy`] if there is no way through the proxy.
    ///
    /// # Cancel safety
    /// Safe: the connection is given up.
    pub async fn connect(&self, request: &ClientRequest) -> Result<(Connected<R>, Response), Error> {
        within::<R, _>(self.timeout, self.follow(request)).await?
    }

    async fn follow(&self, mut request: &ClientRequest) -> Result<(Connected<R>, Response), Error> {
        let mut redirected;
        for _ in 0..self.redirects {
            let response = match self.open(request).await {
                Err(Error::Rejected(response)) => response,
                result => return result,
            };
            redirected = redirection(request, &response).ok_or(Error::Rejected(response))?;
            request = &redirected;
        }
        self.open(request).await
    }

    async fn open(&self, request: &ClientRequest) -> Result<(Connected<R>, Response), Error> {
        if request.is_secure() {
            self.tls.check()?;
        }
        let stream = match &self.proxy {
            Some(proxy) => proxy.connect::<R>(request).await?,
            None => R::connect(request.host(), request.port()).await?,
        };
        // A stream that is gone already shows itself when it is written.
        let _ = R::set_nodelay(&stream, self.nodelay);
        let stream = match request.is_secure() {
            true => self.tls.connect(stream, request.host()).await?,
            false => MaybeTls::Plain(stream),
        };
        connect(stream, R::timer(), &self.config, request, seed()?).await
    }
}

/// Where `response` leads, if that is somewhere to go.
fn redirection(request: &ClientRequest, response: &Response) -> Option<ClientRequest> {
    let redirects = matches!(response.status().get(), 301 | 302 | 303 | 307 | 308);
    request.redirected(response.header("Location").filter(|_| redirects)?).ok()
}

impl<R: Runtime> Default for Connector<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> Clone for Connector<R> {
    fn clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            proxy: self.proxy.clone(),
            tls: self.tls.clone(),
            runtime: PhantomData,
            ..*self
        }
    }
}

impl<R> fmt::Debug for Connector<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
