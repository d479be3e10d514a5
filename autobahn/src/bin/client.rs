//! The echo client under test: `client --runtime tokio --url U` runs all cases of a fuzzing server, then has
//! it write its report.

use core::error::Error;

use sansocket_autobahn::AGENT;
use sansocket_tokio::{ClientRequest, Compression, Config, WebSocket, connect_on};
use tokio::net::TcpStream;

/// What the suite sends: messages of 16 MiB, and 4 MiB in 65,536 fragments with an empty one behind them.
const CONFIG: Config = Config::new()
    .max_message(16 << 20)
    .max_fragments(65_537)
    .compression(Some(Compression::new().min_size(0)));

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = parse()?;
    let mut socket = open(&format!("{url}/getCaseCount")).await?;
    let count = socket.recv().await?.ok_or("the suite did not tell how many cases there are")?;
    let count: u32 = count.as_text().ok_or("the number of cases is not text")?.parse()?;
    while socket.recv().await?.is_some() {}

    for case in 1..=count {
        let socket = open(&format!("{url}/runCase?case={case}&agent={AGENT}")).await?;
        // How a case ends, in order or not, is for the suite to judge.
        let _ = echo(socket).await;
    }

    let mut socket = open(&format!("{url}/updateReports?agent={AGENT}")).await?;
    while let Ok(Some(_)) = socket.recv().await {}
    Ok(())
}

async fn open(url: &str) -> Result<WebSocket<TcpStream>, Box<dyn Error>> {
    let request = ClientRequest::new(url)?;
    let stream = TcpStream::connect((request.host(), request.port())).await?;
    stream.set_nodelay(true)?;
    let (socket, _) = connect_on(stream, &request, &CONFIG).await?;
    Ok(socket)
}

async fn echo(mut socket: WebSocket<TcpStream>) -> Result<(), sansocket_tokio::Error> {
    while let Some(message) = socket.recv().await? {
        socket.feed(message).await?;
    }
    Ok(())
}

fn parse() -> Result<String, lexopt::Error> {
    use lexopt::prelude::*;
    let mut url = "ws://127.0.0.1:9001".to_owned();
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("url") => url = args.value()?.string()?,
            Long("runtime") => match args.value()?.string()?.as_str() {
                "tokio" => {}
                other => return Err(format!("no such runtime: {other}").into()),
            },
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(url)
}
