//! An echo server on smol: `cargo run -p sansocket-async-std --features smol --example echo_smol -- 127.0.0.1:9001`

use sansocket_async_std::smol::serve;
use sansocket_async_std::{Config, Handler, Message, Outcome, Reply};
use smol::net::TcpListener;

struct Echo;

impl Handler for Echo {
    type Info = ();

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send(message)?)
    }
}

fn main() -> std::io::Result<()> {
    smol::block_on(async {
        let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
        let listener = TcpListener::bind(address).await?;
        println!("ws://{}", listener.local_addr()?);
        serve(listener, Config::new(), |_peer| Echo).await
    })
}
