//! The echo server under test: `server --runtime tokio|async-std|smol --surface handler|stream --addr A`.

use core::error::Error;
use core::fmt::Display;

use sansocket_autobahn::CONFIG;
use sansocket_driver::sansocket::{Accept, Message};
use sansocket_driver::{Handler, Incoming, Outcome, Reply, Runtime, Server};

struct Echo;

impl Handler for Echo {
    type Info = ();

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send(message)?)
    }
}

async fn serve<R: Runtime>(mut listener: R::Listener, surface: &str) -> Result<(), Box<dyn Error>> {
    match surface {
        "handler" => Ok(Server::<R>::new(CONFIG).serve(listener, |_| Echo).await?),
        "stream" => loop {
            let (stream, _) = R::accept(&mut listener).await?;
            R::set_nodelay(&stream, true)?;
            R::spawn(async {
                // How a case ends, in order or not, is for the suite to judge.
                let _ = echo::<R>(stream).await;
            });
        },
        other => Err(unknown("surface", other)),
    }
}

async fn echo<R: Runtime>(stream: R::Tcp) -> Result<(), sansocket_driver::Error> {
    let mut socket = Incoming::read(stream, R::timer(), &CONFIG).await?.accept(Accept::new()).await?;
    while let Some(message) = socket.recv().await? {
        socket.feed(message).await?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { address, surface, runtime } = Options::parse()?;
    match &runtime[..] {
        "tokio" => tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            serve::<sansocket_tokio::Tokio>(tokio::net::TcpListener::bind(&address).await?, &surface).await
        }),
        "async-std" => async_std::task::block_on(async {
            let listener = async_std::net::TcpListener::bind(&address).await?;
            serve::<sansocket_async_std::AsyncStd>(listener, &surface).await
        }),
        "smol" => smol::block_on(async {
            let listener = smol::net::TcpListener::bind(&address).await?;
            serve::<sansocket_async_std::smol::Smol>(listener, &surface).await
        }),
        other => Err(unknown("runtime", other)),
    }
}

fn unknown(what: &str, name: impl Display) -> Box<dyn Error> {
    format!("no such {what}: {name}").into()
}

struct Options {
    address: String,
    surface: String,
    runtime: String,
}

impl Options {
    fn parse() -> Result<Self, lexopt::Error> {
        use lexopt::prelude::*;
        let mut options =
            Self { address: "127.0.0.1:9001".into(), surface: "handler".into(), runtime: "tokio".into() };
        let mut args = lexopt::Parser::from_env();
        while let Some(arg) = args.next()? {
            match arg {
                Long("addr") => options.address = args.value()?.string()?,
                Long("surface") => options.surface = args.value()?.string()?,
                Long("runtime") => options.runtime = args.value()?.string()?,
                _ => return Err(arg.unexpected()),
            }
        }
        Ok(options)
    }
}
