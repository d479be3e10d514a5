//! An echo server, with nothing else in the way, on either surface.
//!
//! `cargo run --release -p sansocket-tokio --example echo -- 127.0.0.1:9001 --surface handler --deflate`

use core::error::Error;

use sansocket_tokio::{
    Accept, Compression, Config, Handler, Message, Outcome, Reply, WebSocket, incoming, serve,
};
use tokio::net::{TcpListener, TcpStream};

struct Echo;

impl Handler for Echo {
    type Info = ();

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send(message)?)
    }
}

async fn echo(mut socket: WebSocket<TcpStream>) -> Result<(), sansocket_tokio::Error> {
    while let Some(message) = socket.recv().await? {
        // Written when there is nothing more to receive from the last read.
        socket.feed(message).await?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let Options { address, config, surface } = Options::parse()?;
    let listener = TcpListener::bind(&address).await?;
    println!("ws://{}", listener.local_addr()?);
    match surface {
        Surface::Handler => serve(listener, config, |_| Echo).await?,
        Surface::Stream => loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let config = config.clone();
            tokio::spawn(async move {
                let socket = incoming(stream, &config).await?.accept(Accept::new()).await?;
                echo(socket).await
            });
        },
    }
    Ok(())
}

struct Options {
    address: String,
    config: Config,
    surface: Surface,
}

enum Surface {
    Handler,
    Stream,
}

impl Options {
    fn parse() -> Result<Self, lexopt::Error> {
        use lexopt::prelude::*;
        let mut options =
            Self { address: "127.0.0.1:9001".into(), config: Config::new(), surface: Surface::Handler };
        let mut args = lexopt::Parser::from_env();
        while let Some(arg) = args.next()? {
            match arg {
                Value(address) => options.address = address.string()?,
                Long("max-message") => options.config = options.config.max_message(args.value()?.parse()?),
                Long("max-fragments") => {
                    options.config = options.config.max_fragments(args.value()?.parse()?);
                }
                Long("deflate") => {
                    let compression = match args.optional_value() {
                        None => Compression::new(),
                        Some(preset) if preset == "shared" => Compression::shared(),
                        Some(other) => return Err(format!("no such preset: {other:?}").into()),
                    };
                    options.config = options.config.compression(Some(compression));
                }
                Long("surface") => {
                    options.surface = match args.value()?.string()?.as_str() {
                        "handler" => Surface::Handler,
                        "stream" => Surface::Stream,
                        other => return Err(format!("no such surface: {other}").into()),
                    };
                }
                _ => return Err(arg.unexpected()),
            }
        }
        Ok(options)
    }
}
