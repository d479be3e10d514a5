//! What fuzzing begins with: the seeds that are committed.

use std::fs;
use std::path::Path;

use sansocket::{ClientRequest, Config, Connection, Role};

use super::{Setup, Stream};
use crate::{ROLES, SEED, START, asking, heads, take_output};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds");

pub(super) fn streams() -> Vec<Stream> {
    let mut streams = Vec::new();
    for target in names(Path::new(FOLDER)) {
        let folder = Path::new(FOLDER).join(&target);
        for (i, file) in names(&folder).into_iter().enumerate() {
            let bytes = fs::read(folder.join(&file)).unwrap();
            let name = format!("{target}/{file}");
            match &target[..] {
                "request_head" => streams.push(request(name, behind_sizes(&bytes[1..]))),
                "response_head" => streams.push(response(name, behind_sizes(&bytes[1..]))),
                "client_frames" | "server_frames" => {
                    let role = if target == "client_frames" { Role::Client } else { Role::Server };
                    let stream = behind_sizes(&bytes[1..]);
                    streams.extend(
                        (0..8).map(|n| Stream::frames(&name, stream.to_vec(), Setup::nth(role, i + 5 * n))),
                    );
                }
                "compressed_frames" => {
                    // A role, nine bytes of what was agreed upon, a cut stream.
                    let role = if bytes[0] & 1 == 1 { Role::Client } else { Role::Server };
                    let stream = behind_sizes(&bytes[10..]);
                    streams.extend((0..4).map(|n| {
                        let setup = Setup::nth(role, i + 5 * n).compressing(n);
                        let stream = Stream::frames(&name, stream.to_vec(), setup);
                        // Some are sent back a hundred times as long.
                        let cost = if file.starts_with("bomb") { 40_000 } else { stream.cost };
                        Stream { cost, ..stream }
                    }));
                }
                // No streams of frames, but anyone may send them.
                _ => streams.extend(ROLES.map(|role| {
                    let end = bytes.len().min(2048);
                    Stream::frames(&name, bytes[..end].to_vec(), Setup::nth(role, i))
                })),
            }
        }
    }
    streams
}

/// The rest of an input that has a count in front, and so many sizes of pieces.
fn behind_sizes(bytes: &[u8]) -> &[u8] {
    &bytes[1 + usize::from(bytes[0] % 16)..]
}

fn request(name: String, stream: &[u8]) -> Stream {
    Stream::new(name, stream.to_vec(), |delivery| {
        Connection::server(&Config::new().delivery(delivery), START)
    })
}

/// `$A` stands for the right `Sec-WebSocket-Accept`.
fn response(name: String, stream: &[u8]) -> Stream {
    let config = Config::new();
    let good = heads::answer_to(&asking(&config).1, &config);
    let accept = good.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Accept: ")).unwrap();
    let at = stream.windows(2).position(|two| two == b"$A");
    let stream = match at {
        Some(at) => [&stream[..at], accept.as_bytes(), &stream[at + 2..]].concat(),
        None => stream.to_vec(),
    };
    Stream::new(name, stream, |delivery| {
        let request = ClientRequest::new("ws://example.com/").unwrap().subprotocol("chat").unwrap();
        let mut client = Connection::client(&Config::new().delivery(delivery), &request, SEED, START);
        take_output(&mut client);
        client
    })
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}
