//! The client's side of the opening handshake (RFC 6455 §4.1).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::head::{
    Field, Fields, HeadError, HeadReader, InvalidHeader, check_field, header_slots, is_token, list,
};
use super::response::{Response, Status, field};
use super::url::{InvalidUrl, Url};
use super::{Agreed, key};
use crate::config::Config;
use crate::frame::Input;
use crate::keys::Keys;

/// A server may send this many interim responses (1xx) before its answer.
const MAX_INTERIM: u8 = 8;

/// This much of a refusal's body is kept.
const MAX_BODY: usize = 64 * 1024;

/// What a client asks for. The headers of the handshake itself are written by the library.
#[derive(Clone, Debug)]
pub struct ClientRequest {
    url: Url,
    headers: Vec<(String, String)>,
    subprotocols: Vec<String>,
}

impl ClientRequest {
    /// A request for a WebSocket at `url`, such as `wss://example.com/chat`.
    ///
    /// # Errors
    /// [`InvalidUrl`] says what is wrong with it.
    pub fn new(url: &str) -> Result<Self, InvalidUrl> {
        Ok(Self { url: Url::parse(url)?, headers: Vec::new(), subprotocols: Vec::new() })
    }

    /// With a header field, such as `Authorization`, `Cookie` or `Origin`.
    ///
    /// # Errors
    /// [`InvalidHeader`] if it cannot stand in a head as it is, or is the library's to write.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        check_field(name, value)?;
        self.headers.push((name.into(), value.into()));
        Ok(self)
    }

    /// Offering a subprotocol (§1.9), in the order of these calls: most wanted first. One offered twice is offered once.
    ///
    /// # Errors
    /// [`InvalidHeader::Value`] if the name is not a token.
    pub fn subprotocol(mut self, name: &str) -> Result<Self, InvalidHeader> {
        if !is_token(name.as_bytes()) {
            return Err(InvalidHeader::Value);
        }
        if !self.subprotocols.iter().any(|offered| offered == name) {
            self.subprotocols.push(name.into());
        }
        Ok(self)
    }

    /// Whether the URL asks for TLS: `wss`.
    pub fn is_secure(&self) -> bool {
        self.url.secure
    }

    /// The host to connect to. An IPv6 address is without its brackets.
    pub fn host(&self) -> &str {
        let host = &self.url.host[..];
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.url.port
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.url.target
    }

    fn encode(&self, key: &str) -> Vec<u8> {
        let mut out = alloc::format!("GET {} HTTP/1.1\r\n", self.url.target).into_bytes();
        field(&mut out, "Host", self.url.authority().as_bytes());
        field(&mut out, "Upgrade", b"websocket");
        field(&mut out, "Connection", b"Upgrade");
        field(&mut out, "Sec-WebSocket-Key", key.as_bytes());
        field(&mut out, "Sec-WebSocket-Version", b"13");
        if !self.subprotocols.is_empty() {
            field(&mut out, "Sec-WebSocket-Protocol", self.subprotocols.join(", ").as_bytes());
        }
        for (name, value) in &self.headers {
            field(&mut out, name, value.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}

/// The server's answer is no WebSocket handshake that a client may go on with (§4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Not an HTTP/1.1 response.
    Malformed,
    /// The head is longer than [`Config::max_head`].
    HeadTooLong,
    /// More headers than [`Config::max_headers`].
    TooManyHeaders,
    /// More than 8 interim responses.
    TooManyInterim,
    /// `Upgrade` is not `websocket`.
    Upgrade,
    /// `Connection` has no `Upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` is missing, there are several, or it does not belong to the request's key.
    Accept,
    /// A subprotocol that was not offered, or several.
    Subprotocol,
    /// An extension that was not offered.
    Extension,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the answer is not an HTTP/1.1 response",
            Self::HeadTooLong => "the response's head is too long",
            Self::TooManyHeaders => "the response has too many headers",
            Self::TooManyInterim => "too many interim responses",
            Self::Upgrade => "the response does not upgrade to websocket",
            Self::Connection => "the response's Connection header has no upgrade",
            Self::Accept => "the response's Sec-WebSocket-Accept does not belong to our key",
            Self::Subprotocol => "the server chose a subprotocol that was not offered",
            Self::Extension => "the server chose an extension that was not offered",
        })
    }
}

