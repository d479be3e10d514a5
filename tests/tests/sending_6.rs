//! RFC 6455 §5.4, §6.1: messages out, whole and in pieces. How they are written is in `output_6_1.rs`.

use core::error::Error as _;
use std::borrow::Cow;

use sansocket::{CloseCode, Config, Connection, Kind, Message, Prepared, SendError, State};
use sansocket_tests::{ROLES, START, asking, open, receive, take_output, wire};

fn payload(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

/// First byte and payload of each frame that is queued.
fn frames_of(connection: &mut Connection) -> Vec<(u8, Vec<u8>)> {
    wire::parse(&take_output(connection)).into_iter().map(|frame| (frame.first, frame.payload)).collect()
}

#[test]
fn a_message_is_empty_if_it_has_no_bytes() {
    for (message, len) in [
        (Message::text(""), 0),
        (Message::binary(&b""[..]), 0),
        (Message::text("é"), 2),
        (Message::binary(&b"\0"[..]), 1),
    ] {
        assert_eq!((message.is_empty(), message.len()), (len == 0, len));
    }
}

#[test]
fn section_6_1_a_message_is_sent_from_whatever_holds_it() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        connection.send("str").unwrap();
        connection.send(String::from("String")).unwrap();
        connection.send(&b"slice"[..]).unwrap();
        connection.send(b"Vec".to_vec()).unwrap();
        connection.send(Message::text("text")).unwrap();
        connection.send(Message::binary(&b"binary"[..])).unwrap();
        connection.send(Cow::from("Cow of str")).unwrap();
        connection.send(Cow::from(&b"Cow of slice"[..])).unwrap();
        connection.send(b"array").unwrap();
        connection.try_send("tried").unwrap();
        connection.send_prepared(&Prepared::text("prepared")).unwrap();
        connection.send_prepared(&Prepared::binary(b"bytes".to_vec())).unwrap();
        connection.send_prepared(&Message::from("prepared text").into()).unwrap();
        connection.send_prepared(&Message::from(b"prepared bytes").into()).unwrap();
        let expected: [(u8, &[u8]); 14] = [
            (0x81, b"str"),
            (0x81, b"String"),
            (0x82, b"slice"),
            (0x82, b"Vec"),
            (0x81, b"text"),
            (0x82, b"binary"),
            (0x81, b"Cow of str"),
            (0x82, b"Cow of slice"),
            (0x82, b"array"),
            (0x81, b"tried"),
            (0x81, b"prepared"),
            (0x82, b"bytes"),
            (0x81, b"prepared text"),
            (0x82, b"prepared bytes"),
        ];
        assert_eq!(frames_of(&mut connection), expected.map(|(first, bytes)| (first, bytes.to_vec())));
    }
}

#[test]
fn section_5_4_a_message_is_sent_in_pieces() {
    for role in ROLES {
        for (kind, first) in [(Kind::Text, 0x01), (Kind::Binary, 0x02)] {
            let mut connection = open(role, &Config::new());
            connection.begin(kind).unwrap();
            assert!(connection.transmit().is_empty());
            connection.push(b"a").unwrap();
            connection.push(b"").unwrap();
            connection.push(b"b").unwrap();
            connection.finish(b"").unwrap();
            connection.begin(kind).unwrap();
            connection.finish(b"at once").unwrap();
            connection.begin(kind).unwrap();
            connection.finish(b"").unwrap();
            let expected: [(u8, &[u8]); 6] = [
                (first, b"a"),
                (0x00, b""),
                (0x00, b"b"),
                (0x80, b""),
                (0x80 | first, b"at once"),
                (0x80 | first, b""),
            ];
            assert_eq!(frames_of(&mut connection), expected.map(|(first, bytes)| (first, bytes.to_vec())));
        }
    }
}

#[test]
fn section_5_6_the_pieces_of_a_text_make_utf_8_together() {
    let text = "ß€😀".as_bytes();
    for role in ROLES {
        for a in 0..=text.len() {
            for b in a..=text.len() {
                let mut connection = open(role, &Config::new());
                connection.begin(Kind::Text).unwrap();
                connection.push(&text[..a]).unwrap();
                connection.push(&text[a..b]).unwrap();
                connection.finish(&text[b..]).unwrap();
                let sent: Vec<u8> = frames_of(&mut connection).into_iter().flat_map(|f| f.1).collect();
                assert_eq!(sent, text);
            }
        }
    }
}

