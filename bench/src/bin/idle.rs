//! What a server holds for each connection that has echoed a message and is idle: resident memory, and bytes
//! requested from the allocator. Prints Markdown.
//!
//! `idle [CONNECTIONS] [SUBJECT…]`; each subject is a process of its own.

use std::alloc::System;
use std::future::Future;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sansocket_bench::wire;
use sansocket_driver::sansocket::{Accept, Config, Message};
use sansocket_driver::{Handler, Incoming, Outcome, Reply, Runtime, Server};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const SUBJECTS: &[&str] = &[
    "tokio/bare",
    "tokio/handler",
    "tokio/stream",
    "async-std/bare",
    "async-std/handler",
    "async-std/stream",
    "smol/bare",
    "smol/handler",
    "smol/stream",
    "tokio/tungstenite",
    "tokio/tokio-websockets",
    "tokio/sockudo-ws",
];
/// These are there before anything is counted, with whatever grows only once.
const EARLIER: usize = 500;

fn main() -> Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if let [serve, subject] = &args[..]
        && serve == "serve"
    {
        return server(subject);
    }
    let connections = args.first().map_or(Ok(10_000), |count| count.parse())?;
    let named: Vec<_> = args.iter().skip(1).map(String::as_str).collect();
    println!("{connections} idle connections that have echoed 1 KiB; bytes for each.\n");
    println!("| runtime | surface | resident | requested |");
    println!("|---|---|--:|--:|");
    for subject in if named.is_empty() { SUBJECTS } else { &named } {
        let (resident, requested) = Subject::start(subject)?.measure(connections)?;
        let (runtime, surface) = subject.split_once('/').ok_or("RUNTIME/SURFACE")?;
        println!("| {runtime} | {surface} | {resident:.0} | {requested:.0} |");
    }
    Ok(())
}

/// A server's process.
struct Subject {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
    address: SocketAddr,
    is_websocket: bool,
}

impl Subject {
    fn start(name: &str) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["serve", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(process.stdout.take().ok_or("it is piped")?);
        let address = line(&mut output)?.parse()?;
        Ok(Self { process, output, address, is_websocket: !name.ends_with("/bare") })
    }

    fn measure(mut self, connections: usize) -> Result<(f64, f64)> {
        let mut all = Vec::new();
        for _ in 0..EARLIER {
            all.push(self.connect()?);
        }
        let [resident, requested] = self.held()?;
        for _ in 0..connections {
            all.push(self.connect()?);
        }
        let [resident_then, requested_then] = self.held()?;
        let each = |before: f64, then: f64| (then - before) / connections as f64;
        Ok((each(resident, resident_then), each(requested, requested_then)))
    }

    fn connect(&self) -> Result<TcpStream> {
        const REQUEST: &[u8] =
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let payload = vec![b'x'; 1024];
        if !self.is_websocket {
            stream.write_all(&payload)?;
            stream.read_exact(&mut [0; 1024])?;
            return Ok(stream);
        }
        stream.write_all(REQUEST)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        stream.write_all(&wire::masked(wire::BINARY, &payload))?;
        stream.read_exact(&mut [0; 1024 + 4])?;
        Ok(stream)
    }

    /// Resident bytes, and those requested from the allocator.
    fn held(&mut self) -> Result<[f64; 2]> {
        std::thread::sleep(Duration::from_millis(500));
        let mut input = self.process.stdin.as_ref().ok_or("it is piped")?;
        input.write_all(b"\n")?;
        let requested: f64 = line(&mut self.output)?.parse()?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kib: f64 = resident.trim().trim_end_matches(" kB").parse()?;
        Ok([kib * 1024.0, requested])
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn line(output: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// Serves in one thread, and tells what it holds whenever it is asked.
fn server(subject: &str) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    std::thread::spawn(|| {
        for _ in io::stdin().lines() {
            let stats = ALLOCATOR.stats();
            println!("{}", stats.bytes_allocated - stats.bytes_deallocated);
        }
    });
    listener.set_nonblocking(true)?;
    let (runtime, surface) = subject.split_once('/').ok_or("RUNTIME/SURFACE")?;
    match runtime {
        "tokio" => {
            let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            tokio.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                match surface {
                    "bare" => bare_tokio(listener).await,
                    "tungstenite" => peers::tungstenite(listener).await,
                    "tokio-websockets" => peers::tokio_websockets(listener).await,
                    "sockudo-ws" => peers::sockudo_ws(listener).await,
                    surface => ours::<sansocket_tokio::Tokio>(listener, surface).await,
                }
            })
        }
        "async-std" => async_std::task::block_on(async {
            let mut listener: async_std::net::TcpListener = listener.into();
            match surface {
                "bare" => bare::<sansocket_async_std::AsyncStd, _>(&mut listener, |stream| stream.0).await,
                surface => ours::<sansocket_async_std::AsyncStd>(listener, surface).await,
            }
        }),
        "smol" => smol::block_on(async {
            let mut listener: smol::net::TcpListener = smol::Async::try_from(listener)?.into();
            match surface {
                "bare" => bare::<sansocket_async_std::smol::Smol, _>(&mut listener, |stream| stream.0).await,
                surface => ours::<sansocket_async_std::smol::Smol>(listener, surface).await,
            }
        }),
        other => Err(format!("no such runtime: {other}").into()),
    }
}

