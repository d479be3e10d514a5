//! `Sec-WebSocket-Extensions`: its grammar (RFC 6455 §9.1), and the negotiation of permessage-deflate (RFC
//! 7692 §7) as pure functions from headers and settings to an agreement. Other WebSocket libraries can use
//! them as they are.
//!
//! The connection does not negotiate compression yet.

mod header;
mod permessage_deflate;

pub use header::{Malformed, Offer, Param, offers};
pub use permessage_deflate::{InvalidAnswer, PermessageDeflate, Settings, WindowBits};
