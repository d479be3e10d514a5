//! What adapters look like: their names for the driver's types, and functions for what is asked for most. Written
//! once, so that all adapters have the same.

/// An adapter's names for what is on byte streams. `Stream` and `Timer` are its own.
#[doc(hidden)]
#[macro_export]
macro_rules! streams {
    ($runtime:literal, $($bounds:tt)+) => {
        #[doc = concat!("An open WebSocket on a ", $runtime, " stream `S`.")]
        pub type WebSocket<S> = $crate::WebSocket<Stream<S>, Timer>;

        #[doc = concat!("The sending half of a WebSocket on a ", $runtime, " stream `S`.")]
        pub type Sender<S> = $crate::Sender<Stream<S>, Timer>;

        #[doc = concat!("The receiving half of a WebSocket on a ", $runtime, " stream `S`.")]
        pub type Receiver<S> = $crate::Receiver<Stream<S>, Timer>;

        #[doc = concat!("A request on a ", $runtime, " stream `S` that waits for its answer.")]
        pub type Incoming<S> = $crate::Incoming<Stream<S>, Timer>;

        #[doc = concat!("The future of one connection's task: a handler `H` on a ", $runtime, " stream `S`.")]
        pub type Serve<S, H> = $crate::Serve<Stream<S>, Timer, H>;

        /// Opens a WebSocket on a stream that a client has connected, with the default configuration.
        ///
        /// # Errors
        /// [`Error::Disconnected`] if the request was refused, or the client went away; [`Error::Io`].
        ///
        /// # Cancel safety
        /// Not safe: the stream is lost if this is dropped.
        pub async fn accept<S: $($bounds)+ + Unpin>(stream: S) -> core::result::Result<WebSocket<S>, Error> {
            // Boxed, as it is large and soon over: the task that goes on with the connection would keep its room.
            Box::pin(async { incoming(stream, &Config::new()).await?.accept(Accept::new()).await }).await
        }

        /// Reads the request on a stream that a client has connected, to be accepted or rejected.
        ///
        /// # Errors
        /// As [`accept`].
        ///
        /// # Cancel safety
        /// Not safe: the stream is lost if this is dropped.
        pub async fn incoming<S: $($bounds)+ + Unpin>(
            stream: S,
            config: &Config,
        ) -> core::result::Result<Incoming<S>, Error> {
            Incoming::read(Stream(stream), Timer::new(), config).await
        }

        /// Serves one connection with a handler: the future for its task.
        pub fn serve_connection<S, H>(stream: S, config: Config, handler: H) -> Serve<S, H>
        where
            S: $($bounds)+ + Unpin + Send + 'static,
            H: Handler + Send + 'static,
        {
            Serve::new(Stream(stream), Timer::new(), config, handler)
        }

        /// Opens a WebSocket as a client, on a stream that is connected to the server; also returns its
        /// response, for the headers.
        ///
        /// # Errors
        /// [`Error::Rejected`] with the server's answer if it is no WebSocket; [`Error::Disconnected`];
        /// [`Error::Io`].
        ///
        /// # Cancel safety
        /// Not safe: the stream is lost if this is dropped.
        pub async fn connect_on<S: $($bounds)+ + Unpin>(
            stream: S,
            request: &ClientRequest,
            config: &Config,
        ) -> core::result::Result<(WebSocket<S>, Response), Error> {
            $crate::connect(Stream(stream), Timer::new(), config, request, $crate::seed()?).await
        }

        /// The WebSocket of a connection whose opening handshake was done elsewhere, as by an HTTP library that
        /// gives up its stream ([`Connection::established`]). `unread` is what that has read beyond the handshake.
        pub fn established<S: $($bounds)+ + Unpin>(
            stream: S,
            endpoint: $crate::sansocket::Endpoint,
            config: &Config,
            agreed: $crate::sansocket::Agreed,
            unread: &[u8],
        ) -> WebSocket<S> {
            WebSocket::established(Stream(stream), Timer::new(), endpoint, config, agreed, unread)
        }
    };
}

/// An adapter's names for what needs a runtime.
#[doc(hidden)]
#[macro_export]
macro_rules! runtime {
    ($runtime:ident, $name:literal, $listener:ty) => {
        #[doc = concat!("Opens WebSockets as a client on ", $name, ": URLs, TLS, proxies.")]
        pub type Connector = $crate::Connector<$runtime>;

        /// A WebSocket that [`connect`] or a [`Connector`] opened.
        pub type Connected = $crate::Connected<$runtime>;

        #[doc = concat!("A client on ", $name, " that connects again.")]
        pub type Reconnect = $crate::Reconnect<$runtime>;

        #[doc = concat!("A server on ", $name, ": limits, TLS, an end in order.")]
        pub type Server = $crate::Server<$runtime>;

        /// Looks after a [`Server`] while it runs.
        pub type ServerHandle = $crate::ServerHandle<$runtime>;

        /// Connects to a `ws://` or `wss://` URL with the defaults of [`Connector`]. `wss://` needs one of the
        /// features `webpki-roots`, `rustls-native-certs` and `native-tls`, preferred in this order.
        ///
        /// # Errors
        /// [`Error::Url`], [`Error::Io`], [`Error::Rejected`] with the server's answer if it is no WebSocket,
        /// [`Error::Disconnected`].
        ///
        /// # Cancel safety
        /// Safe: the connection is given up.
        pub async fn connect(url: &str) -> core::result::Result<Connected, Error> {
            let (socket, _) = Connector::new().connect(&ClientRequest::new(url)?).await?;
            Ok(socket)
        }

        /// Serves every connection that `listener` accepts with a handler that `make` makes, each in a task of
        /// its own. [`Server`] can do more.
        ///
        /// # Errors
        /// The listener fails. Errors of the system, such as for want of file descriptors, do not end it.
        ///
        /// # Cancel safety
        /// Safe: no further connections are accepted, those that there are go on.
        pub async fn serve<H>(
            listener: $listener,
            config: Config,
            make: impl FnMut(core::net::SocketAddr) -> H,
        ) -> std::io::Result<()>
        where
            H: Handler + Send + 'static,
        {
            Server::new(config).serve(listener, make).await
        }
    };
}
