//! Who is measured.

mod fastwebsockets;
mod limit;
mod sansocket;
mod sockudo_ws;
mod soketto;
mod tokio_websockets;
mod tungstenite;
mod web_socket;
mod websocket_sans_io;
mod wtx;
mod yawc;

use std::fmt::Debug;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ::futures::{FutureExt, Stream, StreamExt};

use crate::application::Application;
use crate::cell::{Act, Cell};
use crate::socket::Socket;

/// What a program or a library reads at a time, and what it writes at a time if it collects.
const BUFFER: usize = 64 * 1024;

/// More than any message here.
const MAX: usize = 2 * 1024 * 1024;

/// A server's connection.
pub trait Contestant {
    /// Goes through the stream once, from one [`Socket::wake`] to the next, and answers before it waits.
    fn pass(&mut self, application: &mut Application);
}

pub type New = fn(&Cell, Socket) -> Box<dyn Contestant>;

pub const CONTESTANTS: [(&str, New); 12] = [
    ("limit", limit::new),
    ("sansocket", sansocket::new),
    ("tungstenite 0.30.0", tungstenite::new),
    ("fastwebsockets 0.10.0", fastwebsockets::new),
    ("tokio-websockets 0.13.3", tokio_websockets::new),
    ("web-socket 0.7.0", web_socket::new),
    ("soketto 0.8.1", soketto::new),
    ("wtx 0.46.1", wtx::new),
    ("yawc 0.5.0", yawc::new),
    ("sockudo-ws 3.1.0 Protocol", sockudo_ws::protocol),
    ("sockudo-ws 3.1.0 Stream", sockudo_ws::stream),
    ("websocket-sans-io 0.1.0", websocket_sans_io::new),
];

/// A contestant in a cell.
pub struct Runner {
    cell: Cell,
    /// In a pass.
    messages: usize,
    socket: Socket,
    contestant: Box<dyn Contestant>,
    application: Application,
}

impl Runner {
    pub fn new(cell: &Cell, new: New) -> Self {
        let messages = cell.messages();
        let socket = Socket::new(&cell.frame(), messages, cell.reads);
        let contestant = new(cell, socket.clone());
        Self { cell: *cell, messages, socket, contestant, application: Application::new(cell) }
    }

    // By this name, `count` knows what to collect.
    #[inline(never)]
    pub fn pass(&mut self) {
        self.application.messages = 0;
        self.contestant.pass(&mut self.application);
        assert_eq!(self.application.messages, self.messages);
    }

    /// Twice, so that what the first pass leaves behind is seen too.
    pub fn verify(mut self) {
        self.application.verify();
        self.socket.log();
        self.pass();
        self.pass();
        let answers = match self.cell.act {
            Act::Receive => Vec::new(),
            Act::Echo => self.cell.answer().repeat(2 * self.messages),
        };
        assert!(self.socket.logged() == answers, "what was written is not what was to be");
    }
}

/// Polls until the future is done, and whenever it waits, does what comes between; gives up if that is all.
fn wait<T>(future: impl Future<Output = T>, mut meanwhile: impl FnMut() -> bool) -> Option<T> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        if !meanwhile() {
            return None;
        }
    }
}

/// What a stream has now.
fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    match stream.poll_next_unpin(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(item) => Some(item.expect("it does not end")),
        Poll::Pending => None,
    }
}

/// What needs nothing that is not there.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("waits for nothing")
}

fn expect<T, E: Debug>(result: Result<T, E>) -> T {
    result.expect("nothing is wrong with the stream")
}

/// Validates text, for libraries that leave it to the program.
fn utf8(bytes: &[u8]) -> &str {
    expect(simdutf8::basic::from_utf8(bytes))
}
