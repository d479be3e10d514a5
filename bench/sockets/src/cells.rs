//! Messages: what each costs a server that has many connections.

use std::time::Instant;

use crate::Result;
use crate::load::Load;
use crate::message::{Batch, Kind};
use crate::process::{MEASURED, Process};
use crate::rounds::{Plan, Table};
use crate::servers::{ALL, Server};

#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub connections: usize,
    /// So many messages are sent before the first answer.
    pub depth: usize,
    pub size: usize,
    pub kind: Kind,
}

const fn cell(connections: usize, depth: usize, size: usize, kind: Kind) -> Cell {
    Cell { connections, depth, size, kind }
}

pub const CELLS: &[Cell] = &[
    cell(100, 1, 16, Kind::Binary),
    cell(100, 1, 125, Kind::Binary),
    cell(100, 1, 1 << 10, Kind::Binary),
    cell(100, 1, 1 << 10, Kind::Utf8),
    cell(100, 16, 125, Kind::Binary),
    cell(100, 16, 125, Kind::Ascii),
    cell(10, 1, 64 << 10, Kind::Binary),
    cell(10, 1, 64 << 10, Kind::Utf8),
    cell(2, 1, 1 << 20, Kind::Binary),
    cell(2, 1, 1 << 20, Kind::Utf8),
];

impl Cell {
    pub fn name(&self) -> String {
        let Self { connections, depth, size, kind } = *self;
        format!("{connections} × {depth} {} {}", bytes(size), kind.name())
    }

    pub fn connect(&self, server: &Server, process: &Process) -> Result<Load> {
        let batch = Batch::new(self.kind, self.size, self.depth, server.is_raw());
        Load::connect(process.address, self.connections, batch, server.is_raw())
    }

    /// Processor time for each message, and messages for each second.
    pub fn measure(&self, server: &Server, plan: &Plan) -> Result<Vec<(&'static str, f64)>> {
        let process = Process::start(&mut server.command()?, MEASURED)?;
        let mut load = self.connect(server, &process)?;
        load.run(plan.warm_up)?;
        let cpu = process.cpu()?;
        let began = Instant::now();
        let batches = load.run(plan.window)?;
        let took = began.elapsed();
        let cpu = process.cpu()? - cpu;
        let messages = (batches * self.depth as u64) as f64;
        Ok(vec![
            ("cpu µs", cpu.as_secs_f64() * 1e6 / messages),
            ("messages/s", messages / took.as_secs_f64()),
        ])
    }
}

pub fn bytes(size: usize) -> String {
    match size {
        0..1024 => format!("{size} B"),
        1024..0x10_0000 => format!("{} KiB", size >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", size >> 20),
        _ => format!("{} GiB", size >> 30),
    }
}

/// The servers of a plan, those that are there.
pub fn servers(plan: &Plan) -> Vec<(String, Server)> {
    let mut servers = Vec::new();
    for server in ALL.iter().filter(|server| plan.has_contestant(server.name)) {
        if server.is_there() {
            servers.push((server.name.to_owned(), *server));
        } else {
            eprintln!("not installed: {}", server.name);
        }
    }
    servers
}

pub fn run(plan: &Plan) -> Result<()> {
    let mut table = Table::create(&plan.results, "sockets", "sockets")?;
    let cells: Vec<_> = CELLS.iter().map(|cell| (cell.name(), *cell)).collect();
    plan.run(&mut table, &cells, &servers(plan), |cell, server| cell.measure(server, plan))
}
