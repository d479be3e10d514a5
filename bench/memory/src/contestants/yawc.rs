//! Its documentation advises larger buffers for bursts. It validates text only if it is told to.

use futures::SinkExt;
use yawc::{OpCode, Options, Role, WebSocket};

use crate::application::Application;
use crate::cell::{Act, Cell};
use crate::contestants::{BUFFER, Contestant, MAX, expect, next, now};
use crate::socket::Socket;

struct Yawc {
    socket: Socket,
    is_echo: bool,
    web_socket: WebSocket<Socket>,
}

pub fn new(cell: &Cell, socket: Socket) -> Box<dyn Contestant> {
    let options = Options::default()
        .with_limits(MAX, 2 * MAX)
        .with_read_buffer_capacity(BUFFER)
        .with_write_buffer_capacity(BUFFER)
        .with_utf8();
    let web_socket = expect(WebSocket::from_stream(socket.clone(), Role::Server, options));
    Box::new(Yawc { socket, is_echo: cell.act == Act::Echo, web_socket })
}

impl Contestant for Yawc {
    fn pass(&mut self, application: &mut Application) {
        loop {
            let Some(frame) = next(&mut self.web_socket) else {
                expect(now(self.web_socket.flush()));
                match self.socket.wake() {
                    true => continue,
                    false => return,
                }
            };
            application.validated(frame.opcode() == OpCode::Text, frame.payload());
            if self.is_echo {
                expect(now(self.web_socket.feed(frame)));
            }
        }
    }
}
