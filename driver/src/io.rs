//! What a runtime must bring.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{IoSlice, Result};

use sansocket::Instant;

/// A byte stream in both directions.
pub trait Io {
    /// Reads into the front of `buffer`; 0 at the stream's end.
    ///
    /// # Errors
    /// Those of the stream: reading is over.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize>>;

    /// Writes from the front of `slices`, of which there is at least one and none is empty.
    ///
    /// # Errors
    /// Those of the stream: writing is over.
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize>>;

    /// Makes sure that what was written leaves.
    ///
    /// # Errors
    /// Those of the stream: writing is over.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>>;

    /// Closes the writing direction, as TLS and TCP do.
    ///
    /// # Errors
    /// Those of the stream.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>>;
}

/// A clock and one alarm.
pub trait Timer {
    /// The time since an origin that stays the same for this timer.
    fn now(&self) -> Instant;

    /// Ready once it is `at`; else wakes the task then. The last call counts.
    fn poll_at(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()>;
}
