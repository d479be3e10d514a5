//! The ten-line tour: a client and a server that talk through byte vectors. No socket, no runtime, no clock.
//!
//! `cargo run -p sansocket --example in_memory`

use sansocket::{
    Accept, ClientRequest, CloseCode, Config, Connection, Event, Input, Instant, Seed, Transport,
};

const NOW: Instant = Instant::ORIGIN;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let request = ClientRequest::new("ws://example.com/echo")?.subprotocol("echo")?;
    // A program draws the seed from the operating system.
    let mut client = Connection::client(&Config::new(), &request, Seed::new([7; 32]), NOW);
    let mut server = Connection::server(&Config::new(), NOW);

    loop {
        for event in deliver(&mut client, &mut server) {
            match event {
                Event::Request(request) => {
                    println!("server: {request:?}");
                    server.accept(NOW, Accept::new().subprotocol("echo"))?;
                }
                Event::Message(message) => server.send(message)?,
                other => println!("server: {other:?}"),
            }
        }
        for event in deliver(&mut server, &mut client) {
            match event {
                Event::Open(_) => client.send("Hello, sans socket")?,
                Event::Message(message) => {
                    println!("client: {message:?}");
                    client.close(NOW, CloseCode::NORMAL_CLOSURE)?;
                }
                other => println!("client: {other:?}"),
            }
        }
        // Both Close frames are through: the server ends the transport first (RFC 6455 §7.1.1).
        if server.transport() == Transport::ShutdownWrite && client.transmit().is_empty() {
            client.receive_eof();
            server.receive_eof();
        }
        if let (Transport::Close(client), Transport::Close(server)) = (client.transport(), server.transport())
        {
            println!("client: {client}\nserver: {server}");
            return Ok(());
        }
    }
}

/// Moves what `from` has to say over to `to`, and returns what that makes of it.
fn deliver(from: &mut Connection, to: &mut Connection) -> Vec<Event<'static>> {
    let mut bytes = from.transmit().to_vec();
    from.transmitted(bytes.len());
    let mut input = Input::new(&mut bytes);
    core::iter::from_fn(|| to.receive(NOW, &mut input).map(Event::into_owned)).collect()
}
