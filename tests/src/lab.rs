//! A runtime whose connections are in the test's hands: no sockets, no tasks, and a clock that is moved by
//! hand.

use core::cell::RefCell;
use core::future::{Future, pending};
use core::net::SocketAddr;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use sansocket::{Config, Connection, Event};
use sansocket_driver::Runtime;

use crate::scripted::{Alarm, Clock, End, Grip, stream};
use crate::{START, receive_accepting, take_output};

/// The runtime. Its state is the thread's: [`begin`] makes it anew.
#[derive(Debug)]
pub enum Lab {}

/// What a test has of it.
#[derive(Clone, Default)]
pub struct World {
    pub clock: Clock,
    calls: Rc<RefCell<VecDeque<Call>>>,
    failures: Rc<RefCell<VecDeque<ErrorKind>>>,
}

/// A client that has connected to `host` and `port`.
pub struct Call {
    pub host: String,
    pub port: u16,
    pub grip: Grip,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

pub fn begin() -> World {
    WORLD.replace(World::default());
    WORLD.with_borrow(World::clone)
}

impl World {
    /// The next client that has connected.
    #[track_caller]
    pub fn call(&self) -> Call {
        self.calls.borrow_mut().pop_front().expect("a client has connected")
    }

    /// Whether no client has connected.
    pub fn is_quiet(&self) -> bool {
        self.calls.borrow().is_empty()
    }

    /// Lets the next attempts to connect fail.
    pub fn fail(&self, errors: impl IntoIterator<Item = ErrorKind>) {
        self.failures.borrow_mut().extend(errors);
    }

    fn connect(&self, host: &str, port: u16) -> io::Result<End> {
        if let Some(error) = self.failures.borrow_mut().pop_front() {
            return Err(error.into());
        }
        let (end, grip) = stream();
        self.calls.borrow_mut().push_back(Call { host: host.into(), port, grip });
        Ok(end)
    }
}

impl Call {
    /// Where it leads.
    pub fn place(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Takes the request and accepts it; the request.
    #[track_caller]
    pub fn accept(&self) -> sansocket::Request {
        let mut server = Connection::server(&Config::new(), START);
        let (mut events, _) = receive_accepting(&mut server, START, &self.grip.take());
        self.grip.give(take_output(&mut server));
        match events.pop() {
            Some(Event::Request(request)) => request,
            other => panic!("no request: {other:?}"),
        }
    }

    /// Takes the request and answers it with this status and these header lines; the request.
    pub fn answer(&self, status: u16, lines: &[&str]) -> String {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let request = self.grip.take();
        self.grip.give(format!("HTTP/1.1 {status} \r\n{lines}Content-Length: 0\r\n\r\n"));
        String::from_utf8(request).expect("a head is text")
    }
}

impl Runtime for Lab {
    type Timer = Alarm;
    type Tcp = End;
    type Listener = ();

    fn timer() -> Alarm {
        WORLD.with_borrow(|world| world.clock.alarm())
    }

    fn spawn(_: impl Future<Output = ()> + Send + 'static) {
        panic!("clients have no tasks");
    }

    async fn connect(host: &str, port: u16) -> io::Result<End> {
        WORLD.with_borrow(|world| world.connect(host, port))
    }

    async fn accept((): &mut ()) -> io::Result<(End, SocketAddr)> {
        pending().await
    }

    fn set_nodelay(_: &End, _: bool) -> io::Result<()> {
        Ok(())
    }
}
