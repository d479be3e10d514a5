//! This library, as an event loop drives it (`core/examples/epoll.rs`).

use sansocket::{Agreed, Config, Connection, Endpoint, Event, Input, Instant, Message};

use crate::application::Application;
use crate::cell::{Act, Cell};
use crate::contestants::{BUFFER, Contestant};
use crate::socket::Socket;

const NOW: Instant = Instant::ORIGIN;

struct Sansocket {
    socket: Socket,
    is_echo: bool,
    connection: Connection,
    /// What all connections of a loop read into,
    buffer: Vec<u8>,
    /// and what they borrow for output.
    output: Vec<u8>,
}

pub fn new(cell: &Cell, socket: Socket) -> Box<dyn Contestant> {
    let connection = Connection::established(Endpoint::Server, &Config::new(), Agreed::new(), NOW);
    let buffer = vec![0; BUFFER.max(socket.turn())];
    Box::new(Sansocket { socket, is_echo: cell.act == Act::Echo, connection, buffer, output: Vec::new() })
}

impl Contestant for Sansocket {
    fn pass(&mut self, application: &mut Application) {
        while self.socket.wake() {
            let spare = self.connection.lend_output(std::mem::take(&mut self.output));
            while let read @ 1.. = self.socket.read(&mut self.buffer) {
                self.receive(read, application);
            }
            self.output = self.connection.reclaim_output().or(spare).unwrap_or_default();
        }
    }
}

impl Sansocket {
    fn receive(&mut self, read: usize, application: &mut Application) {
        let mut input = Input::new(&mut self.buffer[..read]);
        // The connection takes no more while it has too much to write.
        while !input.is_empty() {
            while let Some(event) = self.connection.receive(NOW, &mut input) {
                let Event::Message(message) = event else { panic!("{event:?}") };
                match &message {
                    Message::Text(text) => application.text(text),
                    Message::Binary(bytes) => application.binary(bytes),
                }
                if self.is_echo {
                    self.connection.send(message).expect("it is open");
                }
            }
            let transmit = self.connection.transmit();
            let len = transmit.len();
            transmit.slices().for_each(|slice| self.socket.write(slice));
            self.connection.transmitted(len);
        }
    }
}
