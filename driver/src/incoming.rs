//! Opening handshakes over a byte stream, both sides.

use core::future::poll_fn;
use core::ops::ControlFlow;
use core::pin::Pin;

use sansocket::{
    Accept, Cause, ClientRequest, Config, Connection, Event, Request, Response, Role, Seed, State, Status,
    Transport,
};

use crate::error::Error;
use crate::io::{Io, Timer};
use crate::socket::{Socket, ignore};
use crate::trace;
use crate::websocket::WebSocket;

/// A request that waits for its answer: read on a server's stream, not yet accepted.
#[derive(Debug)]
pub struct Incoming<I, T> {
    socket: Socket<I, T>,
    request: Request,
}

impl<I: Io + Unpin, T: Timer + Unpin> Incoming<I, T> {
    /// Reads a request. One that is faulty is answered here and becomes an error.
    ///
    /// # Errors
    /// [`Error::Disconnected`] with [`Cause::Refused`] or what else ended it; [`Error::Io`].
    ///
    /// # Cancel safety
    /// Not safe: the stream is lost if this is dropped.
    pub async fn read(io: I, timer: T, config: &Config) -> Result<Self, Error> {
        boxed(async {
            let mut socket = Socket::new(io, timer, |now| Connection::server(config, now));
            match next(&mut socket).await? {
                Event::Request(request) => {
                    // The application may take its time.
                    socket.shrink();
                    Ok(Self { socket, request })
                }
                _ => Err(end(&mut socket)),
            }
        })
        .await
    }

    /// The request: it may ask for a WebSocket, or for something else.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Accepts the request and writes the response. One that asks for no WebSocket is refused and becomes an
    /// error.
    ///
    /// # Errors
    /// [`Error::Accept`] if the answer does not fit, which the client is answered with 500;
    /// [`Error::Disconnected`]; [`Error::Io`].
    ///
    /// # Cancel safety
    /// Not safe: the stream is lost if this is dropped.
    pub async fn accept(self, accept: Accept) -> Result<WebSocket<I, T>, Error> {
        boxed(async {
            let mut socket = self.accept_unwritten(accept).await?;
            match poll_fn(|cx| socket.poll_flush(cx)).await {
                Ok(()) => Ok(WebSocket::new(socket)),
                Err(_) => Err(end(&mut socket)),
            }
        })
        .await
    }

    /// Answers with `response` and ends the stream behind it.
    ///
    /// # Errors
    /// [`Error::Io`] if it could not be written.
    ///
    /// # Cancel safety
    /// Not safe: the stream is lost if this is dropped, and the response may be cut off.
    pub async fn reject(mut self, response: Response) -> Result<(), Error> {
        let now = self.socket.now();
        self.socket.connection.reject(now, response);
        finish(&mut self.socket).await;
        if let Transport::Close(disconnect) = self.socket.connection.transport() {
            trace::ended(disconnect);
        }
        // What breaks behind the response changes nothing.
        match self.socket.take_error() {
            Some(error) if self.socket.has_lost_output() => Err(Error::Io(error)),
            _ => Ok(()),
        }
    }

    /// As [`accept`](Self::accept), but the response is queued, so that what is sent next goes with it.
    pub(crate) async fn accept_unwritten(mut self, accept: Accept) -> Result<Socket<I, T>, Error> {
        let now = self.socket.now();
        if let Err(error) = self.socket.connection.accept(now, accept) {
            // The mistake is ours; the client should hear of it all the same.
            self.socket.connection.reject(now, Response::new(Status::INTERNAL_SERVER_ERROR));
            finish(&mut self.socket).await;
            return Err(error.into());
        }
        if self.socket.connection.state() != State::Open {
            finish(&mut self.socket).await;
            return Err(end(&mut self.socket));
        }
        trace::opened(Role::Server, self.socket.connection.agreed());
        Ok(self.socket)
    }
}

/// Opens a WebSocket as a client, on a stream that is connected to the server.
///
/// # Errors
/// [`Error::Rejected`] with the server's response if it does not upgrade; [`Error::Disconnected`];
/// [`Error::Io`].
///
/// # Cancel safety
/// Not safe: the stream is lost if this is dropped.
pub async fn connect<I: Io + Unpin, T: Timer + Unpin>(
    io: I,
    timer: T,
    config: &Config,
    request: &ClientRequest,
    seed: Seed,
) -> Result<(WebSocket<I, T>, Response), Error> {
    boxed(async {
        let mut socket = Socket::new(io, timer, |now| Connection::client(config, request, seed, now));
        match next(&mut socket).await? {
            Event::Open(response) => {
                trace::opened(Role::Client, socket.connection.agreed());
                Ok((WebSocket::new(socket), response))
            }
            Event::Rejected(response) => {
                trace::ended(&Cause::Rejected(response.status()).into());
                Err(Error::Rejected(Box::new(response)))
            }
            _ => Err(end(&mut socket)),
        }
    })
    .await
}

/// A handshake is large and soon over. Without a box, the task that goes on with the connection would keep its room.
fn boxed<F>(handshake: F) -> Pin<Box<F>> {
    Box::pin(handshake)
}

/// The first event.
async fn next<I: Io + Unpin, T: Timer>(socket: &mut Socket<I, T>) -> Result<Event<'static>, Error> {
    let first =
        poll_fn(|cx| socket.poll_events(cx, 0, |_, _, _, event| ControlFlow::Break(event.into_owned())))
            .await;
    first.ok_or_else(|| end(socket))
}

/// Lets what is queued go out and the stream end.
async fn finish<I: Io + Unpin, T: Timer>(socket: &mut Socket<I, T>) {
    poll_fn(|cx| socket.poll_events(cx, 0, ignore::<()>)).await;
}

fn end<I: Io + Unpin, T: Timer>(socket: &mut Socket<I, T>) -> Error {
    let disconnect = match socket.connection.transport() {
        Transport::Close(disconnect) => disconnect.clone(),
        Transport::Open | Transport::ShutdownWrite => Cause::Lost.into(),
    };
    // A stream that breaks behind a verdict, as by a client that resets it when it is refused, changes nothing.
    if let (Cause::Lost, Some(error)) = (disconnect.cause(), socket.take_error()) {
        trace::failed(&error);
        return Error::Io(error);
    }
    trace::ended(&disconnect);
    match disconnect.response() {
        Some(response) => Error::Rejected(Box::new(response.clone())),
        None => Error::Disconnected(disconnect),
    }
}
