//! RFC 6455 §5.4, §5.6, §6.2: messages in fragments, handed out whole and in pieces.

use std::borrow::Cow;

use sansocket::{
    Cause, Config, Connection, Data, Delivery, Event, Input, Kind, Message, ProtocolError, Role, Side, State,
};
use sansocket_tests::{ROLES, START, at_every_split, open, receive, wire};

const STREAMING: Config = Config::new().delivery(Delivery::Streaming);

/// Characters of one to four bytes.
const TEXT: &str = "aß€😀z";

fn opcode(kind: Kind) -> u8 {
    match kind {
        Kind::Text => wire::TEXT,
        Kind::Binary => wire::BINARY,
    }
}

/// A message in these fragments, one frame each.
fn frames(receiver: Role, kind: Kind, fragments: &[&[u8]]) -> Vec<Vec<u8>> {
    let last = fragments.len() - 1;
    let frame = |(i, payload): (usize, &&[u8])| {
        let opcode = if i == 0 { opcode(kind) } else { wire::CONTINUATION };
        if i == last {
            wire::frame(receiver, opcode, payload)
        } else {
            wire::fragment(receiver, opcode, payload)
        }
    };
    fragments.iter().enumerate().map(frame).collect()
}

fn message(kind: Kind, bytes: &[u8]) -> Event<'static> {
    Event::Message(match kind {
        Kind::Text => Message::text(String::from_utf8(bytes.to_vec()).unwrap()),
        Kind::Binary => Message::binary(bytes.to_vec()),
    })
}

/// A message in pieces, joined.
fn data(kind: Kind, bytes: &[u8]) -> Event<'static> {
    Event::Data(Data { kind, payload: Cow::Owned(bytes.to_vec()), first: true, last: true })
}

/// Every way to make three fragments of `bytes`, empty ones among them.
fn in_three(bytes: &[u8]) -> impl Iterator<Item = [&[u8]; 3]> {
    (0..=bytes.len())
        .flat_map(move |a| (a..=bytes.len()).map(move |b| [&bytes[..a], &bytes[a..b], &bytes[b..]]))
}

/// The pieces as they are handed out when the stream is cut into chunks of this size.
fn pieces(mut connection: Connection, stream: &[u8], chunk: usize) -> Vec<Data<'static>> {
    let mut pieces = Vec::new();
    for chunk in stream.chunks(chunk) {
        let (events, left) = receive(&mut connection, START, chunk);
        assert_eq!(left, 0);
        pieces.extend(events.into_iter().map(|event| match event {
            Event::Data(data) => data,
            other => panic!("{other:?}"),
        }));
    }
    pieces
}

#[test]
fn a_message_in_three_fragments_is_whole_again_however_it_is_fragmented_and_cut() {
    for role in ROLES {
        for kind in [Kind::Text, Kind::Binary] {
            for fragments in in_three(TEXT.as_bytes()) {
                let stream = frames(role, kind, &fragments).concat();
                let record = at_every_split(|| open(role, &Config::new()), &stream);
                assert_eq!(record.events, [message(kind, TEXT.as_bytes())], "{fragments:?}");
                assert_eq!((record.output.len(), record.state), (0, State::Open));
            }
        }
    }
}

#[test]
fn a_message_in_three_fragments_is_handed_out_in_pieces_that_join_to_it() {
    for role in ROLES {
        for kind in [Kind::Text, Kind::Binary] {
            for fragments in in_three(TEXT.as_bytes()) {
                let stream = frames(role, kind, &fragments).concat();
                let record = at_every_split(|| open(role, &STREAMING), &stream);
                assert_eq!(record.events, [data(kind, TEXT.as_bytes())], "{fragments:?}");
            }
        }
    }
}

#[test]
fn a_message_of_a_fragment_per_byte_and_empty_ones_between_is_received() {
    for role in ROLES {
        for kind in [Kind::Text, Kind::Binary] {
            let mut fragments: Vec<&[u8]> = vec![b""];
            for byte in TEXT.as_bytes().chunks(1) {
                fragments.extend([byte, b""]);
            }
            let stream = frames(role, kind, &fragments).concat();
            let whole = at_every_split(|| open(role, &Config::new()), &stream);
            assert_eq!(whole.events, [message(kind, TEXT.as_bytes())]);
            let joined = at_every_split(|| open(role, &STREAMING), &stream);
            assert_eq!(joined.events, [data(kind, TEXT.as_bytes())]);
        }
    }
}

#[test]
fn a_message_of_empty_fragments_is_an_empty_message() {
    for role in ROLES {
        for kind in [Kind::Text, Kind::Binary] {
            for count in 1..5 {
                let stream = frames(role, kind, &vec![&b""[..]; count]).concat();
                let whole = at_every_split(|| open(role, &Config::new()), &stream);
                assert_eq!(whole.events, [message(kind, b"")]);
                let joined = at_every_split(|| open(role, &STREAMING), &stream);
                assert_eq!(joined.events, [data(kind, b"")]);
                assert_eq!(pieces(open(role, &STREAMING), &stream, 1).len(), 1, "nothing but the end");
            }
        }
    }
}

