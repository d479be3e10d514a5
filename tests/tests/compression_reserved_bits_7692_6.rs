//! RFC 7692 §6: which frames may say that they are compressed.

use sansocket::extension::Negotiated;
use sansocket::{Config, Event, Kind, Message, ProtocolError, Role, State};
use sansocket_tests::compressed::{
    DELIVERIES, PER_FRAME, PER_MESSAGE, RSV1, agreed, deflate, deflater, event, frame, next,
};
use sansocket_tests::{ROLES, START, at_every_split, receive, wire};

const CONTROL: [u8; 3] = [wire::CLOSE, wire::PING, wire::PONG];

/// Fails at this frame, wherever the stream is cut, with no message and nothing of the frame handed out.
#[track_caller]
fn assert_reserved(role: Role, compression: Negotiated, before: &[u8], faulty: &[u8]) {
    let after = frame(role, Kind::Text, deflate("after"));
    let stream = [before, faulty, &after].concat();
    for delivery in DELIVERIES {
        let config = Config::new().delivery(delivery);
        let record = at_every_split(|| agreed(role, &config, compression), &stream);
        let begun =
            |event: &Event<'_>| matches!(event, Event::Data(data) if !data.last && *data.payload == *b"Hel");
        assert!(record.events.iter().all(begun), "{faulty:02x?}: {:?}", record.events);
        wire::assert_failed(role, &record, ProtocolError::ReservedBits, 1002);
    }
    // The first byte is enough.
    let mut connection = agreed(role, &Config::new(), compression);
    receive(&mut connection, START, before);
    assert_eq!(connection.state(), State::Open);
    receive(&mut connection, START, &faulty[..1]);
    assert_eq!(connection.state(), State::Closing, "{faulty:02x?}");
}

/// The beginnings of a message that goes on: none, plain, compressed.
fn beginnings(role: Role) -> [Vec<u8>; 4] {
    let mut piece = Vec::new();
    deflater().piece(b"Hel", &mut piece);
    let compressed = wire::fragment(role, RSV1 | wire::TEXT, piece);
    [
        vec![],
        wire::fragment(role, wire::TEXT, "Hel"),
        compressed.clone(),
        [compressed, wire::fragment(role, wire::CONTINUATION, "")].concat(),
    ]
}

#[test]
fn section_6_1_a_compressed_message_says_so_in_its_first_frame() {
    for role in ROLES {
        for delivery in DELIVERIES {
            for kind in [Kind::Text, Kind::Binary] {
                for compression in [PER_MESSAGE, PER_FRAME] {
                    let config = Config::new().delivery(delivery);
                    let stream = frame(role, kind, deflate("Hello"));
                    let record = at_every_split(|| agreed(role, &config, compression), &stream);
                    assert_eq!(record.events, [event(delivery, kind, "Hello")]);
                    assert_eq!((record.output, record.state), (vec![], State::Open));
                }
            }
        }
    }
}

#[test]
fn section_6_1_a_continuation_must_not_say_that_it_is_compressed() {
    for role in ROLES {
        for before in &beginnings(role)[1..] {
            for faulty in [wire::frame(role, RSV1, "lo"), wire::fragment(role, RSV1, "")] {
                assert_reserved(role, PER_MESSAGE, before, &faulty);
            }
        }
        // Nor one that continues nothing.
        assert_reserved(role, PER_MESSAGE, b"", &wire::frame(role, RSV1, "lo"));
    }
}

#[test]
fn section_6_1_a_control_frame_must_not_say_that_it_is_compressed() {
    for role in ROLES {
        for compression in [PER_MESSAGE, PER_FRAME] {
            for before in beginnings(role) {
                for opcode in CONTROL {
                    for payload in [&b""[..], b"\x03\xE8", &deflate("Hello")] {
                        let faulty = wire::frame(role, RSV1 | opcode, payload);
                        assert_reserved(role, compression, &before, &faulty);
                    }
                }
            }
        }
    }
}

