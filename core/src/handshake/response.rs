//! HTTP responses: what a server answers instead of upgrading, and what a client gets.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::head::{Fields, InvalidHeader, check_field, is_of_framing};

/// An HTTP status code, 100–599.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

impl Status {
    /// 101: the upgrade.
    pub const SWITCHING_PROTOCOLS: Self = Self(101);
    /// 200.
    pub const OK: Self = Self(200);
    /// 302.
    pub const FOUND: Self = Self(302);
    /// 400.
    pub const BAD_REQUEST: Self = Self(400);
    /// 401.
    pub const UNAUTHORIZED: Self = Self(401);
    /// 403.
    pub const FORBIDDEN: Self = Self(403);
    /// 404.
    pub const NOT_FOUND: Self = Self(404);
    /// 405.
    pub const METHOD_NOT_ALLOWED: Self = Self(405);
    /// 408.
    pub const REQUEST_TIMEOUT: Self = Self(408);
    /// 426.
    pub const UPGRADE_REQUIRED: Self = Self(426);
    /// 429.
    pub const TOO_MANY_REQUESTS: Self = Self(429);
    /// 431.
    pub const REQUEST_HEADER_FIELDS_TOO_LARGE: Self = Self(431);
    /// 500.
    pub const INTERNAL_SERVER_ERROR: Self = Self(500);
    /// 503.
    pub const SERVICE_UNAVAILABLE: Self = Self(503);
    /// 505.
    pub const HTTP_VERSION_NOT_SUPPORTED: Self = Self(505);

    /// The status `code`, if it is one: 100–599.
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            100..=599 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether there is a body, even an empty one (RFC 9110 §15.3.5, §15.4.5).
    pub(super) const fn has_body(self) -> bool {
        !matches!(self.0, 204 | 304)
    }

    /// 1xx: another response follows.
    pub(super) const fn is_interim(self) -> bool {
        self.0 < 200
    }

    fn reason(self) -> &'static str {
        match self.0 {
            101 => "Switching Protocols",
            200 => "OK",
            204 => "No Content",
            301 => "Moved Permanently",
            302 => "Found",
            303 => "See Other",
            304 => "Not Modified",
            307 => "Temporary Redirect",
            308 => "Permanent Redirect",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            426 => "Upgrade Required",
            429 => "Too Many Requests",
            431 => "Request Header Fields Too Large",
            500 => "Internal Server Error",
            503 => "Service Unavailable",
            505 => "HTTP Version Not Supported",
            // The reason phrase may be empty (RFC 9112 §4).
            _ => "",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An HTTP response: what a server sends instead of a WebSocket
/// ([`reject`](crate::Connection::reject)), or what a client got.
///
/// What a client got can be sent on: fields about its way, as `Transfer-Encoding`, are left out then, and a 101 becomes
/// a 500.
#[derive(Clone)]
pub struct Response(Box<Parts>);

/// Boxed, since whatever can be a response is as large as one.
#[derive(Clone)]
struct Parts {
    status: Status,
    /// Of one that came, the head itself.
    fields: Fields,
    body: Vec<u8>,
}

impl Response {
    /// A response with this status, without headers and body.
    ///
    /// A server's interim responses (1xx) are not for the application: such a status is sent as 500.
    pub fn new(status: Status) -> Self {
        Self(Box::new(Parts { status: answerable(status), fields: Fields::default(), body: Vec::new() }))
    }

    /// With a header field. `Content-Length` and `Connection: close` are the library's.
    ///
    /// # Errors
    /// [`InvalidHeader`] if it cannot stand in a head as it is, or is the library's to write.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        check_field(name, value)?;
        self.0.fields.push(name, value.as_bytes());
        Ok(self)
    }

    /// With a body.
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = body.into();
        self
    }

    /// With a body of plain text, and its `Content-Type` in place of any other.
    pub fn text(self, text: impl Into<String>) -> Self {
        self.with_raw("Content-Type", "text/plain; charset=utf-8").with_body(text.into())
    }

    /// With a body of HTML, and its `Content-Type` in place of any other.
    pub fn html(self, html: impl Into<String>) -> Self {
        self.with_raw("Content-Type", "text/html; charset=utf-8").with_body(html.into())
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// The header fields, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.fields.iter()
    }

    /// The value of the first header field of this name, in any case, if it is UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers().find(|(have, _)| have.eq_ignore_ascii_case(name))?;
        core::str::from_utf8(value).ok()
    }

    /// The body. Of a response that a client got, what came of it, at most 64 KiB.
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// With this as the one field of its name.
    pub(super) fn with_raw(mut self, name: &str, value: &str) -> Self {
        self.0.fields.remove(name);
        self.0.fields.push(name, value.as_bytes());
        self
    }

    pub(super) fn received(status: Status, fields: Fields) -> Self {
        Self(Box::new(Parts { status, fields, body: Vec::new() }))
    }

    pub(super) fn body_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0.body
    }

    /// The response on the wire, behind which the connection ends. The answer to HEAD is one without its
    /// body.
    pub(super) fn encode(&self, head_only: bool) -> Vec<u8> {
        let status = answerable(self.0.status);
        let mut out = status_line(status);
        // One that was received may have fields that were about its way here.
        for (name, value) in self.headers().filter(|(name, _)| !is_of_framing(name)) {
            field(&mut out, name, value);
        }
        if status.has_body() {
            field(&mut out, "Content-Length", alloc::format!("{}", self.0.body.len()).as_bytes());
        }
        // Whoever sends `Upgrade` must list it (RFC 9110 §7.8).
        let upgrade = self.header("upgrade").is_some();
        field(&mut out, "Connection", if upgrade { b"Upgrade, close" } else { b"close" });
        out.extend_from_slice(b"\r\n");
        if !head_only && status.has_body() {
            out.extend_from_slice(&self.0.body);
        }
        out
    }
}

/// Responses are equal if their status, their header fields in order, and their body are.
impl PartialEq for Response {
    fn eq(&self, other: &Self) -> bool {
        self.0.status == other.0.status && self.headers().eq(other.headers()) && self.0.body == other.0.body
    }
}

impl Eq for Response {}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers carry secrets: cookies, tokens.
        f.debug_struct("Response")
            .field("status", &self.0.status)
            .field("body", &self.0.body.len())
            .finish_non_exhaustive()
    }
}

/// What can stand in an answer: an interim status leaves the client waiting for another.
fn answerable(status: Status) -> Status {
    if status.is_interim() { Status::INTERNAL_SERVER_ERROR } else { status }
}

pub(super) fn status_line(status: Status) -> Vec<u8> {
    // Room for the fields of a 101, so that it grows for none of them.
    let mut out = Vec::with_capacity(256);
    for part in ["HTTP/1.1 ", &status.get().to_string(), " ", status.reason(), "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    out
}

pub(super) fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}
