//! `Sec-WebSocket-Extensions`: its grammar (RFC 6455 §9.1), and the negotiation of permessage-deflate (RFC
//! 7692 §7) and its forerunners `x-webkit-deflate-frame` and `deflate-frame`, as pure functions from headers
//! and settings to an agreement. Other WebSocket libraries can use them as they are.

mod deflate_frame;
mod header;
mod negotiation;
mod permessage_deflate;
mod window;

use alloc::format;
use alloc::string::String;

pub use header::{Malformed, Offer, Param, offers};
pub use negotiation::{Extension, InvalidAnswer, Negotiated, Settings};
pub use window::WindowBits;

fn flag(header: &mut String, on: bool, name: &str) {
    if on {
        header.push_str("; ");
        header.push_str(name);
    }
}

fn bits(header: &mut String, name: &str, bits: WindowBits) {
    header.push_str(&format!("; {name}={bits}"));
}
