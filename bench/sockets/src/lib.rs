//! Servers and clients on real sockets, and what measures them.

pub mod calls;
pub mod cells;
pub mod clients;
pub mod handshakes;
#[cfg(feature = "hostile")]
pub mod hostile;
pub mod instructions;
pub mod load;
pub mod message;
pub mod rounds;
pub mod scale;
pub mod servers;

pub use sansocket_bench::{Error, Result, process};
