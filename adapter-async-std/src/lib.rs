//! WebSocket clients and servers on any `futures-io` stream: smol's, and async-std's.
//!
//! **async-std is no longer maintained**
//! ([RUSTSEC-2025-0052](https://rustsec.org/advisories/RUSTSEC-2025-0052)); its authors point to smol. New
//! programs should take [`smol`], which is the same surface with the feature of that name:
//!
//! ```toml
//! sansocket-async-std = { version = "0.1", default-features = false, features = ["smol", "deflate"] }
//! ```
//!
//! What is at the root here is async-std's, and what needs no runtime: functions on streams that are there, whoever made
//! them.
//!
//! ```no_run
//! # #[cfg(feature = "smol")]
//! # async fn example() -> Result<(), sansocket_async_std::Error> {
//! let mut socket = sansocket_async_std::smol::connect("ws://127.0.0.1:9001/").await?;
//! socket.send("Hello").await?;
//! while let Some(message) = socket.recv().await? {
//!     println!("{message:?}");
//! }
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

#[cfg(feature = "async-std")]
mod async_std;
#[cfg(feature = "smol")]
pub mod smol;
mod stream;

#[cfg(feature = "async-std")]
pub use crate::async_std::{AsyncStd, Connected, Connector, Server, ServerHandle, connect, serve};
pub use stream::{
    Incoming, Receiver, Sender, Serve, Stream, Timer, WebSocket, accept, connect_on, established, incoming,
    serve_connection,
};

pub use sansocket;
pub use sansocket::{
    Accept, ClientRequest, CloseCode, CloseFrame, Config, Data, Delivery, Disconnect, Kind, Message,
    Prepared, Request, Response, Status,
};
#[cfg(feature = "deflate")]
pub use sansocket::{Compression, deflate, extension};
pub use sansocket_driver::{
    Address, AddressError, Decision, Error, Handler, HandlerPanic, MaybeTls, Outcome, Reply, ReuniteError,
    Shutdown,
};
#[cfg(feature = "native-tls")]
pub use sansocket_driver::{NativeTlsStream, native_tls};
#[cfg(feature = "rustls")]
pub use sansocket_driver::{RustlsStream, rustls};