impl core::error::Error for HandshakeError {}

#[derive(Debug)]
pub(crate) struct ClientHandshake {
    reader: HeadReader,
    accept: String,
    offered: Vec<String>,
    interim: u8,
    refused: Option<Refused>,
}

/// A response that is not 101, and how much of its body is to come.
#[derive(Debug)]
struct Refused {
    response: Response,
    framing: Framing,
}

#[derive(Debug)]
enum Framing {
    Length(u64),
    /// Up to the end of the connection. Chunks come here too, and are decoded when they are complete.
    UntilEof,
    Chunked,
}

pub(crate) enum Answer {
    More,
    Open(Response, Agreed),
    Refused(Response),
    Failed(HandshakeError),
}

impl ClientHandshake {
    /// The handshake and its request, on the wire.
    pub(crate) fn new(config: &Config, request: &ClientRequest, keys: &mut Keys) -> (Self, Vec<u8>) {
        let mut nonce = [0; 16];
        for word in nonce.as_chunks_mut::<4>().0 {
            *word = keys.next();
        }
        let key = key::encode(nonce);
        let handshake = Self {
            reader: HeadReader::new(config.max_head, config.max_headers),
            accept: key::accept(key.as_bytes()),
            offered: request.subprotocols.clone(),
            interim: 0,
            refused: None,
        };
        (handshake, request.encode(&key))
    }

    /// Takes what belongs to the response from `input`, and nothing behind it.
    pub(crate) fn receive(&mut self, input: &mut Input<'_>) -> Answer {
        while self.refused.is_none() {
            let head = match self.reader.read(input) {
                Ok(None) => return Answer::More,
                Ok(Some(head)) => head,
                Err(HeadError::Malformed) => return Answer::Failed(HandshakeError::Malformed),
                Err(HeadError::TooLong) => return Answer::Failed(HandshakeError::HeadTooLong),
                Err(HeadError::TooManyHeaders) => return Answer::Failed(HandshakeError::TooManyHeaders),
            };
            let Some((status, fields)) = parse(head) else {
                return Answer::Failed(HandshakeError::Malformed);
            };
            if status == Status::SWITCHING_PROTOCOLS {
                return match self.verify(&fields) {
                    Ok(agreed) => Answer::Open(response(status, &fields), agreed),
                    Err(error) => Answer::Failed(error),
                };
            }
            if status.is_interim() {
                self.interim += 1;
                if self.interim > MAX_INTERIM {
                    return Answer::Failed(HandshakeError::TooManyInterim);
                }
                self.reader.restart();
                continue;
            }
            let framing = framing(status, &fields);
            self.refused = Some(Refused { response: response(status, &fields), framing });
        }
        match self.refused.as_mut().is_some_and(|refused| refused.receive(input)) {
            true => self.refused.take().map_or(Answer::More, |refused| Answer::Refused(refused.finish())),
            false => Answer::More,
        }
    }

    /// The response whose body ends with the connection.
    pub(crate) fn receive_eof(&mut self) -> Option<Response> {
        self.refused.take().map(Refused::finish)
    }

