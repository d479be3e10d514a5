//! The paths that are to be fast, one at a time, for counting instructions.
//!
//! ```sh
//! hot                # their names
//! hot NAME MESSAGES  # goes through so many messages, and prints nothing
//! ```

mod served;

use std::hint::black_box;
use std::process::ExitCode;

use sansocket::frame::{Header, Opcode, mask};
use sansocket::{
    Accept, Agreed, ClientRequest, Config, Connection, Delivery, Endpoint, Event, Input, Instant, Kind,
    Prepared, Seed,
};

const READ: usize = 64 * 1024;
const NOW: Instant = Instant::ORIGIN;

/// A message's length, and what a name calls it.
const SIZES: [(usize, &str); 4] = [(16, "16 B"), (125, "125 B"), (1024, "1 KiB"), (65536, "64 KiB")];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [] => paths().iter().for_each(|(name, _)| println!("{name}")),
        [name, messages] => {
            let path = paths().into_iter().find(|(path, _)| path == name);
            let (Some((_, path)), Ok(messages)) = (path, messages.parse()) else { return usage() };
            path(messages);
        }
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: hot [NAME MESSAGES]");
    ExitCode::FAILURE
}

type Path = (String, Box<dyn FnOnce(usize)>);

fn paths() -> Vec<Path> {
    let mut paths: Vec<Path> = Vec::new();
    let mut add = |name: &str, run: Box<dyn FnOnce(usize)>| paths.push((name.into(), run));
    for (size, called) in SIZES {
        for content in ["binary", "ASCII", "UTF-8"] {
            let message = message(content, size);
            let again = message.clone();
            add(&format!("receive {content} {called}"), Box::new(|n| receive(server(), message, READ, n)));
            add(&format!("echo {content} {called}"), Box::new(|n| echo(server(), again, n)));
        }
        add(&format!("send by server {called}"), Box::new(move |n| send(server(), size, n)));
        add(&format!("send by client {called}"), Box::new(move |n| send(client(), size, n)));
        let message = frame(Header::new(Opcode::Binary, 0), &vec![b'x'; size]);
        add(&format!("receive by client {called}"), Box::new(|n| receive(client(), message, READ, n)));
    }
    let small = || message("binary", 125);
    add("receive binary 125 B in reads of 100 B", Box::new(move |n| receive(server(), small(), 100, n)));
    add("receive binary 125 B in pieces", Box::new(move |n| receive(streaming(), small(), READ, n)));
    add("receive 3 fragments of 40 B", Box::new(|n| receive(server(), fragments(), READ, n)));
    add("answer a Ping", Box::new(|n| receive(server(), ping(), READ, n)));
    add("send 3 fragments of 40 B", Box::new(|n| send_fragments(server(), n)));
    add("send prepared 1 KiB", Box::new(|n| send_prepared(server(), n)));
    add("accept a handshake", Box::new(accept));
    for (size, called) in [(16, "16 B"), (125, "125 B")] {
        let message = message("binary", size);
        let (again, one) = (message.clone(), message.len());
        add(&format!("handler echoes {called}"), Box::new(move |n| served::echo(&message, READ, n)));
        add(
            &format!("handler echoes {called} one a read"),
            Box::new({
                let message = again.clone();
                move |n| served::echo(&message, one, n)
            }),
        );
        add(&format!("recv and feed {called}"), Box::new(move |n| served::feed(&again, READ, n)));
    }
    paths
}

/// Bytes come, messages are looked at, answers to control frames go.
fn receive(mut connection: Connection, message: Vec<u8>, read: usize, messages: usize) {
    let mut block = vec![0; read];
    // Frames go over the ends of reads, as they do on a socket.
    for read in message.repeat(messages).chunks(read) {
        let block = &mut block[..read.len()];
        block.copy_from_slice(read);
        let mut input = Input::new(block);
        while let Some(event) = connection.receive(NOW, &mut input) {
            black_box(&event);
        }
        assert!(input.is_empty());
        write(&mut connection);
    }
}

/// Bytes come, and every message goes back.
fn echo(mut connection: Connection, message: Vec<u8>, messages: usize) {
    let mut block = vec![0; READ];
    for read in message.repeat(messages).chunks(READ) {
        let block = &mut block[..read.len()];
        block.copy_from_slice(read);
        let mut input = Input::new(block);
        // The connection takes no more while it has too much to write.
        while !input.is_empty() {
            while let Some(event) = connection.receive(NOW, &mut input) {
                let Event::Message(message) = event else { panic!("{event:?}") };
                assert!(connection.send(message).is_ok());
            }
            write(&mut connection);
        }
    }
}