#[test]
fn section_5_6_a_piece_that_makes_no_utf_8_is_refused_and_the_message_goes_on() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        connection.begin(Kind::Text).unwrap();
        connection.push(b"\xE2\x82").unwrap();
        let queued = connection.transmit().len();
        for wrong in [&b"x"[..], b"\xC3", b"\xAC\xFF", b"\xAC\x80"] {
            assert_eq!(connection.push(wrong), Err(SendError::InvalidUtf8));
            assert_eq!(connection.finish(wrong), Err(SendError::InvalidUtf8));
        }
        assert_eq!(connection.finish(b""), Err(SendError::InvalidUtf8), "within a character");
        assert_eq!(connection.finish(b"\xAC\xC3"), Err(SendError::InvalidUtf8), "within a character");
        assert_eq!(connection.transmit().len(), queued);
        connection.finish(b"\xAC").unwrap();
        assert_eq!(frames_of(&mut connection), [(0x01, b"\xE2\x82".to_vec()), (0x80, b"\xAC".to_vec())]);

        connection.begin(Kind::Binary).unwrap();
        connection.push(b"\xFF").unwrap();
        connection.finish(b"\xC3").unwrap();
        assert_eq!(frames_of(&mut connection).len(), 2);
    }
}

/// What every way to send says now.
fn verdicts(connection: &mut Connection) -> [Result<(), SendError>; 8] {
    [
        connection.can_send(),
        connection.send("x"),
        connection.try_send("x").map_err(|rejected| rejected.error),
        connection.send_prepared(&Prepared::text("x")),
        connection.begin(Kind::Text),
        connection.ping(b""),
        connection.pong(b""),
        connection.probe(START),
    ]
}

#[test]
fn section_5_4_within_a_message_in_pieces_only_control_frames_are_sent() {
    use SendError::{MessageInProgress, NoMessageInProgress};
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        assert_eq!(connection.push(b"x"), Err(NoMessageInProgress));
        assert_eq!(connection.finish(b"x"), Err(NoMessageInProgress));
        assert!(connection.transmit().is_empty());
        connection.begin(Kind::Text).unwrap();
        for _ in 0..2 {
            let verdicts = verdicts(&mut connection);
            assert_eq!(verdicts[..5], [Err(MessageInProgress); 5]);
            assert_eq!(verdicts[5..], [Ok(()); 3]);
            connection.push(b"x").unwrap();
        }
        connection.finish(b"x").unwrap();
        assert_eq!(connection.push(b"x"), Err(NoMessageInProgress));
        connection.send("x").unwrap();
        let firsts: Vec<_> = frames_of(&mut connection).iter().map(|frame| frame.0).collect();
        assert_eq!(firsts, [0x89, 0x8A, 0x89, 0x01, 0x89, 0x8A, 0x89, 0x00, 0x80, 0x81]);
    }
}

#[test]
fn before_the_handshake_is_over_nothing_is_sent() {
    let server = Connection::server(&Config::new(), START);
    for mut connection in [asking(&Config::new()).0, server] {
        assert_eq!(verdicts(&mut connection), [Err(SendError::NotOpen); 8]);
        assert_eq!(connection.push(b"x"), Err(SendError::NotOpen));
        assert_eq!(connection.finish(b"x"), Err(SendError::NotOpen));
        assert_eq!(connection.close(START, CloseCode::NORMAL_CLOSURE), Err(SendError::NotOpen));
        assert!(connection.transmit().is_empty());
        assert_eq!(connection.state(), State::Connecting);
    }
}

#[test]
fn section_5_5_1_behind_a_close_nothing_is_sent() {
    for role in ROLES {
        let ends: [fn(&mut Connection); 6] = [
            |connection| connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap(),
            |connection| {
                receive(connection, START, &wire::close(connection.role(), 1000, ""));
            },
            |connection| {
                receive(connection, START, &[0x83]);
            },
            |connection| {
                connection.receive_eof();
            },
            Connection::transport_failed,
            |connection| {
                connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
                receive(connection, START, &wire::close(connection.role(), 1000, ""));
                take_output(connection);
                connection.receive_eof();
            },
        ];
        for end in ends {
            let mut connection = open(role, &Config::new());
            connection.begin(Kind::Text).unwrap();
            end(&mut connection);
            let queued = connection.transmit().to_vec();
            assert_eq!(verdicts(&mut connection), [Err(SendError::Closed); 8]);
            assert_eq!(connection.push(b"x"), Err(SendError::Closed));
            assert_eq!(connection.finish(b"x"), Err(SendError::Closed));
            assert_eq!(connection.close(START, CloseCode::GOING_AWAY), Err(SendError::Closed));
            assert_eq!(connection.transmit().to_vec(), queued);
        }
    }
}

