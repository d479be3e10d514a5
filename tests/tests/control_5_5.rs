//! RFC 6455 §5.5.2, §5.5.3: Ping and Pong. (Close is §7's.)

use sansocket::{CloseCode, Config, Connection, Event, Kind, Message, Role, SendError, State};
use sansocket_tests::{ROLES, START, at_every_split, open, receive, take_output, wire};

/// Pongs are queued while less than this waits to be written; behind that the newest Ping alone is answered.
const ROOM: usize = 4096;

fn payload(len: usize) -> Vec<u8> {
    (0..=255).cycle().take(len).collect()
}

/// The payloads of the Pongs in `output`, which must hold nothing else.
#[track_caller]
fn pongs(output: &[u8]) -> Vec<Vec<u8>> {
    let frames = wire::parse(output);
    assert!(frames.iter().all(|frame| frame.first == 0x80 | wire::PONG), "{frames:?}");
    frames.into_iter().map(|frame| frame.payload).collect()
}

/// A Ping that can be told from others.
fn numbered(i: u32) -> Vec<u8> {
    let mut payload = payload(125);
    payload[..4].copy_from_slice(&i.to_be_bytes());
    payload
}

/// Sends numbered Pings, of which every one must come as an event and be taken from the input.
fn flood(connection: &mut Connection, numbers: core::ops::Range<u32>) {
    for i in numbers {
        let ping = wire::frame(connection.role(), wire::PING, numbered(i));
        assert_eq!(receive(connection, START, &ping), (vec![Event::Ping(numbered(i).into())], 0));
    }
}

/// How many Pongs of 125 bytes are queued until `ROOM` bytes wait.
fn fitting(role: Role) -> u32 {
    let frame = if role == Role::Client { 131 } else { 127 };
    u32::try_from(ROOM.div_ceil(frame)).unwrap()
}

#[test]
fn a_ping_is_answered_with_its_payload() {
    for role in ROLES {
        for len in [0, 1, 2, 5, 124, 125] {
            let stream = wire::frame(role, wire::PING, payload(len));
            let record = at_every_split(|| open(role, &Config::new()), &stream);
            assert_eq!(record.events, [Event::Ping(payload(len).into())]);
            assert_eq!(pongs(&record.output), [payload(len)]);
            assert_eq!(record.state, State::Open);
        }
        let mut connection = open(role, &Config::new());
        for len in 0..=125 {
            receive(&mut connection, START, &wire::frame(role, wire::PING, payload(len)));
            assert_eq!(pongs(&take_output(&mut connection)), [payload(len)]);
        }
    }
}

#[test]
fn a_pong_of_a_server_has_exactly_these_bytes() {
    let record = at_every_split(
        || open(Role::Server, &Config::new()),
        b"\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
    );
    assert_eq!(record.output, b"\x8a\x05Hello");
}

#[test]
fn several_pings_are_answered_in_their_order() {
    for role in ROLES {
        let all: Vec<Vec<u8>> = (0..10).map(|i| vec![i; usize::from(i)]).collect();
        let stream: Vec<u8> = all.iter().flat_map(|ping| wire::frame(role, wire::PING, ping)).collect();
        let record = at_every_split(|| open(role, &Config::new()), &stream);
        assert_eq!(record.events.len(), 10);
        assert_eq!(pongs(&record.output), all);
    }
}

#[test]
fn a_ping_goes_between_messages_and_its_pong_too() {
    for role in ROLES {
        let stream = [
            wire::frame(role, wire::TEXT, "a"),
            wire::frame(role, wire::PING, "p"),
            wire::frame(role, wire::TEXT, "b"),
        ]
        .concat();
        let mut connection = open(role, &Config::new());
        let (events, _) = receive(&mut connection, START, &stream);
        let [a, b] = ["a", "b"].map(|text| Event::Message(Message::from(text)));
        assert_eq!(events, [a, Event::Ping(b"p".into()), b]);
        assert_eq!(pongs(&take_output(&mut connection)), [b"p"]);
    }
}