#[test]
fn messages_one_behind_the_other_do_not_mix() {
    for role in ROLES {
        let stream: Vec<u8> = [
            frames(role, Kind::Text, &["ä".as_bytes(), b"b"]),
            frames(role, Kind::Binary, &[b"\xFF"]),
            frames(role, Kind::Binary, &[b"", b"\xC3", b""]),
            frames(role, Kind::Text, &[b""]),
            frames(role, Kind::Text, &[b"c", b"d", b"e"]),
        ]
        .concat()
        .concat();
        let expected = [
            (Kind::Text, "äb".as_bytes()),
            (Kind::Binary, b"\xFF"),
            (Kind::Binary, b"\xC3"),
            (Kind::Text, b""),
            (Kind::Text, b"cde"),
        ];
        let whole = at_every_split(|| open(role, &Config::new()), &stream);
        assert_eq!(whole.events, expected.map(|(kind, bytes)| message(kind, bytes)));
        let joined = at_every_split(|| open(role, &STREAMING), &stream);
        assert_eq!(joined.events, expected.map(|(kind, bytes)| data(kind, bytes)));
    }
}

#[test]
fn pieces_say_exactly_once_that_the_message_begins_and_ends() {
    for role in ROLES {
        for fragments in in_three(TEXT.as_bytes()) {
            let stream = frames(role, Kind::Text, &fragments).concat();
            for chunk in [1, 2, 3, 5, 8, stream.len()] {
                let pieces = pieces(open(role, &STREAMING), &stream, chunk);
                let joined: Vec<u8> = pieces.iter().flat_map(|piece| piece.payload.to_vec()).collect();
                assert_eq!(joined, TEXT.as_bytes());
                for (i, piece) in pieces.iter().enumerate() {
                    assert_eq!(piece.first, i == 0, "{fragments:?} in {chunk}");
                    assert_eq!(piece.last, i == pieces.len() - 1, "{fragments:?} in {chunk}");
                    assert!(!piece.payload.is_empty() || piece.last, "an empty piece that says nothing");
                }
            }
        }
    }
}

#[test]
fn pieces_are_handed_out_as_they_arrive() {
    for role in ROLES {
        let stream = frames(role, Kind::Binary, &[b"0123456789"]).concat();
        let mut connection = open(role, &STREAMING);
        let head = stream.len() - 10;
        assert_eq!(receive(&mut connection, START, &stream[..head]), (vec![], 0));
        for (i, byte) in stream[head..].iter().enumerate() {
            let (events, _) = receive(&mut connection, START, &[*byte]);
            let [Event::Data(piece)] = &events[..] else { panic!("{events:?}") };
            assert_eq!(piece.payload[..], [b"0123456789"[i]]);
        }
    }
}

#[test]
fn pings_and_pongs_pass_between_fragments_at_every_position() {
    let fragments = [&TEXT.as_bytes()[..2], &TEXT.as_bytes()[2..5], b"", &TEXT.as_bytes()[5..]];
    for role in ROLES {
        for (opcode, answered) in [(wire::PING, true), (wire::PONG, false)] {
            for position in 0..=fragments.len() {
                let mut all = frames(role, Kind::Text, &fragments);
                all.insert(position, wire::frame(role, opcode, "ctl"));
                let stream = all.concat();
                let control = if answered { Event::Ping(b"ctl".into()) } else { Event::Pong(b"ctl".into()) };
                let text = message(Kind::Text, TEXT.as_bytes());
                let expected = if position < 4 { [control, text] } else { [text, control] };
                let record = at_every_split(|| open(role, &Config::new()), &stream);
                assert_eq!(record.events, expected, "at {position}");
                let pongs: Vec<_> = wire::parse(&record.output).into_iter().map(|f| f.payload).collect();
                assert_eq!(pongs, vec![b"ctl".to_vec(); usize::from(answered)]);

                let record = at_every_split(|| open(role, &STREAMING), &stream);
                assert_eq!(record.events.len(), 2);
                assert!(record.events.contains(&data(Kind::Text, TEXT.as_bytes())));
            }
        }
    }
}

#[test]
fn control_frames_pass_at_all_positions_at_once() {
    for role in ROLES {
        let mut stream = Vec::new();
        let fragments = frames(role, Kind::Binary, &[b"a", b"", b"b", b"c"]);
        for (i, fragment) in (b'0'..).zip(&fragments) {
            stream.extend(wire::frame(role, wire::PING, [i]));
            stream.extend(fragment);
        }
        let record = at_every_split(|| open(role, &Config::new()), &stream);
        let mut expected: Vec<_> = (b'0'..b'4').map(|i| Event::Ping(vec![i].into())).collect();
        expected.push(message(Kind::Binary, b"abc"));
        assert_eq!(record.events, expected);
        let pongs: Vec<u8> = wire::parse(&record.output).into_iter().flat_map(|f| f.payload).collect();
        assert_eq!(pongs, b"0123");
    }
}

