//! Servers and clients as processes of their own, each on one core if that is asked for.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::Result;

/// Where what is measured runs.
pub const MEASURED: usize = 0;
/// Where the other side runs.
pub const OTHER: usize = 1;

/// Puts this thread, and the processes that it starts, on one core, if there is a second one.
pub fn pin(core: usize) -> Result<()> {
    if thread::available_parallelism()?.get() == 1 {
        return Ok(());
    }
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}

/// As many descriptors as there may be; processes that are started have them too.
pub fn raise_descriptors() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// A process that says where it listens in the first line that it prints.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

impl Process {
    /// Starts it on a core, and goes on on the other.
    pub fn start(command: &mut Command, core: usize) -> Result<Self> {
        pin(core)?;
        let child = spawn(command);
        pin(if core == MEASURED { OTHER } else { MEASURED })?;
        Self::of(child?)
    }

    /// Starts it where the system puts it.
    pub fn start_anywhere(command: &mut Command) -> Result<Self> {
        Self::of(spawn(command)?)
    }

    fn of(mut child: Child) -> Result<Self> {
        let input = child.stdin.take().ok_or("it is piped")?;
        let mut output = BufReader::new(child.stdout.take().ok_or("it is piped")?);
        let line = read_line(&mut output)?;
        let address = line.trim_start_matches("ws://").parse()?;
        Ok(Self { child, input, output, address })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks for a line.
    pub fn ask(&mut self) -> Result<String> {
        self.input.write_all(b"\n")?;
        read_line(&mut self.output)
    }

    /// The processor time that all its threads have had, once they are idle: the system adds the time of one
    /// that runs only now and then.
    pub fn cpu(&self) -> Result<Duration> {
        self.rest()?;
        let mut nanos = 0;
        for task in self.tasks()? {
            let stat = fs::read_to_string(task?.path().join("schedstat"))?;
            nanos += stat.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Gives it some time to come to rest.
    pub fn rest(&self) -> Result<()> {
        for _ in 0..50 {
            if !self.is_running()? {
                break;
            }
            thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    fn is_running(&self) -> Result<bool> {
        for task in self.tasks()? {
            let stat = fs::read_to_string(task?.path().join("stat"))?;
            let (_, state) = stat.rsplit_once(") ").ok_or("a stat without a name")?;
            if state.starts_with('R') {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn tasks(&self) -> Result<fs::ReadDir> {
        Ok(fs::read_dir(format!("/proc/{}/task", self.id()))?)
    }

    /// Ends it by a signal that it may see coming.
    pub fn terminate(mut self) -> Result<()> {
        let id = Pid::from_raw(self.id().cast_signed()).ok_or("no such process")?;
        kill_process(id, Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }

    /// Open files and sockets.
    pub fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.id()))?.count())
    }

    /// Bytes of memory.
    pub fn resident(&self) -> Result<f64> {
        self.status("VmRSS:")
    }

    /// The most that there have been since [`Self::forget_peak`].
    pub fn peak(&self) -> Result<f64> {
        self.status("VmHWM:")
    }

    pub fn forget_peak(&self) -> Result<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.id()), "5")?)
    }

    /// Bytes, of a line that has them in kB.
    fn status(&self, name: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let bytes = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
        let kib: f64 = bytes.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024.0)
    }

    /// Waits until it has had nothing to do for so long.
    pub fn settle(&self, quiet: Duration) -> Result<()> {
        let began = Instant::now();
        let mut since = began;
        while since.elapsed() < quiet {
            if began.elapsed() > Duration::from_secs(120) {
                return Err("it does not come to rest".into());
            }
            if self.is_running()? {
                since = Instant::now();
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(command: &mut Command) -> io::Result<Child> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
}

fn read_line(output: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    Ok(line.trim().to_owned())
}
