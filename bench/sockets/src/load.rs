//! The load: many connections on one event loop, frames encoded beforehand, every byte that comes back compared.

use std::io::{ErrorKind, Read, Write};
use std::net::{self, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::Result;
use crate::message::{Batch, Check};

pub const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// The answer to its key (RFC 6455 §1.3).
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// A server that says nothing for so long has a fault.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct Load {
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    batch: Batch,
    connections: Vec<Connection>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    sent: u64,
    check: Check,
}

impl Load {
    /// Connects so many times. With an opening handshake, unless the server is `raw`.
    pub fn connect(address: SocketAddr, connections: usize, batch: Batch, raw: bool) -> Result<Self> {
        let poll = Poll::new()?;
        let connect = |token| -> Result<Connection> {
            let mut stream = open(address, raw)?;
            poll.registry().register(&mut stream, Token(token), Interest::READABLE | Interest::WRITABLE)?;
            Ok(Connection { stream, sent: 0, check: Check::default() })
        };
        let connections = (0..connections).map(connect).collect::<Result<_>>()?;
        let events = Events::with_capacity(1024);
        Ok(Self { poll, events, buffer: vec![0; 256 << 10], batch, connections })
    }

    /// Each connection sends batches for so long, the next when all of one has come back, and none is left on the
    /// way. Returns how many there were.
    pub fn run(&mut self, duration: Duration) -> Result<u64> {
        let end = Instant::now() + duration;
        for connection in &mut self.connections {
            connection.sent = 0;
            connection.write(&self.batch)?;
        }
        let (mut batches, mut active) = (0, self.connections.len());
        while active > 0 {
            self.poll.poll(&mut self.events, Some(PATIENCE))?;
            if self.events.is_empty() {
                return Err(format!("{active} connections wait in vain").into());
            }
            let is_over = Instant::now() >= end;
            for event in &self.events {
                let connection = &mut self.connections[event.token().0];
                connection.write(&self.batch)?;
                if connection.read(&mut self.buffer, &self.batch)? {
                    batches += 1;
                    if is_over {
                        active -= 1;
                    } else {
                        connection.sent = 0;
                        connection.write(&self.batch)?;
                    }
                }
            }
        }
        Ok(batches)
    }
}

impl Connection {
    fn write(&mut self, batch: &Batch) -> Result<()> {
        loop {
            let rest = batch.rest(self.sent);
            if rest.is_empty() {
                return Ok(());
            }
            match self.stream.write(rest) {
                Ok(n) => self.sent += n as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether all answers are there.
    fn read(&mut self, buffer: &mut [u8], batch: &Batch) -> Result<bool> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err("the server has closed the connection".into()),
                // What is left behind an answer cannot be there yet: it has not been asked for.
                Ok(n) if self.check.take(&buffer[..n], batch)? => return Ok(true),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn open(address: SocketAddr, raw: bool) -> Result<TcpStream> {
    let mut stream = net::TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    if !raw {
        shake_hands(&mut stream)?;
    }
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}

/// The opening handshake.
pub fn shake_hands(stream: &mut net::TcpStream) -> Result<()> {
    stream.write_all(REQUEST)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut buffer = [0; 1024];
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Err("the server has closed the connection".into());
        }
        head.extend(&buffer[..len]);
    }
    check_response(&head)
}

pub fn check_response(head: &[u8]) -> Result<()> {
    let head = str::from_utf8(head)?;
    if head.starts_with("HTTP/1.1 101 ") && head.contains(ACCEPT) {
        Ok(())
    } else {
        Err(format!("refused: {head}").into())
    }
}