#[test]
fn section_5_2_the_other_reserved_bits_mean_nothing_whatever_was_agreed_upon() {
    for role in ROLES {
        for compression in [PER_MESSAGE, PER_FRAME] {
            for bits in [0x10, 0x20, 0x30, 0x50, 0x60, 0x70] {
                for opcode in [wire::TEXT, wire::BINARY].into_iter().chain(CONTROL) {
                    let faulty = wire::frame(role, bits | opcode, deflate("Hello"));
                    assert_reserved(role, compression, b"", &faulty);
                }
                for before in &beginnings(role)[1..] {
                    for opcode in [wire::CONTINUATION, wire::PING] {
                        let faulty = wire::frame(role, bits | opcode, "");
                        assert_reserved(role, compression, before, &faulty);
                    }
                }
            }
        }
    }
}

#[test]
fn under_deflate_frame_any_frame_of_a_message_may_say_that_it_is_compressed() {
    for role in ROLES {
        for delivery in DELIVERIES {
            let config = Config::new().delivery(delivery);
            let mut deflater = deflater();
            let [one, two, three] = ["Hel", "lo, ", "Hello"].map(|part| next(&mut deflater, part));
            let stream = [
                wire::fragment(role, RSV1 | wire::TEXT, one),
                wire::fragment(role, RSV1, two),
                wire::frame(role, RSV1, three),
            ]
            .concat();
            let record = at_every_split(|| agreed(role, &config, PER_FRAME), &stream);
            assert_eq!(record.events, [event(delivery, Kind::Text, "Hello, Hello")]);
        }
    }
}

/// What is plain has nothing to do with the context: the messages around it refer to each other.
#[test]
fn section_6_a_message_that_does_not_say_so_is_plain() {
    for role in ROLES {
        for delivery in DELIVERIES {
            for compression in [PER_MESSAGE, PER_FRAME] {
                let config = Config::new().delivery(delivery);
                let mut deflater = deflater();
                let [first, last] =
                    ["Hello, hello, Bob", "Hello, hello, Bob"].map(|text| next(&mut deflater, text));
                assert!(last.len() < first.len());
                // It looks like one that is compressed.
                let plain = deflate("Hello");
                let stream = [
                    frame(role, Kind::Text, first),
                    wire::frame(role, wire::BINARY, &plain),
                    wire::fragment(role, wire::TEXT, "He"),
                    wire::frame(role, wire::PING, &plain),
                    wire::frame(role, 0, "y"),
                    frame(role, Kind::Binary, last),
                ]
                .concat();
                let record =
                    at_every_split(|| agreed(role, &config.clone().auto_pong(false), compression), &stream);
                let mut events = record.events;
                let ping = events.iter().position(|event| matches!(event, Event::Ping(_))).unwrap();
                assert_eq!(events.remove(ping), Event::Ping(plain.clone().into()));
                let expected = [
                    event(delivery, Kind::Text, "Hello, hello, Bob"),
                    event(delivery, Kind::Binary, &plain),
                    event(delivery, Kind::Text, "Hey"),
                    event(delivery, Kind::Binary, "Hello, hello, Bob"),
                ];
                assert_eq!(events, expected);
                assert_eq!(record.state, State::Open);
            }
        }
    }
}

#[test]
fn a_plain_message_is_lent_where_compression_was_agreed_upon_too() {
    for role in ROLES {
        let mut connection = agreed(role, &Config::new(), PER_MESSAGE);
        let mut stream = wire::frame(role, wire::TEXT, "Hello");
        let mut input = sansocket::Input::new(&mut stream);
        let event = connection.receive(START, &mut input);
        let Some(Event::Message(Message::Text(text))) = event else { panic!("{event:?}") };
        assert!(matches!(text, std::borrow::Cow::Borrowed("Hello")));
    }
}
