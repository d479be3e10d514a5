//! Servers: accept, serve each connection in a task of its own, end in order.

use core::fmt;
use core::future::{Future, poll_fn};
use core::marker::PhantomData;
use core::net::SocketAddr;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use sansocket::Config;

use crate::guard::guard;
use crate::handler::Handler;
use crate::io::Io;
use crate::members::{Alarm, End, Members};
use crate::runtime::{Runtime, sleep, within};
use crate::serve::Serve;
use crate::tls::{Acceptor, MaybeTls};
use crate::trace;

/// Serves the connections that a listener accepts, each in a task of its own.
///
pub struct Server<R> {
    config: Config,
    max_connections: usize,
    nodelay: bool,
    acceptor: Acceptor,
    tls_timeout: Option<Duration>,
    members: Arc<Members>,
    runtime: PhantomData<fn() -> R>,
}

impl<R: Runtime> Server<R> {
    /// A server whose connections have these settings.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            max_connections: usize::MAX,
            nodelay: true,
            acceptor: Acceptor::default(),
            tls_timeout: Some(Duration::from_secs(10)),
            members: Members::new(R::timer()),
            runtime: PhantomData,
        }
    }

    /// Accepts no further connections while there are this many: they wait in the listener's queue. No limit by
    /// default, other than the system's for open files.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// Whether to turn Nagle's algorithm off. On by default: output is written in batches, and holding them back
    /// for more would only delay them.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// Speaks TLS, by rustls with this configuration and its crypto provider. If it has ALPN protocols,
    /// `http/1.1` should be the only one. By default a server speaks no TLS.
    #[cfg(feature = "rustls")]
    pub fn rustls(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        self.acceptor = Acceptor::Rustls(config);
        self
    }

    /// Speaks TLS, by the platform's library. By default a server speaks none.
    #[cfg(feature = "native-tls")]
    pub fn native_tls(mut self, acceptor: native_tls::TlsAcceptor) -> Self {
        self.acceptor = Acceptor::NativeTls(acceptor);
        self
    }

    /// How long a TLS handshake may take: 10 s by default, as the opening handshake behind it.
    pub fn tls_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.tls_timeout = timeout;
        self
    }

    /// What looks after the server while it runs.
    pub fn handle(&self) -> ServerHandle<R> {
        ServerHandle { members: Arc::clone(&self.members), runtime: PhantomData }
    }

    /// Serves every connection that `listener` accepts with a handler that `make` makes, until
    /// [`ServerHandle::shutdown`]; returns when the last connection is over then. If `make` panics, the connection is
    /// dropped.
    ///
    /// # Errors
    /// The listener fails otherwise than by an error of the system; connections go on. After one of those, such as for
    /// want of file descriptors, it tries again ten times a second.
    ///
    /// # Cancel safety
    /// Safe: no further connections are accepted, those that there are go on.
    pub async fn serve<H>(
        self,
        mut listener: R::Listener,
        mut make: impl FnMut(SocketAddr) -> H,
    ) -> io::Result<()>
    where
        H: Handler + Send + 'static,
    {
        let config = Arc::new(self.config.clone());
        R::spawn(Arc::clone(&self.members).keep_time(R::timer()));
        let _closing = Closing(&self.members);
        while let Some(accepted) = self.accept(&mut listener).await {
            match accepted {
                Ok((stream, peer)) => {
                    // A stream that is gone already shows itself when it is read.
                    let _ = R::set_nodelay(&stream, self.nodelay);
                    let mut handler = match guard(|| make(peer)) {
                        Ok(handler) => handler,
                        Err(panic) => {
                            trace::handler_failed(&panic);
                            continue;
                        }
                    };
                    let stream = accept_tls::<R>(self.acceptor.clone(), stream, self.tls_timeout);
                    let ready = async move {
                        let stream = stream.await?;
                        guard(|| stream.tell(&mut handler)).map_err(io::Error::other)?;
                        Ok((stream, handler))
                    };
                    let Some(serve) = Serve::member(ready, Arc::clone(&config), &self.members) else { break };
                    R::spawn(Task(serve));
                }
                // The client was gone before we came to it.
                Err(error) if is_clients_own(error.kind()) => {}
                // No descriptors, no memory: closing connections will bring some.
                Err(error) if error.raw_os_error().is_some() && error.kind() != ErrorKind::InvalidInput => {
                    trace::failed(&error);
                    sleep::<R>(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(error),
            }
        }
        drop(listener);
        poll_fn(|cx| self.members.poll_count(cx, 0)).await;
        Ok(())
    }

    /// The next connection; `None` once the server is to end.
    async fn accept(&self, listener: &mut R::Listener) -> Option<io::Result<(R::Tcp, SocketAddr)>> {
        let members = &self.members;
        let room = poll_fn(|cx| match members.poll_end(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => members.poll_count(cx, self.max_connections - 1).map(Some),
        });
        room.await?;
        let mut accept = pin!(R::accept(listener));
        poll_fn(|cx| match members.poll_end(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => accept.as_mut().poll(cx).map(Some),
        })
        .await
    }
}

/// However `serve` ends, nobody joins any more.
struct Closing<'s>(&'s Members);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A connection's task, to whose handler the end was told. An `async` block would hold it twice.
struct Task<I, H: Handler>(Serve<I, Alarm, H>);

impl<I: Io + Unpin, H: Handler> Future for Task<I, H> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

async fn accept_tls<R: Runtime>(
    acceptor: Acceptor,
    stream: R::Tcp,
    time: Option<Duration>,
) -> io::Result<MaybeTls<R::Tcp>> {
    if acceptor.is_plain() {
        return Ok(MaybeTls::Plain(stream));
    }
    // Large, and held several times over by the futures around it: not by connections that need none.
    within::<R, _>(time, Box::pin(acceptor.accept(stream))).await?
}

fn is_clients_own(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}

impl<R> fmt::Debug for Server<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("connections", &self.members.count()).finish_non_exhaustive()
    }
}

/// Looks after a [`Server`] while it runs, from anywhere. Clones are of the same server.
pub struct ServerHandle<R> {
    members: Arc<Members>,
    runtime: PhantomData<fn() -> R>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// So many connections were over in time.
    pub closed: usize,
    /// So many were not, and were dropped.
    pub aborted: usize,
}

impl<R: Runtime> ServerHandle<R> {
    /// How many connections there are, those that are opening or closing included.
    pub fn connections(&self) -> usize {
        self.members.count()
    }

    /// Ends the server: accepts no further connections, answers requests with 503, closes what is open with 1001
    /// ([`CloseCode::GOING_AWAY`](sansocket::CloseCode::GOING_AWAY)), waits for that, and drops what is
    /// left after `patience`.
    ///
    /// # Cancel safety
    /// The end begins when this is first polled, and is not taken back. Dropped, nothing is cut off any more.
    pub async fn shutdown(&self, patience: Duration) -> Shutdown {
        let members = &self.members;
        members.set_end(End::Close);
        let empty = || poll_fn(|cx| members.poll_count(cx, 0));
        if within::<R, _>(Some(patience), empty()).await.is_err() {
            members.set_end(End::Abort);
            empty().await;
        }
        let [told, aborted] = members.told();
        Shutdown { closed: told - aborted, aborted }
    }
}

impl<R> Clone for ServerHandle<R> {
    fn clone(&self) -> Self {
        Self { members: Arc::clone(&self.members), runtime: PhantomData }
    }
}

impl<R> fmt::Debug for ServerHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle").field("connections", &self.members.count()).finish_non_exhaustive()
    }
}