#[test]
fn a_close_between_fragments_ends_the_message_unfinished() {
    let fragments: [&[u8]; 4] = [b"a", b"", b"b", b"c"];
    for role in ROLES {
        for config in [Config::new(), STREAMING] {
            for position in 0..=fragments.len() {
                let mut all = frames(role, Kind::Binary, &fragments);
                all.insert(position, wire::close(role, 1000, "bye"));
                let record = at_every_split(|| open(role, &config), &all.concat());
                let finished = |event: &Event<'_>| match event {
                    Event::Message(_) => true,
                    Event::Data(data) => data.last,
                    _ => false,
                };
                assert_eq!(record.events.iter().any(finished), position == 4, "at {position}");
                assert!(matches!(record.events.last(), Some(Event::Close(frame)) if frame.reason() == "bye"));
                let close = wire::parse(&record.output);
                assert_eq!(close.len(), 1);
                assert_eq!((close[0].first, &close[0].payload), (0x88, &wire::close_payload(1000)));
                assert_eq!(record.end.cause(), &Cause::Closed(Side::Remote));
                assert!(record.end.is_clean());
            }
        }
    }
}

#[test]
fn a_fragmented_message_is_not_handed_out_before_its_last_frame() {
    for role in ROLES {
        let stream = [
            wire::fragment(role, wire::TEXT, "a"),
            wire::fragment(role, 0, "b"),
            wire::fragment(role, 0, ""),
        ]
        .concat();
        let record = at_every_split(|| open(role, &Config::new()), &stream);
        assert_eq!((record.events, record.state), (vec![], State::Open));
        assert_eq!(record.end.cause(), &Cause::Lost);
    }
}

#[test]
fn a_message_that_arrives_at_once_is_lent_and_one_that_does_not_is_owned() {
    for role in ROLES {
        let mut whole = wire::frame(role, wire::TEXT, "Hello");
        let mut connection = open(role, &Config::new());
        let mut input = Input::new(&mut whole);
        let event = connection.receive(START, &mut input);
        assert!(matches!(event, Some(Event::Message(Message::Text(Cow::Borrowed("Hello"))))));
        connection.send("while it is held").unwrap();
        assert_eq!(event, Some(message(Kind::Text, b"Hello")));

        let mut fragmented = frames(role, Kind::Text, &[b"Hel", b"lo"]).concat();
        let mut input = Input::new(&mut fragmented);
        let event = connection.receive(START, &mut input);
        assert!(matches!(event, Some(Event::Message(Message::Text(Cow::Owned(text)))) if text == "Hello"));
    }
}

/// Nothing is lost when the delivery is changed, and every message that begins in pieces ends in pieces.
#[test]
fn a_change_of_delivery_within_a_message_is_for_the_next_one() {
    for role in ROLES {
        for (before, after) in [(Config::new(), STREAMING), (STREAMING, Config::new())] {
            let stream = frames(role, Kind::Text, &[b"Hel", b"lo"]).concat();
            let next = frames(role, Kind::Text, &[b"next"]).concat();
            for cut in 1..stream.len() {
                let mut connection = open(role, &before);
                let (mut events, _) = receive(&mut connection, START, &stream[..cut]);
                connection.set_options(START, &after);
                events.extend(receive(&mut connection, START, &stream[cut..]).0);
                events.extend(receive(&mut connection, START, &next).0);
                let mut got = Vec::new();
                for event in &events {
                    match event {
                        Event::Message(message) => got.extend_from_slice(message.as_bytes()),
                        Event::Data(data) => got.extend_from_slice(&data.payload),
                        other => panic!("{other:?}"),
                    }
                }
                assert_eq!(String::from_utf8(got).unwrap(), "Hellonext", "cut at {cut}");
                let count = |flag: fn(&Data<'_>) -> bool| {
                    events.iter().filter(|event| matches!(event, Event::Data(data) if flag(data))).count()
                };
                assert_eq!(count(|data| data.first), count(|data| data.last), "cut at {cut}");
            }
        }
    }
}

#[test]
fn options_may_change_between_messages() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        let stream = frames(role, Kind::Text, &[b"a", b"b"]).concat();
        assert_eq!(receive(&mut connection, START, &stream).0, [message(Kind::Text, b"ab")]);
        connection.set_options(START, &STREAMING);
        let last = receive(&mut connection, START, &stream).0.pop();
        assert!(matches!(last, Some(Event::Data(Data { last: true, .. }))));
        connection.set_options(START, &Config::new().max_message(1));
        receive(&mut connection, START, &stream);
        assert_eq!(connection.state(), State::Closing);
        let sansocket::Transport::Open = connection.transport() else { panic!("a Close is to be written") };
        assert_eq!(connection.receive_eof(), None);
        connection.transport_failed();
        let sansocket::Transport::Close(end) = connection.transport() else { panic!("not over") };
        assert_eq!(end.cause(), &Cause::Violation(ProtocolError::MessageTooBig { len: 2, max: 1 }));
    }
}
