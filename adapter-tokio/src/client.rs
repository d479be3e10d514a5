//! Connecting.

use sansocket::{ClientRequest, Config, Response};
use sansocket_driver::{Error, seed};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::WebSocket;
use crate::stream::{Stream, Timer};

/// Connects to a `ws://` URL with the default configuration.
///
/// The handshake timeout (10 s) begins when TCP is connected; how long that takes is the system's affair.
///
/// # Errors
/// [`Error::Url`], [`Error::Io`], [`Error::Rejected`] with the server's answer if it is no WebSocket,
/// [`Error::Disconnected`]. `wss://` needs TLS: bring a stream of your own to [`connect_on`].
///
/// # Cancel safety
/// Safe: the connection is given up.
pub async fn connect(url: &str) -> Result<WebSocket<TcpStream>, Error> {
    let request = ClientRequest::new(url)?;
    if request.is_secure() {
        return Err(Error::Io(std::io::Error::new(
            std::io::ErrorKind::Unsupported,
            "wss:// needs a TLS stream: make one and use `connect_on`",
        )));
    }
    let stream = TcpStream::connect((request.host(), request.port())).await?;
    // Messages are written whole; holding them back for more would only delay them.
    stream.set_nodelay(true)?;
    let (socket, _) = connect_on(stream, &request, &Config::new()).await?;
    Ok(socket)
}

/// Opens a WebSocket on a stream that is connected to the server; also returns its response, for the headers.
///
/// # Errors
/// As [`connect`].
///
/// # Cancel safety
/// Not safe: the stream is lost if this is dropped.
pub async fn connect_on<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    request: &ClientRequest,
    config: &Config,
) -> Result<(WebSocket<S>, Response), Error> {
    sansocket_driver::connect(Stream(stream), Timer::new(), config, request, seed()?).await
}
