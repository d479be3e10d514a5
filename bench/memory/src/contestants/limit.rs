//! The lower bound: nothing is checked but what must be, and nothing is there for control frames, fragments, limits,
//! the end.

use crate::application::Application;
use crate::cell::{Act, Cell};
use crate::contestants::{BUFFER, Contestant, utf8};
use crate::socket::Socket;

struct Limit {
    socket: Socket,
    is_echo: bool,
    /// Room for a whole frame and a read.
    buffer: Vec<u8>,
    filled: usize,
    output: Vec<u8>,
}

pub fn new(cell: &Cell, socket: Socket) -> Box<dyn Contestant> {
    let buffer = vec![0; cell.frame().len() + BUFFER.max(socket.turn())];
    Box::new(Limit { socket, is_echo: cell.act == Act::Echo, buffer, filled: 0, output: Vec::new() })
}

impl Contestant for Limit {
    fn pass(&mut self, application: &mut Application) {
        while self.socket.wake() {
            while let read @ 1.. = self.socket.read(&mut self.buffer[self.filled..]) {
                self.filled += read;
                self.receive(application);
            }
            self.socket.write(&self.output);
            self.output.clear();
        }
    }
}

impl Limit {
    fn receive(&mut self, application: &mut Application) {
        let mut rest = &mut self.buffer[..self.filled];
        while let Some((is_text, key, head, len)) = header(rest)
            && head + len <= rest.len()
        {
            let (frame, after) = std::mem::take(&mut rest).split_at_mut(head + len);
            let payload = &mut frame[head..];
            unmask(payload, key);
            if is_text {
                application.text(utf8(payload));
            } else {
                application.binary(payload);
            }
            if self.is_echo {
                answer(&mut self.output, is_text, payload);
            }
            rest = after;
        }
        let left = rest.len();
        self.buffer.copy_within(self.filled - left..self.filled, 0);
        self.filled = left;
    }
}

/// Whether it is text, the key, the header's length and the payload's.
fn header(bytes: &[u8]) -> Option<(bool, [u8; 4], usize, usize)> {
    let (&[first, second], rest) = bytes.split_first_chunk()?;
    let (head, len) = match second & 0x7F {
        126 => (8, u16::from_be_bytes(*rest.first_chunk()?).into()),
        127 => (14, u64::from_be_bytes(*rest.first_chunk()?).try_into().ok()?),
        len => (6, len.into()),
    };
    Some((first & 0xF == 1, *bytes.get(head - 4..)?.first_chunk()?, head, len))
}

fn unmask(payload: &mut [u8], key: [u8; 4]) {
    let wide: [u8; 64] = std::array::from_fn(|index| key[index % 4]);
    let (blocks, rest) = payload.as_chunks_mut::<64>();
    let (words, bytes) = rest.as_chunks_mut::<8>();
    let xor = |bytes: &mut [u8]| bytes.iter_mut().zip(wide).for_each(|(byte, key)| *byte ^= key);
    blocks.iter_mut().for_each(|block| xor(block));
    words.iter_mut().for_each(|word| xor(word));
    xor(bytes);
}

fn answer(output: &mut Vec<u8>, is_text: bool, payload: &[u8]) {
    let opcode = if is_text { 0x81 } else { 0x82 };
    match payload.len() {
        len @ ..126 => output.extend([opcode, len as u8]),
        len @ ..0x1_0000 => {
            let [high, low] = (len as u16).to_be_bytes();
            output.extend([opcode, 126, high, low]);
        }
        len => {
            output.extend([opcode, 127]);
            output.extend((len as u64).to_be_bytes());
        }
    }
    output.extend_from_slice(payload);
}
