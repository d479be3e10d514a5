//! A client's request as a server sees it (RFC 6455 §4.2.1).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use smallvec::SmallVec;

use super::head::{Field, Fields, header_slots, is_token, list, offsets};
use super::key;
use super::refusal::Refusal;
use super::url;
use crate::extension;

/// The version of the protocol that a client speaks; they differ in how they name the origin only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Version {
    /// 7: draft hybi-07, as Firefox 6 spoke it.
    V7,
    /// 8: drafts hybi-08 to hybi-12.
    V8,
    /// 13: RFC 6455.
    V13,
}

/// A request for a WebSocket, or for something else that the application may answer.
///
/// It owns its bytes, and is cheap to clone.
#[derive(Clone)]
pub struct Request(Arc<Parts>);

struct Parts {
    fields: Fields,
    line: Line,
    upgrade: Option<Upgrade>,
}

/// Where the parts of the request line are.
struct Line {
    method: Range<usize>,
    target: Range<usize>,
}

struct Upgrade {
    version: Version,
    key: [u8; 24],
}

impl Request {
    /// A client may offer so many subprotocols; with more its request is refused
    /// ([`Refusal::Subprotocols`]).
    pub const MAX_SUBPROTOCOLS: usize = 64;

    /// Whether this asks for a WebSocket. If not, [`accept`](crate::Connection::accept) answers that it
    /// should have, and [`reject`](crate::Connection::reject) answers what the application wants.
    pub fn is_upgrade(&self) -> bool {
        self.0.upgrade.is_some()
    }

    /// The method: `GET` for every upgrade.
    pub fn method(&self) -> &str {
        self.text(&self.0.line.method)
    }

    /// The request target as it stands in the request line: path and query.
    pub fn target(&self) -> &str {
        self.text(&self.0.line.target)
    }

    /// The path: the target up to the query, and without a host before it.
    pub fn path(&self) -> &str {
        let (_, path) = split_target(self.target());
        match path.split('?').next() {
            None | Some("") => "/",
            Some(path) => path,
        }
    }

    /// The query, without its question mark.
    pub fn query(&self) -> Option<&str> {
        self.target().split_once('?').map(|(_, query)| query)
    }

    /// The host and port that the request is for: the target's, or that of `Host` (RFC 9112 §3.2.2).
    pub fn host(&self) -> Option<&str> {
        let (host, _) = split_target(self.target());
        host.or_else(|| self.header("host"))
    }

    /// The page that opens the WebSocket: `Origin`, or in versions 7 and 8 `Sec-WebSocket-Origin`.
    /// Empty, which no origin is, if the value is not UTF-8.
    pub fn origin(&self) -> Option<&str> {
        let fields = &self.0.fields;
        let draft = match self.version() {
            Some(Version::V7 | Version::V8) => fields.all("sec-websocket-origin").next(),
            Some(Version::V13) | None => None,
        };
        let value = fields.all("origin").next().or(draft)?;
        Some(core::str::from_utf8(value).unwrap_or_default())
    }

    /// The version of the protocol; `None` if this is no upgrade.
    pub fn version(&self) -> Option<Version> {
        self.0.upgrade.as_ref().map(|upgrade| upgrade.version)
    }

