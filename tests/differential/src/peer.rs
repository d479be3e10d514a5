//! Another implementation, in a process of its own.

use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use sansocket::Role;

use crate::stream::Stream;
use crate::verdict::Verdict;

pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) version: String,
    process: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Peer {
    /// Starts it by a command line.
    pub(crate) fn start(name: &str, command: &str) -> io::Result<Self> {
        let mut process = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut peer = Self { name: name.into(), version: String::new(), process, input, output };
        peer.version = String::from_utf8_lossy(&peer.read()?).into_owned();
        Ok(peer)
    }

    /// Whether it can be in this role.
    pub(crate) fn takes(&self, stream: &Stream) -> bool {
        self.name != "cowboy" || stream.setup.role == Role::Server
    }

    /// Its verdicts on these streams.
    pub(crate) fn ask(&mut self, streams: &[Stream]) -> io::Result<Vec<Verdict>> {
        if streams.is_empty() {
            return Ok(Vec::new());
        }
        let mut batch = Vec::new();
        streams.iter().for_each(|stream| stream.write(&mut batch));
        let answer = self.exchange(&batch)?;
        let mut rest = &answer[..];
        let verdicts: Option<Vec<_>> = streams.iter().map(|_| Verdict::read(&mut rest)).collect();
        verdicts.filter(|_| rest.is_empty()).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Sends a batch, and returns what is answered.
    pub(crate) fn exchange(&mut self, batch: &[u8]) -> io::Result<Vec<u8>> {
        let len = u32::try_from(batch.len()).map_err(io::Error::other)?;
        self.input.write_all(&len.to_be_bytes())?;
        self.input.write_all(batch)?;
        self.input.flush()?;
        self.read()
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut len = [0; 4];
        self.output.read_exact(&mut len)?;
        let mut answer = Vec::new();
        let len = u64::from(u32::from_be_bytes(len));
        if (&mut self.output).take(len).read_to_end(&mut answer)? as u64 != len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(answer)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
