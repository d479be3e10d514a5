//! How many bytes an open connection that compresses has requested from the allocator, for each preset of
//! `Compression`. Prints Markdown.

use std::alloc::System;

use sansocket::deflate::{Deflater, Inflater, Params, Pool};
use sansocket::extension::WindowBits;
use sansocket::{Accept, Compression, Config, Connection, Event, Input, Instant, Message, State};
use sansocket_bench::{records, wire};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW: Instant = Instant::ORIGIN;
const BACKEND: &str = if cfg!(feature = "zlib-rs") { "zlib-rs" } else { "miniz_oxide" };

fn main() {
    println!(
        "Backend {BACKEND}. Bytes on the heap of a server's connection, beside the {} of `Connection` itself; its output \
         block reclaimed, as between two reads.\n",
        size_of::<Connection>(),
    );
    println!(
        "| | open | 1 KiB sent | 1 KiB received | 1 KiB echoed | … `release_memory` | echoed with a pool | the pool |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    row("`Compression::new()`", Compression::new());
    row("`Compression::shared()`", Compression::shared());
    for bits in windows() {
        row(&format!("`Compression::dedicated({})`", bits.get()), Compression::dedicated(bits));
    }
    println!("\n| window | `Deflater` | used | `Inflater` | used |");
    println!("|---|--:|--:|--:|--:|");
    for bits in windows() {
        codecs(bits);
    }
}

fn windows() -> impl Iterator<Item = WindowBits> {
    (9..=15).filter_map(WindowBits::new)
}

fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// What `make` makes, and what that holds.
fn counted<T>(make: impl FnOnce() -> T) -> (usize, T) {
    let before = held();
    let made = make();
    (held() - before, made)
}

fn row(name: &str, compression: Compression) {
    let message = records::messages(1024, 1).remove(0);
    let payload = compressed(&message);
    let frame = wire::masked(wire::COMPRESSED | wire::BINARY, &payload);

    let config = Config::new().compression(Some(compression));
    let after = |act: &mut dyn FnMut(&mut Connection)| {
        let (bytes, connection) = counted(|| {
            let mut connection = open(&config);
            act(&mut connection);
            connection
        });
        drop(connection);
        bytes
    };
    let opened = after(&mut |_| {});
    let sent = after(&mut |connection| send(connection, &message));
    let received = after(&mut |connection| drop(receive(connection, &mut frame.clone())));
    let echoed = after(&mut |connection| {
        let message = receive(connection, &mut frame.clone());
        send(connection, &message);
    });
    let released = after(&mut |connection| {
        let message = receive(connection, &mut frame.clone());
        send(connection, &message);
        connection.release_memory();
    });
    let (with_pool, (connection, pool)) = counted(|| {
        let mut connection = open(&config);
        assert!(connection.lend_codecs(Box::new(Pool::new())).is_none());
        let message = receive(&mut connection, &mut frame.clone());
        send(&mut connection, &message);
        let pool = connection.reclaim_codecs();
        (connection, pool)
    });
    let before = held();
    drop(pool);
    let pool = before - held();
    let with_pool = with_pool - pool;
    drop(connection);
    println!("| {name} | {opened} | {sent} | {received} | {echoed} | {released} | {with_pool} | {pool} |");
}

fn codecs(window: WindowBits) {
    let message = records::messages(1024, 1).remove(0);
    let payload = compressed(&message);
    // As `Compression::dedicated` has it.
    let params = Params::new().window(window).mem_level(window.get() - 7);
    let (new_deflater, mut deflater) = counted(|| Deflater::new(&params));
    let mut out = Vec::with_capacity(4096);
    let used_deflater = new_deflater + counted(|| deflater.finish(&message, &mut out)).0;
    let (new_inflater, mut inflater) = counted(|| Inflater::new(window));
    let used_inflater = new_inflater
        + counted(|| {
            let inflated = inflater.message(&payload, usize::MAX);
            assert_eq!(inflated.as_deref(), Ok(&message[..]));
        })
        .0;
    println!("| {} | {new_deflater} | {used_deflater} | {new_inflater} | {used_inflater} |", window.get());
}

/// Within any window.
fn compressed(message: &[u8]) -> Vec<u8> {
    let Some(smallest) = WindowBits::new(9) else { unreachable!("9 is a size of a window") };
    let mut payload = Vec::new();
    Deflater::new(&Params::new().window(smallest)).finish(message, &mut payload);
    payload
}

/// An open connection to a client that agrees to anything.
fn open(config: &Config) -> Connection {
    let mut request = b"GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
        .to_vec();
    let mut connection = Connection::server(config, NOW);
    let mut input = Input::new(&mut request);
    assert!(matches!(connection.receive(NOW, &mut input), Some(Event::Request(_))));
    assert!(connection.accept(NOW, Accept::new()).is_ok());
    write(&mut connection);
    assert_eq!(connection.state(), State::Open);
    assert!(connection.agreed().is_some_and(|agreed| agreed.compression().is_some()));
    connection
}

fn send(connection: &mut Connection, message: &[u8]) {
    assert!(connection.send(message).is_ok());
    write(connection);
}

fn write(connection: &mut Connection) {
    let len = connection.transmit().len();
    connection.transmitted(len);
    drop(connection.reclaim_output());
}

fn receive(connection: &mut Connection, frame: &mut [u8]) -> Vec<u8> {
    match connection.receive(NOW, &mut Input::new(frame)) {
        Some(Event::Message(Message::Binary(message))) => message.into_owned(),
        event => panic!("{event:?}"),
    }
}
