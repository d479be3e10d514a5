//! It writes each message when it is sent.

use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket};

use crate::application::Application;
use crate::cell::{Act, Cell};
use crate::contestants::{Contestant, expect, now, wait};
use crate::socket::Socket;

struct Fastwebsockets {
    socket: Socket,
    is_echo: bool,
    web_socket: FragmentCollector<Socket>,
}

pub fn new(cell: &Cell, socket: Socket) -> Box<dyn Contestant> {
    let web_socket = FragmentCollector::new(WebSocket::after_handshake(socket.clone(), Role::Server));
    Box::new(Fastwebsockets { socket, is_echo: cell.act == Act::Echo, web_socket })
}

impl Contestant for Fastwebsockets {
    fn pass(&mut self, application: &mut Application) {
        while let Some(frame) = wait(self.web_socket.read_frame(), || self.socket.wake()) {
            let frame = expect(frame);
            application.validated(frame.opcode == OpCode::Text, &frame.payload);
            if self.is_echo {
                expect(now(self.web_socket.write_frame(frame)));
            }
        }
    }
}
