//! Floods: what a client sends without end and whose answers it does not read.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sansocket::Role;
use sansocket_tests::hostile::streams::STREAMS;
use sansocket_tests::wire::{self, BINARY, PING, TEXT};

use super::client::Client;
use super::{Cell, Cells};
use crate::Result;
use crate::load::shake_hands;
use crate::process::{MEASURED, Process};
use crate::servers::Server;

/// Bytes to send, if nothing stops it.
const MOST: usize = 65_000_000;
/// A server that has taken nothing for so long will take no more.
const STUCK: Duration = Duration::from_secs(3);
/// It has done all that it had to when it was idle for so long.
const QUIET: Duration = Duration::from_millis(300);
/// What a connection may make grow.
const GOAL: f64 = 0.3;

#[derive(Clone, Copy, Debug)]
struct Flood {
    name: &'static str,
    make: fn(Role, usize) -> Vec<u8>,
}

fn floods() -> Vec<Flood> {
    let known = |name| {
        let stream = STREAMS.iter().find(|stream| stream.name == name).expect("a stream of the table");
        Flood { name, make: stream.make }
    };
    let message = |role, len: usize| wire::frame(role, BINARY, [7; 1024]).repeat(len / 1032);
    vec![
        known("Pings"),
        known("fragments of 1 byte"),
        known("empty fragments"),
        Flood { name: "messages of 1 KiB", make: message },
        known("messages of 1 byte"),
    ]
}

pub fn about() -> String {
    format!(
        "A client sends {} MB as fast as it can and reads nothing. By how many MB the process grew at most (`VmHWM`), over what it had when one \
        connection had echoed a message and was gone (`VmRSS`); and what stopped the client, behind how many MB: `blocked` if the server took \
        nothing for {} s, `closed` if it ended the connection. The kernel's buffers between them take some 4 to 10 MB. One run.",
        MOST / 1_000_000,
        STUCK.as_secs(),
    )
}

pub fn cases() -> Vec<(String, String)> {
    floods().into_iter().map(|flood| (flood.name.to_owned(), format!("≤ {GOAL}"))).collect()
}

/// Each flood in a process of its own.
pub fn attack(server: &Server) -> Result<Cells> {
    floods().into_iter().map(|flood| measure(server, flood)).collect()
}

fn measure(server: &Server, flood: Flood) -> Result<Cell> {
    let process = Process::start(&mut server.command()?, MEASURED)?;
    warm_up(&process)?;
    process.settle(QUIET)?;
    let bytes = (flood.make)(Role::Server, MOST);
    let before = process.resident()?;
    process.forget_peak()?;

    let mut client = Client::connect(process.address)?;
    shake_hands(&mut client.0)?;
    client.0.set_write_timeout(Some(STUCK))?;
    let (sent, stop) = send(&mut client.0, &bytes)?;
    process.settle(QUIET)?;
    let grown = (process.peak()? - before).max(0.0) / 1e6;
    let sent = sent as f64 / 1e6;
    let text = stop.map_or_else(|| format!("{grown:.2}"), |stop| format!("{grown:.2}, {stop} {sent:.1}"));
    Ok(Cell { text, deviates: grown > GOAL })
}

/// One that echoes a message and goes.
fn warm_up(process: &Process) -> Result<()> {
    let mut client = Client::connect(process.address)?;
    shake_hands(&mut client.0)?;
    let frame = |opcode, payload| wire::frame(Role::Server, opcode, payload);
    client.write(&[frame(PING, "?"), frame(TEXT, "Hello"), wire::close(Role::Server, 1000, "")].concat());
    client.read();
    Ok(())
}

/// How many bytes could be sent, and what stopped it.
fn send(stream: &mut TcpStream, bytes: &[u8]) -> Result<(usize, Option<&'static str>)> {
    let mut sent = 0;
    while sent < bytes.len() {
        let next = &bytes[sent..bytes.len().min(sent + (64 << 10))];
        match stream.write(next) {
            Ok(len) => sent += len,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok((sent, Some("blocked")));
            }
            Err(_) => return Ok((sent, Some("closed"))),
        }
        if is_closed(stream)? {
            return Ok((sent, Some("closed")));
        }
    }
    Ok((sent, None))
}

/// Whether the server has ended its direction. What it wrote before stays unread.
fn is_closed(stream: &TcpStream) -> Result<bool> {
    let mut polled = [PollFd::new(stream, PollFlags::RDHUP)];
    Ok(poll(&mut polled, Some(&Timespec::default()))? > 0)
}
