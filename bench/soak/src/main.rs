//! A soak test: a server with many connections that come, talk and go for a long time. No message may be lost, and its
//! memory may not grow.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use sansocket_bench::Result;
use sansocket_bench::process::{Process, raise_descriptors};

mod load;
mod message;
mod plot;
mod server;
mod tally;
mod timeline;
mod verdict;

use load::{Load, PATIENCE, Plan, Stage};
use server::Report;
use timeline::Timeline;
use verdict::Run;

const HELP: &str = "\
soak [OPTION…]: 10,000 connections, of which 100 end each second, for 30 minutes

  --quick          500 connections, of which 50 end each second, for 20 seconds
  --connections N
  --seconds N
  --csv FILE       writes what was measured
  --plot FILE      draws it, as SVG";

const FULL: Plan =
    Plan { connections: 10_000, duration: Duration::from_secs(1800), life: Duration::from_secs(100) };
const QUICK: Plan =
    Plan { connections: 500, duration: Duration::from_secs(20), life: Duration::from_secs(10) };

fn main() -> Result<ExitCode> {
    use lexopt::prelude::*;

    let mut plan = FULL;
    let (mut csv, mut plot): (Option<PathBuf>, Option<PathBuf>) = (None, None);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("quick") => plan = QUICK,
            Long("connections") => plan.connections = args.value()?.parse()?,
            Long("seconds") => plan.duration = Duration::from_secs(args.value()?.parse()?),
            Long("csv") => csv = Some(args.value()?.into()),
            Long("plot") => plot = Some(args.value()?.into()),
            Long("help") => {
                println!("{HELP}");
                return Ok(ExitCode::SUCCESS);
            }
            // What it starts itself with.
            Long("as-server") => return server::run().map(|()| ExitCode::SUCCESS),
            _ => return Err(arg.unexpected().into()),
        }
    }
    raise_descriptors()?;
    let run = run(plan)?;
    if let Some(file) = csv {
        run.timeline.write(&file)?;
    }
    if let Some(file) = plot {
        let title = format!("soak: {} connections", plan.connections);
        plot::draw(&run.timeline, &title, run.judged, &file).map_err(|error| error.to_string())?;
    }
    println!("{run}");
    let failures = run.failures();
    for failure in &failures {
        println!("FAILED: {failure}");
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Starts the server, lets the connections talk, and looks at both every second.
fn run(plan: Plan) -> Result<Run> {
    let mut server = Process::start_anywhere(Command::new(std::env::current_exe()?).arg("--as-server"))?;
    let descriptors = server.descriptors()?;
    let load = Arc::new(Load::new(server.address, plan)?);
    let talking = thread::spawn({
        let load = Arc::clone(&load);
        move || load.run()
    });
    let mut timeline = Timeline::new(plan.duration)?;
    let (began, mut second) = (Instant::now(), 0);
    // When all were open, and when they were to close.
    let (mut open, mut close) = (None, None);
    while !talking.is_finished() {
        second += 1;
        while began.elapsed() < Duration::from_secs(second) && !talking.is_finished() {
            thread::sleep(Duration::from_millis(10));
        }
        let (resident, report) = (server.resident()?, server.ask()?.parse()?);
        let tally = load.tally().take();
        let at = began.elapsed().as_secs_f64();
        timeline.add(at, resident, report, &tally)?;
        match load.stage() {
            Stage::Opening(_) => {}
            Stage::Talking => drop(open.get_or_insert(at)),
            Stage::Ending => drop(close.get_or_insert(at)),
        }
        if second.is_multiple_of(10) {
            eprintln!("{at:.0} s: {:.0} MiB, {} connections", resident / 1_048_576.0, report.connections);
        }
    }
    talking.join().map_err(|_| "the load panicked")??;
    let (open, close) = open.zip(close).ok_or("it was too short")?;
    let (judged, counts, end) = (open + (close - open) / 6.0, load.tally().counts, settled(&mut server)?);
    let descriptors = server.descriptors()?.saturating_sub(descriptors);
    Ok(Run { timeline, open, judged, close, counts, end, descriptors })
}

/// Once nobody is there any more.
fn settled(server: &mut Process) -> Result<Report> {
    let began = Instant::now();
    loop {
        let report: Report = server.ask()?.parse()?;
        if report.connections == 0 || began.elapsed() > PATIENCE {
            return Ok(report);
        }
        thread::sleep(Duration::from_millis(100));
    }
}
