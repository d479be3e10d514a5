//! Frames: header, masking, and the decoder that walks a byte stream (RFC 6455 §5).

mod decoder;
mod header;
pub mod mask;

pub use decoder::{Decoder, Input, Rsv1};
pub use header::{Header, HeaderBytes, Opcode};

/// The longest payload of a control frame, in bytes (§5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// The longest header, in bytes: two, a 64-bit length and a masking key (§5.2).
pub const MAX_HEADER: usize = 14;
