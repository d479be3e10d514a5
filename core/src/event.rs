//! What a connection tells its caller.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use core::fmt;

use crate::close::CloseFrame;
use crate::error::ProtocolError;
use crate::handshake::{HandshakeError, Refusal, Request, Response, Status};
use crate::message::{Data, Message};
use crate::time::Timer;

/// Something that came from the peer. It borrows the caller's bytes only, so the connection can be used while
/// it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'b> {
    /// A server got a request: [`accept`](crate::Connection::accept) or [`reject`](crate::Connection::reject)
    /// it, now or later. Nothing else is received meanwhile.
    Request(Request),
    /// A client's request was accepted, with this response: the connection is open.
    Open(Response),
    /// A client's request was answered with something else than a WebSocket: an error, a redirect, a page.
    Rejected(Response),
    /// A whole message ([`Delivery::Whole`](crate::Delivery::Whole)). It may come after this side has begun
    /// to close the connection, by itself on a timeout too; answering fails with
    /// [`SendError::Closed`](crate::SendError::Closed) then.
    Message(Message<'b>),
    /// A piece of a message ([`Delivery::Streaming`](crate::Delivery::Streaming)).
    Data(Data<'b>),
    /// A Ping, already answered unless [`Config::auto_pong`](crate::Config::auto_pong) is off or this side
    /// has sent its Close.
    Ping(Cow<'b, [u8]>),
    /// A Pong, whether asked for or not.
    Pong(Cow<'b, [u8]>),
    /// The peer's Close, already answered unless it is the answer to ours or nothing can be written. No
    /// message follows.
    Close(CloseFrame<'b>),
}

impl Event<'_> {
    /// The event, owning its payload.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Self::Request(request) => Event::Request(request),
            Self::Open(response) => Event::Open(response),
            Self::Rejected(response) => Event::Rejected(response),
            Self::Message(message) => Event::Message(message.into_owned()),
            Self::Data(data) => Event::Data(data.into_owned()),
            Self::Ping(payload) => Event::Ping(Cow::Owned(payload.into_owned())),
            Self::Pong(payload) => Event::Pong(Cow::Owned(payload.into_owned())),
            Self::Close(frame) => Event::Close(frame.into_owned()),
        }
    }
}

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// This one.
    Local,
    /// The peer.
    Remote,
}

/// What to do with the transport. It only ever goes forward through these.
///
/// In every case what is in [`transmit`](crate::Connection::transmit) is written first; there is none with
/// `Close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport<'c> {
    /// Read and write.
    Open,
    /// Close the writing direction (TLS: `close_notify`), once: it stays shown, and doing it again may wake
    /// an event loop again. Then go on reading until the end or
    /// [`handle_timeout`](crate::Connection::handle_timeout), so that what is on its way is not lost to a
    /// reset.
    ShutdownWrite,
    /// Close it. This is how the connection ended.
    Close(&'c Disconnect),
}

/// How a connection ended: the one terminal verdict. It is as wide as a pointer.
#[derive(Clone, PartialEq, Eq)]
pub struct Disconnect(pub(crate) Box<Ending>);

#[derive(Clone)]
pub(crate) struct Ending {
    pub(crate) cause: Cause,
    pub(crate) sent: Option<CloseFrame<'static>>,
    pub(crate) received: Option<CloseFrame<'static>>,
    pub(crate) response: Option<Response>,
    /// Output was, or some of it.
    pub(crate) dropped: bool,
}

/// What was dropped depends on how fast the transport is, and is no part of the verdict.
impl PartialEq for Ending {
    fn eq(&self, other: &Self) -> bool {
        (&self.cause, &self.sent, &self.received, &self.response)
            == (&other.cause, &other.sent, &other.received, &other.response)
    }
}

impl Eq for Ending {}

/// What began the end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A closing handshake (RFC 6455 §7.1.4), begun by the side named. Whether it was completed:
    /// [`Disconnect::is_clean`].
    Closed(Side),
    /// The transport ended without one (§7.1.5: code 1006).
    Lost,
    /// The peer broke the protocol or a limit (§7.1.7).
    Violation(ProtocolError),
    /// A timer expired.
    TimedOut(Timer),
    /// Server: the request was refused by the library.
    Refused(Refusal),
    /// The opening handshake ended with a response other than 101: the application's (server), or the peer's
    /// (client).
    Rejected(Status),
    /// Client: the server's response is no valid handshake.
    Handshake(HandshakeError),
}

impl Disconnect {
    pub(crate) fn new(cause: Cause) -> Self {
        Self(Box::new(Ending { cause, sent: None, received: None, response: None, dropped: false }))
    }

    /// What began it.
    pub fn cause(&self) -> &Cause {
        &self.0.cause
    }

    /// The Close frame that this side sent, if any: none if it was queued and never went out.
    pub fn sent(&self) -> Option<&CloseFrame<'static>> {
        self.0.sent.as_ref()
    }

    /// The Close frame that came from the peer, if any.
    pub fn received(&self) -> Option<&CloseFrame<'static>> {
        self.0.received.as_ref()
    }

    /// The server's response, if it rejected a client's request and its body did not end in time, so that
    /// there was no event.
    pub fn response(&self) -> Option<&Response> {
        self.0.response.as_ref()
    }

    /// Whether the closing handshake was completed: both Close frames (§7.1.4).
    pub fn is_clean(&self) -> bool {
        self.0.sent.is_some() && self.0.received.is_some()
    }

    /// Whether this is an end in good order: a closing handshake, whatever its code, or an HTTP answer
    /// instead of a WebSocket.
    pub fn is_orderly(&self) -> bool {
        matches!(self.0.cause, Cause::Closed(_) | Cause::Rejected(_))
    }
}

impl From<Cause> for Disconnect {
    /// An end without Close frames.
    fn from(cause: Cause) -> Self {
        Self::new(cause)
    }
}

impl fmt::Debug for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ending { cause, sent, received, response, dropped: _ } = &*self.0;
        let mut debug = f.debug_struct("Disconnect");
        debug.field("cause", cause).field("sent", sent).field("received", received);
        debug.field("response", response).finish()
    }
}

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.cause {
            Cause::Closed(side) => {
                let (side, frame) = match side {
                    Side::Local => ("this side", &self.0.sent),
                    Side::Remote => ("the peer", &self.0.received),
                };
                write!(f, "closed by {side}: {}", frame.as_ref().unwrap_or(&CloseFrame::empty()))
            }
            Cause::Lost => f.write_str("the connection was lost"),
            Cause::Violation(error) => write!(f, "the peer's fault: {error}"),
            Cause::TimedOut(timer) => write!(f, "timed out: {timer}"),
            Cause::Refused(refusal) => write!(f, "refused: {refusal}"),
            Cause::Rejected(status) => write!(f, "the handshake was answered with status {status}"),
            Cause::Handshake(error) => write!(f, "the handshake failed: {error}"),
        }
    }
}

impl core::error::Error for Disconnect {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.0.cause {
            Cause::Violation(error) => Some(error),
            Cause::Refused(refusal) => Some(refusal),
            Cause::Handshake(error) => Some(error),
            Cause::Closed(_) | Cause::Lost | Cause::TimedOut(_) | Cause::Rejected(_) => None,
        }
    }
}
