//! What the adapters of [`sansocket`] share: the loop between a byte stream and a
//! [`Connection`](sansocket::Connection), and the two surfaces on it, [`WebSocket`] and [`Handler`]. It knows
//! no runtime: an adapter implements [`Io`] for its streams and [`Timer`] for its clock, and names the
//! result. Applications use an adapter.

#![forbid(unsafe_code)]

mod address;
mod connector;
mod error;
mod guard;
mod handler;
mod incoming;
mod io;
mod members;
mod pool;
mod proxy;
mod reconnect;
mod runtime;
mod serve;
mod server;
mod socket;
mod split;
mod stream_sink;
mod surface;
mod sync;
mod tls;
mod trace;
mod unread;
mod wakers;
mod websocket;

pub use address::{Address, AddressError};
pub use connector::{Connected, Connector};
pub use error::Error;
pub use guard::HandlerPanic;
pub use handler::{Decision, Handler, Outcome, Reply};
pub use incoming::{Incoming, connect};
pub use io::{Io, Timer};
pub use proxy::{InvalidProxy, Proxy, ProxyError};
pub use reconnect::{Backoff, Reconnect};
pub use runtime::Runtime;
pub use serve::Serve;
pub use server::{Server, ServerHandle, Shutdown};
pub use split::{Receiver, ReuniteError, Sender};
pub use tls::MaybeTls;
#[cfg(feature = "native-tls")]
pub use tls::NativeTlsStream;
#[cfg(feature = "rustls")]
pub use tls::RustlsStream;
pub use websocket::WebSocket;

#[cfg(feature = "native-tls")]
pub use native_tls;
#[cfg(feature = "rustls")]
pub use rustls;
pub use sansocket;
use sansocket::Seed;

/// A seed for a client's masking keys, from the operating system.
///
/// # Errors
/// The operating system gives no randomness.
pub fn seed() -> std::io::Result<Seed> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Seed::new(bytes))
}
