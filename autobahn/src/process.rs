//! Child processes that never outlive us.

use core::net::SocketAddr;
use core::time::Duration;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Instant;

/// A running child process; killed when dropped, and by the system should we be killed ourselves.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts a program, with all that it prints going to a file `NAME.log` in `logs`.
    ///
    /// # Errors
    ///
    /// When the log cannot be written or no process be started.
    pub fn start<A: AsRef<OsStr>>(
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        logs: &Path,
    ) -> io::Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let output = File::create(&log)?;
        // A testsuite that outlived us would some day write its report over that of a later run.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        Ok(Self { child, name: name.into(), log })
    }

    /// Waits until the process accepts connections on `address`.
    ///
    /// # Errors
    ///
    /// When it ends or the time limit passes before it does.
    pub fn wait_until_listening(&mut self, address: SocketAddr, limit: Duration) -> io::Result<()> {
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            self.check_running()?;
            self.check_time(start, limit)?;
            sleep(POLL);
        }
        Ok(())
    }

    /// Waits until the process ends by itself.
    ///
    /// # Errors
    ///
    /// When it ends unsuccessfully or the time limit passes before it ends.
    pub fn wait(&mut self, limit: Duration) -> io::Result<()> {
        let start = Instant::now();
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.ended(status)),
                None => self.check_time(start, limit)?,
            }
            sleep(POLL);
        }
    }

    /// Checks that the process has not ended.
    ///
    /// # Errors
    ///
    /// When it has.
    pub fn check_running(&mut self) -> io::Result<()> {
        match self.child.try_wait()? {
            Some(status) => Err(self.ended(status)),
            None => Ok(()),
        }
    }

    fn check_time(&self, start: Instant, limit: Duration) -> io::Result<()> {
        if start.elapsed() < limit {
            return Ok(());
        }
        Err(self.error(&format!("took longer than {} s", limit.as_secs())))
    }

    fn ended(&self, status: ExitStatus) -> io::Error {
        self.error(&format!("ended by itself ({status})"))
    }

    fn error(&self, what: &str) -> io::Error {
        io::Error::other(format!("{} {what}, see {}", self.name, self.log.display()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a child that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address on this machine whose port was free a moment ago.
///
/// # Errors
///
/// When the machine has none to give.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

const POLL: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::env::temp_dir;

    use super::*;

    fn start(name: &str, script: &str) -> Process {
        let logs = temp_dir().join(format!("sansocket-autobahn-{}", std::process::id()));
        std::fs::create_dir_all(&logs).unwrap();
        Process::start(name, Path::new("sh"), ["-c", script], &logs).unwrap()
    }

    #[test]
    fn a_process_that_ends_well_is_waited_for() {
        start("good", "sleep 0.1").wait(Duration::from_secs(10)).unwrap();
    }

    #[test]
    fn a_process_that_ends_badly_is_an_error() {
        let error = start("bad", "exit 3").wait(Duration::from_secs(10)).unwrap_err();
        assert!(error.to_string().starts_with("bad ended by itself (exit status: 3), see "), "{error}");
    }

    #[test]
    fn a_process_that_takes_too_long_is_an_error() {
        let error = start("slow", "exec sleep 60").wait(Duration::ZERO).unwrap_err();
        assert!(error.to_string().starts_with("slow took longer than 0 s"), "{error}");
    }

    #[test]
    fn a_process_that_ends_before_it_listens_is_an_error() {
        let address = free_address().unwrap();
        let error =
            start("deaf", "exit 0").wait_until_listening(address, Duration::from_secs(10)).unwrap_err();
        assert!(error.to_string().starts_with("deaf ended by itself"), "{error}");
    }

    #[test]
    fn a_process_that_never_listens_is_an_error() {
        let address = free_address().unwrap();
        let error = start("mute", "exec sleep 60").wait_until_listening(address, Duration::ZERO).unwrap_err();
        assert!(error.to_string().starts_with("mute took longer"), "{error}");
    }

    #[test]
    fn a_dropped_process_is_dead() {
        let process = start("dropped", "exec sleep 60");
        let alive = Path::new("/proc").join(process.child.id().to_string());
        assert!(alive.exists());
        drop(process);
        assert!(!alive.exists());
    }

    #[test]
    fn what_a_process_prints_is_in_its_log() {
        let mut process = start("loud", "echo out; echo err >&2");
        process.wait(Duration::from_secs(10)).unwrap();
        assert_eq!(std::fs::read_to_string(&process.log).unwrap(), "out\nerr\n");
    }
}
