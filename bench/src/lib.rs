//! What the benchmarks share.

#[cfg(feature = "deflate")]
pub mod codecs;
#[cfg(feature = "deflate")]
pub mod connection;
#[cfg(feature = "peers")]
pub mod peers;
pub mod process;
pub mod records;
pub mod rounds;
pub mod wire;

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T> = std::result::Result<T, Error>;

/// Where a contestant puts what it made. Nothing is copied on the way.
pub type Sink<'s> = &'s mut dyn FnMut(&[u8]);

/// The settings of a cell: of what is sent and of what is received.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    pub level: u8,
    pub takeover: bool,
}

/// Compresses messages in turn.
pub trait Compress {
    /// Compresses message `index`, and shows the payload, or the frame that is to be written.
    fn compress(&mut self, index: usize, sink: Sink<'_>);
}

/// Decompresses messages in turn.
pub trait Decompress {
    /// Decompresses message `index`, and shows it.
    fn decompress(&mut self, index: usize, sink: Sink<'_>);
}
