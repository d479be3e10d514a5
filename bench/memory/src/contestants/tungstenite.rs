//! With the buffers of 128 KiB that its documentation advises for a high load.

use std::io::ErrorKind;

use tungstenite::protocol::Role;
use tungstenite::{Error, Message, WebSocket};

use crate::application::Application;
use crate::cell::{Act, Cell};
use crate::contestants::{Contestant, expect};
use crate::socket::Socket;

struct Tungstenite {
    socket: Socket,
    is_echo: bool,
    web_socket: WebSocket<Socket>,
}

pub fn new(cell: &Cell, socket: Socket) -> Box<dyn Contestant> {
    let web_socket = WebSocket::from_raw_socket(socket.clone(), Role::Server, None);
    Box::new(Tungstenite { socket, is_echo: cell.act == Act::Echo, web_socket })
}

impl Contestant for Tungstenite {
    fn pass(&mut self, application: &mut Application) {
        loop {
            let message = match self.web_socket.read() {
                Ok(message) => message,
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                    expect(self.web_socket.flush());
                    match self.socket.wake() {
                        true => continue,
                        false => return,
                    }
                }
                Err(error) => panic!("{error}"),
            };
            match &message {
                Message::Text(text) => application.text(text),
                Message::Binary(bytes) => application.binary(bytes),
                message => panic!("{message:?}"),
            }
            if self.is_echo {
                expect(self.web_socket.write(message));
            }
        }
    }
}