#[test]
fn a_message_that_was_not_queued_is_given_back_with_the_reason() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        connection.begin(Kind::Text).unwrap();
        let rejected = connection.try_send("Hello").unwrap_err();
        assert_eq!(rejected.message, Message::from("Hello"));
        assert_eq!(rejected.to_string(), rejected.error.to_string());
        assert_eq!(rejected.source().map(ToString::to_string), Some(rejected.error.to_string()));
    }
    let mut texts = [
        SendError::NotOpen,
        SendError::Closed,
        SendError::Full,
        SendError::MessageInProgress,
        SendError::NoMessageInProgress,
        SendError::ControlTooLong,
        SendError::InvalidUtf8,
    ]
    .map(|error| error.to_string());
    texts.sort_unstable();
    assert!(texts.windows(2).all(|pair| pair[0] != pair[1]), "each in words of its own: {texts:#?}");
}

#[test]
fn text_is_text_only_if_it_was_sent_as_text() {
    assert_eq!((Message::from("x").as_text(), Message::from(b"x").as_text()), (Some("x"), None));
    assert_eq!([Message::from(""), Message::from(b"x")].map(|message| message.is_empty()), [true, false]);
}

#[test]
fn a_hard_limit_of_nothing_lets_one_message_through_at_a_time() {
    for role in ROLES {
        let mut connection = open(role, &Config::new().hard_limit(0));
        for _ in 0..2 {
            connection.send("x").unwrap();
            assert_eq!(connection.send("x"), Err(SendError::Full));
            take_output(&mut connection);
        }
    }
}

type Send = fn(&mut Connection, Vec<u8>) -> Result<(), SendError>;

#[test]
fn auto_fragment_makes_frames_of_the_given_length() {
    for role in ROLES {
        for (limit, len, expected) in [
            (10, 0, vec![(0x82, 0)]),
            (10, 9, vec![(0x82, 9)]),
            (10, 10, vec![(0x82, 10)]),
            (10, 11, vec![(0x02, 10), (0x80, 1)]),
            (10, 30, vec![(0x02, 10), (0x00, 10), (0x80, 10)]),
            (10, 31, vec![(0x02, 10), (0x00, 10), (0x00, 10), (0x80, 1)]),
            (0, 3, vec![(0x02, 1), (0x00, 1), (0x80, 1)]),
            (20_000, 50_000, vec![(0x02, 20_000), (0x00, 20_000), (0x80, 10_000)]),
        ] {
            let sends: [Send; 3] = [
                |connection, bytes| connection.send(bytes),
                |connection, bytes| connection.send(&bytes[..]),
                |connection, bytes| connection.send_prepared(&Prepared::binary(bytes)),
            ];
            for send in sends {
                let mut connection = open(role, &Config::new().auto_fragment(Some(limit)));
                send(&mut connection, payload(len)).unwrap();
                let sent = frames_of(&mut connection);
                let shape: Vec<_> = sent.iter().map(|(first, bytes)| (*first, bytes.len())).collect();
                assert_eq!(shape, expected);
                assert_eq!(sent.into_iter().flat_map(|frame| frame.1).collect::<Vec<_>>(), payload(len));
            }
        }
    }
}

#[test]
fn auto_fragment_splits_pieces_too_and_keeps_all_in_order() {
    for role in ROLES {
        let mut connection = open(role, &Config::new().auto_fragment(Some(2)));
        connection.begin(Kind::Text).unwrap();
        connection.push(b"abc").unwrap();
        connection.push(b"").unwrap();
        connection.push(b"de").unwrap();
        connection.finish(b"fgh").unwrap();
        connection.send("ij").unwrap();
        connection.send("klm").unwrap();
        let expected: [(u8, &[u8]); 9] = [
            (0x01, b"ab"),
            (0x00, b"c"),
            (0x00, b""),
            (0x00, b"de"),
            (0x00, b"fg"),
            (0x80, b"h"),
            (0x81, b"ij"),
            (0x01, b"kl"),
            (0x80, b"m"),
        ];
        assert_eq!(frames_of(&mut connection), expected.map(|(first, bytes)| (first, bytes.to_vec())));
    }
}