#[test]
fn section_5_5_3_while_output_waits_only_the_newest_ping_is_answered() {
    for role in ROLES {
        let n = fitting(role);
        let mut connection = open(role, &Config::new());
        flood(&mut connection, 0..n);
        let full = connection.transmit().len();
        assert!((ROOM..ROOM + 131).contains(&full));
        flood(&mut connection, n..10 * n);
        assert_eq!(connection.transmit().len(), full, "no more is queued");

        // Nothing new while the room's size waits; the newest as soon as less does.
        connection.transmitted(full - ROOM);
        assert_eq!(connection.transmit().len(), ROOM);
        connection.transmitted(1);
        let waits = connection.transmit().to_vec();
        let newest = wire::parse(&waits[ROOM - 1..]);
        assert_eq!(newest.len(), 1);
        assert_eq!((newest[0].first, &newest[0].payload), (0x8A, &numbered(10 * n - 1)));

        // It was one Pong and no more.
        connection.transmitted(connection.transmit().len());
        assert!(connection.transmit().is_empty());
    }
}

#[test]
fn section_5_5_3_all_pings_are_answered_that_come_while_there_is_room() {
    for role in ROLES {
        let n = fitting(role);
        let mut connection = open(role, &Config::new());
        flood(&mut connection, 0..n + 50);
        let mut expected: Vec<_> = (0..n).map(numbered).collect();
        expected.push(numbered(n + 49));
        assert_eq!(pongs(&take_output(&mut connection)), expected);
        flood(&mut connection, 0..5);
        assert_eq!(pongs(&take_output(&mut connection)), (0..5).map(numbered).collect::<Vec<_>>());
    }
}

#[test]
fn a_pong_waits_behind_other_output_and_the_newest_comes_when_that_is_written() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        connection.send(vec![0; ROOM]).unwrap();
        flood(&mut connection, 0..3);
        let frames = wire::parse(&take_output(&mut connection));
        assert_eq!(frames.len(), 2);
        assert_eq!((frames[1].first, &frames[1].payload), (0x8A, &numbered(2)));
    }
}

#[test]
fn a_waiting_pong_is_not_sent_behind_a_close() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        connection.send(vec![0; ROOM]).unwrap();
        flood(&mut connection, 0..3);
        connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
        let firsts: Vec<_> = wire::parse(&take_output(&mut connection)).iter().map(|f| f.first).collect();
        assert_eq!(firsts, [0x82, 0x88]);
    }
}

#[test]
fn section_5_5_1_after_our_close_a_ping_comes_but_is_not_answered() {
    for role in ROLES {
        let make = || {
            let mut connection = open(role, &Config::new());
            connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
            connection
        };
        let stream = wire::frame(role, wire::PING, "late");
        let record = at_every_split(make, &stream);
        assert_eq!(record.events, [Event::Ping(b"late".into())]);
        let firsts: Vec<_> = wire::parse(&record.output).iter().map(|frame| frame.first).collect();
        assert_eq!(firsts, [0x88]);
    }
}

#[test]
fn without_auto_pong_the_application_answers() {
    for role in ROLES {
        let manual = Config::new().auto_pong(false);
        let stream = wire::frame(role, wire::PING, "mine");
        let record = at_every_split(|| open(role, &manual), &stream);
        assert_eq!(record.events, [Event::Ping(b"mine".into())]);
        assert_eq!(record.output, b"");

        let mut connection = open(role, &manual);
        let mut bytes = stream.clone();
        let mut input = sansocket::Input::new(&mut bytes);
        let Some(Event::Ping(payload)) = connection.receive(START, &mut input) else { panic!("no Ping") };
        connection.pong(&payload).unwrap();
        assert_eq!(pongs(&take_output(&mut connection)), [b"mine"]);
    }
}

#[test]
fn section_5_5_3_an_unsolicited_pong_is_handed_out_and_asks_for_nothing() {
    for role in ROLES {
        for len in [0, 8, 125] {
            let stream = wire::frame(role, wire::PONG, payload(len));
            let record = at_every_split(|| open(role, &Config::new()), &stream);
            assert_eq!(record.events, [Event::Pong(payload(len).into())]);
            assert_eq!((record.output.len(), record.state), (0, State::Open));
            let mut connection = open(role, &Config::new());
            receive(&mut connection, START, &stream);
            assert_eq!(connection.latency(), None);
        }
    }
}

