//! What a runtime brings beside streams and clocks: tasks and TCP.

use core::future::Future;
use core::net::SocketAddr;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::io;

use crate::io::{Io, Timer};

/// A runtime, as [`Server`](crate::Server) and [`Connector`](crate::Connector) need it. Never made: its
/// functions are its own.
pub trait Runtime: Send + Sync + 'static {
    /// Its clock and alarm.
    type Timer: Timer + Unpin + Send + Sync + 'static;
    /// Its TCP streams.
    type Tcp: Io + Unpin + Send + 'static;
    /// What accepts them.
    type Listener: Send;

    /// A clock that begins now.
    fn timer() -> Self::Timer;

    /// Runs a future in a task of its own.
    fn spawn(task: impl Future<Output = ()> + Send + 'static);

    /// Connects to one of the addresses that `host` has.
    fn connect(host: &str, port: u16) -> impl Future<Output = io::Result<Self::Tcp>> + Send;

    /// The next connection of a client. Dropping the future loses none.
    fn accept(
        listener: &mut Self::Listener,
    ) -> impl Future<Output = io::Result<(Self::Tcp, SocketAddr)>> + Send;

    /// Turns Nagle's algorithm off or on.
    ///
    /// # Errors
    /// Those of the system.
    fn set_nodelay(stream: &Self::Tcp, nodelay: bool) -> io::Result<()>;
}

/// Waits.
pub(crate) async fn sleep<R: Runtime>(duration: Duration) {
    let mut timer = R::timer();
    let at = timer.now() + duration;
    core::future::poll_fn(|cx| timer.poll_at(cx, at)).await;
}

/// What `future` comes to, if it does in time.
pub(crate) async fn within<R: Runtime, F: Future>(
    time: Option<Duration>,
    future: F,
) -> io::Result<F::Output> {
    let Some(time) = time else { return Ok(future.await) };
    let mut timer = R::timer();
    let at = timer.now() + time;
    let mut future = pin!(future);
    core::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => timer.poll_at(cx, at).map(|()| Err(io::ErrorKind::TimedOut.into())),
    })
    .await
}
