//! What no WebSocket library can be faster than: TCP that sends back what it reads, on tokio and on a bare event loop,
//! and there also WebSockets written by hand for this one purpose, in place in the buffer that was read to.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{self, Shutdown};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Poll, ready};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Token};
use sansocket_async_std::AsyncStd;
use sansocket_async_std::smol::Smol;
use sansocket_driver::Runtime;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use super::each;
use crate::Result;

const READ: usize = 64 << 10;

pub fn raw_tokio(listener: net::TcpListener) -> Result<()> {
    thread_local! {
        /// Whoever reads borrows it.
        static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    each(listener, false, |mut stream| async move {
        loop {
            let read = poll_fn(|cx| {
                let mut buffer = BUFFER.take();
                buffer.resize(READ, 0);
                let mut into = ReadBuf::new(&mut buffer);
                let polled = Pin::new(&mut stream).poll_read(cx, &mut into);
                let len = into.filled().len();
                if polled.is_pending() {
                    BUFFER.set(std::mem::take(&mut buffer));
                }
                ready!(polled)?;
                Poll::Ready(io::Result::Ok((buffer, len)))
            });
            let (buffer, len) = read.await?;
            if len == 0 {
                return Ok(());
            }
            stream.write_all(&buffer[..len]).await?;
            BUFFER.set(buffer);
        }
    })
}

pub fn raw_smol(listener: net::TcpListener) -> Result<()> {
    let listener: smol::net::TcpListener = smol::Async::try_from(listener)?.into();
    smol::block_on(smol::spawn(raw_each::<Smol, _>(listener, |stream| stream.0)))
}

pub fn raw_async_std(listener: net::TcpListener) -> Result<()> {
    let serve = raw_each::<AsyncStd, _>(listener.into(), |stream| stream.0);
    async_std::task::block_on(async_std::task::spawn(serve))
}

/// On runtimes whose streams do not tell when they are readable.
async fn raw_each<R: Runtime, S>(mut listener: R::Listener, stream: fn(R::Tcp) -> S) -> Result<()>
where
    S: futures::AsyncRead + futures::AsyncWrite + Unpin + Send + 'static,
{
    loop {
        let mut stream = stream(R::accept(&mut listener).await?.0);
        R::spawn(async move {
            loop {
                let read = poll_fn(|cx| {
                    let mut buffer = [0; 4096];
                    Pin::new(&mut stream).poll_read(cx, &mut buffer).map_ok(|n| buffer[..n].to_vec())
                });
                match read.await {
                    Ok(bytes) if !bytes.is_empty() => {
                        drop(futures::AsyncWriteExt::write_all(&mut stream, &bytes).await);
                    }
                    _ => return,
                }
            }
        });
    }
}

pub fn raw_epoll(listener: net::TcpListener) -> Result<()> {
    run::<Raw>(listener)
}

pub fn websocket(listener: net::TcpListener) -> Result<()> {
    run::<WebSocket>(listener)
}

/// What is done with what was read.
trait Protocol: Default {
    /// As much is to be free in the buffer before what is read.
    const ROOM: usize;

    /// `buffer[ROOM..]` was read. What is to be written is left in the range that is returned; `None` is the end.
    fn receive(&mut self, buffer: &mut [u8]) -> Option<Range<usize>>;

    /// Whether to end when all is written.
    fn is_over(&self) -> bool {
        false
    }
}

#[derive(Default)]
struct Raw;

impl Protocol for Raw {
    const ROOM: usize = 0;

    fn receive(&mut self, buffer: &mut [u8]) -> Option<Range<usize>> {
        Some(0..buffer.len())
    }
}

#[derive(Default)]
struct WebSocket {
    open: bool,
    request: Vec<u8>,
    /// What has come of a frame's header.
    header: [u8; 14],
    header_len: usize,
    /// Of the frame's payload.
    remaining: usize,
    key: [u8; 4],
    opcode: u8,
    /// Of a text, what has come of its last character.
    character: Vec<u8>,
    over: bool,
}

impl Protocol for WebSocket {
    /// The rest of a header that came before.
    const ROOM: usize = 14;

    fn receive(&mut self, buffer: &mut [u8]) -> Option<Range<usize>> {
        if !self.open {
            return self.shake_hands(buffer);
        }
        let mut from = Self::ROOM - self.header_len;
        buffer[from..Self::ROOM].copy_from_slice(&self.header[..self.header_len]);
        let begin = from;
        let mut to = from;
        while from < buffer.len() {
            if self.remaining == 0 {
                let header = &buffer[from..];
                let (extended, len) = match *header {
                    [_, len, ..] if len & 0x7F < 126 => (0, usize::from(len & 0x7F)),
                    [_, len, a, b, ..] if len & 0x7F == 126 => (2, u16::from_be_bytes([a, b]).into()),
                    [_, _, a, b, c, d, e, f, g, h, ..] => {
                        (8, usize::try_from(u64::from_be_bytes([a, b, c, d, e, f, g, h])).ok()?)
                    }
                    _ => (12, 0),
                };
                if header.len() < 2 + extended + 4 {
                    self.header[..header.len()].copy_from_slice(header);
                    self.header_len = header.len();
                    return Some(begin..to);
                }
                let (first, is_masked) = (header[0], header[1] & 0x80 != 0);
                if !is_masked || first & 0xF0 != 0x80 {
                    return None;
                }
                self.opcode = first & 0xF;
                self.over = self.opcode == 8;
                self.key.copy_from_slice(&header[2 + extended..2 + extended + 4]);
                self.remaining = len;
                buffer.copy_within(from..from + 2 + extended, to);
                if self.opcode == 9 {
                    buffer[to] = 0x8A;
                }
                buffer[to + 1] &= 0x7F;
                (from, to) = (from + 2 + extended + 4, to + 2 + extended);
            }
            let len = self.remaining.min(buffer.len() - from);
            buffer.copy_within(from..from + len, to);
            let payload = &mut buffer[to..to + len];
            unmask(payload, self.key);
            self.key.rotate_left(len % 4);
            self.remaining -= len;
            if self.opcode == 1 && !validate(&mut self.character, payload, self.remaining == 0) {
                return None;
            }
            (from, to) = (from + len, to + len);
        }
        self.header_len = 0;
        Some(begin..to)
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

impl WebSocket {
    fn shake_hands(&mut self, buffer: &mut [u8]) -> Option<Range<usize>> {
        self.request.extend(&buffer[Self::ROOM..]);
        if !self.request.ends_with(b"\r\n\r\n") {
            return Some(0..0);
        }
        let response = super::peers::response(&self.request)?;
        self.open = true;
        self.request = Vec::new();
        // It is shorter than the longest request, but maybe not than what was read of it just now.
        let into = buffer.get_mut(..response.len())?;
        into.copy_from_slice(&response);
        Some(0..response.len())
    }
}

fn unmask(payload: &mut [u8], key: [u8; 4]) {
    let mut keys = [0; 64];
    keys.as_chunks_mut().0.fill(key);
    let (chunks, rest) = payload.as_chunks_mut::<64>();
    for chunk in chunks {
        for (byte, key) in chunk.iter_mut().zip(keys) {
            *byte ^= key;
        }
    }
    for (byte, key) in rest.iter_mut().zip(keys) {
        *byte ^= key;
    }
}

/// Whether a text is valid so far. `character` is what has come of its last one.
fn validate(character: &mut Vec<u8>, mut payload: &[u8], is_last: bool) -> bool {
    while !character.is_empty() && !payload.is_empty() {
        let Some((&byte, rest)) = payload.split_first() else { break };
        character.push(byte);
        payload = rest;
        match str::from_utf8(character) {
            Ok(_) => character.clear(),
            Err(error) if error.error_len().is_some() => return false,
            Err(_) => {}
        }
    }
    match simdutf8::basic::from_utf8(payload) {
        Ok(_) => {}
        Err(_) => match simdutf8::compat::from_utf8(payload) {
            Err(error) if error.error_len().is_none() => character.extend(&payload[error.valid_up_to()..]),
            _ => return false,
        },
    }
    !is_last || character.is_empty()
}

struct Client<P> {
    stream: TcpStream,
    protocol: P,
    /// What the socket did not take.
    unwritten: Vec<u8>,
    /// There was something more to read.
    unread: bool,
}

fn run<P: Protocol>(listener: net::TcpListener) -> Result<()> {
    const LISTENER: Token = Token(usize::MAX);
    let mut listener = TcpListener::from_std(listener);
    let mut poll = mio::Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut clients: HashMap<Token, Client<P>, Plain> = HashMap::default();
    let mut last = 0;
    let mut buffer = vec![0; P::ROOM + READ];
    loop {
        match poll.poll(&mut events, None) {
            // As when a tracer comes or goes.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            let token = event.token();
            if token != LISTENER {
                let Some(client) = clients.get_mut(&token) else { continue };
                let is_closed = event.is_read_closed();
                if !client.serve(&mut buffer, is_closed).unwrap_or(false) {
                    clients.remove(&token);
                }
                continue;
            }
            while let Ok((mut stream, _)) = listener.accept() {
                stream.set_nodelay(true)?;
                last += 1;
                poll.registry().register(
                    &mut stream,
                    Token(last),
                    Interest::READABLE | Interest::WRITABLE,
                )?;
                let client = Client { stream, protocol: P::default(), unwritten: Vec::new(), unread: false };
                clients.insert(Token(last), client);
            }
        }
    }
}

impl<P: Protocol> Client<P> {
    /// Reads and writes until one of them has to wait. Whether to go on.
    fn serve(&mut self, buffer: &mut [u8], is_closed: bool) -> io::Result<bool> {
        self.unread = true;
        loop {
            let unwritten = std::mem::take(&mut self.unwritten);
            self.write(&unwritten)?;
            if !self.unwritten.is_empty() || !self.unread {
                return Ok(true);
            }
            if self.protocol.is_over() {
                self.stream.shutdown(Shutdown::Write)?;
                return Ok(false);
            }
            match self.stream.read(&mut buffer[P::ROOM..]) {
                Ok(0) => return Ok(false),
                Ok(len) => {
                    // More than that was not there, and what comes later is told.
                    self.unread = len == READ || is_closed;
                    let Some(range) = self.protocol.receive(&mut buffer[..P::ROOM + len]) else {
                        return Ok(false);
                    };
                    self.write(&buffer[range])?;
                    self.unread |= self.protocol.is_over();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.unwritten.extend(bytes);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Tokens are numbered in turn, so they need no hash.
type Plain = std::hash::BuildHasherDefault<Number>;

#[derive(Default)]
struct Number(u64);

impl std::hash::Hasher for Number {
    fn finish(&self) -> u64 {
        self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_usize(&mut self, n: usize) {
        self.0 = n as u64;
    }
}
