//! What fuzzing begins with: seeds, and what was found and kept.

use std::fs;
use std::path::Path;

use sansocket::{ClientRequest, Config, Connection, Role};

use super::{Setup, Stream};
use crate::{ROLES, SEED, START, asking, heads, take_output};

const FUZZ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz");

/// Each seed, in several ways.
pub(super) fn seeds() -> Vec<Stream> {
    let mut streams = Vec::new();
    for (target, i, name, bytes) in inputs("seeds") {
        // Some are sent back a hundred times as long.
        let cost = name.contains("/bomb").then_some(40_000);
        match read(&target, i, &name, &bytes, [8, 4], cost) {
            Some(own) => streams.extend(own),
            // No streams of frames, but anyone may send them.
            None => streams.extend(ROLES.map(|role| {
                let end = bytes.len().min(2048);
                Stream::frames(&name, bytes[..end].to_vec(), Setup::nth(role, i))
            })),
        }
    }
    streams
}

/// What was found of streams. Of nothing there is nothing to cut.
pub(super) fn found() -> Vec<Stream> {
    let inputs = inputs("corpus").into_iter();
    let streams =
        inputs.filter_map(|(target, i, name, bytes)| read(&target, i, &name, &bytes, [1, 1], Some(40_000)));
    streams.flatten().filter(|stream| !stream.bytes.is_empty()).collect()
}

/// A target's name, which of its inputs it is, its name, and the input.
fn inputs(folder: &str) -> Vec<(String, usize, String, Vec<u8>)> {
    let folder = Path::new(FUZZ).join(folder);
    let mut inputs = Vec::new();
    for target in names(&folder) {
        for (i, file) in names(&folder.join(&target)).into_iter().enumerate() {
            let bytes = fs::read(folder.join(&target).join(&file)).unwrap();
            inputs.push((target.clone(), i, format!("{target}/{file}"), bytes));
        }
    }
    inputs
}

/// The stream in a target's input, for so many setups without and with compression, or `None` if there is none in it.
/// `cost` is of those that are compressed.
fn read(
    target: &str,
    i: usize,
    name: &str,
    bytes: &[u8],
    [plain, compressed]: [usize; 2],
    cost: Option<usize>,
) -> Option<Vec<Stream>> {
    Some(match target {
        "request_head" => vec![request(name.into(), behind_sizes(bytes.get(1..)?))],
        "response_head" => vec![response(name.into(), behind_sizes(bytes.get(1..)?))],
        "client_frames" | "server_frames" => {
            let role = if target == "client_frames" { Role::Client } else { Role::Server };
            let stream = behind_sizes(bytes.get(1..)?);
            (0..plain).map(|n| Stream::frames(name, stream.to_vec(), Setup::nth(role, i + 5 * n))).collect()
        }
        // A role, nine bytes of what was agreed upon, a cut stream.
        "compressed_frames" => {
            let role = if bytes.first()? & 1 == 1 { Role::Client } else { Role::Server };
            let stream = behind_sizes(bytes.get(10..)?);
            let streams = (0..compressed).map(|n| {
                let setup = Setup::nth(role, i + 5 * n).compressing(n);
                let stream = Stream::frames(name, stream.to_vec(), setup);
                Stream { cost: cost.unwrap_or(stream.cost), ..stream }
            });
            streams.collect()
        }
        _ => return None,
    })
}

/// The rest of an input that has a count in front, and so many sizes of pieces.
fn behind_sizes(bytes: &[u8]) -> &[u8] {
    let Some((count, rest)) = bytes.split_first() else { return &[] };
    rest.get(usize::from(count % 16)..).unwrap_or_default()
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
