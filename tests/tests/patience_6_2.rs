//! RFC 6455 §6.2 where the caller waits for whole messages: what is not all there stays in its buffer.

use core::ops::Range;
use core::time::Duration;
use std::borrow::Cow;

use sansocket::{
    Cause, Config, Connection, Data, Delivery, Event, Input, Instant, Kind, Message, ProtocolError, Role,
    Transport,
};
use sansocket_tests::pair::Dice;
use sansocket_tests::splits::run;
use sansocket_tests::wire::{self, BINARY, CONTINUATION, PING, TEXT};
use sansocket_tests::{ROLES, START, compressed, open, take_output};

const KIB: usize = 1024;
const PATIENCE: usize = 100 * KIB;

/// One end that reads into a buffer of its own and leaves there what is not whole.
struct Patient {
    connection: Connection,
    buffer: Vec<u8>,
    missing: usize,
    /// How many of the messages were lent.
    lent: usize,
}

impl Patient {
    fn new(connection: Connection) -> Self {
        Self { connection, buffer: Vec::new(), missing: 0, lent: 0 }
    }

    fn read(&mut self, now: Instant, bytes: &[u8]) -> Vec<Event<'static>> {
        self.buffer.extend_from_slice(bytes);
        let mut input = Input::new(&mut self.buffer).with_patience(PATIENCE);
        let mut events = Vec::new();
        while let Some(event) = self.connection.receive(now, &mut input) {
            self.lent += usize::from(matches!(
                event,
                Event::Message(Message::Binary(Cow::Borrowed(_)) | Message::Text(Cow::Borrowed(_)))
            ));
            events.push(event.into_owned());
        }
        self.missing = input.missing();
        self.buffer = input.into_rest().to_vec();
        events
    }
}

/// Messages of all lengths and kinds, control frames and fragments between them, and where those of one frame are: the
/// ones that may be left, and short texts.
fn stream(receiver: Role) -> (Vec<u8>, Vec<Range<usize>>, Vec<Range<usize>>) {
    let text = |len| "é".repeat(len / 2);
    let mut stream = Vec::new();
    let mut long = Vec::new();
    let mut short = Vec::new();
    for len in [0, 1, 125, 126, 200, 16 * KIB, 40 * KIB, 65_535, 65_536, PATIENCE] {
        for (opcode, payload) in
            [(BINARY, vec![7; len]), (PING, b"between".to_vec()), (TEXT, text(len).into())]
        {
            let start = stream.len();
            stream.extend(wire::frame(receiver, opcode, payload));
            match opcode {
                BINARY => long.push(start..stream.len()),
                TEXT if len >= 16 * KIB => long.push(start..stream.len()),
                TEXT => short.push(start..stream.len()),
                _ => {}
            }
        }
    }
    stream.extend(wire::fragment(receiver, BINARY, vec![8; 20 * KIB]));
    stream.extend(wire::frame(receiver, PING, "within"));
    stream.extend(wire::frame(receiver, CONTINUATION, vec![9; 20 * KIB]));
    stream.extend(wire::close(receiver, 1000, "bye"));
    (stream, long, short)
}

#[test]
fn the_same_events_come_and_the_same_is_written_wherever_the_stream_is_cut() {
    for role in ROLES {
        let (stream, ..) = stream(role);
        let expected = run(open(role, &Config::new()), [&stream[..]]);
        let mut dice = Dice::new(5);
        for most in [1, 2, 13, 500, 5000, 70_000, 70_000, 70_000, stream.len()] {
            let mut end = Patient::new(open(role, &Config::new()));
            let (mut events, mut output) = (Vec::new(), Vec::new());
            let mut rest = &stream[..];
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(rest.len().min(1 + dice.below(most)));
                events.extend(end.read(START, piece));
                output.extend(take_output(&mut end.connection));
                rest = behind;
            }
            assert_eq!(end.buffer, b"", "all is taken");
            assert_eq!(events, expected.events, "{role:?}, pieces of up to {most}");
            assert_eq!(output, expected.output, "{role:?}, pieces of up to {most}");
        }
    }
}

#[test]
fn a_message_of_one_frame_is_lent_however_it_came() {
    for role in ROLES {
        let (stream, long, short) = stream(role);
        let mut end = Patient::new(open(role, &Config::new()));
        stream.chunks(100).for_each(|piece| drop(end.read(START, piece)));
        // Texts shorter than 16 KiB are taken as they come.
        let came_whole = |range: &&Range<usize>| range.start / 100 == (range.end - 1) / 100;
        let whole = short.iter().filter(came_whole).count();
        assert!(whole < short.len());
        assert_eq!(end.lent, long.len() + whole);
    }
}

