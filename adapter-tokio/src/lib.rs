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

mod client;
mod server;
mod stream;

pub use client::{connect, connect_on};
pub use server::{accept, incoming, serve, serve_connection};
pub use stream::{Stream, Timer};

pub use sansocket;
pub use sansocket::{
    Accept, ClientRequest, CloseCode, CloseFrame, Config, Disconnect, Message, Prepared, Request, Response,
    Status,
};
#[cfg(feature = "deflate")]
pub use sansocket::{Compression, deflate, extension};
pub use sansocket_driver::{Address, AddressError, Decision, Error, Handler, Outcome, Reply};

/// An open WebSocket on a tokio stream `S`: [`recv`](sansocket_driver::WebSocket::recv),
/// [`send`](sansocket_driver::WebSocket::send), `Stream` and `Sink`.
pub type WebSocket<S> = sansocket_driver::WebSocket<Stream<S>, Timer>;

/// A request on a tokio stream `S` that waits for its answer.
pub type Incoming<S> = sansocket_driver::Incoming<Stream<S>, Timer>;

/// The future of one connection's task: a handler `H` on a tokio stream `S`.
pub type Serve<S, H> = sansocket_driver::Serve<Stream<S>, Timer, H>;

/// The README's programs are compiled, and those without IO are run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
