//! What can go wrong: the peer's faults, which become close decisions, and the caller's mistakes, which
//! become `Err`.

use core::fmt;

use crate::close::CloseCode;
use crate::message::Message;

/// How the peer broke the protocol or exceeded a limit after the opening handshake.
///
/// Never returned as `Err`: the connection fails itself (RFC 6455 §7.1.7) with
/// [`close_code`](Self::close_code) and shows this in [`Disconnect`](crate::Disconnect).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit is set that no negotiated extension gives a meaning (§5.2).
    ReservedBits,
    /// An opcode that is reserved for later versions: 3–7, 11–15 (§5.2).
    ReservedOpcode(u8),
    /// A client's frame that is not masked (§5.1).
    Unmasked,
    /// A server's frame that is masked (§5.1).
    Masked,
    /// A length that would have fitted fewer bytes (§5.2).
    NonMinimalLength,
    /// A length of 2⁶³ or more (§5.2).
    LengthOverflow,
    /// A control frame in fragments (§5.5).
    FragmentedControl,
    /// A control frame of more than 125 bytes (§5.5).
    ControlTooLong,
    /// A continuation with nothing to continue (§5.4).
    UnexpectedContinuation,
    /// A new message within a fragmented one (§5.4).
    ExpectedContinuation,
    /// Text that is not UTF-8 (§8.1).
    InvalidUtf8,
    /// A compressed message that is no DEFLATE stream, or not a whole one (RFC 7692 §7.2.2).
    CorruptDeflate,
    /// A Close frame of one byte (§5.5.1).
    CloseOfOneByte,
    /// A Close code that may not be sent (§7.4).
    InvalidCloseCode(u16),
    /// A Close reason that is not UTF-8 (§5.5.1).
    InvalidCloseReason,
    /// A frame longer than [`Config::max_frame`](crate::Config::max_frame).
    FrameTooBig {
        /// The length that the frame declares.
        len: u64,
        /// The limit.
        max: u64,
    },
    /// A message longer than [`Config::max_message`](crate::Config::max_message).
    MessageTooBig {
        /// The length of the message with the frame that was one too many.
        len: u64,
        /// The limit.
        max: u64,
    },
    /// A message in more fragments than [`Config::max_fragments`](crate::Config::max_fragments).
    TooManyFragments {
        /// The limit.
        max: u32,
    },
}

impl ProtocolError {
    /// The code that the connection is failed with (§7.4.1).
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::InvalidCloseReason | Self::CorruptDeflate => {
                CloseCode::INVALID_PAYLOAD_DATA
            }
            Self::FrameTooBig { .. } | Self::MessageTooBig { .. } => CloseCode::MESSAGE_TOO_BIG,
            Self::TooManyFragments { .. } => CloseCode::POLICY_VIOLATION,
            Self::ReservedBits
            | Self::ReservedOpcode(_)
            | Self::Unmasked
            | Self::Masked
            | Self::NonMinimalLength
            | Self::LengthOverflow
            | Self::FragmentedControl
            | Self::ControlTooLong
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::CloseOfOneByte
            | Self::InvalidCloseCode(_) => CloseCode::PROTOCOL_ERROR,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits => f.write_str("a reserved bit is set without an extension that defines it"),
            Self::ReservedOpcode(opcode) => write!(f, "opcode {opcode} is reserved"),
            Self::Unmasked => f.write_str("a client must mask its frames"),
            Self::Masked => f.write_str("a server must not mask its frames"),
            Self::NonMinimalLength => f.write_str("a length is not in its shortest form"),
            Self::LengthOverflow => f.write_str("a length of 2^63 or more"),
            Self::FragmentedControl => f.write_str("a control frame is fragmented"),
            Self::ControlTooLong => f.write_str("a control frame has more than 125 bytes"),
            Self::UnexpectedContinuation => f.write_str("a continuation frame with nothing to continue"),
            Self::ExpectedContinuation => f.write_str("a new message within a fragmented one"),
            Self::CorruptDeflate => f.write_str("a compressed message is corrupt"),
            Self::InvalidUtf8 => f.write_str("text that is not UTF-8"),
            Self::CloseOfOneByte => f.write_str("a Close frame of one byte"),
            Self::InvalidCloseCode(code) => write!(f, "close code {code} may not be sent"),
            Self::InvalidCloseReason => f.write_str("a Close reason that is not UTF-8"),
            Self::FrameTooBig { len, max } => write!(f, "a frame of {len} bytes, the limit is {max}"),
            Self::MessageTooBig { len, max } => {
                write!(f, "a message of {len} bytes or more, the limit is {max}")
            }
            Self::TooManyFragments { max } => write!(f, "a message in more than {max} fragments"),
        }
    }
}

impl core::error::Error for ProtocolError {}

/// Why a frame was not queued. Nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendError {
    /// The opening handshake is not over.
    NotOpen,
    /// A Close frame was sent or received, or the connection failed: nothing may follow (§5.5.1).
    Closed,
    /// [`Config::hard_limit`](crate::Config::hard_limit) bytes are queued already: write some, then try
    /// again.
    Full,
    /// A message is being sent in pieces: [`finish`](crate::Connection::finish) it first (§5.4).
    MessageInProgress,
    /// No message is being sent in pieces: [`begin`](crate::Connection::begin) one.
    NoMessageInProgress,
    /// A control frame's payload has at most 125 bytes (§5.5).
    ControlTooLong,
    /// The pieces of a text message do not make UTF-8 (§5.6).
    InvalidUtf8,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOpen => "the opening handshake is not over",
            Self::Closed => "the connection is closing or closed",
            Self::Full => "too much output is queued: write some of it first",
            Self::MessageInProgress => "a message is being sent in pieces: finish it first",
            Self::NoMessageInProgress => "no message is being sent in pieces: begin one first",
            Self::ControlTooLong => "a control frame's payload has at most 125 bytes",
            Self::InvalidUtf8 => "the pieces of a text message must make UTF-8",
        })
    }
}

impl core::error::Error for SendError {}

/// A message that was not queued, given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected<'m> {
    /// The message, untouched.
    pub message: Message<'m>,
    /// Why it was not queued.
    pub error: SendError,
}

impl fmt::Display for Rejected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl core::error::Error for Rejected<'_> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}
