#![allow(missing_docs, reason = "test support: the names say it")]
//! What the conformance tests share: frames written by hand, streams cut everywhere, a pair with a virtual clock.

#[cfg(all(feature = "runtimes", not(miri)))]
pub mod certificates;
pub mod clock;
pub mod compressed;
#[cfg(all(feature = "runtimes", not(miri)))]
pub mod echo;
#[cfg(feature = "driver")]
pub mod faults;
pub mod heads;
pub mod hostile;
pub mod inflate;
#[cfg(feature = "driver")]
pub mod lab;
pub mod meter;
pub mod model;
pub mod pair;
#[cfg(all(feature = "runtimes", not(miri)))]
pub mod raw;
#[cfg(all(feature = "runtimes", not(miri)))]
pub mod runtimes;
#[cfg(feature = "driver")]
pub mod scripted;
#[cfg(all(feature = "runtimes", not(miri)))]
pub mod served;
pub mod splits;
#[cfg(feature = "driver")]
pub mod stage;
#[cfg(not(miri))]
pub mod streams;
pub mod tables;
#[cfg(feature = "driver")]
pub mod talk;
pub mod task;
pub mod wire;
pub mod work;
#[cfg(feature = "driver")]
pub mod world;

pub use pair::Pair;
pub use splits::{Record, at_every_split};

use sansocket::{
    Accept, Agreed, ClientRequest, Config, Connection, Endpoint, Event, Input, Instant, Role, Seed,
};

/// The seed of every client in the tests.
pub const SEED: Seed = Seed::new([7; 32]);

/// The time at which every connection in the tests begins.
pub const START: Instant = Instant::from_nanos(1_000_000_000);

/// Both roles, for tests that run for each.
pub const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// Whether tests that can go on for long do (`SANSOCKET_LONG` is set).
pub fn is_long() -> bool {
    std::env::var_os("SANSOCKET_LONG").is_some()
}

/// An open connection in `role` with this configuration.
pub fn open(role: Role, config: &Config) -> Connection {
    let endpoint = match role {
        Role::Client => Endpoint::Client(SEED),
        Role::Server => Endpoint::Server,
    };
    Connection::established(endpoint, config, Agreed::new(), START)
}

/// A client at `ws://example.com/` that waits for its answer, its request written and taken from it.
pub fn asking(config: &Config) -> (Connection, Vec<u8>) {
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let mut client = Connection::client(config, &request, SEED, START);
    let head = take_output(&mut client);
    (client, head)
}

/// Everything that `connection` has to write, acknowledged.
pub fn take_output(connection: &mut Connection) -> Vec<u8> {
    let mut output = Vec::new();
    // Acknowledging can bring more: fragments that wait, a Pong.
    while !connection.transmit().is_empty() {
        let part = connection.transmit().to_vec();
        connection.transmitted(part.len());
        output.extend(part);
    }
    output
}

/// The events that `bytes` make, and how many of the bytes were left over.
pub fn receive(connection: &mut Connection, now: Instant, bytes: &[u8]) -> (Vec<Event<'static>>, usize) {
    let mut bytes = bytes.to_vec();
    let mut input = Input::new(&mut bytes);
    let mut events = Vec::new();
    while let Some(event) = connection.receive(now, &mut input) {
        events.push(event.into_owned());
    }
    (events, input.remaining())
}

/// Like [`receive`], answering a request with `Accept::new()`.
pub fn receive_accepting(
    connection: &mut Connection,
    now: Instant,
    bytes: &[u8],
) -> (Vec<Event<'static>>, usize) {
    let mut bytes = bytes.to_vec();
    let mut input = Input::new(&mut bytes);
    let mut events = Vec::new();
    while let Some(event) = connection.receive(now, &mut input) {
        if let Event::Request(_) = event {
            connection.accept(now, Accept::new()).unwrap();
        }
        events.push(event.into_owned());
    }
    (events, input.remaining())
}
