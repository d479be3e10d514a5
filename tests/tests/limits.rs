//! RFC 6455 §10.4: what a peer may send, and how much output may wait. What memory that takes is in `memory_laws.rs`.

use std::borrow::Cow;

use sansocket::{
    CloseCode, Config, Connection, Data, Delivery, Event, Input, Kind, Message, Prepared, ProtocolError,
    Role, SendError, State,
};
use sansocket_tests::{ROLES, START, at_every_split, open, receive, take_output, wire};

use ProtocolError::{FrameTooBig, MessageTooBig, TooManyFragments};

const STREAMING: Config = Config::new().delivery(Delivery::Streaming);

/// The header alone of a binary frame that declares `len` bytes.
fn header(receiver: Role, first: u8, len: u64) -> Vec<u8> {
    let (bit, key) = if receiver == Role::Server { (0x80, &wire::KEY[..]) } else { (0, &[][..]) };
    let (short, long) = match len {
        0..=125 => (u8::try_from(len).unwrap(), vec![]),
        126..=65_535 => (126, u16::try_from(len).unwrap().to_be_bytes().to_vec()),
        _ => (127, len.to_be_bytes().to_vec()),
    };
    [&[first, bit | short][..], &long, key].concat()
}

fn message_len(events: &[Event<'_>]) -> Option<usize> {
    match events {
        [Event::Message(message)] => Some(message.len()),
        [Event::Data(Data { payload, first: true, last: true, .. })] => Some(payload.len()),
        _ => None,
    }
}

/// Feeds the bytes and asserts that the connection failed with this error and code, and handed nothing out.
#[track_caller]
fn assert_fails_at_once(mut connection: Connection, bytes: &[u8], error: ProtocolError, code: u16) {
    assert_eq!(receive(&mut connection, START, bytes), (vec![], 0));
    assert_eq!(connection.state(), State::Closing);
    let frames = wire::parse(&take_output(&mut connection));
    assert_eq!(frames.len(), 1);
    assert_eq!((frames[0].first, &frames[0].payload), (0x88, &wire::close_payload(code)));
    connection.receive_eof();
    let sansocket::Transport::Close(end) = connection.transport() else { panic!("not over") };
    assert_eq!(end.cause(), &sansocket::Cause::Violation(error));
}

#[test]
fn a_message_of_exactly_the_limit_is_received_and_one_byte_more_fails_with_its_header() {
    for role in ROLES {
        for base in [Config::new(), STREAMING] {
            for limit in [0, 1, 2, 125, 126, 255, 4096, 65_535, 65_536, 1 << 20] {
                let config = base.clone().max_message(limit);
                let fits = vec![0; usize::try_from(limit).unwrap()];
                let mut connection = open(role, &config);
                let (events, left) = receive(&mut connection, START, &wire::frame(role, wire::BINARY, &fits));
                assert_eq!((message_len(&events), left), (Some(fits.len()), 0));
                for over in [1, 2, 1000] {
                    let len = limit + over;
                    let error = MessageTooBig { len, max: limit };
                    assert_fails_at_once(open(role, &config), &header(role, 0x82, len), error, 1009);
                }
            }
        }
    }
}

#[test]
fn the_limit_counts_all_fragments_and_holds_wherever_the_stream_is_cut() {
    for role in ROLES {
        for base in [Config::new(), STREAMING] {
            let config = base.max_message(10);
            let make = || open(role, &config);
            let begin =
                [wire::fragment(role, wire::BINARY, [0; 4]), wire::fragment(role, 0, [0; 5])].concat();
            let fits = [&begin[..], &wire::frame(role, 0, [0]), &wire::frame(role, 2, [0; 10])].concat();
            let record = at_every_split(make, &fits);
            assert_eq!((record.events.len(), record.state), (2, State::Open));
            for last in [wire::frame(role, 0, [0; 2]), wire::fragment(role, 0, [0; 2])] {
                let record = at_every_split(make, &[&begin[..], &last, &fits].concat());
                assert!(
                    record.events.iter().all(|event| message_len(core::slice::from_ref(event)).is_none())
                );
                wire::assert_failed(role, &record, MessageTooBig { len: 11, max: 10 }, 1009);
            }
        }
    }
}

#[test]
fn a_fragment_that_is_one_too_many_bytes_fails_with_its_header() {
    for role in ROLES {
        let config = Config::new().max_message(1000);
        let begin = wire::fragment(role, wire::BINARY, [0; 990]);
        for first in [0x00, 0x80] {
            let stream = [&begin[..], &header(role, first, 11)].concat();
            assert_fails_at_once(open(role, &config), &stream, MessageTooBig { len: 1001, max: 1000 }, 1009);
        }
    }
}

#[test]
fn lengths_do_not_overflow_behind_a_fragment() {
    let most = i64::MAX.unsigned_abs();
    for role in ROLES {
        let begin = wire::fragment(role, wire::BINARY, [0]);
        for len in [(1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 62, most] {
            let stream = [&begin[..], &header(role, 0x80, len)].concat();
            let config = Config::new().max_frame(u64::MAX);
            let error = MessageTooBig { len: len + 1, max: 1 << 20 };
            assert_fails_at_once(open(role, &config), &stream, error, 1009);

            let mut unlimited = open(role, &Config::new().max_message(u64::MAX));
            let payload = [&stream[..], &[0; 100]].concat();
            assert_eq!(receive(&mut unlimited, START, &payload), (vec![], 0));
            assert_eq!(unlimited.state(), State::Open);
        }
    }
}

#[test]
fn a_limit_for_frames_may_be_lower_than_that_for_messages() {
    for role in ROLES {
        let config = Config::new().max_message(25).max_frame(10);
        let fits = [
            wire::fragment(role, wire::BINARY, [0; 10]),
            wire::fragment(role, 0, [0; 10]),
            wire::frame(role, 0, [0; 5]),
        ]
        .concat();
        let record = at_every_split(|| open(role, &config), &fits);
        assert_eq!(message_len(&record.events), Some(25));
        for (first, before) in [(0x82, vec![]), (0x80, wire::fragment(role, wire::BINARY, [0]))] {
            let stream = [before, header(role, first, 11)].concat();
            assert_fails_at_once(open(role, &config), &stream, FrameTooBig { len: 11, max: 10 }, 1009);
        }
        let higher = Config::new().max_message(25).max_frame(100);
        let error = MessageTooBig { len: 26, max: 25 };
        assert_fails_at_once(open(role, &higher), &header(role, 0x82, 26), error, 1009);
    }
}

#[test]
fn control_frames_are_within_every_limit() {
    for role in ROLES {
        let config = Config::new().max_message(0).max_fragments(1);
        let stream = [
            wire::frame(role, wire::PING, [1; 125]),
            wire::frame(role, wire::PONG, [2; 125]),
            wire::close(role, 1000, &"r".repeat(123)),
        ]
        .concat();
        let record = at_every_split(|| open(role, &config), &stream);
        assert_eq!(record.events.len(), 3);
        assert!(record.end.is_clean());
    }
}

#[test]
fn a_message_may_come_in_16_384_fragments_and_not_in_one_more() {
    for role in ROLES {
        for payload in [&b"x"[..], b""] {
            let begin = wire::fragment(role, wire::TEXT, payload);
            let stream = [begin, wire::fragment(role, 0, payload).repeat(16_382)].concat();
            let mut connection = open(role, &Config::new());
            assert_eq!(receive(&mut connection, START, &stream), (vec![], 0));
            let (events, _) = receive(&mut connection, START, &wire::frame(role, 0, payload));
            assert_eq!(message_len(&events), Some(payload.len() * 16_384));
            // Counted anew for the next message.
            receive(&mut connection, START, &stream);
            receive(&mut connection, START, &wire::fragment(role, 0, payload));
            assert_eq!(connection.state(), State::Open);
            let error = TooManyFragments { max: 16_384 };
            let one_more = header(role, 0x80, u64::try_from(payload.len()).unwrap());
            assert_fails_at_once(connection, &one_more, error, 1008);
        }
    }
}

#[test]
fn the_limit_of_fragments_holds_wherever_the_stream_is_cut() {
    for role in ROLES {
        for base in [Config::new(), STREAMING] {
            let config = base.max_fragments(3);
            let begin = [
                wire::fragment(role, wire::BINARY, ""),
                wire::frame(role, wire::PING, ""),
                wire::fragment(role, 0, ""),
                wire::frame(role, wire::PONG, ""),
            ]
            .concat();
            let fits = [&begin[..], &wire::frame(role, 0, ""), &wire::frame(role, 2, "")].concat();
            let record = at_every_split(|| open(role, &config), &fits);
            assert_eq!((record.events.len(), record.state), (4, State::Open));
            for last in [wire::frame(role, 0, ""), wire::fragment(role, 0, "")] {
                let over = [&begin[..], &wire::fragment(role, 0, ""), &last].concat();
                let mut record = at_every_split(|| open(role, &config.clone().auto_pong(false)), &over);
                assert_eq!(record.events, [Event::Ping(Cow::Borrowed(&[])), Event::Pong(Cow::Borrowed(&[]))]);
                record.events.clear();
                wire::assert_failed(role, &record, TooManyFragments { max: 3 }, 1008);
            }
        }
    }
}

#[test]
fn no_fragments_are_one_wherever_the_stream_is_cut() {
    for (role, base) in ROLES.into_iter().flat_map(|role| [(role, Config::new()), (role, STREAMING)]) {
        let config = base.max_fragments(0);
        let whole = wire::frame(role, wire::TEXT, "x").repeat(2);
        let record = at_every_split(|| open(role, &config), &whole);
        assert_eq!((record.events.len(), record.state), (2, State::Open));
        let over = [wire::fragment(role, wire::TEXT, "x"), wire::frame(role, 0, "")].concat();
        let record = at_every_split(|| open(role, &config), &over);
        wire::assert_failed(role, &record, TooManyFragments { max: 1 }, 1008);
    }
}

/// Echoes what comes, as far as it can be taken, and keeps the rest in `inbox`.
fn echo(connection: &mut Connection, inbox: &mut Vec<u8>, got: &mut Vec<Message<'static>>) {
    let mut input = Input::new(inbox);
    while let Some(event) = connection.receive(START, &mut input) {
        let Event::Message(message) = event else { panic!("{event:?}") };
        connection.send(message.borrow()).unwrap();
        got.push(message.into_owned());
    }
    *inbox = input.into_rest().to_vec();
}

#[test]
fn input_waits_while_output_has_reached_the_high_water_mark_and_nothing_is_lost() {
    for role in ROLES {
        let sent: Vec<_> = (0..100).map(|i| Message::from(format!("message {i}").repeat(i % 4))).collect();
        let stream: Vec<u8> =
            sent.iter().flat_map(|message| wire::frame(role, wire::TEXT, message.as_bytes())).collect();
        for (chunk, write) in [(1, 1), (7, 3), (50, 1000), (stream.len(), 10), (stream.len(), 100_000)] {
            let mut connection = open(role, &Config::new().high_water(100));
            let (mut inbox, mut got, mut output) = (Vec::new(), Vec::new(), Vec::new());
            let mut chunks = stream.chunks(chunk);
            let mut waited = false;
            loop {
                echo(&mut connection, &mut inbox, &mut got);
                let queued = connection.transmit().len();
                assert!(queued < 100 + 60, "at most one message beyond the mark: {queued}");
                assert_eq!(connection.wants_read(), queued < 100);
                if connection.wants_read() {
                    assert!(inbox.is_empty(), "input is left although more is wanted");
                    if let Some(chunk) = chunks.next() {
                        inbox.extend_from_slice(chunk);
                        continue;
                    }
                }
                waited |= !inbox.is_empty();
                if queued == 0 {
                    break;
                }
                let mut part = connection.transmit().to_vec();
                part.truncate(write);
                connection.transmitted(part.len());
                output.extend(part);
            }
            assert_eq!(got, sent);
            assert!(waited || chunk == 1, "input was to be kept when it came in chunks of {chunk}");
            let echoed: Vec<_> = wire::parse(&output).into_iter().map(|frame| frame.payload).collect();
            assert_eq!(echoed, sent.iter().map(|message| message.as_bytes().to_vec()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn input_goes_on_as_soon_as_output_is_below_the_high_water_mark() {
    for role in ROLES {
        let mut connection = open(role, &Config::new().high_water(100));
        connection.send(vec![0; 200]).unwrap();
        let over = connection.transmit().len() - 100;
        let stream = wire::frame(role, wire::TEXT, "x");
        assert_eq!(receive(&mut connection, START, &stream), (vec![], stream.len()));
        connection.transmitted(over);
        assert_eq!(receive(&mut connection, START, &stream), (vec![], stream.len()));
        assert!(!connection.wants_read());
        connection.transmitted(1);
        assert!(connection.wants_read());
        assert_eq!(receive(&mut connection, START, &stream).0, [Event::Message(Message::from("x"))]);
    }
}

/// A mark of zero cannot mean that nothing is ever received: nothing would ever be written to go below it.
#[test]
fn with_a_high_water_mark_of_zero_input_is_taken_while_nothing_waits() {
    for role in ROLES {
        let mut connection = open(role, &Config::new().high_water(0));
        let (events, left) = receive(&mut connection, START, &wire::frame(role, wire::TEXT, "x"));
        assert_eq!((message_len(&events), left), (Some(1), 0));
    }
}

/// An open connection with more than the high-water mark of output, most of it in fragments that wait.
fn with_fragments_waiting(role: Role) -> Connection {
    let mut connection = open(role, &Config::new().auto_fragment(Some(1000)));
    connection.send(vec![0; 200_000]).unwrap();
    assert!(connection.transmit().len() < 64 << 10 && connection.buffered() > 64 << 10);
    connection
}

#[test]
fn messages_wait_behind_fragments_that_wait_and_control_frames_pass() {
    for role in ROLES {
        let text = wire::frame(role, wire::TEXT, "x");
        let ping = wire::frame(role, wire::PING, "p");
        let mut connection = with_fragments_waiting(role);
        let mut stream = [&ping[..], &text, &ping].concat();
        let mut input = Input::new(&mut stream);
        assert_eq!(connection.receive(START, &mut input), Some(Event::Ping(b"p".into())));
        assert_eq!(connection.receive(START, &mut input), None);
        let mut left = input.into_rest().to_vec();
        assert!(!left.is_empty());
        assert!(!connection.wants_read(), "what is read now only piles up");
        take_output(&mut connection);
        assert!(connection.wants_read());
        left.extend(&text);
        let (events, _) = receive(&mut connection, START, &left);
        let message = Event::Message(Message::from("x"));
        assert_eq!(events, [message.clone(), Event::Ping(b"p".into()), message]);
    }
}

#[test]
fn a_control_frame_passes_fragments_that_wait_wherever_its_header_is_cut() {
    for role in ROLES {
        let ping = wire::frame(role, wire::PING, "p");
        for cut in 0..=ping.len() {
            let mut connection = with_fragments_waiting(role);
            let (first, second) = ping.split_at(cut);
            let mut events = receive(&mut connection, START, first).0;
            events.extend(receive(&mut connection, START, second).0);
            assert_eq!(events, [Event::Ping(b"p".into())], "cut at {cut}");
        }
    }
}

/// `receive` says that it cannot go on by leaving input: if it leaves none, everything that came has been handed out.
#[test]
fn an_empty_message_that_waits_behind_fragments_is_handed_out_when_they_are_written() {
    for role in ROLES {
        let mut connection = with_fragments_waiting(role);
        let stream = wire::frame(role, wire::TEXT, "");
        let (events, left) = receive(&mut connection, START, &stream);
        assert_eq!(events, []);
        assert_ne!(left, 0, "the message is still to be handed out, so input must be left");
        take_output(&mut connection);
        let (events, _) = receive(&mut connection, START, &stream[stream.len() - left..]);
        assert_eq!(message_len(&events), Some(0));
    }
}

#[test]
fn fragments_that_wait_make_no_difference_to_what_is_received() {
    for role in ROLES {
        let stream: Vec<u8> = [
            wire::frame(role, wire::TEXT, "a"),
            wire::frame(role, wire::BINARY, ""),
            wire::fragment(role, wire::TEXT, "b"),
            wire::fragment(role, 0, ""),
            wire::frame(role, 0, "c"),
            wire::frame(role, wire::TEXT, ""),
        ]
        .concat();
        let record = at_every_split(|| with_fragments_waiting(role), &stream);
        let [a, bc, empty] = ["a", "bc", ""].map(|text| Event::Message(Message::from(text)));
        assert_eq!(record.events, [a, Event::Message(Message::from(vec![])), bc, empty]);
    }
}

#[test]
fn a_message_is_refused_when_the_hard_limit_is_queued_before_it() {
    for role in ROLES {
        let config = Config::new().hard_limit(1000);
        let mut connection = open(role, &config);
        connection.send(vec![0; 900]).unwrap();
        assert!(connection.buffered() < 1000);
        connection.send(vec![0; 50_000]).expect("one message may go beyond");
        let queued = connection.buffered();
        assert!((50_900..51_000).contains(&queued));

        assert_eq!(connection.can_send(), Err(SendError::Full));
        assert_eq!(connection.send("x"), Err(SendError::Full));
        assert_eq!(connection.begin(Kind::Text), Err(SendError::Full));
        assert_eq!(connection.ping(b""), Err(SendError::Full));
        assert_eq!(connection.pong(b""), Err(SendError::Full));
        assert_eq!(connection.probe(START), Err(SendError::Full));
        assert_eq!(connection.buffered(), queued, "nothing of it was queued");

        connection.transmitted(queued - 1000);
        assert_eq!(connection.send("x"), Err(SendError::Full));
        connection.transmitted(1);
        connection.send("x").unwrap();
        connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
    }
}

/// Shared payloads take no memory of their own: where addresses have 32 bits, more can be queued than they count.
#[test]
fn what_is_queued_can_be_counted_however_high_the_hard_limit_is() {
    const LEN: u64 = 64 << 20;
    let message = Prepared::binary(vec![0; usize::try_from(LEN).unwrap()]);
    for fragment in [None, Some(1 << 20)] {
        let config = Config::new().auto_fragment(fragment).hard_limit(usize::MAX);
        let mut server = open(Role::Server, &config);
        let sent: u64 = (0..100).map(|_| u64::from(server.send_prepared(&message).is_ok())).sum();
        assert!(sent == 100 || server.can_send() == Err(SendError::Full));
        assert!(sent >= 16, "{sent}");
        let exact = sent * LEN..sent * LEN + 65_536;
        assert!(exact.contains(&server.buffered().try_into().unwrap()));

        let mut written = 0;
        while !server.transmit().is_empty() {
            let ready = server.transmit().len();
            written += u64::try_from(ready).unwrap();
            server.transmitted(ready);
        }
        assert!(exact.contains(&written), "{written}");
    }
}

#[test]
fn a_message_that_is_refused_is_given_back_as_it_was() {
    for role in ROLES {
        let mut connection = open(role, &Config::new().hard_limit(10));
        connection.send(vec![0; 10]).unwrap();
        let bytes = vec![7; 30_000];
        let address = bytes.as_ptr();
        let rejected = connection.try_send(bytes).unwrap_err();
        assert_eq!(rejected.error, SendError::Full);
        let Message::Binary(Cow::Owned(bytes)) = rejected.message else { panic!("not what was sent") };
        assert_eq!((bytes.as_ptr(), bytes), (address, vec![7; 30_000]));
        take_output(&mut connection);
        connection.try_send("now").unwrap();
    }
}

#[test]
fn a_close_goes_out_although_the_hard_limit_is_reached() {
    for role in ROLES {
        let mut closing = open(role, &Config::new().hard_limit(10));
        closing.send(vec![0; 10]).unwrap();
        closing.close(START, CloseCode::GOING_AWAY).unwrap();
        let mut failing = open(role, &Config::new().hard_limit(10));
        failing.send(vec![0; 10]).unwrap();
        receive(&mut failing, START, &[0x83]);
        for (mut connection, code) in [(closing, 1001), (failing, 1002)] {
            let frames = wire::parse(&take_output(&mut connection));
            assert_eq!(frames.len(), 2);
            assert_eq!((frames[1].first, &frames[1].payload), (0x88, &wire::close_payload(code)));
        }
    }
}
