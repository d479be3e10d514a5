//! One task sends what is typed, another prints what comes: `cargo run -p sansocket-tokio --example split -- URL`

use core::error::Error;

use sansocket_tokio::{CloseCode, connect};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001/".into());
    let (mut sender, mut receiver) = connect(&url).await?.split();
    let typing = tokio::spawn(async move {
        let mut lines = BufReader::new(stdin()).lines();
        while let Some(line) = lines.next_line().await? {
            sender.send(line).await?;
        }
        sender.start_close(CloseCode::NORMAL_CLOSURE);
        sender.flush().await
    });
    while let Some(message) = receiver.recv().await? {
        println!("{}", message.as_text().unwrap_or("(binary)"));
    }
    Ok(typing.await??)
}
