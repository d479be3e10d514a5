//! An echo server on an event loop written by hand: many connections, one thread, one buffer to read into, timers.
//!
//! `cargo run --release -p sansocket --example epoll -- 127.0.0.1:9001`

use core::error::Error;
use core::time::Duration;
use core::{array, mem};
use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use sansocket::{Accept, CloseCode, Config, Connection, Event, Input, Instant, Transport};

const LISTENER: Token = Token(0);

/// After this many reads a client waits until the others had their turn.
const READS_PER_TURN: usize = 16;

/// One write takes up to this many slices.
const SLICES: usize = 16;

/// A connection and its socket. While nothing is in flight it holds no buffer at all.
struct Client {
    stream: TcpStream,
    connection: Connection,
    /// What was read and has to wait until output has been written.
    unread: Vec<u8>,
    /// Where it stands in `Server::deadlines`.
    deadline: Option<Instant>,
}

impl Client {
    /// Writes and reads until the socket would block, and returns false; or true, if it had its turn before that.
    fn take_turn(&mut self, now: Instant, buffer: &mut [u8]) -> bool {
        for _ in 0..READS_PER_TURN {
            self.write();
            if !self.read(now, buffer) {
                return false;
            }
        }
        true
    }

    /// Takes in what waits, or what the socket has; whether there was anything to be had.
    fn read(&mut self, now: Instant, buffer: &mut [u8]) -> bool {
        if !self.unread.is_empty() {
            let mut unread = mem::take(&mut self.unread);
            self.receive(now, &mut unread);
            return self.unread.len() < unread.len();
        }
        // The socket's buffer fills up while we do not read, and the peer has to wait.
        if !self.connection.wants_read() {
            return false;
        }
        match self.stream.read(buffer) {
            Ok(0) => drop(self.connection.receive_eof(now)),
            Ok(n) => self.receive(now, &mut buffer[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.connection.transport_failed(),
        }
        true
    }

    fn receive(&mut self, now: Instant, bytes: &mut [u8]) {
        let mut input = Input::new(bytes);
        while let Some(event) = self.connection.receive(now, &mut input) {
            if echo(&mut self.connection, now, event).is_err() {
                // It fails only if the connection is closing already.
                let _ = self.connection.close(now, CloseCode::INTERNAL_ERROR);
            }
        }
        self.unread = input.into_rest().to_vec();
    }

    /// Writes what the connection has to say, as far as the socket takes it, and does as it says with the socket.
    fn write(&mut self) {
        while !self.connection.transmit().is_empty() {
            let mut slices = self.connection.transmit().slices();
            let slices: [_; SLICES] = array::from_fn(|_| IoSlice::new(slices.next().unwrap_or_default()));
            match self.stream.write_vectored(&slices) {
                Ok(n @ 1..) => self.connection.transmitted(n),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => self.connection.transport_failed(),
            }
        }
        if let Transport::ShutdownWrite = self.connection.transport() {
            // Once more does no harm; an error tells that the peer is gone, which reading will show.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }
}

/// The application.
fn echo(connection: &mut Connection, now: Instant, event: Event<'_>) -> Result<(), Box<dyn Error>> {
    match event {
        Event::Request(_) => connection.accept(now, Accept::new())?,
        Event::Message(message) => connection.send(message)?,
        _ => {}
    }
    Ok(())
}

struct Server {
    poll: Poll,
    listener: TcpListener,
    config: Config,
    origin: std::time::Instant,
    clients: HashMap<Token, Client>,
    last: Token,
    /// When clients are to be woken, soonest first.
    deadlines: BTreeSet<(Instant, Token)>,
    /// Whose turn it is. A socket tells only once that it is ready, so who is interrupted stays in here.
    ready: BTreeSet<Token>,
    /// What every client reads into.
    buffer: Box<[u8]>,
    /// What the next client with something to say writes from.
    output: Vec<u8>,
}

impl Server {
    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            let now = self.now();
            self.ready.extend(events.iter().map(mio::event::Event::token));
            while let Some(&(at, token)) = self.deadlines.first()
                && at <= now
            {
                self.deadlines.pop_first();
                if let Some(client) = self.clients.get_mut(&token) {
                    client.deadline = None;
                    client.connection.handle_timeout(now);
                    self.ready.insert(token);
                }
            }
            for token in mem::take(&mut self.ready) {
                match token {
                    LISTENER => self.accept(now)?,
                    token => self.serve(token, now)?,
                }
            }
        }
    }

    fn now(&self) -> Instant {
        Instant::ORIGIN + self.origin.elapsed()
    }

    /// How long the loop may sleep.
    fn patience(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        self.deadlines.first().map(|&(at, _)| at - self.now())
    }

    fn accept(&mut self, now: Instant) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            // Output is written in batches; holding them back for more would only delay them.
            let _ = stream.set_nodelay(true);
            // Never used twice, so that what is left of a client that is gone cannot reach another.
            self.last = Token(self.last.0 + 1);
            let interests = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, self.last, interests)?;
            let connection = Connection::server(&self.config, now);
            let client = Client { stream, connection, unread: Vec::new(), deadline: None };
            self.clients.insert(self.last, client);
            // Its first turn is what arms its timer.
            self.ready.insert(self.last);
        }
    }

    fn serve(&mut self, token: Token, now: Instant) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(&token) else { return Ok(()) };
        self.output = client.connection.lend_output(mem::take(&mut self.output)).unwrap_or_default();
        if client.take_turn(now, &mut self.buffer) {
            self.ready.insert(token);
        }
        if let Some(block) = client.connection.reclaim_output() {
            self.output = block;
        }
        let deadline = client.connection.poll_timeout().map(|deadline| deadline.at);
        if deadline != client.deadline {
            // Rare: a connection leaves its deadline where it is while bytes come and go.
            client.deadline.take().map(|at| self.deadlines.remove(&(at, token)));
            client.deadline = deadline.inspect(|&at| drop(self.deadlines.insert((at, token))));
        }
        if let Transport::Close(_) = client.connection.transport() {
            self.poll.registry().deregister(&mut client.stream)?;
            self.clients.remove(&token);
        }
        Ok(())
    }
}
