//! What the adapters of [`sansocket`] share: the loop between a byte stream and a
//! [`Connection`](sansocket::Connection), and the two surfaces on it, [`WebSocket`] and [`Handler`]. It knows
//! no runtime: an adapter implements [`Io`] for its streams and [`Timer`] for its clock, and names the
//! result. Applications use an adapter.

#![forbid(unsafe_code)]

mod address;
mod error;
mod handler;
mod incoming;
mod io;
mod pool;
mod serve;
mod socket;
mod wakers;
mod websocket;

pub use address::{Address, AddressError};
pub use error::Error;
pub use handler::{Decision, Handler, Outcome, Reply};
pub use incoming::{Incoming, connect};
pub use io::{Io, Timer};
pub use serve::Serve;
pub use websocket::WebSocket;

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
