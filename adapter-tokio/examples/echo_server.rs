//! An echo server: `cargo run -p sansocket-tokio --example echo_server -- 127.0.0.1:9001`

use sansocket_tokio::{Config, Handler, Message, Outcome, Reply, serve};
use tokio::net::TcpListener;

struct Echo;

impl Handler for Echo {
    type Info = ();

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send(message)?)
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    let listener = TcpListener::bind(address).await?;
    println!("ws://{}", listener.local_addr()?);
    serve(listener, Config::new(), |_peer| Echo).await
}