struct Echo;

impl Handler for Echo {
    type Info = ();

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send(message)?)
    }
}

async fn ours<R: Runtime>(mut listener: R::Listener, surface: &str) -> Result<()> {
    const CONFIG: Config = Config::new();
    match surface {
        "handler" => Ok(Server::<R>::new(CONFIG).serve(listener, |_| Echo).await?),
        "stream" => loop {
            let (stream, _) = R::accept(&mut listener).await?;
            R::spawn(async {
                // Boxed, since it is large and soon over.
                let open = Box::pin(async {
                    Incoming::read(stream, R::timer(), &CONFIG).await?.accept(Accept::new()).await
                });
                let Ok(mut socket) = open.await else { return };
                while let Ok(Some(message)) = socket.recv().await {
                    let _ = socket.feed(message).await;
                }
            });
        },
        other => Err(format!("no such surface: {other}").into()),
    }
}

/// A task for each stream, that waits to read and holds no memory of its own.
async fn bare_tokio(listener: tokio::net::TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            while stream.readable().await.is_ok() {
                let mut buffer = [0; 4096];
                match stream.try_read(&mut buffer) {
                    Ok(0) => return,
                    Ok(n) => drop(stream.try_write(&buffer[..n])),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        });
    }
}

/// The same on the others, which have no streams that tell when they are readable.
async fn bare<R: Runtime, S>(listener: &mut R::Listener, stream: fn(R::Tcp) -> S) -> Result<()>
where
    S: futures::AsyncRead + futures::AsyncWrite + Unpin + Send + 'static,
{
    use futures::AsyncWriteExt;
    loop {
        let mut stream = stream(R::accept(listener).await?.0);
        R::spawn(async move {
            loop {
                let read = std::future::poll_fn(|cx| {
                    let mut buffer = [0; 4096];
                    std::pin::Pin::new(&mut stream)
                        .poll_read(cx, &mut buffer)
                        .map_ok(|n| buffer[..n].to_vec())
                });
                match read.await {
                    Ok(bytes) if !bytes.is_empty() => drop(stream.write_all(&bytes).await),
                    _ => return,
                }
            }
        });
    }
}

mod peers {
    use super::{Result, spawn_each};
    use futures::{SinkExt, StreamExt};
    use tokio::net::TcpListener;

    pub async fn tungstenite(listener: TcpListener) -> Result<()> {
        spawn_each(listener, |stream| async move {
            let mut socket = tokio_tungstenite::accept_async(stream).await?;
            while let Some(message) = socket.next().await {
                socket.send(message?).await?;
            }
            Ok(())
        })
        .await
    }

    pub async fn tokio_websockets(listener: TcpListener) -> Result<()> {
        spawn_each(listener, |stream| async move {
            let (_, mut socket) = tokio_websockets::ServerBuilder::new().accept(stream).await?;
            while let Some(message) = socket.next().await {
                socket.send(message?).await?;
            }
            Ok(())
        })
        .await
    }

    pub async fn sockudo_ws(listener: TcpListener) -> Result<()> {
        spawn_each(listener, |mut stream| async move {
            sockudo_ws::handshake::server_handshake(&mut stream).await?;
            let mut socket = sockudo_ws::WebSocketStream::server(stream, sockudo_ws::Config::default());
            while let Some(message) = socket.next().await {
                socket.send(message?).await?;
            }
            Ok(())
        })
        .await
    }
}

/// A task for each stream.
async fn spawn_each<F>(listener: tokio::net::TcpListener, serve: fn(tokio::net::TcpStream) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream));
    }
}
