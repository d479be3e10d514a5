//! Close codes and Close frames (RFC 6455 §5.5.1, §7.4).

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;
use core::num::NonZeroU16;

use crate::error::ProtocolError;
use crate::frame::MAX_CONTROL_PAYLOAD;

/// Why a connection is being closed: a status code that may stand in a Close frame (RFC 6455 §7.4).
///
/// 1005, 1006 and 1015 describe what was *not* in a frame, so they have no value here: a Close without a code
/// is [`CloseFrame::empty`], and a connection without a Close ends as [`Cause::Lost`](crate::Cause::Lost).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(NonZeroU16);

impl CloseCode {
    /// 1000: the purpose of the connection has been fulfilled.
    pub const NORMAL_CLOSURE: Self = Self::registered(1000);
    /// 1001: the endpoint goes away, as a server does at shutdown or a browser that leaves the page.
    pub const GOING_AWAY: Self = Self::registered(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self::registered(1002);
    /// 1003: a kind of data that this endpoint cannot accept (text where it wants binary, say).
    pub const UNSUPPORTED_DATA: Self = Self::registered(1003);
    /// 1007: data that does not fit its kind, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD_DATA: Self = Self::registered(1007);
    /// 1008: a policy of this endpoint is violated.
    pub const POLICY_VIOLATION: Self = Self::registered(1008);
    /// 1009: a message too big to process.
    pub const MESSAGE_TOO_BIG: Self = Self::registered(1009);
    /// 1010: the client needed an extension that the server did not negotiate.
    pub const MANDATORY_EXTENSION: Self = Self::registered(1010);
    /// 1011: the endpoint met an unexpected condition.
    pub const INTERNAL_ERROR: Self = Self::registered(1011);
    /// 1012 (IANA registry): the service restarts; reconnect after a random 5–30 s.
    pub const SERVICE_RESTART: Self = Self::registered(1012);
    /// 1013 (IANA registry): the service is overloaded; try again later.
    pub const TRY_AGAIN_LATER: Self = Self::registered(1013);
    /// 1014 (IANA registry): a gateway got an invalid response from upstream.
    pub const BAD_GATEWAY: Self = Self::registered(1014);

    /// The code `code`, if it may be sent: 1000–1003, 1007–1014 (the IANA registry) and 3000–4999
    /// (libraries and applications, §7.4.2).
    pub const fn new(code: u16) -> Option<Self> {
        match (code, NonZeroU16::new(code)) {
            (1000..=1003 | 1007..=1014 | 3000..=4999, Some(code)) => Some(Self(code)),
            _ => None,
        }
    }

    /// The number on the wire.
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    const fn registered(code: u16) -> Self {
        match Self::new(code) {
            Some(code) => code,
            None => panic!("not a sendable close code"),
        }
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a Close frame says: nothing, a code, or a code and a reason of up to 123 bytes (RFC 6455 §5.5.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CloseFrame<'a> {
    code: Option<CloseCode>,
    reason: Cow<'a, str>,
}

impl<'a> CloseFrame<'a> {
    /// The longest reason, in bytes: a control frame's 125 less the code's 2.
    pub const MAX_REASON: usize = MAX_CONTROL_PAYLOAD - 2;

    /// A Close frame without a code (the RFC's 1005).
    pub const fn empty() -> Self {
        Self { code: None, reason: Cow::Borrowed("") }
    }

    /// A Close frame with a code and a reason, for logs and not for users (§7.1.6).
    ///
    /// # Errors
    /// [`ReasonTooLong`] if the reason has more than [`MAX_REASON`](Self::MAX_REASON) bytes; see
    /// [`truncated`](Self::truncated).
    pub fn new(code: CloseCode, reason: impl Into<Cow<'a, str>>) -> Result<Self, ReasonTooLong> {
        let reason = reason.into();
        if reason.len() > Self::MAX_REASON {
            return Err(ReasonTooLong(()));
        }
        Ok(Self { code: Some(code), reason })
    }

    /// Like [`new`](Self::new), with a reason that is too long cut at the last character that fits.
    pub fn truncated(code: CloseCode, reason: &'a str) -> Self {
        let mut end = reason.len().min(Self::MAX_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        Self { code: Some(code), reason: Cow::Borrowed(&reason[..end]) }
    }

    /// The code, if the frame has one.
    pub fn code(&self) -> Option<CloseCode> {
        self.code
    }

    /// The reason; empty if there is none.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The same frame, owning its reason.
    pub fn into_owned(self) -> CloseFrame<'static> {
        CloseFrame { code: self.code, reason: Cow::Owned(self.reason.into_owned()) }
    }

    /// Reads the payload of a Close frame.
    ///
    /// # Errors
    /// More than 125 bytes ([`ProtocolError::ControlTooLong`]), a single one, a code that may not be sent, or a reason
    /// that is not UTF-8.
    pub fn decode(payload: &'a [u8]) -> Result<Self, ProtocolError> {
        match payload {
            [] => Ok(Self::empty()),
            [_] => Err(ProtocolError::CloseOfOneByte),
            _ if payload.len() > MAX_CONTROL_PAYLOAD => Err(ProtocolError::ControlTooLong),
            [high, low, reason @ ..] => {
                let number = u16::from_be_bytes([*high, *low]);
                let code = CloseCode::new(number).ok_or(ProtocolError::InvalidCloseCode(number))?;
                let reason = core::str::from_utf8(reason).map_err(|_| ProtocolError::InvalidCloseReason)?;
                Ok(Self { code: Some(code), reason: Cow::Borrowed(reason) })
            }
        }
    }

    /// Writes the payload into `buffer` and returns its length.
    pub(crate) fn encode(&self, buffer: &mut [u8; MAX_CONTROL_PAYLOAD]) -> usize {
        let Some(code) = self.code else { return 0 };
        let end = 2 + self.reason.len();
        buffer[..2].copy_from_slice(&code.get().to_be_bytes());
        buffer[2..end].copy_from_slice(self.reason.as_bytes());
        end
    }
}

impl From<CloseCode> for CloseFrame<'_> {
    fn from(code: CloseCode) -> Self {
        Self { code: Some(code), reason: Cow::Owned(String::new()) }
    }
}

impl fmt::Display for CloseFrame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            None => f.write_str("no code"),
            Some(code) if self.reason.is_empty() => code.fmt(f),
            Some(code) => write!(f, "{code} ({})", self.reason.escape_debug()),
        }
    }
}

/// The reason of a Close frame has more than 123 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonTooLong(());

impl fmt::Display for ReasonTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the reason of a Close frame has at most {} bytes", CloseFrame::MAX_REASON)
    }
}

impl core::error::Error for ReasonTooLong {}
