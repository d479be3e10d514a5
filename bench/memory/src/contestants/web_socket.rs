//! It validates no text. It reads headers byte by byte and so wants a buffered stream, and writes each message when it
//! is sent.

use tokio::io::BufReader;
use web_socket::{DataType, Event, MessageType, WebSocket};

use crate::application::Application;
use crate::cell::{Act, Cell};
use crate::contestants::{BUFFER, Contestant, expect, now, utf8, wait};
use crate::socket::Socket;

struct WebSocketContestant {
    socket: Socket,
    is_echo: bool,
    web_socket: WebSocket<BufReader<Socket>>,
}

pub fn new(cell: &Cell, socket: Socket) -> Box<dyn Contestant> {
    let web_socket = WebSocket::server(BufReader::with_capacity(BUFFER, socket.clone()));
    Box::new(WebSocketContestant { socket, is_echo: cell.act == Act::Echo, web_socket })
}

impl Contestant for WebSocketContestant {
    fn pass(&mut self, application: &mut Application) {
        while let Some(event) = wait(self.web_socket.recv(), || self.socket.wake()) {
            let Event::Data { ty: DataType::Complete(kind), data } = expect(event) else {
                panic!("not a message")
            };
            match kind {
                MessageType::Text => {
                    let text = utf8(&data);
                    application.text(text);
                    if self.is_echo {
                        expect(now(self.web_socket.send(text)));
                    }
                }
                MessageType::Binary => {
                    application.binary(&data);
                    if self.is_echo {
                        expect(now(self.web_socket.send(&*data)));
                    }
                }
            }
        }
    }
}