    /// The subprotocols that the client offers, most wanted first (§1.9): different ones, and at most 64 of them
    /// if this [asks for a WebSocket](Self::is_upgrade).
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        let values = self.0.fields.all("sec-websocket-protocol").flat_map(list);
        values.filter_map(|name| core::str::from_utf8(name).ok())
    }

    /// The value of the first header field of this name, in any case, if it is UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.fields.all(name).next().and_then(|value| core::str::from_utf8(value).ok())
    }

    /// The header fields, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.fields.iter()
    }

    /// The values of `Sec-WebSocket-Extensions` (§9.1).
    #[cfg(feature = "deflate")]
    pub(super) fn extensions(&self) -> impl Iterator<Item = &[u8]> {
        self.0.fields.all("sec-websocket-extensions")
    }

    /// What to send as `Sec-WebSocket-Accept`.
    pub(super) fn accept_key(&self) -> Option<String> {
        self.0.upgrade.as_ref().map(|upgrade| key::accept(&upgrade.key))
    }

    /// Reads a head that ends with its empty line, and refuses what no application should be asked about.
    pub(super) fn parse(head: Vec<u8>) -> Result<Self, Refusal> {
        let (line, fields) = Self::parse_head(&head)?;
        let fields = Fields::new(head, fields);

        let is_host = |host| core::str::from_utf8(host).is_ok_and(url::is_authority);
        if !matches!(fields.one("host"), Ok(Some(host)) if is_host(host)) {
            return Err(Refusal::Host);
        }
        let has_body = fields.all("transfer-encoding").next().is_some()
            || fields.all("content-length").any(|length| length != b"0");
        if has_body {
            return Err(Refusal::Body);
        }
        let upgrade = Self::parse_upgrade(&fields, fields.slice(&line.method))?;
        Ok(Self(Arc::new(Parts { fields, line, upgrade })))
    }

    fn parse_head(head: &[u8]) -> Result<(Line, Vec<Field>), Refusal> {
        let mut headers = header_slots(head);
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::Version) if names_version(head) => return Err(Refusal::HttpVersion),
            Ok(httparse::Status::Partial) | Err(_) => return Err(Refusal::Malformed),
        }
        if parsed.version != Some(1) {
            return Err(Refusal::HttpVersion);
        }
        let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
            return Err(Refusal::Malformed);
        };
        let (host, path) = split_target(target);
        let is_path = path.starts_with('/') || host.is_some() || (method == "OPTIONS" && target == "*");
        let is_host = |host: &str| !host.is_empty() && url::is_authority(host);
        // A fragment is never sent; who reads one as a part of the path disagrees with who does not.
        if !is_path || target.contains('#') || !host.is_none_or(is_host) {
            return Err(Refusal::Malformed);
        }
        let fields = parsed.headers.iter().map(|header| Field::locate(head, header)).collect();
        let line =
            Line { method: offsets(head, method.as_bytes()), target: offsets(head, target.as_bytes()) };
        Ok((line, fields))
    }

    fn parse_upgrade(fields: &Fields, method: &[u8]) -> Result<Option<Upgrade>, Refusal> {
        if !fields.has_token("connection", "upgrade") || !fields.has_token("upgrade", "websocket") {
            return Ok(None);
        }
        if method != b"GET" {
            return Err(Refusal::Method);
        }
        let version = match fields.one("sec-websocket-version") {
            Ok(Some(b"13")) => Version::V13,
            Ok(Some(b"8")) => Version::V8,
            Ok(Some(b"7")) => Version::V7,
            Ok(None) if fields.all("sec-websocket-key1").next().is_some() => return Err(Refusal::Hixie76),
            _ => return Err(Refusal::Version),
        };
        let key = match fields.one("sec-websocket-key") {
            Ok(Some(key)) if key::is_valid(key) => key.try_into().map_err(|_| Refusal::Key)?,
            _ => return Err(Refusal::Key),
        };
        if fields.one("origin").is_err() || fields.one("sec-websocket-origin").is_err() {
            return Err(Refusal::Malformed);
        }
        // Sorted, their places take memory: eight times as much as the names themselves, if these are short.
        let mut offered = SmallVec::<[&[u8]; 8]>::new();
        for name in fields.all("sec-websocket-protocol").flat_map(list) {
            if offered.len() == Self::MAX_SUBPROTOCOLS || !is_token(name) {
                return Err(Refusal::Subprotocols);
            }
            offered.push(name);
        }
        offered.sort_unstable();
        if offered.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Refusal::Subprotocols);
        }
        for value in fields.all("sec-websocket-extensions") {
            if !extension::offers(value).all(|offer| offer.is_ok()) {
                return Err(Refusal::Extensions);
            }
        }
        Ok(Some(Upgrade { version, key }))
    }

    fn text(&self, range: &Range<usize>) -> &str {
        // The parser lets a method and a target of ASCII and UTF-8 pass, and nothing else.
        core::str::from_utf8(self.0.fields.slice(range)).unwrap_or_default()
    }
}

/// The host of a target that is a whole URL, and the path with its query (RFC 9112 §3.2.1, §3.2.2).
fn split_target(target: &str) -> (Option<&str>, &str) {
    let authority = match target.split_once("://") {
        Some((scheme, rest))
            if ["http", "https", "ws", "wss"].iter().any(|s| scheme.eq_ignore_ascii_case(s)) =>
        {
            rest
        }
        _ => return (None, target),
    };
    let (host, path) = authority.split_at(authority.find(['/', '?']).unwrap_or(authority.len()));
    (Some(host), path)
}

/// Whether the request line is one of some version of HTTP (RFC 9112 §3), and not just broken.
fn names_version(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut parts = line.split(|byte| *byte == b' ');
    let version = parts.nth(2).and_then(|version| version.strip_prefix(b"HTTP/"));
    parts.next().is_none() && matches!(version, Some([b'0'..=b'9', b'.', b'0'..=b'9']))
}

/// Requests are equal if they have the same head, byte for byte.
impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        self.0.fields.bytes() == other.0.fields.bytes()
    }
}

impl Eq for Request {}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers carry secrets: cookies, tokens.
        f.debug_struct("Request")
            .field("method", &self.method())
            .field("target", &self.target())
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}
