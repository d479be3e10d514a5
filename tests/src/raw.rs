//! A stream without a library on it: a peer that reads and writes what a test says.

use core::future::poll_fn;
use core::pin::Pin;
use std::io::{IoSlice, Result};

use sansocket_driver::Io;

/// A stream that a test reads and writes by hand.
#[derive(Debug)]
pub struct Raw<I>(pub I);

impl<I: Io + Unpin> Raw<I> {
    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let n = poll_fn(|cx| Pin::new(&mut self.0).poll_write(cx, &[IoSlice::new(bytes)])).await?;
            bytes = &bytes[n..];
        }
        poll_fn(|cx| Pin::new(&mut self.0).poll_flush(cx)).await
    }

    /// Some bytes; none at the end.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn read(&mut self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; 64 * 1024];
        let n = poll_fn(|cx| Pin::new(&mut self.0).poll_read(cx, &mut bytes)).await?;
        bytes.truncate(n);
        Ok(bytes)
    }

    /// Reads up to where the bytes end in `end`.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn read_until(&mut self, end: &[u8]) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            let mut byte = [0];
            let n = poll_fn(|cx| Pin::new(&mut self.0).poll_read(cx, &mut byte)).await?;
            bytes.extend(&byte[..n]);
            if n == 0 {
                break;
            }
        }
        Ok(bytes)
    }

    /// Reads as many bytes as `expected` has, and asserts that they are these.
    ///
    /// # Panics
    /// They are not, or the stream fails or ends before.
    pub async fn expect(&mut self, expected: &[u8]) {
        let (mut bytes, mut len) = (vec![0; expected.len()], 0);
        while len < bytes.len() {
            let read = poll_fn(|cx| Pin::new(&mut self.0).poll_read(cx, &mut bytes[len..])).await;
            let n = read.expect("a stream");
            assert!(n > 0, "it ends behind {:02x?}, not {expected:02x?}", &bytes[..len]);
            len += n;
        }
        assert!(bytes == expected, "{bytes:02x?}, not {expected:02x?}");
    }

    /// Asserts that the stream ends here.
    ///
    /// # Panics
    /// It does not, or fails.
    pub async fn expect_end(&mut self) {
        assert_eq!(self.read().await.expect("a stream"), []);
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn read_to_end(&mut self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let some = self.read().await?;
            if some.is_empty() {
                return Ok(all);
            }
            all.extend(some);
        }
    }

    /// Ends what the peer reads.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn shut_down(&mut self) -> Result<()> {
        poll_fn(|cx| Pin::new(&mut self.0).poll_shutdown(cx)).await
    }
}
