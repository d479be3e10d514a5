//! Accepting and serving.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::ErrorKind;

use sansocket::{Accept, Config};
use sansocket_driver::{Error, Handler};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use crate::stream::{Stream, Timer};
use crate::{Incoming, Serve, WebSocket};

/// Opens a WebSocket on a stream that a client has connected, with the default configuration.
///
/// # Errors
/// [`Error::Disconnected`] if the request was refused, or the client went away; [`Error::Io`].
///
/// # Cancel safety
/// Not safe: the stream is lost if this is dropped.
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Result<WebSocket<S>, Error> {
    incoming(stream, &Config::new()).await?.accept(Accept::new()).await
}

/// Reads the request on a stream that a client has connected, to be accepted or rejected.
///
/// # Errors
/// As [`accept`].
///
/// # Cancel safety
/// Not safe: the stream is lost if this is dropped.
pub async fn incoming<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: &Config,
) -> Result<Incoming<S>, Error> {
    Incoming::read(Stream(stream), Timer::new(), config).await
}

/// Serves one connection with a handler: the future for its task.
pub fn serve_connection<S, H>(stream: S, config: Config, handler: H) -> Serve<S, H>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler + Send + 'static,
{
    Serve::new(Stream(stream), Timer::new(), config, handler)
}

/// Serves every connection that `listener` accepts with a handler that `make` makes, each in a task of its
/// own.
///
/// # Errors
/// The listener fails. Running out of file descriptors and the like does not end it.
///
/// # Cancel safety
/// Safe: no further connections are accepted, those that there are go on.
pub async fn serve<H>(
    listener: TcpListener,
    config: Config,
    mut make: impl FnMut(SocketAddr) -> H,
) -> std::io::Result<()>
where
    H: Handler + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Output is written in batches; holding them back for more would only delay them. A stream
                // that is gone already shows itself when it is read.
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve_connection(stream, config.clone(), make(peer)));
            }
            // The client was gone before we came to it.
            Err(error) if is_clients_own(error.kind()) => {}
            // No descriptors, no memory: closing connections will bring some.
            Err(error) if error.raw_os_error().is_some() && error.kind() != ErrorKind::InvalidInput => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_clients_own(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}
