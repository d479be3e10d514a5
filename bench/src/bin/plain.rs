//! A connection that has not agreed on compression, for counting instructions: with the feature `deflate` in the build
//! and without.
//!
//! ```sh
//! plain receive|echo SIZE PASSES
//! ```
//!
//! Goes so many times through a stream of 1000 binary messages as a server, in reads of 64 KiB, and prints nothing.

use std::hint::black_box;
use std::process::ExitCode;

use sansocket::{Agreed, Config, Connection, Endpoint, Event, Input, Instant};
use sansocket_bench::wire;

const READ: usize = 64 * 1024;
const MESSAGES: usize = 1000;
const NOW: Instant = Instant::ORIGIN;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [act, size, passes] = &args[..] else { return usage() };
    let echo = match act.as_str() {
        "receive" => false,
        "echo" => true,
        _ => return usage(),
    };
    let (Ok(size), Ok(passes)) = (size.parse(), passes.parse()) else { return usage() };
    run(echo, size, passes);
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: plain receive|echo SIZE PASSES");
    ExitCode::FAILURE
}

fn run(echo: bool, size: usize, passes: usize) {
    let mut stream = wire::masked(wire::BINARY, &vec![b'x'; size]).repeat(MESSAGES);
    let mut connection = Connection::established(Endpoint::Server, &config(), Agreed::new(), NOW);
    let mut messages = 0;
    for _ in 0..passes {
        // Frames go over the ends of reads, as they do on a socket. Payloads are unmasked where they are, so that
        // every second pass masks them again: as good, and nothing needs to be copied.
        for read in stream.chunks_mut(READ) {
            let mut input = Input::new(read);
            // The connection takes no more while it has too much to write.
            while !input.is_empty() {
                while let Some(event) = connection.receive(NOW, &mut input) {
                    let Event::Message(message) = event else { panic!("{event:?}") };
                    messages += 1;
                    if echo {
                        assert!(connection.send(message).is_ok());
                    } else {
                        black_box(message.as_bytes());
                    }
                }
                let transmit = connection.transmit();
                let len = transmit.len();
                transmit.slices().for_each(|slice| {
                    black_box(slice);
                });
                connection.transmitted(len);
            }
        }
    }
    assert_eq!(messages, passes * MESSAGES);
}

/// Where compression is there, it is on: the peer has not offered it.
fn config() -> Config {
    #[cfg(feature = "deflate")]
    return Config::new().compression(Some(sansocket::Compression::new()));
    #[cfg(not(feature = "deflate"))]
    Config::new()
}
