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
            tls: Initiator,
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

    /// Opens a WebSocket; also returns the server's response, for its headers.
    ///
    /// # Errors
    /// [`Error::Io`], with `TimedOut` if it took too long; [`Error::Rejected`] with the server's answer if it is no
    /// WebSocket; [`Error::Disconnected`]; [`Error::Proxy`] if there is no way through the proxy.
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
        let stream = match &self.proxy {
            Some(proxy) => proxy.connect::<R>(request).await?,
            None => R::connect(request.host(), request.port()).await?,
        };
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
