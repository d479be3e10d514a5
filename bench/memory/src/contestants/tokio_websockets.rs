use futures::SinkExt;
use tokio_websockets::{Config, ServerBuilder, WebSocketStream};

use crate::application::Application;
use crate::cell::{Act, Cell};
use crate::contestants::{BUFFER, Contestant, expect, next, now};
use crate::socket::Socket;

struct TokioWebsockets {
    socket: Socket,
    is_echo: bool,
    web_socket: WebSocketStream<Socket>,
}

pub fn new(cell: &Cell, socket: Socket) -> Box<dyn Contestant> {
    let config = Config::default().flush_threshold(BUFFER);
    let web_socket = ServerBuilder::new().config(config).serve(socket.clone());
    Box::new(TokioWebsockets { socket, is_echo: cell.act == Act::Echo, web_socket })
}

impl Contestant for TokioWebsockets {
    fn pass(&mut self, application: &mut Application) {
        loop {
            let Some(message) = next(&mut self.web_socket) else {
                expect(now(self.web_socket.flush()));
                match self.socket.wake() {
                    true => continue,
                    false => return,
                }
            };
            let message = expect(message);
            match message.as_text() {
                Some(text) => application.text(text),
                None => application.binary(message.as_payload()),
            }
            if self.is_echo {
                expect(now(self.web_socket.feed(message)));
            }
        }
    }
}
