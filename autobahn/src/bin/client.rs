//! The echo client under test: `client --runtime tokio|async-std|smol --url U` runs all cases of a fuzzing
//! server, then has it write its report.

use core::error::Error;

use sansocket_autobahn::{AGENT, CONFIG};
use sansocket_driver::sansocket::ClientRequest;
use sansocket_driver::{Connected, Connector, Runtime};

async fn run<R: Runtime>(url: &str) -> Result<(), Box<dyn Error>> {
    let mut socket = open::<R>(&format!("{url}/getCaseCount")).await?;
    let count = socket.recv().await?.ok_or("the suite did not tell how many cases there are")?;
    let count: u32 = count.as_text().ok_or("the number of cases is not text")?.parse()?;
    while socket.recv().await?.is_some() {}

    for case in 1..=count {
        let socket = open::<R>(&format!("{url}/runCase?case={case}&agent={AGENT}")).await?;
        // How a case ends, in order or not, is for the suite to judge.
        let _ = echo::<R>(socket).await;
    }

    let mut socket = open::<R>(&format!("{url}/updateReports?agent={AGENT}")).await?;
    while let Ok(Some(_)) = socket.recv().await {}
    Ok(())
}

/// However long it takes: asked for its reports, the suite writes hundreds of files before it answers. The runner
/// has a limit of its own.
async fn open<R: Runtime>(url: &str) -> Result<Connected<R>, Box<dyn Error>> {
    let connector = Connector::<R>::new().config(CONFIG.handshake_timeout(None)).timeout(None);
    Ok(connector.connect(&ClientRequest::new(url)?).await?.0)
}

async fn echo<R: Runtime>(mut socket: Connected<R>) -> Result<(), sansocket_driver::Error> {
    while let Some(message) = socket.recv().await? {
        socket.feed(message).await?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let (url, runtime) = parse()?;
    match &runtime[..] {
        "tokio" => {
            let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            tokio.block_on(run::<sansocket_tokio::Tokio>(&url))
        }
        "async-std" => async_std::task::block_on(run::<sansocket_async_std::AsyncStd>(&url)),
        "smol" => smol::block_on(run::<sansocket_async_std::smol::Smol>(&url)),
        other => Err(format!("no such runtime: {other}").into()),
    }
}

fn parse() -> Result<(String, String), lexopt::Error> {
    use lexopt::prelude::*;
    let (mut url, mut runtime) = ("ws://127.0.0.1:9001".to_owned(), "tokio".to_owned());
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("url") => url = args.value()?.string()?,
            Long("runtime") => runtime = args.value()?.string()?,
            _ => return Err(arg.unexpected()),
        }
    }
    Ok((url, runtime))
}
