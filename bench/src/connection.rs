//! A server's `sansocket::Connection`, as an event loop drives it.

use sansocket::deflate::Pool;
use sansocket::extension::Settings;
use sansocket::{Agreed, Compression, Config, Connection, Endpoint, Event, Input, Instant};

use crate::codecs::Messages;
use crate::wire::{COMPRESSED, TEXT};
use crate::{Compress, Decompress, Params, Sink};

const NOW: Instant = Instant::ORIGIN;

pub struct Server {
    connection: Connection,
    /// Messages to send, or frames to receive.
    input: Messages,
    text: bool,
    /// Codecs that all connections of a loop share: lent for the time that the connection is worked on.
    pool: Option<Box<Pool>>,
    read: Vec<u8>,
}

impl Server {
    /// For messages to send: as text, or binary.
    pub fn sending(input: &Messages, params: Params, text: bool) -> Self {
        Self {
            connection: open(params),
            input: input.clone(),
            text,
            pool: Some(Box::default()),
            read: Vec::new(),
        }
    }

    /// For masked frames to receive.
    pub fn receiving(frames: &Messages, params: Params) -> Self {
        let text = frames.first().is_some_and(|frame| frame[0] & !COMPRESSED == 0x80 | TEXT);
        Self::sending(frames, params, text)
    }

    fn lend(&mut self) {
        if let Some(pool) = self.pool.take() {
            self.pool = self.connection.lend_codecs(pool);
        }
    }

    fn reclaim(&mut self) {
        self.pool = self.connection.reclaim_codecs();
    }
}

/// An open connection that has agreed on compression.
fn open(params: Params) -> Connection {
    let anew = !params.takeover;
    let compression = if anew { Compression::shared() } else { Compression::new() };
    let settings = Settings::new().server_no_context_takeover(anew).client_no_context_takeover(anew);
    let config = Config::new().compression(Some(compression.level(params.level)));
    let Some((agreed, _)) = settings.answer([&b"permessage-deflate"[..]]) else {
        panic!("the offer is declined");
    };
    Connection::established(Endpoint::Server, &config, Agreed::new().with_compression(agreed), NOW)
}

impl Compress for Server {
    fn compress(&mut self, index: usize, sink: Sink<'_>) {
        self.lend();
        let message = &self.input[index];
        let sent = match self.text {
            // Known to be text: what an application has as a `str` is not validated either, and the records
            // are ASCII.
            true => self.connection.send(std::str::from_utf8(message).unwrap_or_default()),
            false => self.connection.send(&message[..]),
        };
        assert!(sent.is_ok());
        let transmit = self.connection.transmit();
        let len = transmit.len();
        for slice in transmit.slices() {
            sink(slice);
        }
        self.connection.transmitted(len);
        self.reclaim();
    }
}

impl Decompress for Server {
    fn decompress(&mut self, index: usize, sink: Sink<'_>) {
        self.lend();
        // What reading from a socket does.
        self.read.clear();
        self.read.extend_from_slice(&self.input[index]);
        let mut input = Input::new(&mut self.read);
        while let Some(event) = self.connection.receive(NOW, &mut input) {
            match event {
                Event::Message(message) => sink(message.as_bytes()),
                event => panic!("{event:?}"),
            }
        }
        self.reclaim();
    }
}
