//! Prints what a server sends, and comes back to it when it has been away.
//!
//! `cargo run -p sansocket-tokio --example reconnecting -- ws://127.0.0.1:9001`

use core::error::Error;

use sansocket_tokio::{ClientRequest, Connector, Reconnect};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("which URL?")?;
    let mut client = Reconnect::new(Connector::new(), ClientRequest::new(&url)?);
    loop {
        // An error here is one that trying again would not help.
        let mut socket = client.connect().await?;
        eprintln!("connected");
        while let Ok(Some(message)) = socket.recv().await {
            println!("{message:?}");
        }
        eprintln!("disconnected: {:?}", socket.disconnect().map(ToString::to_string));
    }
}
