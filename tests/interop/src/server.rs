//! The echo server.

use core::error::Error;
use std::sync::Arc;

use sansocket_interop::commands::Failure;
use sansocket_tokio::{Config, Disconnect, Handler, Message, Outcome, Reply, serve_connection};
use tokio::net::TcpListener;

use crate::report::{Counted, Report, Wire, describe};

/// With `--pieces`, longer binary messages than this are echoed in three.
const WHOLE: usize = 100;

pub(crate) async fn run(address: &str, config: Config, pieces: bool) -> Result<(), Failure> {
    let listener = TcpListener::bind(address).await?;
    println!("ws://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let wire = Arc::new(Wire::default());
        let echo = Echo { pieces, wire: Arc::clone(&wire), agreed: String::new(), messages: 0, payload: 0 };
        let connection = serve_connection(Counted::new(stream, wire), config.clone(), echo);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("not opened: {error}");
            }
        });
    }
}

struct Echo {
    pieces: bool,
    wire: Arc<Wire>,
    agreed: String,
    messages: usize,
    payload: usize,
}

impl Handler for Echo {
    type Info = ();

    fn open(&mut self, reply: &mut Reply<'_, ()>) -> Outcome {
        self.agreed = describe(reply.agreed().and_then(|agreed| agreed.compression()));
        Ok(())
    }

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        self.messages += 1;
        self.payload += message.len();
        match &message {
            Message::Binary(bytes) if self.pieces && bytes.len() > WHOLE => {
                let (first, rest) = bytes.split_at(bytes.len() / 3);
                let (second, third) = rest.split_at(rest.len() / 2);
                reply.begin(message.kind())?;
                reply.push(first)?;
                reply.push(second)?;
                Ok(reply.finish(third)?)
            }
            _ => Ok(reply.send(message)?),
        }
    }

    fn error(&mut self, error: &(dyn Error + Send + Sync + 'static)) {
        eprintln!("error: {error}");
    }

    fn close(&mut self, disconnect: &Disconnect) {
        let Self { agreed, messages, payload, wire, .. } = self;
        println!("{}", Report { agreed, messages: *messages, payload: *payload, wire, disconnect });
    }
}
