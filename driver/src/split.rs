//! A WebSocket in two halves, for two tasks.

use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::{Arc, PoisonError};

use futures_core::Stream;
use futures_sink::Sink;
use sansocket::{CloseFrame, Connection, Data, Disconnect, Kind, Message, Prepared, SendError};

use crate::error::Error;
use crate::io::{Io, Timer};
use crate::sync::{Mutex, MutexGuard};
use crate::websocket::WebSocket;

/// The half of a WebSocket that sends.
///
/// It waits for nothing that the other half does: a peer that sends nothing, or whose messages nobody takes, does not
/// keep it from sending. The connection lasts until both halves are dropped.
pub struct Sender<I, T>(Arc<Mutex<WebSocket<I, T>>>);

/// The half of a WebSocket that receives, and sees to Pings, the keepalive and the closing handshake meanwhile.
pub struct Receiver<I, T>(Arc<Mutex<WebSocket<I, T>>>);

/// The halves are not of one WebSocket.
pub struct ReuniteError<I, T>(pub Sender<I, T>, pub Receiver<I, T>);

pub(crate) fn split<I, T>(socket: WebSocket<I, T>) -> (Sender<I, T>, Receiver<I, T>) {
    let shared = Arc::new(Mutex::new(socket));
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

pub(crate) fn reunite<I, T>(
    sender: Sender<I, T>,
    receiver: Receiver<I, T>,
) -> Result<WebSocket<I, T>, ReuniteError<I, T>> {
    if !Arc::ptr_eq(&sender.0, &receiver.0) {
        return Err(ReuniteError(sender, receiver));
    }
    drop(sender);
    // There are two halves, and one is gone.
    let shared = Arc::try_unwrap(receiver.0)
        .map_err(|shared| ReuniteError(Sender(Arc::clone(&shared)), Receiver(shared)))?;
    Ok(shared.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The lock is held for no longer than a poll, and what is behind it is whole even if one panicked.
fn lock<I, T>(shared: &Mutex<WebSocket<I, T>>) -> MutexGuard<'_, WebSocket<I, T>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<I: Io + Unpin, T: Timer + Unpin> Sender<I, T> {
    /// As [`WebSocket::send`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there: a message is queued whole or not at all.
    pub async fn send(&mut self, message: impl Into<Message<'_>>) -> Result<(), Error> {
        self.feed(message).await?;
        self.flush().await
    }

    /// As [`WebSocket::feed`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// If this is dropped, the message is not queued.
    pub async fn feed(&mut self, message: impl Into<Message<'_>>) -> Result<(), Error> {
        self.feed_with(|connection| connection.send(message)).await
    }

    /// As [`WebSocket::feed_prepared`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// If this is dropped, the message is not queued.
    pub async fn feed_prepared(&mut self, message: &Prepared) -> Result<(), Error> {
        self.feed_with(|connection| connection.send_prepared(message)).await
    }

    /// As [`WebSocket::feed_plain`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// If this is dropped, the message is not queued.
    #[cfg(feature = "deflate")]
    pub async fn feed_plain(&mut self, message: impl Into<Message<'_>>) -> Result<(), Error> {
        self.feed_with(|connection| connection.send_plain(message)).await
    }

    /// As [`WebSocket::begin`].
    ///
    /// # Errors
    /// As there.
    pub fn begin(&mut self, kind: Kind) -> Result<(), Error> {
        self.queue(|connection| connection.begin(kind))
    }

    /// As [`WebSocket::push`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// If this is dropped, the piece is not queued.
    pub async fn push(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.feed_with(|connection| connection.push(piece)).await
    }

    /// As [`WebSocket::finish`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there: the piece is queued whole or not at all.
    pub async fn finish(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.feed_with(|connection| connection.finish(piece)).await?;
        self.flush().await
    }

    /// As [`WebSocket::flush`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// Safe: what is not written stays queued.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| lock(&self.0).poll_send(cx)).await
    }

    /// As [`WebSocket::close`]. What the other half waits for comes to it no more.
    ///
    /// # Cancel safety
    /// As there: the Close is queued at once.
    pub async fn close(&mut self, frame: impl Into<CloseFrame<'_>>) -> Disconnect {
        self.start_close(frame);
        poll_fn(|cx| lock(&self.0).poll_closed(cx)).await
    }

    /// As [`WebSocket::start_close`]; the other half goes through with it.
    pub fn start_close<'c>(&mut self, frame: impl Into<CloseFrame<'c>>) {
        lock(&self.0).start_close(frame);
    }

    /// As [`WebSocket::ping`].
    ///
    /// # Errors
    /// As there.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        lock(&self.0).ping(payload)
    }

    /// As [`WebSocket::probe`].
    ///
    /// # Errors
    /// As there.
    pub fn probe(&mut self) -> Result<(), Error> {
        lock(&self.0).probe()
    }

    /// Looks at or does something to the WebSocket, which the other half waits for meanwhile.
    pub fn with_socket<R>(&mut self, work: impl FnOnce(&mut WebSocket<I, T>) -> R) -> R {
        work(&mut lock(&self.0))
    }

    async fn feed_with(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        let mut work = Some(work);
        poll_fn(|cx| lock(&self.0).poll_feed(cx, &mut work)).await
    }

    fn queue(&mut self, work: impl FnOnce(&mut Connection) -> Result<(), SendError>) -> Result<(), Error> {
        lock(&self.0).queue(work)
    }
}

impl<I: Io + Unpin, T: Timer + Unpin> Receiver<I, T> {
    /// As [`WebSocket::recv`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// Safe: a message is either returned or still to come.
    pub async fn recv(&mut self) -> Result<Option<Message<'static>>, Error> {
        poll_fn(|cx| lock(&self.0).poll_recv(cx)).await
    }

    /// As [`WebSocket::recv_data`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// Safe: a piece is either returned or still to come.
    pub async fn recv_data(&mut self) -> Result<Option<Data<'static>>, Error> {
        poll_fn(|cx| lock(&self.0).poll_recv_data(cx)).await
    }

    /// Looks at or does something to the WebSocket, which the other half waits for meanwhile.
    pub fn with_socket<R>(&mut self, work: impl FnOnce(&mut WebSocket<I, T>) -> R) -> R {
        work(&mut lock(&self.0))
    }
}

/// The messages, up to the end of the connection.
impl<I: Io + Unpin, T: Timer + Unpin> Stream for Receiver<I, T> {
    type Item = Result<Message<'static>, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        lock(&self.0).poll_recv(cx).map(Result::transpose)
    }
}

/// As that of [`WebSocket`].
impl<'m, I: Io + Unpin, T: Timer + Unpin> Sink<Message<'m>> for Sender<I, T> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        lock(&self.0).poll_room(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message<'m>) -> Result<(), Error> {
        self.queue(|connection| connection.send(message))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        lock(&self.0).poll_send(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Sink::<Message<'m>>::poll_close(Pin::new(&mut *lock(&self.0)), cx)
    }
}

impl<I, T> fmt::Debug for Sender<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<I, T> fmt::Debug for Receiver<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl<I, T> fmt::Debug for ReuniteError<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReuniteError").finish_non_exhaustive()
    }
}

impl<I, T> fmt::Display for ReuniteError<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("these are not the halves of one WebSocket")
    }
}

impl<I, T> core::error::Error for ReuniteError<I, T> {}
