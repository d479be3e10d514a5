//! The client's side of the opening handshake (RFC 6455 §4.1).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::body::Body;
use super::head::{
    Field, Fields, HeadError, HeadReader, InvalidHeader, check_field, header_slots, is_token, list,
};
use super::response::{Response, Status, field};
use super::url::{InvalidUrl, Url};
use super::{Agreed, key};
#[cfg(feature = "deflate")]
use crate::compression::Compression;
use crate::config::Config;
use crate::frame::Input;
use crate::keys::Keys;

/// A server may send this many interim responses (1xx) before its answer.
const MAX_INTERIM: u8 = 8;

/// Header fields that are for one origin.
const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// What a client asks for. The headers of the handshake itself are written by the library.
#[derive(Clone)]
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

    /// Offering a subprotocol (§1.9), in the order of these calls: most wanted first. One offered twice is
    /// offered once.
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

    /// This request at the place that a redirection's `Location` names, relative to this URL (RFC 3986 §5;
    /// RFC 9110 §10.2.2). `http` stands for `ws` and `https` for `wss`.
    ///
    /// At another origin, by scheme, host or port, it goes without `Authorization`, `Cookie` and
    /// `Proxy-Authorization`: those were for the server that was asked first.
    ///
    /// # Errors
    /// [`InvalidUrl`] says what is wrong with `location`; [`InvalidUrl::Downgrade`] if it leads from `wss` to
    /// `ws`.
    pub fn redirected(&self, location: &str) -> Result<Self, InvalidUrl> {
        let mut request = Self { url: self.url.join(location)?, ..self.clone() };
        if !request.url.is_same_origin(&self.url) {
            request.headers.retain(|(name, _)| !CREDENTIALS.iter().any(|it| name.eq_ignore_ascii_case(it)));
        }
        Ok(request)
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

    fn encode(&self, key: &str, config: &Config) -> Vec<u8> {
        let mut out = alloc::format!("GET {} HTTP/1.1\r\n", self.url.target).into_bytes();
        field(&mut out, "Host", self.url.authority().as_bytes());
        field(&mut out, "Upgrade", b"websocket");
        field(&mut out, "Connection", b"Upgrade");
        field(&mut out, "Sec-WebSocket-Key", key.as_bytes());
        field(&mut out, "Sec-WebSocket-Version", b"13");
        if !self.subprotocols.is_empty() {
            field(&mut out, "Sec-WebSocket-Protocol", self.subprotocols.join(", ").as_bytes());
        }
        #[cfg(feature = "deflate")]
        if let Some(compression) = &config.compression {
            field(&mut out, "Sec-WebSocket-Extensions", compression.settings.offer().as_bytes());
        }
        #[cfg(not(feature = "deflate"))]
        let _ = config;
        for (name, value) in &self.headers {
            field(&mut out, name, value.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}

impl fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers carry secrets: tokens, cookies.
        f.debug_struct("ClientRequest").field("url", &self.url).finish_non_exhaustive()
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
    /// An extension that was not offered, or not like this: for permessage-deflate, parameters that are no
    /// answer to the offer's (RFC 7692 §7.1).
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
            Self::Extension => "the server chose an extension that was not offered, or not like this",
        })
    }
}

impl core::error::Error for HandshakeError {}

#[derive(Debug)]
pub(crate) struct ClientHandshake {
    reader: HeadReader,
    accept: String,
    offered: Vec<String>,
    #[cfg(feature = "deflate")]
    pub(crate) compression: Option<Compression>,
    interim: u8,
    refused: Option<Refused>,
}

/// A response that is not 101.
#[derive(Debug)]
struct Refused {
    response: Response,
    body: Body,
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
            reader: HeadReader::response(config.max_head, config.max_headers),
            accept: key::accept(key.as_bytes()),
            offered: request.subprotocols.clone(),
            #[cfg(feature = "deflate")]
            compression: config.compression,
            interim: 0,
            refused: None,
        };
        (handshake, request.encode(&key, config))
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
                    Ok(agreed) => Answer::Open(Response::received(status, fields), agreed),
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
            let body = Body::new(status, &fields);
            self.refused = Some(Refused { response: Response::received(status, fields), body });
        }
        let ended = |refused: &mut Refused| refused.body.receive(input, refused.response.body_mut());
        match self.refused.take_if(ended) {
            Some(refused) => Answer::Refused(refused.response),
            None => Answer::More,
        }
    }

    /// The response whose body ends with the connection.
    pub(crate) fn receive_eof(&mut self) -> Option<Response> {
        self.refused.take().map(|refused| refused.response)
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
        let mut agreed = Agreed::new();
        #[cfg(feature = "deflate")]
        if let Some(compression) = &self.compression {
            let answer = compression.settings.verify(fields.all("sec-websocket-extensions"));
            agreed.compression = answer.map_err(|_| HandshakeError::Extension)?;
        }
        if agreed.compression.is_none()
            && fields.all("sec-websocket-extensions").flat_map(list).next().is_some()
        {
            return Err(HandshakeError::Extension);
        }
        agreed.subprotocol = match fields.one("sec-websocket-protocol") {
            Ok(None) => None,
            Ok(Some(chosen)) => {
                let offered = self.offered.iter().find(|offered| offered.as_bytes() == chosen);
                Some(offered.ok_or(HandshakeError::Subprotocol)?.clone())
            }
            Err(()) => return Err(HandshakeError::Subprotocol),
        };
        Ok(agreed)
    }
}

fn parse(mut head: Vec<u8>) -> Option<(Status, Fields)> {
    // What came behind it in the same read was reckoned with, and the response may be kept.
    head.shrink_to_fit();
    let mut headers = header_slots(&head);
    let mut parsed = httparse::Response::new(&mut headers);
    if !matches!(parsed.parse(&head), Ok(httparse::Status::Complete(_))) {
        return None;
    }
    let status = Status::new(parsed.code?)?;
    // An old proxy may refuse in HTTP/1.0, but cannot upgrade.
    if parsed.version != Some(1) && status == Status::SWITCHING_PROTOCOLS {
        return None;
    }
    let fields = parsed.headers.iter().map(|header| Field::locate(&head, header)).collect();
    drop(headers);
    Some((status, Fields::new(head, fields)))
}
