//! The runtimes that there are adapters for. A test that is written for any [`Adapter`] runs on all of them.

use core::fmt;
use core::future::{Future, poll_fn};
use core::net::SocketAddr;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::io;

use sansocket::{Agreed, ClientRequest, Config, Endpoint, Response};
use sansocket_driver::{Connected, Error, Handler, Incoming, Runtime, Serve, Timer, WebSocket};
use tokio::sync::oneshot;

pub use sansocket_async_std::AsyncStd;
pub use sansocket_async_std::smol::Smol;
pub use sansocket_tokio::Tokio;

pub use crate::task::yield_now;

/// An open WebSocket on a runtime's TCP.
pub type Socket<R> = WebSocket<<R as Runtime>::Tcp, <R as Runtime>::Timer>;

type Opened<R> = Result<Socket<R>, Error>;

/// A runtime and the functions of the adapter that brings it, those of the same name.
pub trait Adapter: Runtime<Timer: fmt::Debug, Tcp: fmt::Debug, Listener: 'static> {
    /// Runs a future on this thread, and the tasks that it spawns on others.
    fn block_on<T>(future: impl Future<Output = T>) -> T;

    fn listener(listener: std::net::TcpListener) -> io::Result<Self::Listener>;

    fn connect_to(url: &str) -> impl Future<Output = Result<Connected<Self>, Error>> + Send;

    fn connect_on(
        stream: Self::Tcp,
        request: &ClientRequest,
        config: &Config,
    ) -> impl Future<Output = Result<(Socket<Self>, Response), Error>> + Send;

    fn accept_on(stream: Self::Tcp) -> impl Future<Output = Opened<Self>> + Send;

    fn incoming(
        stream: Self::Tcp,
        config: &Config,
    ) -> impl Future<Output = Result<Incoming<Self::Tcp, Self::Timer>, Error>> + Send;

    fn established(
        stream: Self::Tcp,
        endpoint: Endpoint,
        config: &Config,
        agreed: Agreed,
        unread: &[u8],
    ) -> Socket<Self>;

    fn serve<H: Handler + Send + 'static>(
        listener: Self::Listener,
        config: Config,
        make: impl FnMut(SocketAddr) -> H + Send,
    ) -> impl Future<Output = io::Result<()>> + Send;

    fn serve_connection<H: Handler + Send + 'static>(
        stream: Self::Tcp,
        config: Config,
        handler: H,
    ) -> Serve<Self::Tcp, Self::Timer, H>;
}

macro_rules! adapter {
    ($runtime:ty, $streams:path, $tasks:path, $block_on:expr, $listener:expr) => {
        const _: () = {
            use $streams as streams;
            use $tasks as tasks;

            impl Adapter for $runtime {
                fn block_on<T>(future: impl Future<Output = T>) -> T {
                    $block_on(future)
                }

                fn listener(listener: std::net::TcpListener) -> io::Result<Self::Listener> {
                    $listener(listener)
                }

                async fn connect_to(url: &str) -> Result<Connected<Self>, Error> {
                    tasks::connect(url).await
                }

                async fn connect_on(
                    stream: Self::Tcp,
                    request: &ClientRequest,
                    config: &Config,
                ) -> Result<(Socket<Self>, Response), Error> {
                    streams::connect_on(stream.0, request, config).await
                }

                async fn accept_on(stream: Self::Tcp) -> Opened<Self> {
                    streams::accept(stream.0).await
                }

                async fn incoming(
                    stream: Self::Tcp,
                    config: &Config,
                ) -> Result<Incoming<Self::Tcp, Self::Timer>, Error> {
                    streams::incoming(stream.0, config).await
                }

                fn established(
                    stream: Self::Tcp,
                    endpoint: Endpoint,
                    config: &Config,
                    agreed: Agreed,
                    unread: &[u8],
                ) -> Socket<Self> {
                    streams::established(stream.0, endpoint, config, agreed, unread)
                }

                async fn serve<H: Handler + Send + 'static>(
                    listener: Self::Listener,
                    config: Config,
                    make: impl FnMut(SocketAddr) -> H + Send,
                ) -> io::Result<()> {
                    tasks::serve(listener, config, make).await
                }

                fn serve_connection<H: Handler + Send + 'static>(
                    stream: Self::Tcp,
                    config: Config,
                    handler: H,
                ) -> Serve<Self::Tcp, Self::Timer, H> {
                    streams::serve_connection(stream.0, config, handler)
                }
            }
        };
    };
}