#[test]
fn what_is_missing_is_told_exactly_once_the_header_is_there() {
    for (role, head) in [(Role::Server, 8), (Role::Client, 4)] {
        let frame = wire::frame(role, BINARY, vec![7; 1000]);
        for cut in 1..frame.len() {
            let mut end = Patient::new(open(role, &Config::new()));
            assert_eq!(end.read(START, &frame[..cut]), []);
            assert_eq!(end.buffer.len(), cut, "nothing is taken");
            let missing = if cut < head { 1 } else { frame.len() - cut };
            assert_eq!(end.missing, missing, "{role:?}, cut at {cut}");
            assert_eq!(end.read(START, &frame[cut..]).len(), 1);
            assert_eq!(end.missing, 0);
        }
    }
}

#[test]
fn a_short_text_fails_at_its_first_wrong_byte_and_a_long_one_when_it_is_whole() {
    for role in ROLES {
        for (len, left) in [(1000, false), (16 * KIB - 1, false), (16 * KIB, true)] {
            let mut text = vec![b'x'; len];
            text[10] = 0xFF;
            let frame = wire::frame(role, TEXT, &text);
            let mut end = Patient::new(open(role, &Config::new()));
            let (first, rest) = frame.split_at(100);
            assert_eq!(end.read(START, first), []);
            assert_eq!(end.connection.state() == sansocket::State::Open, left, "{len}");
            assert_eq!(end.read(START, rest), []);
            take_output(&mut end.connection);
            end.connection.receive_eof();
            let Transport::Close(verdict) = end.connection.transport() else { panic!("not over") };
            assert_eq!(*verdict.cause(), Cause::Violation(ProtocolError::InvalidUtf8));
        }
    }
}

#[test]
fn a_message_that_is_too_long_is_refused_when_its_header_is_there() {
    let limits = [Config::new().max_message(1000), Config::new().max_frame(1000)];
    for (config, role) in limits.iter().flat_map(|config| ROLES.map(|role| (config, role))) {
        let frame = wire::frame(role, BINARY, vec![7; 1001]);
        let mut end = Patient::new(open(role, config));
        assert_eq!(end.read(START, &frame[..20]), []);
        assert_ne!(end.connection.state(), sansocket::State::Open);
        assert_eq!((end.buffer.len(), end.missing), (0, 0), "nothing is waited for");
    }
}

#[test]
fn longer_messages_than_there_is_patience_for_are_taken_as_they_come() {
    for role in ROLES {
        let frame = wire::frame(role, BINARY, vec![7; PATIENCE + 1]);
        let mut end = Patient::new(open(role, &Config::new()));
        assert_eq!(end.read(START, &frame[..PATIENCE]), []);
        assert_eq!((end.buffer.len(), end.missing), (0, 0));
        assert_eq!(end.read(START, &frame[PATIENCE..]).len(), 1);
        assert_eq!(end.lent, 0);
    }
}

#[test]
fn a_message_that_is_delivered_in_pieces_is_not_waited_for() {
    for role in ROLES {
        let frame = wire::frame(role, BINARY, vec![7; 1000]);
        let mut end = Patient::new(open(role, &Config::new().delivery(Delivery::Streaming)));
        let piece =
            Data { kind: Kind::Binary, payload: Cow::Borrowed(&[7; 100][..]), first: true, last: false };
        let head = frame.len() - 1000;
        assert_eq!(end.read(START, &frame[..head + 100]), [Event::Data(piece)]);
        assert_eq!(end.missing, 0);
    }
}

#[test]
fn a_compressed_message_is_not_waited_for() {
    let mut end = Patient::new(compressed::open(Role::Server, &Config::new()));
    let noise: Vec<u8> = (0..50_000_u32).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    let frame = compressed::frame(Role::Server, Kind::Binary, compressed::deflate(&noise));
    let (first, rest) = frame.split_at(frame.len() / 2);
    assert_eq!(end.read(START, first), []);
    assert_eq!((end.buffer.len(), end.missing), (0, 0));
    assert!(end.read(START, rest) == [Event::Message(Message::Binary(noise.into()))]);
}

#[test]
fn a_peer_whose_message_is_still_coming_is_not_silent() {
    let config = Config::new().idle_timeout(Some(Duration::from_secs(10)));
    for role in ROLES {
        let frame = wire::frame(role, BINARY, vec![7; 20 * KIB]);
        let mut end = Patient::new(open(role, &config));
        let mut now = START;
        for byte in &frame[..100] {
            now = now + Duration::from_secs(9);
            assert_eq!(end.read(now, &[*byte]), []);
            end.connection.handle_timeout(now);
            assert_eq!(end.connection.state(), sansocket::State::Open);
        }
        end.connection.handle_timeout(now + Duration::from_secs(10));
        assert_ne!(end.connection.state(), sansocket::State::Open, "it is silent now");
    }
}

