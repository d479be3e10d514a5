//! A client with a token and a subprotocol: `cargo run -p sansocket-tokio --example client -- ws://127.0.0.1:9001/`

use core::error::Error;

use sansocket_tokio::{ClientRequest, CloseCode, Connector};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001/".into());
    let request = ClientRequest::new(&url)?.header("Authorization", "Bearer 1234")?.subprotocol("chat")?;
    let (mut socket, response) = Connector::new().connect(&request).await?;
    println!("{}, subprotocol: {:?}", response.status(), socket.agreed().subprotocol());
    socket.send("Hello").await?;
    if let Some(message) = socket.recv().await? {
        println!("{message:?}");
    }
    println!("{}", socket.close(CloseCode::NORMAL_CLOSURE).await);
    Ok(())
}
