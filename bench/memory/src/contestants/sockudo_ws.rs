//! Its state machine without IO, and its stream around that. Timers are off in the latter, as the others have none.

use bytes::{BufMut, BytesMut};
use futures::SinkExt;
use sockudo_ws::protocol::Protocol;
use sockudo_ws::{Config, Message, Role, WebSocketStream};

use crate::application::Application;
use crate::cell::{Act, Cell};
use crate::contestants::{BUFFER, Contestant, MAX, expect, next, now};
use crate::socket::Socket;

struct WithoutIo {
    socket: Socket,
    is_echo: bool,
    protocol: Protocol,
    input: BytesMut,
    messages: Vec<Message>,
    output: BytesMut,
}

pub fn protocol(cell: &Cell, socket: Socket) -> Box<dyn Contestant> {
    Box::new(WithoutIo {
        socket,
        is_echo: cell.act == Act::Echo,
        protocol: Protocol::new(Role::Server, MAX, MAX),
        input: BytesMut::new(),
        messages: Vec::new(),
        output: BytesMut::new(),
    })
}

impl Contestant for WithoutIo {
    fn pass(&mut self, application: &mut Application) {
        let read = BUFFER.max(self.socket.turn());
        while self.socket.wake() {
            loop {
                self.input.reserve(read);
                if self.socket.read_buf(&mut (&mut self.input).limit(read)) == 0 {
                    break;
                }
                expect(self.protocol.process_into(&mut self.input, &mut self.messages));
                for message in &self.messages {
                    show(message, application);
                    if self.is_echo {
                        expect(self.protocol.encode_message(message, &mut self.output));
                    }
                }
                // What they share with the input can be used again.
                self.messages.clear();
            }
            self.socket.write(&self.output);
            self.output.clear();
        }
    }
}

struct Stream {
    socket: Socket,
    is_echo: bool,
    web_socket: WebSocketStream<Socket>,
}

pub fn stream(cell: &Cell, socket: Socket) -> Box<dyn Contestant> {
    let config = Config::builder()
        .idle_timeout(0)
        .auto_ping(false)
        .max_payload_length(MAX)
        .write_buffer_size(BUFFER)
        .build();
    let web_socket = WebSocketStream::server(socket.clone(), config);
    Box::new(Stream { socket, is_echo: cell.act == Act::Echo, web_socket })
}

impl Contestant for Stream {
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
            show(&message, application);
            if self.is_echo {
                expect(now(self.web_socket.feed(message)));
            }
        }
    }
}

fn show(message: &Message, application: &mut Application) {
    match message {
        Message::Text(text) => application.validated(true, text),
        Message::Binary(bytes) => application.binary(bytes),
        message => panic!("{message:?}"),
    }
}
