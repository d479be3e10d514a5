//! The echo server under test: `server --runtime tokio --surface handler|stream --addr A`.

use core::error::Error;

use sansocket_tokio::{
    Accept, Compression, Config, Handler, Message, Outcome, Reply, WebSocket, incoming, serve,
};
use tokio::net::{TcpListener, TcpStream};

/// What the suite sends: messages of 16 MiB, and 4 MiB in 65,536 fragments with an empty one behind them.
const CONFIG: Config = Config::new()
    .max_message(16 << 20)
    .max_fragments(65_537)
    .compression(Some(Compression::new().min_size(0)));

struct Echo;

impl Handler for Echo {
    type Info = ();

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send(message)?)
    }
}

async fn echo(mut socket: WebSocket<TcpStream>) -> Result<(), sansocket_tokio::Error> {
    while let Some(message) = socket.recv().await? {
        socket.feed(message).await?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (address, surface) = parse()?;
    let listener = TcpListener::bind(&address).await?;
    match &surface[..] {
        "handler" => Ok(serve(listener, CONFIG, |_| Echo).await?),
        "stream" => loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(
                async move { echo(incoming(stream, &CONFIG).await?.accept(Accept::new()).await?).await },
            );
        },
        other => Err(format!("no such surface: {other}").into()),
    }
}

fn parse() -> Result<(String, String), lexopt::Error> {
    use lexopt::prelude::*;
    let (mut address, mut surface) = ("127.0.0.1:9001".to_owned(), "handler".to_owned());
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("addr") => address = args.value()?.string()?,
            Long("surface") => surface = args.value()?.string()?,
            Long("runtime") => match args.value()?.string()?.as_str() {
                "tokio" => {}
                other => return Err(format!("no such runtime: {other}").into()),
            },
            _ => return Err(arg.unexpected()),
        }
    }
    Ok((address, surface))
}
