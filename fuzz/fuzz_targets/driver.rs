//! A `WebSocket` on a stream that moves, waits and fails as it likes, its futures dropped while they wait: what comes is what a
//! connection makes of the same bytes, once each and in order, and what was sent is written.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sansocket::{Agreed, Cause, CloseCode, Data, Delivery, Endpoint, Event, Kind, Message, Role};
use sansocket_driver::{Error, WebSocket};
use sansocket_fuzz::settings::{Settings, scaled};
use sansocket_fuzz::stream::{Part, stream};
use sansocket_fuzz::transport::{Peer, Script, timeless};
use sansocket_tests::scripted::{Clock, Socket};
use sansocket_tests::splits::run;
use sansocket_tests::wire::{BINARY, TEXT};
use sansocket_tests::{SEED, open};

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Call {
    Recv,
    RecvData,
    Send { text: bool, len: u16 },
    Feed { text: bool, len: u16 },
    Flush,
    Ping(u8),
    Close,
    ReleaseMemory,
}

/// A call whose future is dropped when it still waits after so many polls; after 255, it never is.
type Act = (Call, u8);

fuzz_target!(|input: (bool, Settings, Script, Vec<Act>, Vec<Part>)| {
    let (client, settings, script, acts, parts) = input;
    let (role, endpoint) = match client {
        true => (Role::Client, Endpoint::Client(SEED)),
        false => (Role::Server, Endpoint::Server),
    };
    let stream = stream(role, &parts);
    let config = timeless(&settings);
    let expected = run(open(role, &config), [&stream[..]]);

    let ((end, grip), clock) = (sansocket_tests::scripted::stream(), Clock::new());
    let peer = Peer::new(role, grip, &script, &stream);
    let socket = WebSocket::established(end, clock.alarm(), endpoint, &config, Agreed::new(), &[]);
    let whole = settings.delivery() == Delivery::Whole;
    let mut user = User {
        socket,
        peer,
        whole,
        in_pieces: false,
        got: Vec::new(),
        sent: Vec::new(),
        count: 0,
        closed: false,
        over: false,
    };
    for act in acts.iter().take(100) {
        user.act(*act);
        let _ = user.check_sent();
    }
    user.receive_to_the_end();
    let _ = user.check_sent();

    let expected_messages = messages(&expected.events);
    // A message that does not end is only shown in pieces.
    let complete = |(.., last): &&Got| user.in_pieces || *last;
    let expected_messages: Vec<_> = expected_messages.iter().filter(complete).cloned().collect();
    match script.cuts_reads() {
        false => assert_eq!(user.got, expected_messages),
        true => is_beginning(&user.got, &expected_messages),
    }
    let end = user.socket.disconnect().expect("it is over").clone();
    let faults = script.cuts_reads() || script.cuts_writes();
    assert!(faults || user.closed || end.cause() == expected.end.cause(), "{end:?}, not {:?}", expected.end);
    // If the peer just goes, what is queued is dropped.
    let cut = script.cuts_writes() || end.cause() == &Cause::Lost;
    let output = user.peer.finish(cut);
    assert!(cut || output.close.is_some() == end.sent().is_some());
});

/// Kind, payload, and whether it came to its end.
type Got = (Kind, Vec<u8>, bool);

fn messages(events: &[Event<'static>]) -> Vec<Got> {
    let got = |event: &Event<'static>| match event {
        Event::Message(message) => Some((message.kind(), message.as_bytes().to_vec(), true)),
        Event::Data(data) => Some((data.kind, data.payload.to_vec(), data.last)),
        _ => None,
    };
    events.iter().filter_map(got).collect()
}

/// All, or all up to some message, of which there may be only a part.
fn is_beginning(got: &[Got], of: &[Got]) {
    assert!(got.len() <= of.len());
    for (i, (part, whole)) in got.iter().zip(of).enumerate() {
        let cut = !part.2 && i + 1 == got.len();
        assert!(part == whole || cut && part.0 == whole.0 && whole.1.starts_with(&part.1));
    }
}

struct User<'s> {
    socket: Socket,
    peer: Peer<'s>,
    /// Messages come whole, whoever asks for them.
    whole: bool,
    /// What comes is asked for in pieces.
    in_pieces: bool,
    got: Vec<Got>,
    /// What was sent, and whether it surely was.
    sent: Vec<(u8, Vec<u8>, bool)>,
    /// Messages that were made.
    count: usize,
    closed: bool,
    /// The end was told.
    over: bool,
}