/// Messages go, written whenever a read's worth of them is there.
fn send(mut connection: Connection, size: usize, messages: usize) {
    let payload = vec![b'x'; size];
    for _ in 0..messages {
        assert!(connection.send(black_box(&payload[..])).is_ok());
        if connection.buffered() > READ {
            write(&mut connection);
        }
    }
}

fn send_fragments(mut connection: Connection, messages: usize) {
    for _ in 0..messages {
        let piece = black_box([b'x'; 40]);
        let sent = connection
            .begin(Kind::Binary)
            .and_then(|()| connection.push(&piece))
            .and_then(|()| connection.push(&piece))
            .and_then(|()| connection.finish(&piece));
        assert!(sent.is_ok());
        write(&mut connection);
    }
}

fn send_prepared(mut connection: Connection, messages: usize) {
    let prepared = Prepared::binary(vec![b'x'; 1024]);
    for _ in 0..messages {
        assert!(connection.send_prepared(black_box(&prepared)).is_ok());
        write(&mut connection);
    }
}

/// Clients ask, and are accepted.
fn accept(messages: usize) {
    let Ok(request) = ClientRequest::new("ws://example.com/chat") else { panic!("it is a URL") };
    let config = config();
    let asked = Connection::client(&config, &request, Seed::new([7; 32]), NOW).transmit().to_vec();
    for _ in 0..messages {
        let mut connection = Connection::server(&config, NOW);
        let mut bytes = asked.clone();
        let event = connection.receive(NOW, &mut Input::new(&mut bytes));
        assert!(matches!(black_box(event), Some(Event::Request(_))));
        assert!(connection.accept(NOW, Accept::new()).is_ok());
        write(&mut connection);
    }
}

/// All of it goes at once.
fn write(connection: &mut Connection) {
    let transmit = connection.transmit();
    let len = transmit.len();
    transmit.slices().for_each(|slice| {
        black_box(slice);
    });
    connection.transmitted(len);
}

fn server() -> Connection {
    Connection::established(Endpoint::Server, &config(), Agreed::new(), NOW)
}

fn client() -> Connection {
    Connection::established(Endpoint::Client(Seed::new([7; 32])), &config(), Agreed::new(), NOW)
}

fn streaming() -> Connection {
    let config = config().delivery(Delivery::Streaming);
    Connection::established(Endpoint::Server, &config, Agreed::new(), NOW)
}

/// Where compression is there, it is on: the peer has not offered it.
fn config() -> Config {
    #[cfg(feature = "deflate")]
    return Config::new().compression(Some(sansocket::Compression::new()));
    #[cfg(not(feature = "deflate"))]
    Config::new()
}

/// What a client sends.
fn message(content: &str, size: usize) -> Vec<u8> {
    // Characters of three bytes and of one.
    let (opcode, mut payload) = match content {
        "binary" => (Opcode::Binary, Vec::new()),
        "ASCII" => (Opcode::Text, Vec::new()),
        _ => (Opcode::Text, "漢字 ".repeat(size / 7).into_bytes()),
    };
    payload.resize(size, b'x');
    masked(Header::new(opcode, 0), payload)
}

fn fragments() -> Vec<u8> {
    let frames = [(Opcode::Binary, false), (Opcode::Continuation, false), (Opcode::Continuation, true)];
    let frames = frames.map(|(opcode, fin)| Header { fin, ..Header::new(opcode, 0) });
    frames.map(|header| masked(header, vec![b'x'; 40])).concat()
}

fn ping() -> Vec<u8> {
    masked(Header::new(Opcode::Ping, 0), b"still there?".to_vec())
}

fn masked(header: Header, mut payload: Vec<u8>) -> Vec<u8> {
    let key = [0x37, 0xFA, 0x21, 0x3D];
    mask::apply(key, &mut payload);
    frame(Header { mask: Some(key), ..header }, &payload)
}

fn frame(header: Header, payload: &[u8]) -> Vec<u8> {
    [&*Header { len: payload.len() as u64, ..header }.encode(), payload].concat()
}