adapter!(Tokio, sansocket_tokio, sansocket_tokio, block_on_tokio, tokio::net::TcpListener::from_std);
adapter!(
    AsyncStd,
    sansocket_async_std,
    sansocket_async_std,
    async_io::block_on,
    |listener: std::net::TcpListener| Ok(listener.into())
);
adapter!(Smol, sansocket_async_std, sansocket_async_std::smol, async_io::block_on, TryInto::try_into);

fn block_on_tokio<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime").block_on(future)
}

/// Makes a test on each runtime of functions that are `async fn body<R: Adapter>()`.
#[macro_export]
macro_rules! on_each_runtime {
    ($($body:ident),+ $(,)?) => {
        $crate::on_each_runtime!(@ on_tokio, Tokio, $($body)+);
        $crate::on_each_runtime!(@ on_async_std, AsyncStd, $($body)+);
        $crate::on_each_runtime!(@ on_smol, Smol, $($body)+);
    };
    (@ $module:ident, $runtime:ident, $($body:ident)+) => {
        mod $module {
            use $crate::runtimes::$runtime as Runtime;
            $(
                #[test]
                fn $body() {
                    $crate::runtimes::test::<Runtime>(super::$body::<Runtime>());
                }
            )+
        }
    };
}

/// Runs a test, which fails instead of hanging.
pub fn test<R: Adapter>(body: impl Future<Output = ()>) {
    R::block_on(in_time::<R, _>(body));
}

/// What a future comes to, far sooner than in a minute.
pub async fn in_time<R: Runtime, T>(future: impl Future<Output = T>) -> T {
    let mut timer = R::timer();
    let at = timer.now() + Duration::from_secs(60);
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(value),
        Poll::Pending => timer.poll_at(cx, at).map(|()| panic!("it hangs")),
    })
    .await
}

/// Waits.
pub async fn sleep<R: Runtime>(duration: Duration) {
    let mut timer = R::timer();
    let at = timer.now() + duration;
    poll_fn(|cx| timer.poll_at(cx, at)).await;
}

/// Runs a future in a task of its own; what is returned waits for it.
pub fn spawn<R: Runtime, T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = T> + Send {
    let (done, waiting) = oneshot::channel();
    R::spawn(async {
        // Nobody may wait for it.
        let _ = done.send(future.await);
    });
    async { waiting.await.expect("the task panicked") }
}

/// Listens on a port of this machine; and the URL there.
pub async fn listen<R: Adapter>() -> (R::Listener, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket like any other");
    let url = format!("ws://{}/chat", listener.local_addr().expect("an address"));
    (R::listener(listener).expect("a listener"), url)
}

/// Connects to where a URL points, and no more.
pub async fn stream_to<R: Runtime>(url: &str) -> R::Tcp {
    let request = ClientRequest::new(url).expect("a URL");
    R::connect(request.host(), request.port()).await.expect("a connection")
}

/// Both ends of a TCP connection.
pub async fn streams<R: Adapter>() -> (R::Tcp, R::Tcp) {
    let (mut listener, url) = listen::<R>().await;
    let (client, server) = tokio::join!(stream_to::<R>(&url), R::accept(&mut listener));
    (client, server.expect("a connection").0)
}

/// So many TCP connections of which both ends are in this process, or as many as it may open beside what else it needs.
pub fn pairs_of_sockets(most: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = files.and_then(|numbers| numbers.split_whitespace().next());
    let descriptors = soft.map_or(256, |number| number.parse().unwrap_or(usize::MAX));
    (descriptors.saturating_sub(200) / 2).clamp(20, most)
}

/// Both ends of a WebSocket.
pub async fn pair<R: Adapter>(client: &Config, server: &Config) -> (Socket<R>, Socket<R>) {
    let (one, other) = streams::<R>().await;
    let request = ClientRequest::new("ws://example.com/chat").expect("a URL");
    let accepting = async { R::incoming(other, server).await?.accept(sansocket::Accept::new()).await };
    let (client, server) = tokio::join!(R::connect_on(one, &request, client), accepting);
    (client.expect("a WebSocket").0, server.expect("a WebSocket"))
}
