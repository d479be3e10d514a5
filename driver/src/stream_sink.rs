//! A WebSocket as the traits that combinators are made for.

use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;
use futures_sink::Sink;
use sansocket::{CloseCode, Message, State};

use crate::error::Error;
use crate::io::{Io, Timer};
use crate::websocket::WebSocket;

/// The messages, up to the end of the connection.
impl<I: Io + Unpin, T: Timer + Unpin> Stream for WebSocket<I, T> {
    type Item = Result<Message<'static>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(Result::transpose)
    }
}

/// Closing the sink closes the connection with [`CloseCode::NORMAL_CLOSURE`] and waits until it is over.
/// Messages that come meanwhile are dropped, and how it ended is in [`WebSocket::disconnect`]: closing is
/// never an error.
impl<'m, I: Io + Unpin, T: Timer + Unpin> Sink<Message<'m>> for WebSocket<I, T> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_room(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message<'m>) -> Result<(), Error> {
        self.queue(|connection| connection.send(message))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_send(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.connection().state() == State::Open {
            self.start_close(CloseCode::NORMAL_CLOSURE);
        }
        self.poll_closed(cx).map(|_| Ok(()))
    }
}
