//! Our end of a scene with another server, or through a proxy, as `tests/interop/run` starts it.
//!
//! `scenes server [OPTIONS]` has a path for each scene, and prints where it listens, then how each WebSocket
//! ended.
//!
//! `scenes client --url ws://127.0.0.1:9001 --scene NAME [OPTIONS]` prints which extension was agreed upon and
//! how many messages came back, or fails and tells what is wrong.
//!
//! OPTIONS are `--keepalive MS` (a Ping after this much silence; off by default), `--compress`,
//! `--deflate-frame` (offered, too), `--count N` (of connections, or of MiB) and `--patience MS` (how long the
//! peer or proxy lets a connection be silent), and `--ca FILE`, whom to trust.

mod client;
mod server;

use core::error::Error;
use core::time::Duration;
use std::path::PathBuf;

use sansocket_tokio::sansocket::Keepalive;
use sansocket_tokio::{Compression, Config};

const MEBIBYTE: usize = 1 << 20;

/// What is said in both roles.
const REFUSAL: &str = "not today";
const SUBPROTOCOLS: [&str; 2] = ["first", "second"];
const PING: &[u8] = b"are you there?";
const DONE: (u16, &str) = (4000, "done");
const LIMIT: usize = 1000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (is_server, options) = Options::parse()?;
    if is_server { server::run(&options).await } else { client::run(&options).await }
}

struct Options {
    url: String,
    scene: String,
    ca: Option<PathBuf>,
    config: Config,
    count: usize,
    patience: Duration,
}

impl Options {
    fn parse() -> Result<(bool, Self), lexopt::Error> {
        use lexopt::prelude::*;
        let mut args = lexopt::Parser::from_env();
        let is_server = match args.next()? {
            Some(Value(role)) if role == "server" || role == "client" => role == "server",
            _ => return Err("`server` or `client` comes first".into()),
        };
        let mut options = Self {
            url: String::new(),
            scene: String::new(),
            ca: None,
            config: Config::new().idle_timeout(None).max_message(64 * MEBIBYTE as u64),
            count: 1,
            patience: Duration::ZERO,
        };
        let mut keepalive = Keepalive::Off;
        let mut compression = None;
        while let Some(arg) = args.next()? {
            match arg {
                Long("url") => options.url = args.value()?.string()?,
                Long("scene") => options.scene = args.value()?.string()?,
                Long("ca") => options.ca = Some(args.value()?.into()),
                Long("keepalive") => keepalive = Keepalive::AfterSilence(milliseconds(&mut args)?),
                Long("compress") => compression = Some(Compression::new().min_size(0)),
                Long("deflate-frame") => compression = compression.map(|c| c.offer_deflate_frame(true)),
                Long("count") => options.count = args.value()?.parse()?,
                Long("patience") => options.patience = milliseconds(&mut args)?,
                _ => return Err(arg.unexpected()),
            }
        }
        options.config = options.config.keepalive(keepalive).compression(compression);
        Ok((is_server, options))
    }
}

fn milliseconds(args: &mut lexopt::Parser) -> Result<Duration, lexopt::Error> {
    use lexopt::ValueExt;
    Ok(Duration::from_millis(args.value()?.parse()?))
}
