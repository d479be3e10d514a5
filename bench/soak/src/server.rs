//! The server, which is a process of its own, so that its memory is all there is in it.

use std::alloc::System;
use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use sansocket_bench::{Error, Result};
use sansocket_tokio::sansocket::{Cause, Keepalive};
use sansocket_tokio::{Compression, Config, Disconnect, Handler, Message, Outcome, Reply, Server};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::net::TcpListener;

use crate::load::PATIENCE;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Who is silent for this long is cut off.
pub const IDLE: Duration = Duration::from_secs(10);
/// After this silence there is a Ping, so that it does not come to that.
const SILENCE: Duration = Duration::from_secs(2);

/// It compresses as each client asks for.
const CONFIG: Config = Config::new()
    .idle_timeout(Some(IDLE))
    .keepalive(Keepalive::AfterSilence(SILENCE))
    .handshake_timeout(Some(PATIENCE))
    .close_timeout(PATIENCE)
    .compression(Some(Compression::new().level(1)));

/// As most programs have it: several threads, between which connections move. The load has as many.
pub const THREADS: usize = 2;

static MESSAGES: AtomicU64 = AtomicU64::new(0);
static PONGS: AtomicU64 = AtomicU64::new(0);
static FAULTS: AtomicU64 = AtomicU64::new(0);

struct Echo;

impl Handler for Echo {
    type Info = ();

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        MESSAGES.fetch_add(1, Relaxed);
        Ok(reply.send(message)?)
    }

    fn pong(&mut self, _payload: &[u8], _reply: &mut Reply<'_, ()>) -> Outcome {
        PONGS.fetch_add(1, Relaxed);
        Ok(())
    }

    fn close(&mut self, disconnect: &Disconnect) {
        // Clients close, or are gone. All else is somebody's mistake.
        if !matches!(disconnect.cause(), Cause::Closed(_) | Cause::Lost) && FAULTS.fetch_add(1, Relaxed) < 20
        {
            eprintln!("server: {disconnect}");
        }
    }
}

/// What the server tells of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Bytes requested from the allocator and not given back.
    pub heap: u64,
    pub connections: u64,
    pub messages: u64,
    /// Answers to the keepalive.
    pub pongs: u64,
    /// Connections that ended otherwise than clients here end them.
    pub faults: u64,
}

/// Serves, and reports whenever it is asked.
pub fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let server = Server::new(CONFIG);
        let handle = server.handle();
        thread::spawn(move || {
            for _ in io::stdin().lines() {
                let stats = ALLOCATOR.stats();
                let report = Report {
                    heap: stats.bytes_allocated.saturating_sub(stats.bytes_deallocated) as u64,
                    connections: handle.connections() as u64,
                    messages: MESSAGES.load(Relaxed),
                    pongs: PONGS.load(Relaxed),
                    faults: FAULTS.load(Relaxed),
                };
                println!("{report}");
            }
        });
        Ok(server.serve(listener, |_| Echo).await?)
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { heap, connections, messages, pongs, faults } = self;
        write!(f, "{heap} {connections} {messages} {pongs} {faults}")
    }
}

impl FromStr for Report {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<std::result::Result<_, _>>()?;
        let &[heap, connections, messages, pongs, faults] = &numbers[..] else {
            return Err("no report".into());
        };
        Ok(Self { heap, connections, messages, pongs, faults })
    }
}
