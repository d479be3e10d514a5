//! Random streams to us and to other WebSocket implementations, as `tests/differential/run` starts it.
//!
//! `differential [--peer NAME COMMAND]… [--zlib COMMAND] [--streams N] [--messages N] [--seed S] [--from N]`

mod compare;
mod generate;
mod known;
mod minimise;
mod parting;
mod peer;
mod stream;
mod verdict;
mod zlib;

use core::error::Error;
use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use crate::compare::Comparison;
use crate::peer::Peer;
use crate::zlib::{Direction, Row};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = &Options::parse()?;
    let began = Instant::now();
    let (compared, rows) = thread::scope(|scope| {
        let threads: Vec<_> = options
            .peers
            .iter()
            .map(|(name, command)| scope.spawn(move || (name, options.compare(name, command))))
            .collect();
        let rows = options.zlib();
        let compared: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().ok()).collect();
        (compared, rows)
    });
    let mut problems = options.peers.len() - compared.len();
    problems += print_comparisons(&compared);
    problems += print_rows(rows);
    println!("\n{problems} problems, {:.0} s", began.elapsed().as_secs_f64());
    Ok(if problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_comparisons(compared: &[(&String, io::Result<(String, Comparison)>)]) -> usize {
    if compared.is_empty() {
        return 0;
    }
    println!(
        "| peer | version | to clients | to servers | compressed | MB | events | agreed | sooner | known | verdict |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|");
    let (mut known, mut problems) = (String::new(), Vec::new());
    for (name, result) in compared {
        let (version, c) = match result {
            Ok(result) => result,
            Err(error) => {
                println!("| {name} | | | | | | | | | | FAILED: {error} |");
                problems.push(format!("{name}: {error}"));
                continue;
            }
        };
        let found = c.problems();
        let verdict = if found.is_empty() { "ok" } else { "FAILED" };
        let (to_servers, megabytes) = (c.streams - c.to_clients, c.bytes / 1_000_000);
        let explained: u64 = c.known.iter().map(|(_, count)| count).sum();
        print!("| {name} | {version} | {} | {to_servers} | {} | {megabytes} | ", c.to_clients, c.compressed);
        println!("{} | {} | {} | {explained} | {verdict} |", c.events, c.agreed, c.sooner);
        for (of, count) in &c.known {
            known += &format!("| {name} | {} | {} | {} | {count} |\n", of.what, of.right, of.section);
        }
        problems.extend(found.into_iter().map(|problem| format!("{name}: {problem}")));
    }
    println!("\n| peer | known difference | right | decided by | streams |");
    print!("|---|---|---|---|--:|\n{known}");
    problems.iter().for_each(|problem| println!("\n{problem}"));
    problems.len()
}

fn print_rows(rows: io::Result<Option<(String, Vec<Row>)>>) -> usize {
    let (version, rows) = match rows {
        Ok(None) => return 0,
        Ok(Some(rows)) => rows,
        Err(error) => {
            println!("\nzlib: {error}");
            return 1;
        }
    };
    println!("\n| zlib {version} | window | context | messages | bytes | deflated | verdict |");
    println!("|---|--:|---|--:|--:|--:|---|");
    for row in &rows {
        let direction = if row.direction == Direction::Ours { "ours → zlib" } else { "zlib → ours" };
        let context = if row.anew { "anew" } else { "taken over" };
        let verdict =
            row.failure.as_ref().map_or_else(|| "ok".into(), |failure| format!("FAILED: {failure}"));
        print!("| {direction} | {} | {context} | {} | ", row.window, row.messages);
        println!("{} | {} | {verdict} |", row.bytes, row.deflated);
    }
    rows.iter().filter(|row| row.failure.is_some()).count()
}

struct Options {
    peers: Vec<(String, String)>,
    zlib: Option<String>,
    streams: u64,
    messages: usize,
    seed: u64,
    first: u64,
}

impl Options {
    fn parse() -> Result<Self, lexopt::Error> {
        use lexopt::prelude::*;
        let mut options =
            Self { peers: Vec::new(), zlib: None, streams: 100_000, messages: 10_000, seed: 1, first: 0 };
        let mut args = lexopt::Parser::from_env();
        while let Some(arg) = args.next()? {
            match arg {
                Long("peer") => options.peers.push((args.value()?.string()?, args.value()?.string()?)),
                Long("zlib") => options.zlib = Some(args.value()?.string()?),
                Long("streams") => options.streams = args.value()?.parse()?,
                Long("messages") => options.messages = args.value()?.parse()?,
                Long("seed") => options.seed = args.value()?.parse()?,
                Long("from") => options.first = args.value()?.parse()?,
                _ => return Err(arg.unexpected()),
            }
        }
        Ok(options)
    }

    /// The version of a peer, and what came of the streams.
    fn compare(&self, name: &str, command: &str) -> io::Result<(String, Comparison)> {
        let mut peer = Peer::start(name, command)?;
        let comparison = Comparison::run(&mut peer, self.streams, self.seed, self.first)?;
        Ok((peer.version.clone(), comparison))
    }

    fn zlib(&self) -> io::Result<Option<(String, Vec<Row>)>> {
        let Some(command) = &self.zlib else { return Ok(None) };
        let mut peer = Peer::start("zlib", command)?;
        let rows = zlib::run(&mut peer, self.messages, self.seed);
        Ok(Some((peer.version.clone(), rows)))
    }
}
