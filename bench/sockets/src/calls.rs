//! System calls for each message, by strace: a pass of its own, since that slows a server down.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::Result;
use crate::cells::{CELLS, servers};
use crate::process::{MEASURED, Process};
use crate::rounds::{Plan, Table};

/// strace, attached to a server.
struct Trace {
    child: Child,
    /// What it counted.
    counts: PathBuf,
    /// It is not to end for want of somebody who listens.
    _said: BufReader<ChildStderr>,
}

impl Trace {
    fn attach(process: &Process, plan: &Plan) -> Result<Self> {
        let counts = plan.results.join(format!("{}.strace", process.id()));
        let mut child = Command::new("strace")
            .args(["-f", "-c", "-U", "calls,name", "-p", &process.id().to_string(), "-o"])
            .arg(&counts)
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(child.stderr.take().ok_or("it is piped")?);
        let mut attached = String::new();
        said.read_line(&mut attached)?;
        if !attached.contains("attached") {
            return Err(attached.into());
        }
        Ok(Self { child, counts, _said: said })
    }

    fn detach(mut self) -> Result<BTreeMap<&'static str, f64>> {
        let id = Pid::from_raw(self.child.id().cast_signed()).ok_or("no such process")?;
        kill_process(id, Signal::INT)?;
        self.child.wait()?;
        let counts = fs::read_to_string(&self.counts)?;
        fs::remove_file(&self.counts)?;
        let mut groups = BTreeMap::new();
        for line in counts.lines() {
            let mut words = line.split_whitespace();
            let (Some(count), Some(name)) = (words.next(), words.next()) else { continue };
            let Ok(count) = count.parse::<f64>() else { continue };
            let group = match name {
                "read" | "readv" | "recvfrom" | "recvmsg" => "reads",
                "write" | "writev" | "sendto" | "sendmsg" => "writes",
                "epoll_wait" | "epoll_pwait" | "epoll_pwait2" | "poll" => "waits",
                "total" => continue,
                _ => "others",
            };
            *groups.entry(group).or_default() += count;
        }
        Ok(groups)
    }
}

pub fn run(plan: &Plan) -> Result<()> {
    let mut table = Table::create(&plan.results, "calls", "calls")?;
    let cells: Vec<_> = CELLS.iter().map(|cell| (cell.name(), *cell)).collect();
    plan.run(&mut table, &cells, &servers(plan), |cell, server| {
        let process = Process::start(&mut server.command()?, MEASURED)?;
        let mut load = cell.connect(server, &process)?;
        load.run(plan.warm_up)?;
        let trace = Trace::attach(&process, plan)?;
        let messages = (load.run(plan.window)? * cell.depth as u64) as f64;
        Ok(trace.detach()?.into_iter().map(|(group, count)| (group, count / messages)).collect())
    })
}
