//! Frames behind a good opening handshake.

use std::net::SocketAddr;
use std::thread;

use sansocket::Role;
use sansocket_tests::compressed::RSV1;
use sansocket_tests::heads::{GOOD, with};
use sansocket_tests::hostile::frames::{Row, Verdict, rows};
use sansocket_tests::inflate::Naive;
use sansocket_tests::wire::{self, CLOSE, PONG, Parsed};

use super::client::{Client, End};
use super::handshakes::at_root;
use super::{Cell, Cells};
use crate::Result;
use crate::process::Process;

pub const ABOUT: &str = "\
What comes back: `1002` is a Close with this code, and then the end of the connection; `\"bad\"` an echo; `EOF` the end without a Close; `open` that nothing \
more came for 2.5 s and the connection is still there. `RST` is an end that a client may take for a failure; it is shown, and not counted.";

pub fn cases(compression: bool) -> Vec<(String, String)> {
    let case = |row: Row| {
        let messages = row.messages.iter().map(|text| quoted(text)).collect();
        let goal = match row.verdict {
            Verdict::Open => End::Open.tell(messages),
            Verdict::Closed(code) => End::Eof.tell([messages, vec![closed(code)]].concat()),
            Verdict::Failed(code, _) => End::Eof.tell([messages, vec![closed(Some(code))]].concat()),
        };
        (row.name.to_owned(), goal)
    };
    rows_of(compression).map(case).collect()
}

/// The rows that take compression, or all others.
fn rows_of(compression: bool) -> impl Iterator<Item = Row> {
    rows(Role::Server).into_iter().filter(move |row| (row.compression == Some(true)) == compression)
}

/// Each case on a connection of its own, all at once.
pub fn attack(process: &Process, compression: bool) -> Result<Cells> {
    let send = |row: Row, goal: String| {
        let text = told(process.address, &row, compression).unwrap_or_else(|error| error.to_string());
        let deviates = text.trim_end_matches(", RST") != goal;
        Cell { text, deviates }
    };
    thread::scope(|scope| {
        let cases = rows_of(compression).zip(cases(compression));
        let threads: Vec<_> = cases.map(|(row, (_, goal))| scope.spawn(move || send(row, goal))).collect();
        let cells = threads.into_iter().map(|thread| thread.join().map_err(|_| "a panic".into()));
        cells.collect()
    })
}

fn told(address: SocketAddr, row: &Row, compression: bool) -> Result<String> {
    let mut client = Client::connect(address)?;
    let request =
        if compression { with("Sec-WebSocket-Extensions: permessage-deflate") } else { GOOD.into() };
    client.write(at_root(&request).as_bytes());
    let head = client.read_head()?;
    if !head.starts_with("HTTP/1.1 101 ") {
        return Ok("refused".into());
    }
    if compression != head.to_ascii_lowercase().contains("permessage-deflate") {
        return Ok("not agreed".into());
    }
    client.write(&row.frames);
    let (bytes, end) = client.read();
    let (frames, rest) = wire::parse_whole(&bytes);
    let mut words: Vec<_> = frames.iter().map(in_words).collect();
    if !rest.is_empty() {
        words.push(format!("{} bytes of a frame", rest.len()));
    }
    Ok(end.tell(words))
}

fn in_words(frame: &Parsed) -> String {
    let payload = &frame.payload[..];
    match frame.first & 0x0F {
        CLOSE => closed(payload.first_chunk().map(|code| u16::from_be_bytes(*code))),
        PONG => "Pong".into(),
        _ if payload.len() > 1024 => format!("a message of {} bytes", payload.len()),
        _ if frame.first & RSV1 == 0 => quoted(&String::from_utf8_lossy(payload)),
        _ => match Naive::new(32_768).message(payload) {
            Ok(message) => quoted(&String::from_utf8_lossy(&message.bytes)),
            Err(fault) => format!("{fault:?}"),
        },
    }
}

fn quoted(text: &str) -> String {
    format!("`{text:?}`")
}

fn closed(code: Option<u16>) -> String {
    code.map_or_else(|| "empty Close".into(), |code| code.to_string())
}
