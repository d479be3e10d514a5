//! Random streams to us and to other WebSocket implementations, as `tests/differential/run` starts it.

mod compare;
mod generate;
mod known;
mod minimise;
mod parting;
mod peer;
mod stream;
mod verdict;

use core::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use crate::compare::Comparison;
use crate::peer::Peer;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse()?;
    for (name, command) in &options.peers {
        let began = Instant::now();
        let mut peer = Peer::start(name, command)?;
        let c = Comparison::run(&mut peer, options.streams, options.seed)?;
        println!(
            "{name} {} {:?} streams {} bytes {} events {} agreed {} sooner {}",
            peer.version, began.elapsed(), c.streams, c.bytes, c.messages, c.agreed, c.sooner
        );
        for (known, n) in &c.known {
            println!("  {n} {} {}", known.what, known.section);
        }
        for f in &c.failures {
            println!("{f}\n");
        }
    }
    Ok(ExitCode::SUCCESS)
}

struct Options {
    peers: Vec<(String, String)>,
    streams: u64,
    seed: u64,
}

impl Options {
    fn parse() -> Result<Self, lexopt::Error> {
        use lexopt::prelude::*;
        let mut options = Self { peers: Vec::new(), streams: 10_000, seed: 1 };
        let mut args = lexopt::Parser::from_env();
        while let Some(arg) = args.next()? {
            match arg {
                Long("peer") => options.peers.push((args.value()?.string()?, args.value()?.string()?)),
                Long("streams") => options.streams = args.value()?.parse()?,
                Long("seed") => options.seed = args.value()?.parse()?,
                _ => return Err(arg.unexpected()),
            }
        }
        Ok(options)
    }
}
