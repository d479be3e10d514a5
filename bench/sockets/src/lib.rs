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
pub mod process;
pub mod rounds;
pub mod scale;
pub mod servers;

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T> = std::result::Result<T, Error>;
