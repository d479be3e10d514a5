//! A handler on a runtime's TCP, and a client that says what a test has it say, byte for byte.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};

use sansocket::{Accept, Config, Disconnect, Role};
use sansocket_driver::{Decision, Error, Handler, Io, Outcome, Reply, Runtime, Serve};
use tokio::sync::watch;

use crate::heads::Answer;
use crate::raw::Raw;
use crate::runtimes::{Adapter, spawn, streams};
use crate::stage::{Actor, Call, Notes};
use crate::wire::{self, CLOSE, PING, PONG};

/// A request of a page on the same host, with these lines at its end and these bytes behind it.
pub fn request(lines: &str, behind: &[u8]) -> Vec<u8> {
    let head = "GET /chat?room=1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
        Origin: http://localhost\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUpgrade: websocket\r\n";
    [head.as_bytes(), lines.as_bytes(), b"\r\n", behind].concat()
}

/// One connection.
pub struct Served<R: Runtime> {
    /// The client's end.
    pub client: Raw<R::Tcp>,
    /// What the handler was called for.
    pub notes: Notes,
    traffic: watch::Receiver<Traffic>,
    end: Pin<Box<dyn Future<Output = Result<Disconnect, Error>> + Send>>,
}

impl<R: Adapter> Served<R> {
    /// A connection on which nothing was said yet, and a handler that acts like this.
    pub async fn new(
        config: Config,
        decision: impl Into<Decision>,
        act: impl FnMut(Call<'_>, &mut Reply<'_, u32>) -> Outcome + Send + 'static,
    ) -> Self {
        let notes = Notes::default();
        Self::with(config, Actor::new(notes.clone(), decision, act), notes).await
    }

    /// A connection on which nothing was said yet, and its handler.
    pub async fn with(config: Config, handler: impl Handler + Send + 'static, notes: Notes) -> Self {
        let (client, server) = streams::<R>().await;
        R::set_nodelay(&client, true).expect("TCP");
        let (tells, traffic) = watch::channel(Traffic::default());
        let serve = Serve::new(Watched { io: server, tells }, R::timer(), config, handler);
        Self { client: Raw(client), notes, traffic, end: Box::pin(spawn::<R, _>(serve)) }
    }

    /// An open WebSocket.
    pub async fn open(
        config: Config,
        act: impl FnMut(Call<'_>, &mut Reply<'_, u32>) -> Outcome + Send + 'static,
    ) -> Self {
        let mut served = Self::new(config, Accept::new(), act).await;
        let answer = served.ask(&request("", b"")).await;
        assert_eq!(answer.status, "HTTP/1.1 101 Switching Protocols");
        served
    }

    /// Sends a request; the head of the response.
    pub async fn ask(&mut self, request: &[u8]) -> Answer {
        self.client.write(request).await.unwrap();
        Answer::parse(&self.client.read_until(b"\r\n\r\n").await.unwrap())
    }

    /// Writes each byte by itself, when the server has taken the one before.
    pub async fn write_single_bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_read(&[*byte]).await;
        }
    }

    /// Writes, and waits until the server has read it and waits for more. What it has written so far.
    pub async fn write_read(&mut self, bytes: &[u8]) -> usize {
        let read = self.traffic.borrow().read + bytes.len();
        self.client.write(bytes).await.unwrap();
        let done = |traffic: &Traffic| traffic.waits && traffic.read == read;
        self.traffic.wait_for(done).await.expect("it is served").written
    }

    /// How many bytes the server has read so far.
    pub fn read(&self) -> usize {
        self.traffic.borrow().read
    }

    /// Asserts that the server has sent nothing up to here: the first that comes is the answer to a Ping.
    pub async fn expect_nothing(&mut self) {
        self.client.write(&wire::raw(0x80 | PING, Some([0; 4]), b"?")).await.unwrap();
        self.client.expect(&wire::frame(Role::Client, PONG, "?")).await;
    }

    /// Asserts that this Close comes, answers it, and asserts that the server ends the stream then.
    pub async fn expect_close(mut self, payload: &[u8]) -> Disconnect {
        self.client.expect(&wire::frame(Role::Client, CLOSE, payload)).await;
        self.client.write(&wire::frame(Role::Server, CLOSE, payload)).await.unwrap();
        self.client.expect_end().await;
        let end = self.end().await;
        assert!(end.is_clean(), "{end:?}");
        end
    }

    /// Asserts that this Close comes, and then the end of the stream, whether the client answers or not.
    pub async fn expect_last(mut self, close: &[u8]) -> Disconnect {
        self.client.expect(close).await;
        self.client.expect_end().await;
        self.end().await
    }

    /// Closes it, as a client does.
    pub async fn close(mut self) -> Disconnect {
        self.client.write(b"\x88\x80\0\0\0\0").await.unwrap();
        self.client.expect(b"\x88\0").await;
        self.client.expect_end().await;
        self.end().await
    }

    /// Drops the client's end: how the connection ended, of which the handler was told once, and last.
    pub async fn end(self) -> Disconnect {
        let notes = self.notes.clone();
        let end = self.outcome().await.expect("it was open");
        let (notes, told) = (notes.get(), format!("close {:?}", end.cause()));
        let closes: Vec<_> = notes.iter().filter(|note| note.starts_with("close ")).collect();
        assert_eq!((closes, notes.last()), (vec![&told], Some(&told)));
        end
    }

    /// Drops the client's end: what came of the connection.
    pub async fn outcome(self) -> Result<Disconnect, Error> {
        drop(self.client);
        self.end.await
    }
}

/// What went over a stream, in bytes.
#[derive(Debug, Default)]
struct Traffic {
    read: usize,
    written: usize,
    /// All that came was read, and more is waited for.
    waits: bool,
}

/// A stream that tells what goes over it.
struct Watched<I> {
    io: I,
    tells: watch::Sender<Traffic>,
}

impl<I: Io + Unpin> Io for Watched<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let Self { io, tells } = self.get_mut();
        let result = Pin::new(io).poll_read(cx, buffer);
        tells.send_modify(|traffic| {
            traffic.waits = result.is_pending();
            if let Poll::Ready(Ok(n)) = result {
                traffic.read += n;
            }
        });
        result
    }

    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { io, tells } = self.get_mut();
        let result = Pin::new(io).poll_write(cx, slices);
        if let Poll::Ready(Ok(n)) = result {
            tells.send_modify(|traffic| traffic.written += n);
        }
        result
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
