//! What the surfaces return when something is wrong.

use core::fmt;

use std::io::ErrorKind;

use sansocket::{AcceptError, Cause, Disconnect, InvalidHeader, InvalidUrl, Response, SendError, Status};

use crate::proxy::{InvalidProxy, ProxyError};

/// Why a call on a [`WebSocket`](crate::WebSocket) failed, or the opening handshake did.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The byte stream failed.
    Io(std::io::Error),
    /// The connection ended otherwise than by a closing handshake.
    Disconnected(Disconnect),
    /// The message was not queued.
    Send(SendError),
    /// A client's request was answered with something else than a WebSocket.
    Rejected(Box<Response>),
    /// A server's answer does not fit the request.
    Accept(AcceptError),
    /// Not a URL that a WebSocket can be opened to.
    Url(InvalidUrl),
    /// A header field that cannot be sent.
    Header(InvalidHeader),
    /// There is no way through the proxy.
    Proxy(ProxyError),
}

impl Error {
    pub(crate) fn disconnected(disconnect: &Disconnect) -> Self {
        Self::Disconnected(disconnect.clone())
    }

    /// How the connection ended, if this is about that.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Disconnected(disconnect) => Some(disconnect.cause()),
            Self::Io(_)
            | Self::Send(_)
            | Self::Rejected(_)
            | Self::Accept(_)
            | Self::Url(_)
            | Self::Header(_)
            | Self::Proxy(_) => None,
        }
    }

    /// Whether opening the same WebSocket may succeed later: the stream failed, or something took too long,
    /// or a server or an HTTP proxy answered with 429 (Too Many Requests) or 5xx, or the proxy could not
    /// reach the server.
    ///
    /// All else stays as it is until somebody changes it: a wrong URL, other answers, a peer that breaks the
    /// protocol; and streams that fail because what is asked for is invalid or not supported, or came with
    /// invalid data, as TLS streams put it when they do not accept a certificate.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Io(error) => !matches!(
                error.kind(),
                ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::Unsupported
            ),
            Self::Disconnected(disconnect) => match disconnect.cause() {
                Cause::Closed(_) | Cause::Lost | Cause::TimedOut(_) => true,
                Cause::Rejected(status) => is_temporary_status(*status),
                _ => false,
            },
            Self::Rejected(response) => is_temporary_status(response.status()),
            Self::Proxy(error) => error.is_temporary(),
            Self::Send(_) | Self::Accept(_) | Self::Url(_) | Self::Header(_) => false,
        }
    }
}

/// 429 and 5xx.
pub(crate) fn is_temporary_status(status: Status) -> bool {
    status == Status::TOO_MANY_REQUESTS || status.get() >= 500
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Disconnected(disconnect) => disconnect.fmt(f),
            Self::Send(error) => error.fmt(f),
            Self::Rejected(response) => write!(f, "the server answered with status {}", response.status()),
            Self::Accept(error) => error.fmt(f),
            Self::Url(error) => error.fmt(f),
            Self::Header(error) => error.fmt(f),
            Self::Proxy(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => error.source(),
            Self::Disconnected(disconnect) => disconnect.source(),
            Self::Send(_)
            | Self::Rejected(_)
            | Self::Accept(_)
            | Self::Url(_)
            | Self::Header(_)
            | Self::Proxy(_) => None,
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<AcceptError> for Error {
    fn from(error: AcceptError) -> Self {
        Self::Accept(error)
    }
}

impl From<InvalidUrl> for Error {
    fn from(error: InvalidUrl) -> Self {
        Self::Url(error)
    }
}

impl From<InvalidHeader> for Error {
    fn from(error: InvalidHeader) -> Self {
        Self::Header(error)
    }
}

impl From<ProxyError> for Error {
    fn from(error: ProxyError) -> Self {
        Self::Proxy(error)
    }
}

impl From<InvalidProxy> for Error {
    fn from(error: InvalidProxy) -> Self {
        Self::Proxy(ProxyError::Url(error))
    }
}
