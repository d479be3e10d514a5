//! RFC 6455 §8.1: text is UTF-8 (RFC 3629), and the connection fails with 1007 at the first byte that cannot be.

use core::str::from_utf8;

use sansocket::{Config, Data, Delivery, Event, Kind, Message, ProtocolError, Role, State};
use sansocket_tests::{ROLES, Record, START, at_every_split, open, receive, wire};

const WHOLE: Config = Config::new();
const STREAMING: Config = Config::new().delivery(Delivery::Streaming);

/// Valid text (Autobahn 6.2, 6.5, 6.7, 6.9, 6.11, 6.22, 6.23): the first and last characters of each length and around
/// the surrogates, noncharacters, the byte order mark.
const VALID: &[&[u8]] = &[
    b"",
    b"\x00",
    b"\x7F",
    b"\xC2\x80",
    b"\xDF\xBF",
    b"\xE0\xA0\x80",
    b"\xEF\xBF\xBF",
    b"\xF0\x90\x80\x80",
    b"\xF4\x8F\xBF\xBF",
    b"\xED\x9F\xBF",
    b"\xEE\x80\x80",
    b"\xEF\xBF\xBD",
    b"\xEF\xBF\xBE",
    b"\xF0\x9F\xBF\xBE",
    b"\xF3\xBF\xBF\xBF",
    b"\xEF\xBB\xBF",
    b"\xEF\xBF\xB9\xEF\xBF\xBA\xEF\xBF\xBB\xEF\xBF\xBC",
    b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5",
    b"\xF0\x9F\x98\x80\xE2\x82\xAC\xC3\x9FA",
];

