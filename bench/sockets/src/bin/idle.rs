//! What a server holds for each connection that has echoed a message and is idle: resident memory, and bytes
//! requested from the allocator. Prints Markdown.
//!
//! `idle [CONNECTIONS] [--quick] [--server TEXT…] [--results DIRECTORY]`; each server is a process of its own.

use std::alloc::System;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use sansocket_bench_sockets::Result;
use sansocket_bench_sockets::load::Load;
use sansocket_bench_sockets::message::{Batch, Kind};
use sansocket_bench_sockets::process::{MEASURED, OTHER, Process, pin, raise_descriptors};
use sansocket_bench_sockets::rounds::Table;
use sansocket_bench_sockets::servers::{IDLE, Server};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// These are there before anything is counted, with whatever grows only once.
const EARLIER: usize = 500;

fn main() -> Result<()> {
    use lexopt::prelude::*;

    let (mut connections, mut named, mut results) = (10_000, Vec::new(), PathBuf::from("results"));
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("results") => results = args.value()?.into(),
            Long("as-server") => return serve(&args.value()?.string()?),
            Long("quick") => connections = 2000,
            Long("server") => named.push(args.value()?.string()?),
            // Of the other families, which have rounds and cells.
            Long("rounds" | "window" | "cell") => drop(args.value()?),
            Value(count) => connections = count.parse()?,
            _ => return Err(arg.unexpected().into()),
        }
    }
    raise_descriptors()?;
    pin(OTHER)?;
    let mut table = Table::create(&results, "idle", "idle")?;
    let cell = format!("{connections} connections");
    println!("{connections} idle connections that have echoed 1 KiB; bytes for each.\n");
    println!("| server | resident | requested |");
    println!("|---|--:|--:|");
    for name in IDLE {
        if !named.is_empty() && !named.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let (resident, requested) = measure(&Server::find(name)?, connections)?;
        println!("| {name} | {resident:.0} | {requested:.0} |");
        table.row(&cell, name, "bytes", 0, resident)?;
        table.row(&cell, name, "bytes requested", 0, requested)?;
    }
    Ok(())
}

fn measure(server: &Server, connections: usize) -> Result<(f64, f64)> {
    let mut process = Process::start(&mut server.command()?, MEASURED)?;
    let address = process.address;
    let connect = |count| -> Result<Load> {
        let batch = Batch::new(Kind::Binary, 1024, 1, server.is_raw());
        let mut load = Load::connect(address, count, batch, server.is_raw())?;
        load.run(Duration::ZERO)?;
        Ok(load)
    };
    let _earlier = connect(EARLIER)?;
    let before = held(&mut process)?;
    let _later = connect(connections)?;
    let then = held(&mut process)?;
    let each = |n: usize| (then[n] - before[n]) / connections as f64;
    Ok((each(0), each(1)))
}

/// Resident bytes, and those requested from the allocator.
fn held(process: &mut Process) -> Result<[f64; 2]> {
    // What waits for a moment before it is given back is given back.
    thread::sleep(Duration::from_millis(500));
    let requested = process.ask()?.parse()?;
    Ok([process.resident()?, requested])
}

/// Serves, and tells what it holds whenever it is asked.
fn serve(name: &str) -> Result<()> {
    thread::spawn(|| {
        for _ in io::stdin().lines() {
            let stats = ALLOCATOR.stats();
            println!("{}", stats.bytes_allocated - stats.bytes_deallocated);
        }
    });
    Server::find(name)?.run()
}