/// As a loop does that takes one message at a time.
#[test]
fn receive_message_and_receive_come_to_the_same() {
    for role in ROLES {
        let (stream, ..) = stream(role);
        let expected = run(open(role, &Config::new()), [&stream[..]]);
        for most in [1, 100, 70_000, stream.len()] {
            let mut connection = open(role, &Config::new());
            let (mut events, mut output, mut quick) = (Vec::new(), Vec::new(), 0);
            for piece in stream.chunks(most) {
                let mut piece = piece.to_vec();
                let mut input = Input::new(&mut piece);
                loop {
                    let message = connection.receive_message(|| unreachable!("nothing is wrong"), &mut input);
                    quick += usize::from(message.is_some());
                    let event = match message {
                        Some(message) => Some(Event::Message(message)),
                        None => connection.receive(START, &mut input),
                    };
                    let Some(event) = event else { break };
                    events.push(event.into_owned());
                }
                output.extend(take_output(&mut connection));
            }
            assert_eq!(quick > 0, most > 1);
            assert!(events == expected.events, "{role:?}, {most}");
            assert!(output == expected.output, "{role:?}, {most}");
        }
    }
}

#[test]
fn receive_message_fails_the_connection_over_a_text_that_is_none() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        let [good, bad, behind] =
            [&b"good"[..], b"\xFF", b"behind"].map(|text| wire::frame(role, TEXT, text));
        let mut bytes = [good, bad, behind].concat();
        let mut input = Input::new(&mut bytes);
        assert!(connection.receive(START, &mut input).is_some());
        let mut asked = 0;
        let mut now = || {
            asked += 1;
            START
        };
        assert_eq!(connection.receive_message(&mut now, &mut input), None);
        assert!(input.is_empty(), "what else was sent makes no difference");
        assert_eq!(connection.receive_message(&mut now, &mut input), None);
        assert_eq!(asked, 1);
        let output = take_output(&mut connection);
        assert_eq!(output[..2], [0x88, if role == Role::Client { 0x82 } else { 2 }], "{output:?}");
        connection.receive_eof();
        let Transport::Close(verdict) = connection.transport() else { panic!("not over") };
        assert_eq!(*verdict.cause(), Cause::Violation(ProtocolError::InvalidUtf8));
    }
}

#[test]
fn memory_is_asked_for_once_and_for_a_long_message_only() {
    const LONG: usize = 16 * 1024;
    for role in ROLES {
        for (opcode, len) in
            [BINARY, TEXT].into_iter().flat_map(|it| [(it, LONG - 1), (it, LONG), (it, 4 * LONG)])
        {
            let mut connection = open(role, &Config::new());
            let mut frame = wire::frame(role, opcode, vec![b'x'; len]);
            let mut asked = Vec::new();
            let mut lender = |wanted| {
                asked.push(wanted);
                Vec::with_capacity(wanted)
            };
            let mut lens = Vec::new();
            for read in frame.chunks_mut(10_000) {
                let mut input = Input::new(read).with_memory(&mut lender);
                while let Some(Event::Message(message)) = connection.receive(START, &mut input) {
                    assert!(message.as_bytes().iter().all(|byte| *byte == b'x'));
                    lens.push(message.len());
                }
            }
            assert_eq!(lens, [len]);
            assert_eq!(asked, if len < LONG { vec![] } else { vec![len] });
        }
    }
}

/// The message may be lent from where its payload is read, and the memory would stay with an idle connection.
#[test]
fn a_header_alone_takes_no_memory_that_is_lent() {
    for role in ROLES {
        for opcode in [BINARY, TEXT] {
            let mut connection = open(role, &Config::new());
            let mut frame = wire::frame(role, opcode, vec![b'x'; 20_000]);
            let (header, payload) = frame.split_at_mut(if role == Role::Server { 8 } else { 4 });
            let mut lender = |wanted| panic!("asked for {wanted}");
            assert!(connection.receive(START, &mut Input::new(header).with_memory(&mut lender)).is_none());
            let mut input = Input::new(payload).with_memory(&mut lender);
            let Some(Event::Message(message)) = connection.receive(START, &mut input) else {
                panic!("no message")
            };
            assert_eq!(message.len(), 20_000);
        }
    }
}
