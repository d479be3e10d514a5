//! A server that echoes, for the tests on each runtime.

use sansocket::{
    Accept, CloseCode, CloseFrame, Config, Disconnect, Kind, Message, Request, Response, Status,
};
use sansocket_driver::{Decision, Handler, Outcome, Reply};
use tokio::sync::mpsc;

use crate::runtimes::{Adapter, listen, spawn};

/// Echoes, and does as some words say; what it is told about the end goes into the channel.
#[derive(Debug)]
pub struct Echo(pub mpsc::UnboundedSender<Disconnect>);

impl Handler for Echo {
    type Info = ();

    async fn init(&mut self, request: Request) -> Decision {
        match request.path() {
            "/chat" => Accept::new().into(),
            path => Response::new(Status::NOT_FOUND).text(format!("no {path} here")).into(),
        }
    }

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        match message.as_text() {
            Some("stop") => reply.close(CloseFrame::new(CloseCode::GOING_AWAY, "as told")?),
            Some("panic") => panic!("as told"),
            Some("pieces") => {
                reply.begin(Kind::Text)?;
                for piece in ["a", "", "bc"] {
                    reply.push(piece.as_bytes())?;
                }
                reply.finish(b"d")?;
            }
            _ => reply.send(message)?,
        }
        Ok(())
    }

    fn close(&mut self, disconnect: &Disconnect) {
        // Not every test looks at the ends.
        let _ = self.0.send(disconnect.clone());
    }
}

/// A server of `Echo`s; its URL and what its handlers are told about their ends.
pub async fn echo_server<R: Adapter>(config: Config) -> (String, mpsc::UnboundedReceiver<Disconnect>) {
    let (listener, url) = listen::<R>().await;
    let (ends, told) = mpsc::unbounded_channel();
    drop(spawn::<R, _>(R::serve(listener, config, move |_| Echo(ends.clone()))));
    (url, told)
}
