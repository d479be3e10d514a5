//! What hostile peers send, and what must come of it: each table is there once, for all surfaces.

pub mod frames;
pub mod handshakes;
pub mod responses;
pub mod streams;
#[cfg(all(feature = "runtimes", not(miri)))]
pub mod witness;

use core::fmt;

/// Names a surface and a row, if what follows panics; what hangs does so too.
#[derive(Debug)]
#[must_use = "it is for as long as it lives"]
pub struct During(String);

impl During {
    pub fn new(surface: &str, row: impl fmt::Display) -> Self {
        Self(format!("{surface}: {row}"))
    }
}

impl Drop for During {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("*** {}", self.0);
        }
    }
}
