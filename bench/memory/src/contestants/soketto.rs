//! It validates no text. Its examples buffer both directions of the stream.

use futures::io::{BufReader, BufWriter};
use soketto::Data;
use soketto::connection::{Builder, Mode, Receiver, Sender};

use crate::application::Application;
use crate::cell::{Act, Cell};
use crate::contestants::{BUFFER, Contestant, expect, now, utf8, wait};
use crate::socket::Socket;

type Stream = BufReader<BufWriter<Socket>>;

struct Soketto {
    socket: Socket,
    is_echo: bool,
    /// In a pass.
    messages: usize,
    sender: Sender<Stream>,
    receiver: Receiver<Stream>,
    message: Vec<u8>,
}

pub fn new(cell: &Cell, socket: Socket) -> Box<dyn Contestant> {
    let stream = BufWriter::with_capacity(BUFFER, socket.clone());
    let stream = BufReader::with_capacity(BUFFER, stream);
    let (sender, receiver) = Builder::new(stream, Mode::Server).finish();
    let (is_echo, messages) = (cell.act == Act::Echo, cell.messages());
    Box::new(Soketto { socket, is_echo, messages, sender, receiver, message: Vec::new() })
}

impl Contestant for Soketto {
    fn pass(&mut self, application: &mut Application) {
        let Self { socket, is_echo, messages, sender, receiver, message } = self;
        for _ in 0..*messages {
            message.clear();
            // To drop it while it waits would lose its place in the stream, so it never waits beyond the last message.
            let data = wait(receiver.receive_data(message), || {
                expect(now(sender.flush()));
                socket.wake() || socket.wake()
            });
            match data.map(expect) {
                None => unreachable!("there is always more"),
                Some(Data::Text(_)) => {
                    let text = utf8(message);
                    application.text(text);
                    if *is_echo {
                        expect(now(sender.send_text(text)));
                    }
                }
                Some(Data::Binary(_)) => {
                    application.binary(message);
                    if *is_echo {
                        expect(now(sender.send_binary_mut(&mut *message)));
                    }
                }
            }
        }
        expect(now(sender.flush()));
    }
}
