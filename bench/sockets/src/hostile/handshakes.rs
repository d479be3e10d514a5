//! Opening handshakes.

use std::net::SocketAddr;
use std::thread;

use sansocket_tests::hostile::handshakes::{Row, rows};

use super::client::Client;
use super::{Cell, Cells};
use crate::Result;
use crate::process::Process;

pub const ABOUT: &str = "\
The status of each answer; `EOF` is none. `open` is a connection that is still there 2.5 s behind a refusal, for another request; it is shown, and not counted.";

pub fn cases() -> Vec<(String, String)> {
    rows().into_iter().map(|row| (row.name.to_owned(), row.status.to_string())).collect()
}

/// Each case on a connection of its own, all at once.
pub fn attack(process: &Process) -> Result<Cells> {
    let ask = |row: Row| {
        told(process.address, &row).unwrap_or_else(|error| Cell { text: error.to_string(), deviates: true })
    };
    thread::scope(|scope| {
        let threads = rows().map(|row| scope.spawn(move || ask(row)));
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a panic".into())).collect()
    })
}

fn told(address: SocketAddr, row: &Row) -> Result<Cell> {
    let mut client = Client::connect(address)?;
    client.write(at_root(&row.request).as_bytes());
    let (bytes, end) = client.read();
    let text = String::from_utf8_lossy(&bytes);
    // More than one, if what stands behind a request is taken for another.
    let statuses: Vec<_> = text.split("HTTP/1.").skip(1).filter_map(status).collect();
    let deviates = statuses != [row.status.to_string()];
    let text = if statuses == ["101"] { "101".into() } else { end.tell(statuses) };
    Ok(Cell { text, deviates })
}

/// Of the rest of a response, or of something else that speaks of HTTP.
fn status(rest: &str) -> Option<String> {
    let status = rest.strip_prefix(['0', '1'])?.strip_prefix(' ')?.get(..3)?;
    status.parse::<u16>().ok().map(|status| status.to_string())
}

/// For servers that have nothing elsewhere.
pub fn at_root(request: &str) -> String {
    request.replacen("/chat?room=1&x=?/", "/", 1)
}
