//! A handler that notes its calls, on a scripted stream.

use core::task::Poll;
use std::sync::{Arc, Mutex, PoisonError};

use crate::scripted::{Clock, Grip, REQUEST, Task, stream};
use crate::wire::{self, PING, TEXT, parse};
use sansocket::{Accept, Config, Data, Disconnect, Message, Request, Role};
use sansocket_driver::{Decision, Error, Handler, Outcome, Reply, Serve};
use tokio::sync::oneshot;

/// What is called.
pub enum Call<'c> {
    Open,
    Message(Message<'c>),
    Data,
    Ping,
    Pong,
    Info(u32),
}

pub type Act = dyn FnMut(Call<'_>, &mut Reply<'_, u32>) -> Outcome + Send;

/// Notes each call, and acts.
pub struct Actor {
    notes: Notes,
    decision: Decision,
    act: Box<Act>,
    end: Option<oneshot::Sender<Disconnect>>,
}

impl Actor {
    pub fn new(
        notes: Notes,
        decision: impl Into<Decision>,
        act: impl FnMut(Call<'_>, &mut Reply<'_, u32>) -> Outcome + Send + 'static,
    ) -> Self {
        Self { notes, decision: decision.into(), act: Box::new(act), end: None }
    }

    /// Also tells how the connection ended, if it was open.
    #[must_use]
    pub fn telling(self, end: oneshot::Sender<Disconnect>) -> Self {
        Self { end: Some(end), ..self }
    }
}

/// The calls, as lines of text.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub fn push(&self, note: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(note.into());
    }

    pub fn get(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Handler for Actor {
    type Info = u32;

    async fn init(&mut self, request: Request) -> Decision {
        self.notes.push(format!("init {} {}", request.path(), request.is_upgrade()));
        self.decision.clone()
    }

    fn open(&mut self, reply: &mut Reply<'_, u32>) -> Outcome {
        self.notes.push("open");
        (self.act)(Call::Open, reply)
    }

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, u32>) -> Outcome {
        self.notes.push(format!("message {}", String::from_utf8_lossy(message.as_bytes())));
        (self.act)(Call::Message(message), reply)
    }

    fn data(&mut self, data: Data<'_>, reply: &mut Reply<'_, u32>) -> Outcome {
        let text = String::from_utf8_lossy(&data.payload);
        self.notes.push(format!("data {text} {} {}", data.first, data.last));
        (self.act)(Call::Data, reply)
    }

    fn ping(&mut self, payload: &[u8], reply: &mut Reply<'_, u32>) -> Outcome {
        self.notes.push(format!("ping {}", String::from_utf8_lossy(payload)));
        (self.act)(Call::Ping, reply)
    }

    fn pong(&mut self, payload: &[u8], reply: &mut Reply<'_, u32>) -> Outcome {
        self.notes.push(format!("pong {}", String::from_utf8_lossy(payload)));
        (self.act)(Call::Pong, reply)
    }

    fn info(&mut self, info: u32, reply: &mut Reply<'_, u32>) -> Outcome {
        self.notes.push(format!("info {info}"));
        (self.act)(Call::Info(info), reply)
    }

    fn error(&mut self, error: &(dyn core::error::Error + Send + Sync + 'static)) {
        self.notes.push(format!("error {error}"));
    }

    fn close(&mut self, disconnect: &Disconnect) {
        self.notes.push(format!("close {:?}", disconnect.cause()));
        if let Some(end) = self.end.take() {
            // Nobody may wait for it.
            let _ = end.send(disconnect.clone());
        }
    }
}

/// A connection that is served.
pub struct Stage {
    pub task: Task<'static, Result<Disconnect, Error>>,
    pub grip: Grip,
    pub clock: Clock,
    pub notes: Notes,
}

impl Stage {
    /// A connection before its request.
    pub fn new(
        config: Config,
        decision: impl Into<Decision>,
        act: impl FnMut(Call<'_>, &mut Reply<'_, u32>) -> Outcome + Send + 'static,
    ) -> Self {
        let ((end, grip), clock, notes) = (stream(), Clock::new(), Notes::default());
        let actor = Actor::new(notes.clone(), decision, act);
        Self { task: Task::new(Serve::new(end, clock.alarm(), config, actor)), grip, clock, notes }
    }

    /// An open WebSocket. The stream's log begins behind the opening handshake, and has what `open` sent.
    pub fn open(
        config: Config,
        act: impl FnMut(Call<'_>, &mut Reply<'_, u32>) -> Outcome + Send + 'static,
    ) -> Self {
        Self::opened(config, "", act)
    }

    /// The same, with messages compressed if the configuration has them so.
    pub fn open_compressed(
        config: Config,
        act: impl FnMut(Call<'_>, &mut Reply<'_, u32>) -> Outcome + Send + 'static,
    ) -> Self {
        Self::opened(config, "Sec-WebSocket-Extensions: permessage-deflate\r\n", act)
    }

    fn opened(
        config: Config,
        fields: &str,
        act: impl FnMut(Call<'_>, &mut Reply<'_, u32>) -> Outcome + Send + 'static,
    ) -> Self {
        let mut stage = Self::new(config, Accept::new(), act);
        assert!(stage.task.settle().is_pending());
        let begin = REQUEST.strip_suffix(b"\r\n").expect("a head");
        stage.grip.give([begin, fields.as_bytes(), b"\r\n"].concat());
        assert!(stage.task.settle().is_pending());
        assert!(stage.grip.take_head().starts_with(b"HTTP/1.1 101 "));
        stage
    }

    /// Gives it the bytes of these frames in one read, and lets it go on.
    pub fn give(&mut self, frames: &[Vec<u8>]) {
        self.grip.give(frames.concat());
        assert!(self.task.settle().is_pending());
    }

    /// Lets it come to its end, and ends the stream if it waits for that. Asserts that nothing is called after that.
    #[track_caller]
    pub fn finish(&mut self) -> Disconnect {
        let mut result = self.task.settle();
        if result.is_pending() {
            self.grip.end();
            result = self.task.settle();
        }
        let notes = self.notes.get();
        assert!(self.task.poll().is_pending() && self.notes.get() == notes, "it goes on behind its end");
        match result {
            Poll::Ready(Ok(disconnect)) => disconnect,
            other => panic!("{other:?}"),
        }
    }

    /// The frames that were written and not taken: opcodes and payloads.
    pub fn frames(&self) -> Vec<(u8, Vec<u8>)> {
        parse(&self.grip.take()).into_iter().map(|frame| (frame.first & 0x0F, frame.payload)).collect()
    }
}

pub fn text(payload: &str) -> Vec<u8> {
    wire::frame(Role::Server, TEXT, payload)
}

pub fn ping(payload: &str) -> Vec<u8> {
    wire::frame(Role::Server, PING, payload)
}

pub fn goodbye(code: u16) -> Vec<u8> {
    wire::close(Role::Server, code, "")
}

pub fn idle(_: Call<'_>, _: &mut Reply<'_, u32>) -> Outcome {
    Ok(())
}

pub fn echo(call: Call<'_>, reply: &mut Reply<'_, u32>) -> Outcome {
    if let Call::Message(message) = call {
        reply.send(message)?;
    }
    Ok(())
}
