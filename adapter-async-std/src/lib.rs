//! WebSocket clients and servers on any `futures-io` stream: async-std's, and smol's.
//!
//! **async-std is no longer maintained**
//! ([RUSTSEC-2025-0052](https://rustsec.org/advisories/RUSTSEC-2025-0052)); its authors point to smol. This
//! crate works on smol's streams and executors too: what it takes of async-std is the timer, which runs on
//! the reactor that both share. New programs should take smol.
//!
//! This is the first cut: it opens WebSockets on streams that are there. Listening and connecting come with a
//! later version.

#![forbid(unsafe_code)]

mod stream;

pub use stream::{Stream, Timer};

use futures_io::{AsyncRead, AsyncWrite};

pub use sansocket;
pub use sansocket::{
    Accept, ClientRequest, CloseCode, CloseFrame, Config, Disconnect, Message, Prepared, Request, Response,
    Status,
};
#[cfg(feature = "deflate")]
pub use sansocket::{Compression, deflate, extension};
pub use sansocket_driver::{Address, AddressError, Decision, Error, Handler, Outcome, Reply};

/// An open WebSocket on a `futures-io` stream `S`: [`recv`](sansocket_driver::WebSocket::recv),
/// [`send`](sansocket_driver::WebSocket::send), `Stream` and `Sink`.
pub type WebSocket<S> = sansocket_driver::WebSocket<Stream<S>, Timer>;

/// A request on a `futures-io` stream `S` that waits for its answer.
pub type Incoming<S> = sansocket_driver::Incoming<Stream<S>, Timer>;

/// The future of one connection's task: a handler `H` on a `futures-io` stream `S`.
pub type Serve<S, H> = sansocket_driver::Serve<Stream<S>, Timer, H>;

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

/// Opens a WebSocket as a client, on a stream that is connected to the server; also returns its response, for
/// the headers.
///
/// # Errors
/// [`Error::Rejected`] with the server's answer if it is no WebSocket; [`Error::Disconnected`];
/// [`Error::Io`].
///
/// # Cancel safety
/// Not safe: the stream is lost if this is dropped.
pub async fn connect_on<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    request: &ClientRequest,
    config: &Config,
) -> Result<(WebSocket<S>, Response), Error> {
    sansocket_driver::connect(Stream(stream), Timer::new(), config, request, sansocket_driver::seed()?).await
}
