//! The client's role: what a message that is echoed costs a client.

use std::cell::Cell as Count;
use std::future::Future;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::try_join_all;
use rustix::time::{ClockId, clock_gettime};

use crate::Result;
use crate::cells::bytes;
use crate::message::Kind;
use crate::process::{MEASURED, OTHER, Process, pin};
use crate::rounds::{Plan, Table};
use crate::servers::Server;

mod ours;
mod peers;

/// A connection of a client's.
trait Client: Sized {
    fn connect(address: &str) -> impl Future<Output = Result<Self>>;

    /// Sends as many messages, in one write if it can.
    fn send(&mut self, payload: &Bytes, count: usize) -> impl Future<Output = Result<()>>;

    /// Receives a message, and says whether it is this one.
    fn receive(&mut self, payload: &[u8]) -> impl Future<Output = Result<bool>>;
}

type Run = fn(&Job) -> Result<Report>;

const ALL: &[(&str, Run)] = &[
    ("sansocket", run_client::<ours::Sansocket>),
    ("sansocket no timers", run_client::<ours::Trusting>),
    ("tokio-tungstenite 0.30.0", run_client::<peers::Tungstenite>),
    ("fastwebsockets 0.10.0", run_client::<peers::Fastwebsockets>),
    ("tokio-websockets 0.13.3", run_client::<peers::TokioWebsockets>),
    ("web-socket 0.7.0", run_client::<peers::WebSocket>),
    ("soketto 0.8.1", run_client::<peers::Soketto>),
    ("wtx 0.46.1", run_client::<peers::Wtx>),
    ("yawc 0.5.0", run_client::<peers::Yawc>),
    ("sockudo-ws 3.1.0", run_client::<peers::Sockudo>),
];

#[derive(Clone, Copy, Debug)]
pub struct Cell {
    connections: usize,
    depth: usize,
    size: usize,
}

const CELLS: &[Cell] = &[
    Cell { connections: 1, depth: 1, size: 125 },
    Cell { connections: 16, depth: 1, size: 125 },
    Cell { connections: 1, depth: 16, size: 125 },
    Cell { connections: 1, depth: 1, size: 64 << 10 },
    Cell { connections: 16, depth: 1, size: 64 << 10 },
];

struct Job {
    address: String,
    cell: Cell,
    warm_up: Duration,
    window: Duration,
}

#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub messages: u64,
    cpu: Duration,
    took: Duration,
}

pub fn run(plan: &Plan) -> Result<()> {
    let mut table = Table::create(&plan.results, "client", "client")?;
    let server = server()?;
    plan.run(&mut table, &cells(), &all(plan), |cell, name| {
        let command = command(cell, name, &server, plan.warm_up, plan.window)?;
        let Report { messages, cpu, took } = report(command)?;
        let messages = messages as f64;
        Ok(vec![
            ("cpu µs", cpu.as_secs_f64() * 1e6 / messages),
            ("messages/s", messages / took.as_secs_f64()),
        ])
    })
}

/// What they talk to.
pub fn server() -> Result<Process> {
    Process::start(&mut Server::find("limit")?.command()?, OTHER)
}

pub fn cells() -> Vec<(String, Cell)> {
    let name = |cell: &Cell| format!("{} × {} {} binary", cell.connections, cell.depth, bytes(cell.size));
    CELLS.iter().map(|cell| (name(cell), *cell)).collect()
}

/// The clients of a plan.
pub fn all(plan: &Plan) -> Vec<(String, &'static str)> {
    let named = ALL.iter().filter(|(name, _)| plan.has_contestant(name));
    named.map(|(name, _)| ((*name).to_owned(), *name)).collect()
}

/// What starts a client. It prints a report.
pub fn command(
    cell: &Cell,
    name: &str,
    server: &Process,
    warm_up: Duration,
    window: Duration,
) -> Result<Command> {
    let numbers = [cell.connections, cell.depth, cell.size, micros(warm_up), micros(window)];
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--as-client", name, &server.address.to_string()])
        .args(numbers.map(|number| number.to_string()));
    Ok(command)
}

/// Runs it where measured processes run.
pub fn report(mut command: Command) -> Result<Report> {
    pin(MEASURED)?;
    let output = command.output();
    pin(OTHER)?;
    let output = output?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let numbers: Vec<u64> = str::from_utf8(&output.stdout)?
        .split_whitespace()
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()?;
    let &[messages, cpu, took] = &numbers[..] else { return Err("no report".into()) };
    Ok(Report { messages, cpu: Duration::from_micros(cpu), took: Duration::from_micros(took) })
}

fn micros(duration: Duration) -> usize {
    usize::try_from(duration.as_micros()).unwrap_or(usize::MAX)
}

/// A client's process.
pub fn run_one(words: &mut dyn Iterator<Item = String>) -> Result<()> {
    let mut word = || words.next().ok_or("too few words");
    let (name, address) = (word()?, word()?);
    let mut number = || -> Result<u64> { Ok(word()?.parse()?) };
    let mut small = || -> Result<usize> { Ok(usize::try_from(number()?)?) };
    let cell = Cell { connections: small()?, depth: small()?, size: small()? };
    let warm_up = Duration::from_micros(number()?);
    let window = Duration::from_micros(number()?);
    let (_, run) = ALL.iter().find(|(other, _)| *other == name).ok_or("no such client")?;
    let Report { messages, cpu, took } = run(&Job { address, cell, warm_up, window })?;
    println!("{messages} {} {}", cpu.as_micros(), took.as_micros());
    Ok(())
}

fn run_client<C: Client>(job: &Job) -> Result<Report> {
    let Cell { connections, depth, size } = job.cell;
    let payload = Bytes::from(Kind::Binary.payload(size));
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(async {
        let mut clients = try_join_all((0..connections).map(|_| C::connect(&job.address))).await?;
        talk(&mut clients, &payload, depth, job.warm_up).await?;
        let (cpu, began) = (cpu_time()?, Instant::now());
        let messages = talk(&mut clients, &payload, depth, job.window).await?;
        Ok(Report { messages, cpu: cpu_time()? - cpu, took: began.elapsed() })
    })
}

/// All talk for so long. Returns how many messages came back.
async fn talk<C: Client>(
    clients: &mut [C],
    payload: &Bytes,
    depth: usize,
    duration: Duration,
) -> Result<u64> {
    let end = Instant::now() + duration;
    let messages = Count::new(0);
    try_join_all(clients.iter_mut().map(async |client| {
        while Instant::now() < end {
            client.send(payload, depth).await?;
            for _ in 0..depth {
                if !client.receive(payload).await? {
                    return Err("another message came back".into());
                }
            }
            messages.set(messages.get() + depth as u64);
        }
        Result::Ok(())
    }))
    .await?;
    Ok(messages.get())
}

/// Of this process.
fn cpu_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::ProcessCPUTime).try_into()?)
}