#[test]
fn control_frames_of_0_to_125_bytes_are_sent_and_longer_ones_are_refused() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        for len in 0..=125 {
            connection.ping(&payload(len)).unwrap();
            connection.pong(&payload(len)).unwrap();
            let masked = role == Role::Client;
            let [ping, pong] =
                [0x89, 0x8A].map(|first| wire::Parsed { first, masked, payload: payload(len) });
            assert_eq!(wire::parse(&take_output(&mut connection)), [ping, pong]);
        }
        for len in [126, 127, 65_536] {
            assert_eq!(connection.ping(&payload(len)), Err(SendError::ControlTooLong));
            assert_eq!(connection.pong(&payload(len)), Err(SendError::ControlTooLong));
        }
        assert!(connection.transmit().is_empty());
    }
}

#[test]
fn control_frames_go_between_the_pieces_of_a_message() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        connection.begin(Kind::Text).unwrap();
        connection.ping(b"1").unwrap();
        connection.push(b"a").unwrap();
        receive(&mut connection, START, &wire::frame(role, wire::PING, "2"));
        connection.push(b"b").unwrap();
        connection.pong(b"3").unwrap();
        connection.finish(b"c").unwrap();
        let frames = wire::parse(&take_output(&mut connection));
        let got: Vec<_> = frames.iter().map(|frame| (frame.first, &frame.payload[..])).collect();
        let expected: [(u8, &[u8]); 6] =
            [(0x89, b"1"), (0x01, b"a"), (0x8A, b"2"), (0x00, b"b"), (0x8A, b"3"), (0x80, b"c")];
        assert_eq!(got, expected);
    }
}

/// Takes the output in small steps.
fn take_in_steps(connection: &mut Connection, step: usize) -> Vec<u8> {
    let mut output = Vec::new();
    while !connection.transmit().is_empty() {
        let mut part = connection.transmit().to_vec();
        part.truncate(step);
        connection.transmitted(part.len());
        output.extend(part);
    }
    output
}

/// How many bytes of frames come before the first frame with this first byte.
fn bytes_before(output: &[u8], role: Role, first: u8) -> usize {
    let overhead = |len| if len > 125 { 4 } else { 2 } + if role == Role::Client { 4 } else { 0 };
    let frames = wire::parse(output);
    let position = frames.iter().position(|frame| frame.first == first).expect("no such frame");
    frames[..position].iter().map(|frame| frame.payload.len() + overhead(frame.payload.len())).sum()
}

/// What `Config::auto_fragment` is for: "Useful where one connection carries messages that take
/// seconds, and Pongs must not wait that long.".
#[test]
fn a_pong_goes_before_the_fragments_that_wait() {
    for role in ROLES {
        for step in [100, 1000, 10_000] {
            let mut connection = open(role, &Config::new().auto_fragment(Some(1000)));
            connection.send(vec![1; 300_000]).unwrap();
            let ahead = connection.transmit().len();
            assert!(ahead < 20_000, "{ahead}");
            receive(&mut connection, START, &wire::frame(role, wire::PING, "now"));
            let output = take_in_steps(&mut connection, step);
            let before = bytes_before(&output, role, 0x8A);
            assert!(before < ahead + 20_000, "{before} bytes before the Pong, {ahead} were queued already");
        }
    }
}

#[test]
fn a_ping_of_the_application_goes_before_the_fragments_that_wait() {
    for role in ROLES {
        let mut connection = open(role, &Config::new().auto_fragment(Some(1000)));
        connection.send(vec![1; 300_000]).unwrap();
        let ahead = connection.transmit().len();
        connection.ping(b"now").unwrap();
        let output = take_in_steps(&mut connection, 777);
        assert_eq!(bytes_before(&output, role, 0x89), ahead);
        let data: usize =
            wire::parse(&output).iter().filter(|f| f.first & 0x0F < 8).map(|f| f.payload.len()).sum();
        assert_eq!(data, 300_000);
    }
}

#[test]
fn pings_are_answered_while_a_fragmented_message_waits_and_only_the_newest_of_many() {
    for role in ROLES {
        let mut connection = open(role, &Config::new().auto_fragment(Some(1000)));
        connection.send(vec![1; 300_000]).unwrap();
        flood(&mut connection, 0..1000);
        assert!(connection.buffered() < 310_000);
        let frames = wire::parse(&take_output(&mut connection));
        let answered: Vec<_> = frames.iter().filter(|frame| frame.first == 0x8A).collect();
        assert!(!answered.is_empty() && answered.len() <= 40, "{}", answered.len());
        assert_eq!(answered.last().unwrap().payload, numbered(999));
    }
}
