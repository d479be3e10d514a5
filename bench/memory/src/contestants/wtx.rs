//! It writes each message when it is sent. `Adaptive` shows messages where they are.

use wtx::collection::Vector;
use wtx::rng::Xorshift64;
use wtx::web_socket::{OpCode, WebSocketBuffer, WebSocketOwned, WebSocketPayloadOrigin};

use crate::application::Application;
use crate::cell::{Act, Cell};
use crate::contestants::{BUFFER, Contestant, expect, now, wait};
use crate::socket::Socket;

struct Wtx {
    socket: Socket,
    is_echo: bool,
    web_socket: WebSocketOwned<(), Xorshift64, Socket, false>,
    /// For messages that it has to put together.
    message: Vector<u8>,
}

pub fn new(cell: &Cell, socket: Socket) -> Box<dyn Contestant> {
    let buffer = expect(WebSocketBuffer::with_capacity(BUFFER, 0, BUFFER));
    let web_socket = WebSocketOwned::new((), false, Xorshift64::new(7), socket.clone(), buffer);
    Box::new(Wtx { socket, is_echo: cell.act == Act::Echo, web_socket, message: Vector::new() })
}

impl Contestant for Wtx {
    fn pass(&mut self, application: &mut Application) {
        let (mut common, mut reader, mut writer) = self.web_socket.split_mut();
        let origin = WebSocketPayloadOrigin::Adaptive;
        loop {
            self.message.clear();
            let frame = reader.read_frame(&mut self.message, &mut common, origin);
            let Some(frame) = wait(frame, || self.socket.wake()) else { return };
            let mut frame = expect(frame);
            application.validated(frame.op_code() == OpCode::Text, frame.payload());
            if self.is_echo {
                expect(now(writer.write_frame(&mut common, &mut frame)));
            }
        }
    }
}
