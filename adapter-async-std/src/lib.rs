#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(feature = "async-std")]
mod async_std;
#[cfg(feature = "smol")]
pub mod smol;
mod stream;

#[cfg(feature = "async-std")]
pub use crate::async_std::{AsyncStd, Connected, Connector, Reconnect, Server, ServerHandle, connect, serve};
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
