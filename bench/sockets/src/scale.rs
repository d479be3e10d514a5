//! Scale: what a message costs with ever more connections, and a byte with ever longer messages.

use std::time::{Duration, Instant};

use crate::Result;
use crate::cells::{Cell, bytes};
use crate::load::Load;
use crate::message::{Batch, Kind};
use crate::process::{MEASURED, Process};
use crate::rounds::{Plan, Table};
use crate::servers::Server;

const CONNECTIONS: &[usize] = &[1, 10, 100, 1000, 10_000];
const SIZES: &[usize] = &[1, 16, 256, 4 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20, 1 << 30];

pub fn run(plan: &Plan) -> Result<()> {
    let mut table = Table::create(&plan.results, "scale", "scale connections")?;
    let servers = |names: &[&str]| -> Result<Vec<(String, Server)>> {
        let named = names.iter().filter(|name| plan.has_contestant(name));
        named.map(|name| Ok(((*name).to_owned(), Server::find(name)?))).collect()
    };
    let all = ["raw TCP", "raw TCP epoll", "sansocket handler", "sansocket feed", "sansocket epoll"];
    let cell = |&connections: &usize| {
        let cell = Cell { connections, depth: 1, size: 125, kind: Kind::Binary };
        (format!("{connections} connections"), cell)
    };
    let cells: Vec<_> = CONNECTIONS.iter().map(cell).collect();
    plan.run(&mut table, &cells, &servers(&all)?, |cell, server| cell.measure(server, plan))?;

    table.begin("scale size");
    let cells: Vec<_> = SIZES.iter().map(|&size| (bytes(size), size)).collect();
    let all = ["raw TCP", "raw TCP epoll", "limit", "sansocket whole", "sansocket streaming"];
    plan.run(&mut table, &cells, &servers(&all)?, |&size, server| {
        let process = Process::start(&mut server.command()?, MEASURED)?;
        let batch = Batch::new(Kind::Binary, size, 1, server.is_raw());
        let mut load = Load::connect(process.address, 1, batch, server.is_raw())?;
        // The longest take a second each.
        load.run(if size < 64 << 20 { plan.warm_up } else { Duration::ZERO })?;
        let cpu = process.cpu()?;
        let began = Instant::now();
        let sent = (load.run(plan.window)? * size as u64) as f64;
        let took = began.elapsed();
        let cpu = process.cpu()? - cpu;
        Ok(vec![("cpu ns/B", cpu.as_secs_f64() * 1e9 / sent), ("bytes/s", sent / took.as_secs_f64())])
    })
}
