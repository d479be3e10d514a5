//! The driver as it is, file by file, with the locks of [`shuttle`] in place of the standard library's. Those hand over
//! to another task whenever one takes or gives up a lock, by a schedule that can be told again; so the models in
//! `tests/models/` see thousands of the orders in which things may happen.
//!
//! The one file that is another is `sync.rs`. A lock that the driver takes from elsewhere is not seen, which is why a
//! model looks for such.

#[path = "../../src/address.rs"]
mod address;
#[path = "../../src/connector.rs"]
mod connector;
#[path = "../../src/error.rs"]
mod error;
#[path = "../../src/guard.rs"]
mod guard;
#[path = "../../src/handler.rs"]
mod handler;
#[path = "../../src/incoming.rs"]
mod incoming;
#[path = "../../src/io.rs"]
mod io;
#[path = "../../src/members.rs"]
mod members;
#[path = "../../src/pool.rs"]
mod pool;
#[path = "../../src/proxy/mod.rs"]
mod proxy;
#[path = "../../src/reconnect.rs"]
mod reconnect;
#[path = "../../src/runtime.rs"]
mod runtime;
#[path = "../../src/serve.rs"]
mod serve;
#[path = "../../src/server.rs"]
mod server;
#[path = "../../src/socket.rs"]
mod socket;
#[path = "../../src/split.rs"]
mod split;
#[path = "../../src/stream_sink.rs"]
mod stream_sink;
#[path = "../../src/tls/mod.rs"]
mod tls;
#[path = "../../src/trace.rs"]
mod trace;
#[path = "../../src/unread.rs"]
mod unread;
#[path = "../../src/wakers.rs"]
mod wakers;
#[path = "../../src/websocket.rs"]
mod websocket;

/// As `driver/src/sync.rs`.
mod sync {
    pub(crate) use shuttle::sync::atomic::AtomicU8;
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};
}

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
pub use websocket::WebSocket;

use sansocket::Seed;

/// As the driver's.
///
/// # Errors
/// The operating system gives no randomness.
pub fn seed() -> std::io::Result<Seed> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Seed::new(bytes))
}
