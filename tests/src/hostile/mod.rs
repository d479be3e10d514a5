//! What hostile peers send, and what must come of it: each table is there once, for all surfaces.

pub mod frames;
pub mod handshakes;
pub mod responses;
#[cfg(all(feature = "runtimes", not(miri)))]
pub mod witness;
