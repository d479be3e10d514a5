//! Requests that a server refuses, and with what.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use super::request::Request;
use super::response::{Response, Status};

/// Why a server refused a request by itself (RFC 6455 §4.2.1, §4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Not an HTTP request, or one with a syntax that invites misunderstanding: 400.
    Malformed,
    /// The head is longer than [`Config::max_head`](crate::Config::max_head): 431.
    HeadTooLong,
    /// More headers than [`Config::max_headers`](crate::Config::max_headers): 431.
    TooManyHeaders,
    /// The head did not come within [`Config::handshake_timeout`](crate::Config::handshake_timeout): 408, if
    /// some of it came. The verdict is [`Cause::TimedOut`](crate::Cause::TimedOut); this is the response's
    /// text.
    TimedOut,
    /// Not HTTP/1.1: 505.
    HttpVersion,
    /// No `Host`, several, or one that is not a host: 400.
    Host,
    /// A body, which an upgrade request cannot have without ambiguity: 400.
    Body,
    /// The application accepted a request that asks for no WebSocket: 426 (RFC 9110 §15.5.22).
    NoUpgrade,
    /// An upgrade with a method other than GET: 405.
    Method,
    /// A protocol version other than 13, 8 and 7, or none: 426 with the versions that there are (§4.4).
    Version,
    /// The handshake of hixie-76, before version 4: 400.
    Hixie76,
    /// `Sec-WebSocket-Key` is missing, there are several, or it is not the base64 of 16 bytes: 400.
    Key,
    /// `Sec-WebSocket-Protocol` is not a list of tokens without duplicates, or has more than
    /// [`Request::MAX_SUBPROTOCOLS`](crate::Request::MAX_SUBPROTOCOLS): 400.
    Subprotocols,
    /// `Sec-WebSocket-Extensions` does not follow its grammar: 400.
    Extensions,
    /// The request is for a host that is none of [`Config::hosts`](crate::Config::hosts): 403.
    ForeignHost {
        /// The host that it is for; if that is longer than [`Refusal::MAX_QUOTED`], its beginning and `…`.
        host: String,
    },
    /// [`Config::origins`](crate::Config::origins) does not let pages from this origin connect: 403.
    Origin {
        /// The origin that the request names; if that is longer than [`Refusal::MAX_QUOTED`], its beginning and `…`.
        origin: String,
        /// The host that it is for, cut in the same way.
        host: String,
    },
}

impl Refusal {
    /// This many bytes of an origin or a host that a client wrote are repeated at most, in the response and in logs.
    pub const MAX_QUOTED: usize = 256;

    /// The response, whose body says what is wrong.
    pub(crate) fn response(&self) -> Response {
        let response = Response::new(self.status()).text(self.to_string());
        match self {
            Self::Method => response.with_raw("Allow", "GET"),
            Self::NoUpgrade => response.with_raw("Upgrade", "websocket"),
            Self::Version => {
                response.with_raw("Upgrade", "websocket").with_raw("Sec-WebSocket-Version", "13, 8, 7")
            }
            Self::Malformed
            | Self::HeadTooLong
            | Self::TooManyHeaders
            | Self::TimedOut
            | Self::HttpVersion
            | Self::Host
            | Self::Body
            | Self::Hixie76
            | Self::Key
            | Self::Subprotocols
            | Self::Extensions
            | Self::ForeignHost { .. }
            | Self::Origin { .. } => response,
        }
    }

    /// The status of the response.
    pub fn status(&self) -> Status {
        match self {
            Self::Malformed
            | Self::Host
            | Self::Body
            | Self::Hixie76
            | Self::Key
            | Self::Subprotocols
            | Self::Extensions => Status::BAD_REQUEST,
            Self::ForeignHost { .. } | Self::Origin { .. } => Status::FORBIDDEN,
            Self::Method => Status::METHOD_NOT_ALLOWED,
            Self::TimedOut => Status::REQUEST_TIMEOUT,
            Self::NoUpgrade | Self::Version => Status::UPGRADE_REQUIRED,
            Self::HeadTooLong | Self::TooManyHeaders => Status::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::HttpVersion => Status::HTTP_VERSION_NOT_SUPPORTED,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: Cow<'static, str> = match self {
            Self::Malformed => "this is not a well-formed HTTP/1.1 request".into(),
            Self::HeadTooLong => "the request's head is too long".into(),
            Self::TooManyHeaders => "the request has too many headers".into(),
            Self::TimedOut => "the request did not arrive in time".into(),
            Self::HttpVersion => "a WebSocket handshake needs HTTP/1.1".into(),
            Self::Host => "the request must have one Host header".into(),
            Self::Body => "a request for a WebSocket must not have a body".into(),
            Self::NoUpgrade => "this resource is a WebSocket: the request must ask to upgrade to it".into(),
            Self::Method => "a WebSocket handshake must be a GET request".into(),
            Self::Version => "the WebSocket version must be one of 13, 8, 7".into(),
            Self::Hixie76 => "the WebSocket protocol before version 4 is not supported".into(),
            Self::Key => "there must be one Sec-WebSocket-Key: 16 bytes in base64".into(),
            Self::Subprotocols => {
                let most = Request::MAX_SUBPROTOCOLS;
                format!("Sec-WebSocket-Protocol must be a list of at most {most} different tokens").into()
            }
            Self::Extensions => "Sec-WebSocket-Extensions is malformed".into(),
            Self::ForeignHost { host } => format!(
                "this server does not go by the name {host:?}; its setting for this is `Config::hosts`"
            )
            .into(),
            Self::Origin { origin, host } => format!(
                "pages from the origin {origin:?} may not connect to the host {host:?}; \
                 the server's setting for this is `Config::origins`"
            )
            .into(),
        };
        f.write_str(&text)
    }
}

impl core::error::Error for Refusal {}
