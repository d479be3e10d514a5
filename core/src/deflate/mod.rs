//! DEFLATE as WebSocket extensions use it (RFC 1951, RFC 7692 §7.2): messages in, messages out, history
//! between them if that was agreed.
//!
//! [`Deflater`] and [`Inflater`] know nothing of frames and connections: other WebSocket libraries can use
//! them as they are, with [`extension`](crate::extension) for the negotiation.
//!
//! ```
//! use sansocket::deflate::{Deflater, Inflater, Params};
//! use sansocket::extension::WindowBits;
//!
//! let mut deflater = Deflater::new(&Params::new());
//! let mut inflater = Inflater::new(WindowBits::MAX);
//!
//! let mut payload = Vec::new();
//! deflater.finish(b"Hello, hello, hello", &mut payload);
//! assert_eq!(inflater.message(&payload, 1024)?, b"Hello, hello, hello");
//! # Ok::<(), sansocket::deflate::InflateError>(())
//! ```
//!
//! # Backends
//!
//! | | `miniz_oxide` (default) | feature `zlib-rs` |
//! |---|---|---|
//! | `no_std` | yes | no |
//! | level, strategy | yes | yes |
//! | [memory level](Params::mem_level) | accepted, without effect | yes |
//! | windows below 32 KiB | kept by beginning anew in time, which costs compression | as zlib does; 8 bits are kept by its 9 |
//! | history behind a block with BFINAL | kept | dropped |
//!
//! The last line matters to no sender that is known: zlib too begins anew behind such a block.

mod deflater;
mod inflater;
mod miniz;
mod pool;
#[cfg(feature = "zlib-rs")]
mod zlib;

pub use deflater::{Deflater, Params, Strategy};
pub use inflater::{Corrupt, InflateError, Inflater};
pub use pool::Pool;

/// What a sync flush ends with, an empty stored block without its first bits: not sent, and put back by the
/// receiver (RFC 7692 §7.2.1, §7.2.2).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
