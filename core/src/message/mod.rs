//! Messages: what applications send and receive (RFC 6455 §5.4, §5.6), and how they are put together.

mod assembly;
mod payload;
pub mod utf8;

pub(crate) use assembly::{Assembly, lend};
pub use payload::{Data, Kind, Message, Prepared};
