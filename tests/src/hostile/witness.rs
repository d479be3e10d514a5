//! Programs on an adapter that note all they are handed, and send messages back.

use futures_util::StreamExt;
use sansocket::{Accept, Config, Data, Delivery, Disconnect, Kind, Message, Request, SendError};
use sansocket_driver::{Decision, Error, Handler, Outcome, Reply, WebSocket};
use tokio::sync::mpsc;

use crate::runtimes::{Adapter, Socket, listen, spawn};

/// What a program was handed and told, in order.
#[derive(Clone, Debug, Default)]
pub struct Testimony {
    /// The requests: whether they ask for a WebSocket.
    pub requests: Vec<bool>,
    /// The messages, and other things in words.
    pub events: Vec<String>,
    pub ends: Vec<Disconnect>,
    /// Of a message that has begun.
    pub pieces: Vec<u8>,
}

impl Testimony {
    /// The one end that it was told.
    #[track_caller]
    pub fn end(&self) -> Disconnect {
        assert_eq!(self.ends.len(), 1, "{self:?}");
        self.ends[0].clone()
    }

    /// The end, which is an error if it is none in good order.
    fn hear<R: Adapter>(&mut self, told: Option<Error>, socket: &Socket<R>) {
        let end = socket.disconnect().expect("the end").clone();
        match told {
            None => assert!(end.is_orderly(), "{end}"),
            Some(Error::Disconnected(told)) => assert_eq!((&told, end.is_orderly()), (&end, false)),
            Some(other) => panic!("{other}"),
        }
        self.ends.push(end);
    }

    fn message<'m>(&mut self, message: Message<'m>) -> Message<'m> {
        self.events.push(String::from_utf8_lossy(message.as_bytes()).into_owned());
        message
    }

    /// The message, once it is whole.
    fn data(&mut self, data: &Data<'_>) -> Option<Message<'static>> {
        assert_eq!(data.first, self.pieces.is_empty(), "a message begins where none has ended");
        self.pieces.extend_from_slice(&data.payload);
        let bytes = data.last.then(|| core::mem::take(&mut self.pieces))?;
        Some(self.message(match data.kind {
            Kind::Text => Message::text(String::from_utf8(bytes).expect("text")),
            Kind::Binary => Message::binary(bytes),
        }))
    }
}

/// A handler that tells all when it is dropped, with its connection.
#[derive(Debug)]
pub struct Witness {
    testimony: Testimony,
    listener: mpsc::UnboundedSender<Testimony>,
}

impl Witness {
    pub fn new(listener: mpsc::UnboundedSender<Testimony>) -> Self {
        Self { testimony: Testimony::default(), listener }
    }

    fn note(&mut self, event: String) -> Outcome {
        self.testimony.events.push(event);
        Ok(())
    }
}

impl Handler for Witness {
    type Info = ();

    async fn init(&mut self, request: Request) -> Decision {
        self.testimony.requests.push(request.is_upgrade());
        Accept::new().into()
    }

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send(self.testimony.message(message))?)
    }

    fn data(&mut self, data: Data<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        match self.testimony.data(&data) {
            Some(message) => Ok(reply.send(message)?),
            None => Ok(()),
        }
    }

    fn ping(&mut self, payload: &[u8], _: &mut Reply<'_, ()>) -> Outcome {
        self.note(format!("ping {payload:?}"))
    }

    fn pong(&mut self, payload: &[u8], _: &mut Reply<'_, ()>) -> Outcome {
        self.note(format!("pong {payload:?}"))
    }

    fn error(&mut self, error: &(dyn core::error::Error + Send + Sync + 'static)) {
        self.testimony.events.push(format!("error {error}"));
    }

    fn close(&mut self, disconnect: &Disconnect) {
        self.testimony.ends.push(disconnect.clone());
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // Nobody may listen any more.
        let _ = self.listener.send(core::mem::take(&mut self.testimony));
    }
}

/// A server of witnesses; its URL and what they tell.
pub async fn server<R: Adapter>(config: Config) -> (String, mpsc::UnboundedReceiver<Testimony>) {
    let (listener, url) = listen::<R>().await;
    let (tells, told) = mpsc::unbounded_channel();
    drop(spawn::<R, _>(R::serve(listener, config, move |_| Witness::new(tells.clone()))));
    (url, told)
}

/// Receives to the end, sending messages back.
///
/// # Panics
/// If a message cannot be sent back, or the calls do not tell the same end.
pub async fn converse<R: Adapter>(mut socket: Socket<R>, delivery: Delivery) -> Testimony {
    let mut testimony = Testimony::default();
    let told = loop {
        let received = match delivery {
            Delivery::Whole => socket.recv().await.map(|it| it.map(|it| Some(testimony.message(it)))),
            Delivery::Streaming => socket.recv_data().await.map(|it| it.map(|it| testimony.data(&it))),
        };
        match received {
            Ok(Some(None)) => {}
            Ok(Some(Some(message))) => socket.send(message).await.expect("an open socket"),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    testimony.hear::<R>(told, &socket);
    assert!(matches!(socket.recv().await, Ok(None)));
    testimony
}

/// The same in two halves, one of which is a stream.
///
/// # Panics
/// If a message cannot be sent back, or the calls do not tell the same end.
pub async fn converse_in_halves<R: Adapter>(socket: Socket<R>) -> Testimony {
    let mut testimony = Testimony::default();
    let (mut sender, mut receiver) = socket.split();
    let told = loop {
        match receiver.next().await {
            Some(Ok(message)) => sender.send(testimony.message(message)).await.expect("an open socket"),
            Some(Err(error)) => break Some(error),
            None => break None,
        }
    };
    assert!(matches!(sender.send("late").await, Err(Error::Send(SendError::Closed))));
    assert!(receiver.next().await.is_none());
    testimony.hear::<R>(told, &WebSocket::reunite(sender, receiver).expect("two halves of one"));
    testimony
}
