//! The server's side of the opening handshake (RFC 6455 §4.2).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::Agreed;
use super::head::{HeadError, HeadReader, InvalidHeader, check_field};
use super::origin;
use super::refusal::Refusal;
use super::request::Request;
use super::response::{Response, Status, field, status_line};
#[cfg(feature = "deflate")]
use crate::compression::Compression;
use crate::config::{Config, Origins};
use crate::frame::Input;

/// How a server answers a request that it accepts: `Accept::new()` for nothing special.
#[derive(Clone, Debug, Default)]
pub struct Accept {
    subprotocol: Option<String>,
    headers: Vec<(String, String)>,
    pub(crate) config: Option<Config>,
}

impl Accept {
    /// No subprotocol, no further headers, the configuration that the connection was made with.
    pub const fn new() -> Self {
        Self { subprotocol: None, headers: Vec::new(), config: None }
    }

    /// With this subprotocol, one of those that [`Request::subprotocols`] names (§4.2.2).
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocol = Some(name.into());
        self
    }

    /// With the first subprotocol that the client offers and is among `supported`, if there is one. Without
    /// one the client may go on or not (§4.1); to refuse it, answer with a response instead.
    pub fn first_subprotocol(mut self, request: &Request, supported: &[&str]) -> Self {
        self.subprotocol = request.subprotocols().find(|offered| supported.contains(offered)).map(Into::into);
        self
    }

    /// With a header field in the response, such as `Set-Cookie`.
    ///
    /// # Errors
    /// [`InvalidHeader`] if it cannot stand in a head as it is, or is the library's to write.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        check_field(name, value)?;
        self.headers.push((name.into(), value.into()));
        Ok(self)
    }

    /// With these settings from now on: larger limits for a user that is known, say.
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }
}

/// A request was not accepted as the application would have it. If there is one, it still waits for its
/// answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AcceptError {
    /// No request is waiting for an answer.
    NoRequest,
    /// The client did not offer this subprotocol (§4.2.2).
    SubprotocolNotOffered,
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRequest => "no request is waiting for an answer",
            Self::SubprotocolNotOffered => "the client did not offer this subprotocol",
        })
    }
}

impl core::error::Error for AcceptError {}

#[derive(Debug)]
pub(crate) struct ServerHandshake {
    reader: HeadReader,
    origins: Origins,
    hosts: Option<Arc<[String]>>,
    #[cfg(feature = "deflate")]
    pub(crate) compression: Option<Compression>,
    asked: Option<Request>,
    /// The request is a HEAD, whose answer has no body (RFC 9110 §9.3.2).
    head_only: bool,
}

pub(crate) enum Progress {
    More,
    Asked(Request),
    Refused(Refusal),
}

impl ServerHandshake {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            reader: HeadReader::request(config.max_head, config.max_headers),
            origins: config.origins.clone(),
            hosts: config.hosts.clone(),
            #[cfg(feature = "deflate")]
            compression: config.compression,
            asked: None,
            head_only: false,
        }
    }

    /// Whether nothing has come from the client.
    pub(crate) fn is_untouched(&self) -> bool {
        self.reader.is_empty() && self.asked.is_none()
    }

    /// Whether a request waits for its answer.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Takes what belongs to the request from `input`, and nothing behind it.
    pub(crate) fn receive(&mut self, input: &mut Input<'_>) -> Progress {
        if self.is_asked() {
            return Progress::More;
        }
        let head = match self.reader.read(input) {
            Ok(None) => return Progress::More,
            Ok(Some(head)) => {
                self.head_only = head.starts_with(b"HEAD ");
                Ok(head)
            }
            Err(HeadError::Malformed) => Err(Refusal::Malformed),
            Err(HeadError::TooLong) => Err(Refusal::HeadTooLong),
            Err(HeadError::TooManyHeaders) => Err(Refusal::TooManyHeaders),
        };
        let request = head.and_then(Request::parse).and_then(|request| {
            origin::check_host(self.hosts.as_deref(), &request)?;
            if request.is_upgrade() {
                origin::check(&self.origins, &request)?;
            }
            Ok(request)
        });
        match request {
            Ok(request) => {
                self.asked = Some(request.clone());
                Progress::Asked(request)
            }
            Err(refusal) => Progress::Refused(refusal),
        }
    }

    /// The 101 response and what is agreed upon, or the refusal of a request that asks for no WebSocket.
    pub(crate) fn accept(&self, accept: &Accept) -> Result<Result<(Vec<u8>, Agreed), Refusal>, AcceptError> {
        let request = self.asked.as_ref().ok_or(AcceptError::NoRequest)?;
        let Some(key) = request.accept_key() else {
            return Ok(Err(if request.method() == "GET" { Refusal::NoUpgrade } else { Refusal::Method }));
        };
        if let Some(chosen) = &accept.subprotocol
            && !request.subprotocols().any(|offered| offered == chosen)
        {
            return Err(AcceptError::SubprotocolNotOffered);
        }
        let mut out = status_line(Status::SWITCHING_PROTOCOLS);
        field(&mut out, "Upgrade", b"websocket");
        field(&mut out, "Connection", b"Upgrade");
        field(&mut out, "Sec-WebSocket-Accept", key.as_bytes());
        if let Some(subprotocol) = &accept.subprotocol {
            field(&mut out, "Sec-WebSocket-Protocol", subprotocol.as_bytes());
        }
        let mut agreed = Agreed::new();
        agreed.subprotocol.clone_from(&accept.subprotocol);
        #[cfg(feature = "deflate")]
        if let Some(compression) = self.compression(accept)
            && let Some((compression, value)) = compression.settings.answer(request.extensions())
        {
            field(&mut out, "Sec-WebSocket-Extensions", value.as_bytes());
            agreed.compression = Some(compression);
        }
        for (name, value) in &accept.headers {
            field(&mut out, name, value.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        Ok(Ok((out, agreed)))
    }

    /// What holds for the connection, if it is accepted like this.
    #[cfg(feature = "deflate")]
    pub(crate) fn compression(&self, accept: &Accept) -> Option<Compression> {
        accept.config.as_ref().map_or(self.compression, |config| config.compression)
    }

    /// `response` as an answer to the request, on the wire.
    pub(crate) fn encode(&self, response: &Response) -> Vec<u8> {
        response.encode(self.head_only)
    }
}
