//! Echo servers, each on one thread.

#[cfg(feature = "hostile")]
mod compressing;
mod limits;
mod ours;
mod peers;

use std::future::Future;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

pub use peers::yawc_options;
use tokio::net::TcpStream;

use crate::Result;

/// Node and Bun are installed here, if at all.
const PACKAGES: &str = "target/packages/node_modules";

#[derive(Clone, Copy, Debug)]
pub struct Server {
    pub name: &'static str,
    program: Program,
}

#[derive(Clone, Copy, Debug)]
enum Program {
    /// This one, with this function.
    Here(fn(TcpListener) -> Result<()>),
    /// Another one that was built with it.
    Beside(&'static str),
    /// One of npm's, its script, and what that sets.
    Npm(&'static str, &'static str, &'static str),
}

use Program::{Beside, Here, Npm};

/// All of them. What knows nothing of WebSockets is named `raw`.
pub const ALL: &[Server] = &[
    Server::new("raw TCP", Here(limits::raw_tokio)),
    Server::new("raw TCP epoll", Here(limits::raw_epoll)),
    Server::new("limit", Here(limits::websocket)),
    Server::new("sansocket handler", Here(ours::handler)),
    Server::new("sansocket send", Here(ours::send)),
    Server::new("sansocket feed", Here(ours::feed)),
    Server::new("sansocket epoll", Beside("epoll")),
    Server::new("sansocket handler smol", Here(ours::smol_handler)),
    Server::new("sansocket feed smol", Here(ours::smol_feed)),
    Server::new("sansocket handler async-std", Here(ours::async_std_handler)),
    Server::new("sansocket feed async-std", Here(ours::async_std_feed)),
    Server::new("tokio-tungstenite 0.30.0", Here(peers::tungstenite)),
    Server::new("tokio-tungstenite 0.30.0 feed", Here(peers::tungstenite_feed)),
    Server::new("tokio-tungstenite 0.30.0 feed 4 KiB", Here(peers::tungstenite_feed_small)),
    Server::new("fastwebsockets 0.10.0", Here(peers::fastwebsockets)),
    Server::new("tokio-websockets 0.13.3", Here(peers::tokio_websockets)),
    Server::new("tokio-websockets 0.13.3 feed", Here(peers::tokio_websockets_feed)),
    Server::new("web-socket 0.7.0", Here(peers::web_socket)),
    Server::new("web-socket 0.7.0 feed", Here(peers::web_socket_feed)),
    Server::new("soketto 0.8.1", Here(peers::soketto)),
    Server::new("soketto 0.8.1 feed", Here(peers::soketto_feed)),
    Server::new("wtx 0.46.1", Here(peers::wtx)),
    Server::new("yawc 0.5.0", Here(peers::yawc)),
    Server::new("yawc 0.5.0 feed", Here(peers::yawc_feed)),
    Server::new("sockudo-ws 3.1.0", Here(peers::sockudo)),
    Server::new("sockudo-ws 3.1.0 feed", Here(peers::sockudo_feed)),
    Server::new("sockudo-ws 3.1.0 Protocol", Here(peers::sockudo_protocol)),
    Server::new("axum 0.8.9", Here(peers::axum)),
    Server::new("Node ws 8.23.0", Npm("node", "ws.cjs", NODE)),
    Server::new("Bun 1.4.5", Npm("bun", "bun.mjs", BUN)),
];

/// Limits that no message comes near to.
const NODE: &str = r#"{ "perMessageDeflate": false, "maxPayload": 67108864 }"#;
const BUN: &str =
    r#"{ "perMessageDeflate": false, "maxPayloadLength": 67108864, "backpressureLimit": 67108864 }"#;

/// For measurements of another kind.
pub const MORE: &[Server] = &[
    Server::new("sansocket streaming", Here(ours::streaming)),
    Server::new("sansocket whole", Here(ours::whole)),
    Server::new("raw TCP smol", Here(limits::raw_smol)),
    Server::new("raw TCP async-std", Here(limits::raw_async_std)),
    Server::new("yawc 0.5.0 default", Here(peers::yawc_default)),
    Server::new("Node ws 8.23.0 default", Npm("node", "ws.cjs", "{}")),
    Server::new("Bun 1.4.5 default", Npm("bun", "bun.mjs", "{}")),
];

/// Those whose memory is measured. They must be in this program, for its allocator to count.
pub const IDLE: &[&str] = &[
    "raw TCP",
    "raw TCP smol",
    "raw TCP async-std",
    "sansocket handler",
    "sansocket feed",
    "sansocket send",
    "sansocket handler smol",
    "sansocket feed smol",
    "sansocket handler async-std",
    "sansocket feed async-std",
    "tokio-tungstenite 0.30.0",
    "tokio-tungstenite 0.30.0 feed 4 KiB",
    "fastwebsockets 0.10.0",
    "tokio-websockets 0.13.3",
    "web-socket 0.7.0",
    "soketto 0.8.1",
    "wtx 0.46.1",
    "yawc 0.5.0 default",
    "sockudo-ws 3.1.0",
    "axum 0.8.9",
];

/// Those that hostile clients talk to: all of ours; of others one for each library, with its own limits.
pub const ATTACKED: &[&str] = &[
    "sansocket handler",
    "sansocket send",
    "sansocket feed",
    "sansocket epoll",
    "sansocket handler smol",
    "sansocket feed smol",
    "sansocket handler async-std",
    "sansocket feed async-std",
    "tokio-tungstenite 0.30.0",
    "axum 0.8.9",
    "fastwebsockets 0.10.0",
    "tokio-websockets 0.13.3",
    "web-socket 0.7.0",
    "soketto 0.8.1",
    "wtx 0.46.1",
    "yawc 0.5.0 default",
    "sockudo-ws 3.1.0",
    "sockudo-ws 3.1.0 Protocol",
    "Node ws 8.23.0 default",
    "Bun 1.4.5 default",
];

/// The same with permessage-deflate, for those that have it.
#[cfg(feature = "hostile")]
pub const COMPRESSING: &[Server] = &[
    Server::new("sansocket handler, compressing", Here(ours::compressing_handler)),
    Server::new("wtx 0.46.1, compressing", Here(compressing::wtx)),
    Server::new("yawc 0.5.0, compressing", Here(peers::yawc_compressing)),
    Server::new("sockudo-ws 3.1.0, compressing", Here(compressing::sockudo)),
    Server::new("Node ws 8.23.0, compressing", Npm("node", "ws.cjs", r#"{ "perMessageDeflate": true }"#)),
    Server::new("Bun 1.4.5, compressing", Npm("bun", "bun.mjs", r#"{ "perMessageDeflate": true }"#)),
];
#[cfg(not(feature = "hostile"))]
const COMPRESSING: &[Server] = &[];

impl Server {
    const fn new(name: &'static str, program: Program) -> Self {
        Self { name, program }
    }

    pub fn find(name: &str) -> Result<Self> {
        let mut all = ALL.iter().chain(MORE).chain(COMPRESSING);
        Ok(*all.find(|server| server.name == name).ok_or_else(|| format!("no such server: {name}"))?)
    }

    pub fn is_raw(&self) -> bool {
        self.name.starts_with("raw")
    }

    /// Whether it is machine code, which valgrind can follow.
    pub fn is_native(&self) -> bool {
        !matches!(self.program, Npm(..))
    }

    pub fn is_ours(&self) -> bool {
        self.name.starts_with("sansocket")
    }

    /// Whether what it needs is there.
    pub fn is_there(&self) -> bool {
        match self.program {
            Npm(program, ..) => npm(program).exists(),
            Here(_) | Beside(_) => true,
        }
    }

    /// What starts it. It prints its address.
    pub fn command(&self) -> Result<Command> {
        let here = std::env::current_exe()?;
        Ok(match self.program {
            Here(_) => {
                let mut command = Command::new(here);
                // The runtimes' own threads, for those that insist on having some.
                command
                    .args(["--as-server", self.name])
                    .envs([("ASYNC_STD_THREAD_COUNT", "1"), ("SMOL_THREADS", "1")]);
                command
            }
            Beside(program) => {
                let mut command = Command::new(here.with_file_name(program));
                command.arg("127.0.0.1:0");
                command
            }
            Npm(program, script, options) => {
                let mut command = Command::new(npm(program));
                let script = PathBuf::from("sockets/scripts").join(script);
                command.arg(script).arg(options).env("NODE_PATH", PACKAGES);
                command
            }
        })
    }

    /// Serves in this process.
    pub fn run(&self) -> Result<()> {
        let Here(run) = self.program else { return Err("another program".into()) };
        let listener = TcpListener::bind("127.0.0.1:0")?;
        println!("{}", listener.local_addr()?);
        listener.set_nonblocking(true)?;
        run(listener)
    }
}

fn npm(program: &str) -> PathBuf {
    PathBuf::from(PACKAGES).join(".bin").join(program)
}

/// tokio on this thread.
fn tokio(with_time: bool) -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_io();
    if with_time {
        builder.enable_time();
    }
    Ok(builder.build()?)
}

/// A task for each stream. Who needs no timers of the runtime does not pay for them.
fn each<F>(listener: TcpListener, with_time: bool, serve: fn(TcpStream) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    tokio(with_time)?.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(serve(stream));
        }
    })
}
