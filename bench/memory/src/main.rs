//! WebSocket libraries side by side, in memory. Prints CSV.
//!
//! ```sh
//! memory [--time SECONDS]                       # all cells, which take no longer than that in all, or little more
//! memory --quick
//! memory cells                                  # those whose instructions are counted
//! memory count CONTESTANT FAMILY CELL PASSES    # goes so many times through one of them, and prints nothing
//! ```
//!
//! # What is fair
//!
//! Each contestant is a server that reads the same frames from the same [`Socket`](socket::Socket), which does what a
//! kernel's does: a read copies into the buffer that the contestant offers, a write copies out of what it shows. So the
//! bytes are fresh and masked on every pass, and everybody pays for the copy once, who has a `Read` and who has not
//! alike. Contestants without IO read 64 KiB at a time, as their program would. A system call is not counted: who
//! makes many is seen only on real sockets.
//!
//! A message is handed to the application whole and, if it is text, validated. Libraries that leave either to the
//! program are given it here, by the fastest means: simdutf8, and the payload where it is if it is all there. All
//! others are set as their documentation advises for speed.
//!
//! Before it is timed, each goes through the stream once, and all that it hands out and all that it writes is compared.

mod application;
mod cell;
mod contestants;
mod socket;

use std::process::ExitCode;
use std::time::Duration;

use lexopt::prelude::*;
use sansocket_bench::rounds::{self, Work};

use cell::Cell;
use contestants::{CONTESTANTS, Runner};

/// What all cells may take together.
const TIME: f64 = 600.0;
const QUICK: f64 = 80.0;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), lexopt::Error> {
    let mut time = TIME;
    let mut words = Vec::new();
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("quick") => time = QUICK,
            Long("time") => time = args.value()?.parse()?,
            Value(word) => words.push(word.string()?),
            _ => return Err(arg.unexpected()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => measure(Duration::from_secs_f64(time)),
        ["cells"] => list(),
        ["count", contestant, family, cell, passes] => {
            let mut runner = CONTESTANTS
                .iter()
                .find(|it| it.0 == contestant)
                .zip(Cell::all().find(|it| it.family() == family && it.name() == cell))
                .map(|((_, new), cell)| Runner::new(&cell, *new))
                .ok_or("no such contestant, or no such cell")?;
            let passes: usize = passes.parse().map_err(|_| "how many passes?")?;
            (0..passes).for_each(|_| runner.pass());
        }
        _ => return Err("see the beginning of src/main.rs".into()),
    }
    Ok(())
}

fn measure(time: Duration) {
    println!("family,cell,contestant,metric,round,value");
    let cells: Vec<Cell> = Cell::all().collect();
    let each = time / u32::try_from(cells.len()).unwrap_or(u32::MAX);
    for cell in &cells {
        let messages = cell.messages() as f64;
        let mut work: Vec<Work<'_>> = CONTESTANTS.iter().map(|(_, new)| work(cell, *new)).collect();
        // The message of `rounds` is a whole pass here.
        for (round, passes) in rounds::rounds(&mut work, 1, each).iter().enumerate() {
            for ((name, _), pass) in CONTESTANTS.iter().zip(passes) {
                let nanos = pass / messages;
                println!("{},{},{name},ns,{round},{nanos:.2}", cell.family(), cell.name());
            }
        }
    }
}

fn work(cell: &Cell, new: contestants::New) -> Work<'static> {
    Runner::new(cell, new).verify();
    let mut runner = Runner::new(cell, new);
    Box::new(move |_| runner.pass())
}

/// Of each cell whose instructions are counted: its names, a contestant, and how many messages a pass has.
fn list() {
    for cell in Cell::all().filter(Cell::is_counted) {
        for (name, _) in CONTESTANTS {
            println!("{},{},{name},{}", cell.family(), cell.name(), cell.messages());
        }
    }
}
