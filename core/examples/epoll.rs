//! An echo server on an event loop written by hand: many connections, one thread, one buffer to read into,
//! timers.
//!
//! `cargo run --release -p sansocket --example epoll -- 127.0.0.1:9001`

use core::time::Duration;
use core::{array, error, mem};
use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use sansocket::{Accept, Config, Connection, Event, Input, Instant, Transport};

const LISTENER: Token = Token(0);

/// A connection and its socket. While nothing is in flight, neither has a buffer.
struct Client {
    stream: TcpStream,
    connection: Connection,
    /// What was read and cannot be taken before output has been written.
    unread: Vec<u8>,
    /// Whether our direction of the socket is closed.
    shut: bool,
    /// Where it stands in `Server::deadlines`.
    deadline: Option<Instant>,
}

impl Client {
    /// Whether there was something to read.
    fn read(&mut self, now: Instant, buffer: &mut [u8], memory: &mut Vec<u8>) -> bool {
        if !self.unread.is_empty() {
            let mut unread = mem::take(&mut self.unread);
            self.receive(now, &mut unread, memory);
            return self.unread.len() < unread.len();
        }
        if !self.connection.wants_read() {
            // What the peer sends fills the socket's buffers, and then it has to wait.
            return false;
        }
        match self.stream.read(buffer) {
            Ok(0) => drop(self.connection.receive_eof()),
            Ok(n) => self.receive(now, &mut buffer[..n], memory),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.connection.transport_failed(),
        }
        true
    }

    fn receive(&mut self, now: Instant, bytes: &mut [u8], memory: &mut Vec<u8>) {
        let mut lender = |_| mem::take(memory);
        let mut input = Input::new(bytes).with_memory(&mut lender);
        while let Some(event) = self.connection.receive(now, &mut input) {
            match event {
                // Accepting fails only if no request waits, or for a subprotocol that was not offered;
                // sending, if a timer has begun to close the connection: what comes until the peer knows has
                // no answer.
                Event::Request(_) => self.connection.accept(now, Accept::new()).unwrap_or(()),
                Event::Message(message) => self.connection.send(message).unwrap_or(()),
                _ => {}
            }
        }
        self.unread = input.into_rest().to_vec();
    }

    /// Writes all that the socket takes, and ends its writing direction when the time for that has come.
    fn write(&mut self, memory: &mut Vec<u8>) {
        while !self.connection.transmit().is_empty() {
            let written = {
                let mut slices = self.connection.transmit().slices();
                let mut next = || IoSlice::new(slices.next().unwrap_or_default());
                self.stream.write_vectored(&array::from_fn::<_, 16, _>(|_| next()))
            };
            match written {
                Ok(n @ 1..) => self.connection.transmitted_with(n, memory),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => self.connection.transport_failed(),
            }
        }
        if self.connection.transport() == Transport::ShutdownWrite && !self.shut {
            // Once only, since epoll reports that as news. If it fails the socket is gone, which reading
            // shows.
            let _ = self.stream.shutdown(Shutdown::Write);
            self.shut = true;
        }
    }
}

struct Server {
    poll: Poll,
    listener: TcpListener,
    config: Config,
    clients: HashMap<Token, Client>,
    last: Token,
    /// Who wants to be woken when, the soonest first.
    deadlines: BTreeSet<(Instant, Token)>,
    /// Whose turn it is.
    ready: BTreeSet<Token>,
    /// All clients read into this one,
    input: Box<[u8]>,
    /// and whoever has something to send borrows this one, until it is written.
    output: Vec<u8>,
    /// What the last long message was put together in, for the next one.
    memory: Vec<u8>,
}

impl Server {
    fn run(&mut self) -> Result<(), Box<dyn error::Error>> {
        let origin = std::time::Instant::now();
        let mut events = Events::with_capacity(1024);
        loop {
            let now = Instant::ORIGIN + origin.elapsed();
            let soonest = self.deadlines.first().map(|&(at, _)| at - now);
            let sleep = if self.ready.is_empty() { soonest } else { Some(Duration::ZERO) };
            match self.poll.poll(&mut events, sleep) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                _ => self.ready.extend(events.iter().map(|event| event.token())),
            }
            let now = Instant::ORIGIN + origin.elapsed();
            while let Some(&due) = self.deadlines.first().filter(|due| due.0 <= now) {
                self.deadlines.remove(&due);
                self.ready.insert(due.1);
            }
            for token in mem::take(&mut self.ready) {
                if token != LISTENER {
                    self.serve(token, now);
                } else if self.accept(now).is_err_and(|error| error.kind() != ErrorKind::WouldBlock) {
                    // No descriptors, no memory: a little later there may be some.
                    self.deadlines.insert((now + Duration::from_millis(100), LISTENER));
                }
            }
        }
    }

    /// Accepts clients until there are no more, which is an error too.
    fn accept(&mut self, now: Instant) -> io::Result<()> {
        loop {
            let (mut stream, _) = self.listener.accept()?;
            // Output is written in batches; holding them back for more would only delay them.
            stream.set_nodelay(true)?;
            // A token is used once, so that an event for a client that is gone reaches nobody else.
            self.last.0 += 1;
            self.poll.registry().register(&mut stream, self.last, Interest::READABLE | Interest::WRITABLE)?;
            let connection = Connection::server(&self.config, now);
            let client = Client { stream, connection, unread: Vec::new(), shut: false, deadline: None };
            self.clients.insert(self.last, client);
            self.serve(self.last, now);
        }
    }

    fn serve(&mut self, token: Token, now: Instant) {
        let Some(client) = self.clients.get_mut(&token) else { return };
        let spare = client.connection.lend_output(mem::take(&mut self.output));
        let has_more = (0..16).all(|_| {
            client.write(&mut self.memory);
            client.read(now, &mut self.input, &mut self.memory)
        });
        // Only now: what has come is a sign of life. It does nothing if nothing is due.
        client.connection.handle_timeout(now);
        client.write(&mut self.memory);
        if has_more {
            // The others' turn first. Nobody tells us a second time that the socket is readable.
            self.ready.insert(token);
        }
        self.output = client.connection.reclaim_output().or(spare).unwrap_or_default();
        let deadline = client.connection.poll_timeout().map(|deadline| deadline.at);
        if deadline != client.deadline {
            client.deadline.map(|at| self.deadlines.remove(&(at, token)));
            client.deadline = deadline;
            self.deadlines.extend(deadline.map(|at| (at, token)));
        }
        if let Transport::Close(_) = client.connection.transport() {
            self.clients.remove(&token);
        }
    }
}

fn main() -> Result<(), Box<dyn error::Error>> {
    let (mut address, mut config) = (String::from("127.0.0.1:9001"), Config::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().unwrap_or_default();
        match &*arg {
            "--max-message" => config = config.max_message(number().parse()?),
            "--max-fragments" => config = config.max_fragments(number().parse()?),
            _ => address = arg,
        }
    }
    let poll = Poll::new()?;
    let mut listener = TcpListener::bind(address.parse()?)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("ws://{}", listener.local_addr()?);
    Server {
        poll,
        listener,
        config,
        clients: HashMap::new(),
        last: LISTENER,
        deadlines: BTreeSet::new(),
        ready: BTreeSet::new(),
        input: vec![0; 64 * 1024].into(),
        output: Vec::new(),
        memory: Vec::new(),
    }
    .run()
}
