//! WebSocket clients and servers on tokio.
//!
//! ```no_run
//! # async fn example() -> Result<(), sansocket_tokio::Error> {
//! let mut socket = sansocket_tokio::connect("ws://127.0.0.1:9001/").await?;
//! socket.send("Hello").await?;
//! while let Some(message) = socket.recv().await? {
//!     println!("{message:?}");
//! }
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod runtime;
mod stream;

pub use runtime::{Connected, Connector, Reconnect, Server, ServerHandle, Tokio, connect, serve};
pub use stream::{
    Incoming, Receiver, Sender, Serve, Stream, Timer, WebSocket, accept, connect_on, established, incoming,
    serve_connection,
};

pub use sansocket;
pub use sansocket::{
    Accept, ClientRequest, CloseCode, CloseFrame, Config, Data, Delivery, Disconnect, Keepalive, Kind,
    Message, Origins, Prepared, Request, Response, Status,
};
#[cfg(feature = "deflate")]
pub use sansocket::{Compression, deflate, extension};
pub use sansocket_driver::{
    Address, AddressError, Backoff, Decision, Error, Handler, HandlerPanic, InvalidProxy, MaybeTls, Outcome,
    Proxy, ProxyError, Reply, ReuniteError, Shutdown,
};
#[cfg(feature = "native-tls")]
pub use sansocket_driver::{NativeTlsStream, native_tls};
#[cfg(feature = "rustls")]
pub use sansocket_driver::{RustlsStream, rustls};

/// The README's programs are compiled, and those without IO are run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