impl User<'_> {
    fn act(&mut self, (call, polls): Act) {
        let polls = if polls == 255 { usize::MAX } else { usize::from(polls) };
        match call {
            Call::Recv => _ = self.receive(polls),
            Call::RecvData => {
                // Of a message that has begun in pieces, `recv` skips the rest.
                self.in_pieces |= !self.whole && !self.over;
                let _ = self.receive(polls);
            }
            Call::Send { text, len } => {
                let message = self.message(text, scaled(len));
                let sending = self.socket.send(message.clone());
                let sent = self.peer.run(sending, polls);
                match sent {
                    Some(Err(Error::Send(_))) => {}
                    Some(Ok(())) => {
                        self.note(message, true);
                        self.is_written();
                    }
                    Some(Err(_)) | None => self.note(message, false),
                }
            }
            Call::Feed { text, len } => {
                let message = self.message(text, scaled(len));
                let feeding = self.socket.feed(message.clone());
                if let Some(Ok(())) = self.peer.run(feeding, polls) {
                    self.note(message, true);
                }
            }
            Call::Flush => {
                if let Some(Ok(())) = self.peer.run(self.socket.flush(), polls) {
                    self.is_written();
                }
            }
            Call::Ping(len) => _ = self.socket.ping(&vec![len; usize::from(len % 126)]),
            Call::Close => {
                self.closed = true;
                self.socket.start_close(CloseCode::NORMAL_CLOSURE);
            }
            Call::ReleaseMemory => self.socket.release_memory(),
        }
    }

    /// Whether there may be more.
    fn receive(&mut self, polls: usize) -> bool {
        let received = match self.in_pieces {
            true => {
                let received = self.peer.run(self.socket.recv_data(), polls);
                received.map(|result| result.map(|data| data.map(|data| self.piece(data))))
            }
            false => {
                let received = self.peer.run(self.socket.recv(), polls);
                received.map(|result| {
                    result.map(|message| {
                        message.map(|message| self.got.push((message.kind(), message.into_bytes(), true)))
                    })
                })
            }
        };
        self.over |= matches!(received, Some(Ok(None) | Err(_)));
        !self.over
    }

    fn piece(&mut self, data: Data<'static>) {
        let open = self.got.last_mut().filter(|(.., last)| !last);
        assert_eq!(open.is_none(), data.first);
        match open {
            None => self.got.push((data.kind, data.payload.into_owned(), data.last)),
            Some((kind, payload, last)) => {
                assert_eq!(*kind, data.kind);
                payload.extend_from_slice(&data.payload);
                *last = data.last;
            }
        }
    }

    fn receive_to_the_end(&mut self) {
        while self.receive(usize::MAX) {}
        let again = self.peer.run(self.socket.recv(), usize::MAX);
        assert!(matches!(again, Some(Ok(None))), "the end is told once");
        let flushed = self.peer.run(self.socket.flush(), usize::MAX);
        assert!(matches!(flushed, Some(Err(_))));
    }

    /// No two are the same.
    fn message(&mut self, text: bool, len: usize) -> Message<'static> {
        self.count += 1;
        let number = format!("{:08}", self.count);
        let payload = number + &"x".repeat(len);
        if text { Message::from(payload) } else { Message::from(payload.into_bytes()) }
    }

    fn note(&mut self, message: Message<'static>, surely: bool) {
        let opcode = if message.kind() == Kind::Text { TEXT } else { BINARY };
        self.sent.push((opcode, message.into_bytes(), surely));
    }

    /// Nothing that was not sent is written, nothing twice or out of order, and what was surely sent is not left out. It tells
    /// how much of what was sent that is.
    fn check_sent(&mut self) -> usize {
        self.peer.read();
        let mut passed = 0;
        for (opcode, payload) in &self.peer.output.messages {
            let rest = &self.sent[passed..];
            let left_out = rest.iter().position(|sent| (&sent.0, &sent.1) == (opcode, payload));
            let left_out = left_out.expect("it was sent, and not written before");
            assert!(rest[..left_out].iter().all(|(.., surely)| !surely), "left out");
            passed += left_out + 1;
        }
        passed
    }

    /// All that was surely sent.
    fn is_written(&mut self) {
        let passed = self.check_sent();
        assert!(self.sent[passed..].iter().all(|(.., surely)| !surely), "not written");
    }
}
