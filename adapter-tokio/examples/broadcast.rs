//! Whatever one says, all are told: `cargo run -p sansocket-tokio --example broadcast -- 127.0.0.1:9001`

use sansocket_tokio::{Address, Config, Handler, Message, Outcome, Prepared, Reply, serve};
use std::sync::{Arc, Mutex};

const POISONED: &str = "another guest panicked";

#[derive(Clone, Default)]
struct Guest(Arc<Mutex<Vec<Address<Prepared>>>>);

impl Handler for Guest {
    type Info = Prepared;

    fn open(&mut self, reply: &mut Reply<'_, Prepared>) -> Outcome {
        self.0.lock().map_err(|_| POISONED)?.push(reply.address());
        Ok(())
    }

    fn message(&mut self, message: Message<'_>, _: &mut Reply<'_, Prepared>) -> Outcome {
        let line = Prepared::from(message);
        let mut guests = self.0.lock().map_err(|_| POISONED)?;
        // Who is too slow misses it, and who has left is forgotten.
        guests.retain(|guest| guest.send(line.clone()).is_ok() || !guest.is_closed());
        Ok(())
    }

    fn info(&mut self, line: Prepared, reply: &mut Reply<'_, Prepared>) -> Outcome {
        Ok(reply.send_prepared(&line)?)
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    let (listener, room) = (tokio::net::TcpListener::bind(address).await?, Guest::default());
    println!("ws://{}", listener.local_addr()?);
    serve(listener, Config::new(), |_| room.clone()).await
}
