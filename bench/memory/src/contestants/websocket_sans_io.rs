//! A decoder of frames. Messages, validation and output are the program's.

use websocket_sans_io::{
    FrameInfo, Opcode, WebsocketFrameDecoder, WebsocketFrameEncoder, WebsocketFrameEvent,
};

use crate::application::Application;
use crate::cell::{Act, Cell};
use crate::contestants::{BUFFER, Contestant, expect, utf8};
use crate::socket::Socket;

struct WebsocketSansIo {
    socket: Socket,
    buffer: Vec<u8>,
    decoder: WebsocketFrameDecoder,
    assembly: Assembly,
    output: Output,
}

/// A message whose frame lies across the ends of reads.
#[derive(Default)]
struct Assembly {
    len: usize,
    message: Vec<u8>,
}

struct Output {
    is_echo: bool,
    encoder: WebsocketFrameEncoder,
    bytes: Vec<u8>,
}

pub fn new(cell: &Cell, socket: Socket) -> Box<dyn Contestant> {
    let output =
        Output { is_echo: cell.act == Act::Echo, encoder: WebsocketFrameEncoder::new(), bytes: Vec::new() };
    Box::new(WebsocketSansIo {
        buffer: vec![0; BUFFER.max(socket.turn())],
        socket,
        decoder: WebsocketFrameDecoder::new(),
        assembly: Assembly::default(),
        output,
    })
}

impl Contestant for WebsocketSansIo {
    fn pass(&mut self, application: &mut Application) {
        while self.socket.wake() {
            while let read @ 1.. = self.socket.read(&mut self.buffer) {
                self.receive(read, application);
            }
            self.socket.write(&self.output.bytes);
            self.output.bytes.clear();
        }
    }
}

impl WebsocketSansIo {
    fn receive(&mut self, read: usize, application: &mut Application) {
        let mut input = &mut self.buffer[..read];
        loop {
            let result = expect(self.decoder.add_data(input));
            let (taken, rest) = std::mem::take(&mut input).split_at_mut(result.consumed_bytes);
            input = rest;
            match result.event {
                Some(WebsocketFrameEvent::Start { frame_info, .. }) => {
                    assert!(frame_info.is_reasonable() && frame_info.fin);
                    self.assembly.len = usize::try_from(frame_info.payload_length).expect("it fits");
                }
                Some(WebsocketFrameEvent::PayloadChunk { original_opcode }) => {
                    let Assembly { len, message } = &mut self.assembly;
                    if taken.len() == *len {
                        self.output.message(original_opcode, taken, application);
                    } else {
                        if message.is_empty() {
                            message.reserve(*len);
                        }
                        message.extend_from_slice(taken);
                        if message.len() == *len {
                            self.output.message(original_opcode, message, application);
                            message.clear();
                        }
                    }
                }
                Some(WebsocketFrameEvent::End { .. }) => {}
                None if taken.is_empty() => return,
                None => {}
            }
        }
    }
}

impl Output {
    fn message(&mut self, opcode: Opcode, payload: &[u8], application: &mut Application) {
        match opcode {
            Opcode::Text => application.text(utf8(payload)),
            Opcode::Binary => application.binary(payload),
            opcode => panic!("{opcode:?}"),
        }
        if self.is_echo {
            let payload_length = payload.len() as u64;
            let info = FrameInfo { opcode, payload_length, mask: None, fin: true, reserved: 0 };
            self.bytes.extend_from_slice(&self.encoder.start_frame(&info));
            self.bytes.extend_from_slice(payload);
        }
    }
}