/// Invalid text (Autobahn 6.3, 6.4, 6.8, 6.10, 6.12–6.21; cowlib #158) and the first byte that cannot be.
const INVALID: &[(&[u8], usize)] = &[
    // A surrogate, or a value beyond U+10FFFF, behind valid text.
    (b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80\x65\x64\x69\x74\x65\x64", 12),
    (b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xF4\x90\x80\x80\x65\x64\x69\x74\x65\x64", 12),
    // Five and six bytes, and what begins them.
    (b"\xF8\x88\x80\x80\x80", 0),
    (b"\xFC\x84\x80\x80\x80\x80", 0),
    (b"\xF7\xBF\xBF\xBF", 0),
    (b"\xFB\xBF\xBF\xBF\xBF", 0),
    (b"\xF4\x90\x80\x80", 1),
    (b"\xF5\x80\x80\x80", 0),
    // Continuations that continue nothing.
    (b"\x80", 0),
    (b"\xBF", 0),
    (b"\x80\xBF\x80\xBF", 0),
    (b"A\x80", 1),
    (b"\xC3\x9F\x80", 2),
    // Beginnings that are not continued.
    (b"\xC2\x20", 1),
    (b"\xC2A", 1),
    (b"\xDF\xC2", 1),
    (b"\xE0A", 1),
    (b"\xE1A", 1),
    (b"\xE1\x80A", 2),
    (b"\xEDA", 1),
    (b"\xEF\xBF\xE0", 2),
    (b"\xF0A", 1),
    (b"\xF1A", 1),
    (b"\xF1\x80A", 2),
    (b"\xF1\x80\x80A", 3),
    (b"\xF4A", 1),
    (b"\xF4\x8F\xBF\xC0", 3),
    // Never.
    (b"\xFE", 0),
    (b"\xFF", 0),
    (b"\xFE\xFE\xFF\xFF", 0),
    // Longer than need be.
    (b"\xC0\xAF", 0),
    (b"\xC1\xBF", 0),
    (b"\xC0\x80", 0),
    (b"\xE0\x80\xAF", 1),
    (b"\xE0\x9F\xBF", 1),
    (b"\xF0\x80\x80\xAF", 1),
    (b"\xF0\x8F\xBF\xBF", 1),
    (b"\xF8\x80\x80\x80\xAF", 0),
    // Surrogates, alone and in pairs.
    (b"\xED\xA0\x80", 1),
    (b"\xED\xAD\xBF", 1),
    (b"\xED\xBF\xBF", 1),
    (b"\xED\xA0\x80\xED\xB0\x80", 1),
    (b"\xED\xAF\xBF\xED\xBF\xBF", 1),
];

/// Text that is valid as far as it goes, but ends within a character (Autobahn 6.6, 6.14).
const TRUNCATED: &[&[u8]] = &[
    b"\xC2",
    b"\xDF",
    b"\xE0",
    b"\xE0\xA0",
    b"\xEF\xBF",
    b"\xF0",
    b"\xF0\x90",
    b"\xF0\x90\x80",
    b"\xF4\x8F\xBF",
    b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE",
];

/// Text to stand before: none, characters of several lengths, and so much that the wide validator is used.
fn prefixes() -> [String; 3] {
    [String::new(), "κ€😀".into(), "0123456789äöü".repeat(6)]
}

/// What streaming delivery handed out, and whether it said that the message ended.
fn streamed(events: &[Event<'_>]) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let mut ended = false;
    for event in events {
        let Event::Data(data) = event else { panic!("{event:?}") };
        assert!(!ended, "a piece behind the last one");
        bytes.extend_from_slice(&data.payload);
        ended = data.last;
    }
    (bytes, ended)
}

#[track_caller]
fn assert_1007(role: Role, record: &Record) {
    wire::assert_failed(role, record, ProtocolError::InvalidUtf8, 1007);
}

/// Whether `bytes` can be the beginning of a text, by the standard library.
fn may_go_on(bytes: &[u8]) -> bool {
    from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
}

#[test]
fn the_tables_agree_with_the_standard_library() {
    for valid in VALID {
        assert!(from_utf8(valid).is_ok());
    }
    for (invalid, at) in INVALID {
        assert!(may_go_on(&invalid[..*at]), "{invalid:02x?}");
        assert!(!may_go_on(&invalid[..=*at]), "{invalid:02x?}");
    }
    for truncated in TRUNCATED {
        assert!(from_utf8(truncated).is_err() && may_go_on(truncated));
    }
}

#[test]
fn valid_text_is_received_in_one_frame_and_in_two() {
    for role in ROLES {
        for prefix in prefixes() {
            for valid in VALID {
                let text = prefix.clone() + from_utf8(valid).unwrap();
                let message = Event::Message(Message::from(&text[..]));
                let payload = text.as_bytes().into();
                let data = Event::Data(Data { kind: Kind::Text, payload, first: true, last: true });
                let one = wire::frame(role, wire::TEXT, &text);
                assert_eq!(
                    at_every_split(|| open(role, &WHOLE), &one).events,
                    core::slice::from_ref(&message)
                );
                assert_eq!(
                    at_every_split(|| open(role, &STREAMING), &one).events,
                    core::slice::from_ref(&data)
                );
                for cut in prefix.len()..=text.len() {
                    let (a, b) = text.as_bytes().split_at(cut);
                    let two = [wire::fragment(role, wire::TEXT, a), wire::frame(role, 0, b)].concat();
                    assert_eq!(
                        at_every_split(|| open(role, &WHOLE), &two).events,
                        core::slice::from_ref(&message)
                    );
                    assert_eq!(
                        at_every_split(|| open(role, &STREAMING), &two).events,
                        core::slice::from_ref(&data)
                    );
                }
            }
        }
    }
}

#[test]
fn invalid_text_fails_the_connection_wherever_it_is_cut() {
    for role in ROLES {
        for prefix in prefixes() {
            for (invalid, at) in INVALID {
                let text = [prefix.as_bytes(), invalid].concat();
                let after = wire::frame(role, wire::TEXT, "after");
                let stream = [wire::frame(role, wire::TEXT, &text), after].concat();
                let record = at_every_split(|| open(role, &WHOLE), &stream);
                assert_eq!(record.events, []);
                assert_1007(role, &record);
                let record = at_every_split(|| open(role, &STREAMING), &stream);
                assert_eq!(streamed(&record.events), (text[..prefix.len() + at].to_vec(), false));
                assert_1007(role, &record);
            }
        }
    }
}

#[test]
fn the_first_impossible_byte_fails_the_connection_while_more_of_the_frame_is_to_come() {
    for role in ROLES {
        for prefix in prefixes() {
            for (invalid, at) in INVALID {
                let at = prefix.len() + at;
                let text = [prefix.as_bytes(), invalid, b"to come"].concat();
                for whole in [wire::frame(role, wire::TEXT, &text), wire::fragment(role, wire::TEXT, &text)] {
                    let start = whole.len() - text.len();
                    for (config, handed_out) in [(WHOLE, 0), (STREAMING, at)] {
                        let mut connection = open(role, &config);
                        let mut events = receive(&mut connection, START, &whole[..start + at]).0;
                        assert_eq!(connection.state(), State::Open, "{text:02x?}");
                        events.extend(receive(&mut connection, START, &whole[start + at..=start + at]).0);
                        assert_eq!(connection.state(), State::Closing, "{text:02x?}");
                        let frames = wire::parse(&connection.transmit().to_vec());
                        assert_eq!(frames[0].payload, wire::close_payload(1007));
                        assert_eq!(streamed(&events).0.len(), handed_out);
                        assert_eq!(receive(&mut connection, START, &whole[start + at + 1..]), (vec![], 0));
                    }
                }
            }
        }
    }
}

#[test]
fn the_first_impossible_byte_fails_the_connection_in_an_unfinished_fragment() {
    for role in ROLES {
        for (invalid, at) in INVALID {
            for cut in 0..=*at {
                let first = wire::fragment(role, wire::TEXT, &invalid[..cut]);
                let ping = wire::frame(role, wire::PING, "");
                let second = wire::fragment(role, 0, &invalid[cut..=*at]);
                let mut connection = open(role, &WHOLE);
                receive(&mut connection, START, &[first, ping].concat());
                assert_eq!(connection.state(), State::Open);
                assert_eq!(receive(&mut connection, START, &second), (vec![], 0));
                assert_eq!(connection.state(), State::Closing, "{invalid:02x?} cut at {cut}");
            }
        }
    }
}

#[test]
fn text_that_ends_within_a_character_fails_the_connection_at_its_end_and_no_sooner() {
    for role in ROLES {
        for prefix in prefixes() {
            for truncated in TRUNCATED {
                let text = [prefix.as_bytes(), truncated].concat();
                let unfinished = wire::fragment(role, wire::TEXT, &text);
                let record = at_every_split(|| open(role, &WHOLE), &unfinished);
                assert_eq!((record.events, record.state), (vec![], State::Open));
                let ends = [
                    wire::frame(role, wire::TEXT, &text),
                    [unfinished.clone(), wire::frame(role, 0, "")].concat(),
                ];
                for stream in ends {
                    let record = at_every_split(|| open(role, &WHOLE), &stream);
                    assert_eq!(record.events, []);
                    assert_1007(role, &record);
                    let record = at_every_split(|| open(role, &STREAMING), &stream);
                    assert_eq!(streamed(&record.events), (text.clone(), false));
                    assert_1007(role, &record);
                }
            }
        }
    }
}

#[test]
fn a_character_that_is_not_finished_in_one_message_is_not_finished_by_the_next() {
    for role in ROLES {
        let stream =
            [wire::frame(role, wire::TEXT, b"\xC3"), wire::frame(role, wire::TEXT, b"\x9F")].concat();
        let record = at_every_split(|| open(role, &WHOLE), &stream);
        assert_eq!(record.events, []);
        assert_1007(role, &record);
    }
}

#[test]
fn every_text_of_one_or_two_bytes_is_taken_or_not_as_the_standard_library_has_it() {
    let two = (0..=255).flat_map(|a| (0..=255).map(move |b| vec![a, b]));
    for text in (0..=255).map(|a| vec![a]).chain(two) {
        for config in [WHOLE, STREAMING] {
            let mut client = open(Role::Client, &config);
            let (events, _) = receive(&mut client, START, &wire::frame(Role::Client, wire::TEXT, &text));
            let ended = match events.last() {
                Some(Event::Message(message)) => message.as_bytes() == text,
                Some(Event::Data(data)) => data.last,
                _ => false,
            };
            assert_eq!(ended, from_utf8(&text).is_ok(), "{text:02x?}");
            assert_eq!(client.state() == State::Open, ended, "{text:02x?}");
        }
    }
}

#[test]
fn long_text_is_whole_wherever_characters_lie_across_reads() {
    for shift in 0..4 {
        let text = "x".repeat(shift) + &"😀€ß".repeat(5000);
        let stream = wire::frame(Role::Server, wire::TEXT, &text);
        for chunk in [4095, 4096, 16_383, 16_384, 16_385, 40_000] {
            let mut server = open(Role::Server, &WHOLE);
            let events: Vec<_> =
                stream.chunks(chunk).flat_map(|part| receive(&mut server, START, part).0).collect();
            assert_eq!(events, [Event::Message(Message::from(&text[..]))], "{shift} in {chunk}");
        }
    }
}

#[test]
fn a_fault_deep_in_long_text_is_found_with_its_byte() {
    for at in [4095, 4096, 16_383, 16_384, 16_385, 32_767, 32_768, 39_999] {
        let mut text = vec![b'x'; 40_000];
        text[at] = 0xC0;
        let stream = wire::fragment(Role::Server, wire::TEXT, &text);
        let start = stream.len() - text.len();
        for config in [WHOLE, STREAMING] {
            let mut server = open(Role::Server, &config);
            receive(&mut server, START, &stream[..start + at]);
            assert_eq!(server.state(), State::Open);
            receive(&mut server, START, &stream[start + at..=start + at]);
            assert_eq!(server.state(), State::Closing, "at {at}");
        }
        let mut server = open(Role::Server, &STREAMING);
        let (events, _) = receive(&mut server, START, &stream);
        assert_eq!(streamed(&events), (text[..at].to_vec(), false));
    }
}

#[test]
fn what_is_no_text_need_not_be_utf_8() {
    for role in ROLES {
        for (bytes, _) in INVALID {
            let stream =
                [wire::frame(role, wire::BINARY, bytes), wire::frame(role, wire::PING, bytes)].concat();
            let record = at_every_split(|| open(role, &WHOLE), &stream);
            let message = Event::Message(Message::from(*bytes));
            assert_eq!(record.events, [message, Event::Ping((*bytes).into())]);
            assert_eq!(record.state, State::Open);
        }
    }
}
