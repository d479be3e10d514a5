//! Instructions, by valgrind: what a server or a client does for a message or a handshake, its runtime with it. What the
//! system does is not in them; `calls` tells how often it is asked.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Result;
use crate::cells::{self, servers};
use crate::clients;
use crate::handshakes::{End, open_and_close};
use crate::message::Kind;
use crate::process::{MEASURED, Process};
use crate::rounds::{Plan, Table};
use crate::servers::Server;

#[derive(Clone, Copy, Debug)]
enum Act {
    Handshake,
    Echo(cells::Cell),
}

const fn echo(connections: usize, depth: usize, size: usize, kind: Kind) -> Act {
    Act::Echo(cells::Cell { connections, depth, size, kind })
}

const ACTS: &[Act] = &[
    Act::Handshake,
    echo(4, 1, 125, Kind::Binary),
    echo(4, 16, 125, Kind::Binary),
    echo(4, 1, 1 << 10, Kind::Utf8),
    echo(1, 1, 64 << 10, Kind::Binary),
];

impl Act {
    fn name(&self) -> String {
        match self {
            Self::Handshake => "handshake and end of TCP".to_owned(),
            Self::Echo(cell) => cell.name(),
        }
    }

    /// Lets the server do it for so long. Returns how often it did.
    fn run(&self, server: &Server, process: &Process, duration: Duration) -> Result<u64> {
        match self {
            Self::Handshake => open_and_close(process.address, End::Tcp, server.is_raw(), duration),
            Self::Echo(cell) => {
                let mut load = cell.connect(server, process)?;
                let (began, mut batches) = (Instant::now(), 0);
                // It waits between them as if it were as fast as ever.
                while began.elapsed() < duration {
                    batches += load.run(Duration::ZERO)?;
                    process.rest()?;
                }
                Ok(batches * cell.depth as u64)
            }
        }
    }
}

pub fn run(plan: &Plan) -> Result<()> {
    let mut table = Table::create(&plan.results, "instructions", "instructions")?;
    let counts = plan.results.join("valgrind");
    let acts: Vec<_> = ACTS.iter().map(|act| (act.name(), *act)).collect();
    let mut native = servers(plan);
    native.retain(|(_, server)| server.is_native());
    plan.run(&mut table, &acts, &native, |act, server| {
        let each = each(plan, |duration| {
            let process = Process::start(&mut under_valgrind(&server.command()?, &counts), MEASURED)?;
            let count = act.run(server, &process, duration)?;
            process.terminate()?;
            Ok((count, collected(&counts)?))
        })?;
        Ok(vec![("instructions", each)])
    })?;
    table.begin("client instructions");
    let server = clients::server()?;
    plan.run(&mut table, &clients::cells(), &clients::all(plan), |cell, name| {
        let each = each(plan, |duration| {
            let command = clients::command(cell, name, &server, Duration::ZERO, duration)?;
            let report = clients::report(under_valgrind(&command, &counts))?;
            Ok((report.messages, collected(&counts)?))
        })?;
        Ok(vec![("instructions", each)])
    })
}

/// What each takes, from what many do and what more do: what comes before and after is in both.
fn each(plan: &Plan, mut count: impl FnMut(Duration) -> Result<(u64, u64)>) -> Result<f64> {
    let (few, for_few) = count(plan.window / 8)?;
    let (many, for_many) = count(plan.window)?;
    if many <= few {
        return Err("it was too slow".into());
    }
    Ok((for_many as f64 - for_few as f64) / (many - few) as f64)
}

fn under_valgrind(command: &Command, counts: &Path) -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--log-file={}", counts.display()))
        .arg(command.get_program())
        .args(command.get_args())
        // A `rep` would be one instruction for each byte that it copies.
        .env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=100000000");
    for (name, value) in command.get_envs() {
        value.map(|value| valgrind.env(name, value));
    }
    valgrind
}

fn collected(counts: &Path) -> Result<u64> {
    let log = fs::read_to_string(counts)?;
    fs::remove_file(counts)?;
    let collected = log.lines().find_map(|line| line.split_once("Collected : ")).ok_or("no counts")?;
    Ok(collected.1.trim().parse()?)
}
