//! This library, as an event loop drives it (`core/examples/epoll.rs`).

use std::ops::Range;

use sansocket::{Agreed, Config, Connection, Endpoint, Event, Input, Instant, Message};

use crate::application::Application;
use crate::cell::{Act, Cell};
use crate::contestants::{BUFFER, Contestant};
use crate::socket::Socket;

const NOW: Instant = Instant::ORIGIN;

/// Longer messages would be put together elsewhere.
const PATIENCE: usize = 1024 * 1024;
/// One read takes in a message of 64 KiB with its header.
const READ: usize = BUFFER + 64;

struct Sansocket {
    socket: Socket,
    is_echo: bool,
    connection: Connection,
    /// What all connections of a loop read into,
    buffer: Vec<u8>,
    /// what of it is a message that is not all there,
    left: Range<usize>,
    /// and what it lacks,
    missing: usize,
    /// and what they borrow for output.
    output: Vec<u8>,
}

pub fn new(cell: &Cell, socket: Socket) -> Box<dyn Contestant> {
    let connection = Connection::established(Endpoint::Server, &Config::new(), Agreed::new(), NOW);
    let buffer = vec![0; cell.frame().len() + 4 * READ];
    let is_echo = cell.act == Act::Echo;
    Box::new(Sansocket { socket, is_echo, connection, buffer, left: 0..0, missing: 0, output: Vec::new() })
}

impl Contestant for Sansocket {
    fn pass(&mut self, application: &mut Application) {
        while self.socket.wake() {
            let spare = self.connection.lend_output(std::mem::take(&mut self.output));
            while let read @ 1.. =
                self.socket.read(&mut self.buffer[self.left.end..][..self.missing.max(READ)])
            {
                self.left.end += read;
                self.missing = self.missing.saturating_sub(read);
                if self.missing > 0 {
                    self.connection.heard(NOW);
                } else {
                    self.receive(application);
                }
            }
            self.output = self.connection.reclaim_output().or(spare).unwrap_or_default();
        }
    }
}

impl Sansocket {
    fn receive(&mut self, application: &mut Application) {
        let mut input = Input::new(&mut self.buffer[self.left.clone()]).with_patience(PATIENCE);
        // The connection takes no more while it has too much to write.
        while !input.is_empty() && input.missing() == 0 {
            while let Some(event) = self.connection.receive(NOW, &mut input) {
                let Event::Message(message) = event else { panic!("{event:?}") };
                match &message {
                    Message::Text(text) => application.text(text),
                    Message::Binary(bytes) => application.binary(bytes),
                }
                if self.is_echo {
                    let direct = self.connection.send_direct(message).expect("it is open");
                    if direct.is_direct() {
                        let written = direct.slices().map(|slice| self.socket.write(slice)).sum();
                        direct.written(written);
                    }
                }
            }
            let transmit = self.connection.transmit();
            if transmit.is_empty() {
                break;
            }
            let written = transmit.slices().map(|slice| self.socket.write(slice)).sum();
            self.connection.transmitted(written);
        }
        let left = input.remaining();
        self.missing = input.missing();
        self.left.start = self.left.end - left;
        if left == 0 || self.buffer.len() - self.left.end < self.missing.max(READ) {
            self.buffer.copy_within(self.left.clone(), 0);
            self.left = 0..left;
        }
    }
}