    /// §4.1, "the client MUST validate the server's response".
    fn verify(&self, fields: &Fields) -> Result<Agreed, HandshakeError> {
        let mut upgrades = fields.all("upgrade").flat_map(list);
        match (upgrades.next(), upgrades.next()) {
            (Some(upgrade), None) if upgrade.eq_ignore_ascii_case(b"websocket") => {}
            _ => return Err(HandshakeError::Upgrade),
        }
        if !fields.has_token("connection", "upgrade") {
            return Err(HandshakeError::Connection);
        }
        if fields.one("sec-websocket-accept") != Ok(Some(self.accept.as_bytes())) {
            return Err(HandshakeError::Accept);
        }
        if fields.all("sec-websocket-extensions").flat_map(list).next().is_some() {
            return Err(HandshakeError::Extension);
        }
        let subprotocol = match fields.one("sec-websocket-protocol") {
            Ok(None) => None,
            Ok(Some(chosen)) => {
                let offered = self.offered.iter().find(|offered| offered.as_bytes() == chosen);
                Some(offered.ok_or(HandshakeError::Subprotocol)?.clone())
            }
            Err(()) => return Err(HandshakeError::Subprotocol),
        };
        Ok(Agreed { subprotocol })
    }
}

impl Refused {
    /// Takes body bytes; whether that was all.
    fn receive(&mut self, input: &mut Input<'_>) -> bool {
        let body = self.response.body_mut();
        let wanted = match self.framing {
            Framing::Length(left) => usize::try_from(left).unwrap_or(usize::MAX),
            Framing::UntilEof | Framing::Chunked => usize::MAX,
        };
        let bytes = input.take(wanted);
        let kept = bytes.len().min(MAX_BODY - body.len());
        body.extend_from_slice(&bytes[..kept]);
        if let Framing::Length(left) = &mut self.framing {
            *left = left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        }
        let done = match self.framing {
            Framing::Length(left) => left == 0,
            Framing::UntilEof => false,
            // The last chunk, without trailers: enough to know that waiting is over. The connection's end does otherwise.
            Framing::Chunked => body.ends_with(b"0\r\n\r\n"),
        };
        done || body.len() == MAX_BODY
    }

    fn finish(mut self) -> Response {
        if matches!(self.framing, Framing::Chunked) {
            let body = self.response.body_mut();
            *body = dechunk(body);
        }
        self.response
    }
}

fn parse(head: Vec<u8>) -> Option<(Status, Fields)> {
    let mut headers = header_slots(&head);
    let mut parsed = httparse::Response::new(&mut headers);
    if !matches!(parsed.parse(&head), Ok(httparse::Status::Complete(_))) || parsed.version != Some(1) {
        return None;
    }
    let status = Status::new(parsed.code?)?;
    let fields = parsed.headers.iter().map(|header| Field::locate(&head, header)).collect();
    drop(headers);
    Some((status, Fields::new(head, fields)))
}

fn response(status: Status, fields: &Fields) -> Response {
    Response::received(status, fields.iter().map(|(name, value)| (name.into(), value.into())).collect())
}

/// How the end of the body is known (RFC 9112 §6.3).
fn framing(status: Status, fields: &Fields) -> Framing {
    if matches!(status.get(), 204 | 304) {
        return Framing::Length(0);
    }
    if fields.has_token("transfer-encoding", "chunked") {
        return Framing::Chunked;
    }
    let length = fields.one("content-length").ok().flatten();
    match length.and_then(|length| core::str::from_utf8(length).ok()?.parse().ok()) {
        Some(length) => Framing::Length(length),
        None => Framing::UntilEof,
    }
}

/// What the chunks in `body` carry, as far as they are complete.
fn dechunk(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Ok(httparse::Status::Complete((start, len))) = httparse::parse_chunk_size(body) {
        let rest = &body[start..];
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
        if len == 0 {
            break;
        }
        out.extend_from_slice(&rest[..len]);
        body = rest[len..].strip_prefix(b"\r\n").unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_as_far_as_they_came() {
        assert_eq!(dechunk(b"5\r\nHello\r\n7;x=y\r\n, world\r\n0\r\n\r\n"), b"Hello, world");
        assert_eq!(dechunk(b"5\r\nHello\r\n7\r\n, wo"), b"Hello, wo");
        assert_eq!(dechunk(b"nonsense"), b"");
    }
}
