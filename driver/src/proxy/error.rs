//! What may be wrong with a proxy.

use core::fmt;

use sansocket::Status;

use crate::error::is_temporary_status;

/// Why there is no way through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyError {
    /// Not the URL of a proxy.
    Url(InvalidProxy),
    /// An HTTP proxy answered CONNECT with another status than 2xx: 407 if it wants a user and a password,
    /// 502 or 504 if it does not reach the server.
    Status(Status),
    /// A SOCKS proxy answered with this reply code (RFC 1928 §6): 2 is not allowed, 3 network unreachable, 4
    /// host unreachable, 5 connection refused.
    Reply(u8),
    /// A SOCKS proxy accepts none of the ways to log in: it wants a user and a password, or something that is
    /// not offered (RFC 1928 §3).
    Method,
    /// A SOCKS proxy does not accept the user or the password (RFC 1929 §2).
    Login,
    /// The server's name is longer than the 255 bytes that SOCKS has room for.
    HostTooLong,
    /// The proxy's answer is not of its protocol.
    Malformed,
    /// The head of an HTTP proxy's answer is longer than 16 KiB.
    HeadTooLong,
    /// More came with the proxy's answer, though the server had not been asked anything.
    Early,
    /// The proxy closed the connection before its answer was complete.
    Ended,
}

impl ProxyError {
    /// Whether it may be different next time.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Status(status) => is_temporary_status(*status),
            Self::Reply(code) => matches!(code, 1 | 3..=6),
            Self::Ended => true,
            Self::Url(_)
            | Self::Method
            | Self::Login
            | Self::HostTooLong
            | Self::Malformed
            | Self::HeadTooLong
            | Self::Early => false,
        }
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url(error) => return error.fmt(f),
            Self::Status(status) => return write!(f, "the proxy answered with status {status}"),
            Self::Reply(code) => {
                return write!(f, "the proxy answered: {} (reply code {code})", reason(*code));
            }
            Self::Method => "the proxy accepts none of the ways to log in",
            Self::Login => "the proxy does not accept the user or the password",
            Self::HostTooLong => "the server's name is too long for SOCKS",
            Self::Malformed => "the proxy's answer is not of its protocol",
            Self::HeadTooLong => "the head of the proxy's answer is too long",
            Self::Early => "the proxy sent more than its answer",
            Self::Ended => "the proxy closed the connection",
        })
    }
}

impl core::error::Error for ProxyError {}

/// RFC 1928 §6.
fn reason(code: u8) -> &'static str {
    match code {
        1 => "general failure",
        2 => "not allowed",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "failure",
    }
}

/// Not the URL of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidProxy {
    /// It does not begin with `http://`, `socks5://` or `socks5h://`.
    Scheme,
    /// The host is missing or malformed.
    Host,
    /// The port is not a number from 1 to 65,535.
    Port,
    /// The user is empty, or user or password cannot be sent: a malformed percent-encoding; for HTTP a
    /// control character, or a colon in the user; for SOCKS more than 255 bytes.
    Login,
    /// There is something behind host and port.
    Path,
}

impl fmt::Display for InvalidProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "a proxy's URL must begin with http://, socks5:// or socks5h://",
            Self::Host => "the proxy's host is missing or malformed",
            Self::Port => "the proxy's port must be a number from 1 to 65535",
            Self::Login => "the user or the password in the proxy's URL cannot be sent",
            Self::Path => "a proxy's URL must end behind host and port",
        })
    }
}

impl core::error::Error for InvalidProxy {}
