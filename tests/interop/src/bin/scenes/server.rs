//! The server: it echoes, unless the path says otherwise.

use core::error::Error;

use sansocket_tokio::{
    Accept, CloseCode, CloseFrame, Config, Decision, Disconnect, Handler, Kind, Message, Outcome, Reply,
    Request, Response, Server, Status,
};
use tokio::net::TcpListener;

use crate::{DONE, LIMIT, Options, PING, REFUSAL, SUBPROTOCOLS};

pub(crate) async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("ws://{}", listener.local_addr()?);
    let config = options.config.clone();
    let make = move |_| Actor { config: config.clone(), path: String::new() };
    Ok(Server::new(options.config.clone()).serve(listener, make).await?)
}

struct Actor {
    config: Config,
    path: String,
}

impl Handler for Actor {
    type Info = ();

    async fn init(&mut self, request: Request) -> Decision {
        self.path = request.path().to_owned();
        match request.path() {
            "/refused" => Response::new(Status::FORBIDDEN).text(REFUSAL).into(),
            "/subprotocol" => Accept::new().first_subprotocol(&request, &SUBPROTOCOLS[1..]).into(),
            "/limited" => Accept::new().config(self.config.clone().max_message(LIMIT as u64)).into(),
            _ => Accept::new().into(),
        }
    }

    fn open(&mut self, reply: &mut Reply<'_, ()>) -> Outcome {
        if self.path == "/talks" {
            reply.send("text")?;
            reply.send(&b"binary"[..])?;
            reply.begin(Kind::Text)?;
            reply.push(b"in ")?;
            reply.finish(b"pieces")?;
            reply.ping(PING)?;
        }
        Ok(())
    }

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        match &self.path[..] {
            "/closes" => reply.close(done()),
            _ => reply.send(message)?,
        }
        Ok(())
    }

    fn pong(&mut self, payload: &[u8], reply: &mut Reply<'_, ()>) -> Outcome {
        if self.path == "/talks" && payload == PING {
            reply.close(done());
        }
        Ok(())
    }

    fn error(&mut self, error: &(dyn Error + Send + Sync + 'static)) {
        eprintln!("error: {error}");
    }

    fn close(&mut self, disconnect: &Disconnect) {
        println!("{}, {disconnect}", if disconnect.is_clean() { "clean" } else { "not clean" });
    }
}

fn done() -> CloseFrame<'static> {
    CloseCode::new(DONE.0).map_or(CloseFrame::empty(), |code| CloseFrame::truncated(code, DONE.1))
}
