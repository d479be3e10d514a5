//! Handshakes: what a connection costs a server that is opened and closed at once, many at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::Result;
use crate::cells::servers;
use crate::load::{REQUEST, check_response};
use crate::process::{MEASURED, Process};
use crate::rounds::{Plan, Table};

const IN_FLIGHT: usize = 64;
/// 1000, masked with zeros.
const CLOSE: &[u8] = b"\x88\x82\0\0\0\0\x03\xE8";

/// How a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The closing handshake (RFC 6455 §7).
    Close,
    /// It ends the TCP connection.
    Tcp,
}

struct Client {
    stream: TcpStream,
    end: End,
    raw: bool,
    received: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Asked,
    Leaving,
}

impl Client {
    fn connect(address: SocketAddr, end: End, raw: bool) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        Ok(Self { stream, end, raw, received: Vec::new(), state: State::Connecting })
    }

    /// Whether it is through: the server has ended the connection, too.
    fn go_on(&mut self) -> Result<bool> {
        if self.state == State::Connecting {
            match self.stream.write(REQUEST) {
                Ok(len) if len == REQUEST.len() => self.state = State::Asked,
                Ok(_) => return Err("a request in pieces".into()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut buffer = [0; 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) if self.state == State::Leaving => return Ok(true),
                Ok(0) => return Err("the server has closed the connection".into()),
                Ok(len) => self.received.extend(&buffer[..len]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    return Ok(false);
                }
                // It has ended the connection before it had read all.
                Err(error) if error.kind() == ErrorKind::ConnectionReset && self.state == State::Leaving => {
                    return Ok(true);
                }
                Err(error) => return Err(error.into()),
            }
            if self.state == State::Asked && self.received.ends_with(b"\r\n\r\n") {
                self.leave()?;
            }
        }
    }

    fn leave(&mut self) -> Result<()> {
        self.state = State::Leaving;
        if self.raw {
            return Ok(self.stream.shutdown(Shutdown::Write)?);
        }
        check_response(&self.received)?;
        match self.end {
            End::Close => self.stream.write_all(CLOSE)?,
            End::Tcp => self.stream.shutdown(Shutdown::Write)?,
        }
        Ok(())
    }
}

/// Opens and closes connections for so long. Returns how many.
pub fn open_and_close(address: SocketAddr, end: End, raw: bool, duration: Duration) -> Result<u64> {
    let over = Instant::now() + duration;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(IN_FLIGHT);
    let connect = |token: usize, poll: &Poll| -> Result<Client> {
        let mut client = Client::connect(address, end, raw)?;
        poll.registry().register(
            &mut client.stream,
            Token(token),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        Ok(client)
    };
    let mut clients = Vec::new();
    for token in 0..IN_FLIGHT {
        clients.push(Some(connect(token, &poll)?));
    }
    let (mut count, mut active) = (0, IN_FLIGHT);
    while active > 0 {
        poll.poll(&mut events, Some(Duration::from_secs(20)))?;
        if events.is_empty() {
            return Err(format!("{active} connections wait in vain").into());
        }
        for event in &events {
            let slot = &mut clients[event.token().0];
            let Some(client) = slot else { continue };
            if client.go_on()? {
                count += 1;
                *slot = None;
                if Instant::now() < over {
                    *slot = Some(connect(event.token().0, &poll)?);
                } else {
                    active -= 1;
                }
            }
        }
    }
    Ok(count)
}

pub fn run(plan: &Plan) -> Result<()> {
    let mut table = Table::create(&plan.results, "handshakes", "handshakes")?;
    let cells = [("closing handshake".to_owned(), End::Close), ("end of TCP".to_owned(), End::Tcp)];
    plan.run(&mut table, &cells, &servers(plan), |&end, server| {
        let process = Process::start(&mut server.command()?, MEASURED)?;
        open_and_close(process.address, end, server.is_raw(), plan.warm_up)?;
        let cpu = process.cpu()?;
        let began = Instant::now();
        let count = open_and_close(process.address, end, server.is_raw(), plan.window)? as f64;
        let took = began.elapsed();
        let cpu = (process.cpu()? - cpu).as_secs_f64();
        Ok(vec![
            ("cpu µs", cpu * 1e6 / count),
            ("connections/cpu s", count / cpu),
            ("connections/s", count / took.as_secs_f64()),
        ])
    })
}
