//! Our end of a conversation with another WebSocket implementation, as `tests/interop/run` starts it.
//!
//! `peer server --addr 127.0.0.1:0 [--pieces] [COMPRESSION]` echoes, and prints where it listens, then a line
//! for each connection that ended.
//!
//! `peer client --url ws://127.0.0.1:9001 [--messages N] [--seed S] [COMPRESSION]` sends random messages to an
//! echo server, compares what comes back, and prints one line. It fails if anything differs.
//!
//! `peer obey [--surface handler|stream]` does what it is told by the family `conversation`.
//!
//! COMPRESSION is any of `--no-compression`, `--server-no-context-takeover`, `--client-no-context-takeover`,
//! `--server-max-window-bits N`, `--client-max-window-bits N`, `--level N`, `--min-size N` (0 by default),
//! `--offer-deflate-frame`.

mod client;
mod conversation;
mod messages;
mod report;
mod server;

use sansocket_interop::commands::{Failure, obey};
use sansocket_tokio::extension::WindowBits;
use sansocket_tokio::{Compression, Config};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let options = Options::parse()?;
    let config = Config::new().compression(options.compression);
    match options.role {
        Role::Server => server::run(&options.address, config, options.pieces).await,
        Role::Client => client::run(&options.url, &config, options.messages, options.seed).await,
        Role::Obey if options.stream => obey(conversation::visit, conversation::host_a_stream).await,
        Role::Obey => obey(conversation::visit, conversation::host_a_handler).await,
    }
}

struct Options {
    role: Role,
    address: String,
    pieces: bool,
    url: String,
    messages: usize,
    seed: u64,
    stream: bool,
    compression: Option<Compression>,
}

enum Role {
    Server,
    Client,
    Obey,
}

impl Options {
    fn parse() -> Result<Self, lexopt::Error> {
        use lexopt::prelude::*;
        let mut args = lexopt::Parser::from_env();
        let role = match args.next()? {
            Some(Value(role)) if role == "server" => Role::Server,
            Some(Value(role)) if role == "client" => Role::Client,
            Some(Value(role)) if role == "obey" => Role::Obey,
            _ => return Err("`server`, `client` or `obey` comes first".into()),
        };
        let mut options = Self {
            role,
            address: "127.0.0.1:9001".into(),
            pieces: false,
            url: "ws://127.0.0.1:9001".into(),
            messages: 500,
            seed: 1,
            stream: false,
            compression: None,
        };
        let (mut on, mut compression) = (true, Compression::new().min_size(0).accept_deflate_frame(true));
        while let Some(arg) = args.next()? {
            match arg {
                Long("addr") => options.address = args.value()?.string()?,
                Long("pieces") => options.pieces = true,
                Long("url") => options.url = args.value()?.string()?,
                Long("messages") => options.messages = args.value()?.parse()?,
                Long("seed") => options.seed = args.value()?.parse()?,
                Long("surface") => {
                    options.stream = match args.value()?.string()?.as_str() {
                        "handler" => false,
                        "stream" => true,
                        _ => return Err("`handler` or `stream`".into()),
                    }
                }
                Long("no-compression") => on = false,
                Long("server-no-context-takeover") => {
                    compression = compression.server_no_context_takeover(true);
                }
                Long("client-no-context-takeover") => {
                    compression = compression.client_no_context_takeover(true);
                }
                Long("server-max-window-bits") => {
                    compression = compression.server_max_window_bits(window(&mut args)?);
                }
                Long("client-max-window-bits") => {
                    compression = compression.client_max_window_bits(window(&mut args)?);
                }
                Long("offer-deflate-frame") => compression = compression.offer_deflate_frame(true),
                Long("level") => compression = compression.level(args.value()?.parse()?),
                Long("min-size") => compression = compression.min_size(args.value()?.parse()?),
                _ => return Err(arg.unexpected()),
            }
        }
        options.compression = on.then_some(compression);
        Ok(options)
    }
}

fn window(args: &mut lexopt::Parser) -> Result<WindowBits, lexopt::Error> {
    use lexopt::ValueExt;
    let bits = args.value()?.parse()?;
    WindowBits::new(bits).ok_or_else(|| format!("no window has {bits} bits").into())
}
