//! RFC 7692 §6.1, §7.2.1: compressed messages out: which, in what frames, and referring to what. By the judgement of a
//! decoder that was written by the letter.

use sansocket::deflate::Strategy;
use sansocket::extension::{Negotiated, WindowBits};
use sansocket::{Compression, Config, Connection, Kind, Message, Prepared, Role, SendError};
use sansocket_tests::compressed::{PER_MESSAGE, Peer, agreed, anew, open};
use sansocket_tests::inflate::{json, noise};
use sansocket_tests::pair::Dice;
use sansocket_tests::{ROLES, START};

const ALL: Compression = Compression::new().min_size(0);
const TEXT: &str = "Hello, hello, hello, Bob, and once more, hello, hello, Bob";

const fn on(compression: Compression) -> Config {
    Config::new().compression(Some(compression))
}

fn start(role: Role, compression: Compression, agreement: Negotiated) -> (Connection, Peer) {
    (agreed(role, &on(compression), agreement), Peer::new(role))
}

#[test]
fn section_6_1_a_message_is_one_frame_that_says_it_is_compressed() {
    for role in ROLES {
        for fragment in [None, Some(1), Some(1000)] {
            let mut connection = open(role, &on(ALL).auto_fragment(fragment));
            let mut peer = Peer::new(role);
            // Some are longer than what is kept in one block.
            for len in [1, 10, 1000, 16_000, 16_384, 20_000, 100_000] {
                let noise = noise(&mut Dice::new(3), len);
                connection.send(&noise).unwrap();
                connection.send(noise.clone()).unwrap();
                connection.send_prepared(&Prepared::binary(noise.clone())).unwrap();
                let text = json(&mut Dice::new(3), len);
                connection.send(Message::text(String::from_utf8(text.clone()).unwrap())).unwrap();
                let got = peer.read(&mut connection);
                assert_eq!(got.len(), 4);
                for (i, got) in got.iter().enumerate() {
                    assert_eq!((got.frames, got.payload.is_some()), (1, true));
                    assert_eq!(got.kind, if i == 3 { Kind::Text } else { Kind::Binary });
                    assert!(got.inflated.bytes == if i == 3 { &text[..] } else { &noise });
                }
                // Others go out in fragments as ever.
                connection.send_plain(&noise).unwrap();
                let plain = peer.one(&mut connection);
                assert_eq!(plain.frames, fragment.map_or(1, |fragment| len.div_ceil(fragment)));
            }
        }
    }
}

#[test]
fn a_compressed_message_waits_its_turn_behind_fragments() {
    for role in ROLES {
        let mut connection = open(role, &on(ALL).auto_fragment(Some(1000)));
        let mut peer = Peer::new(role);
        let noise = noise(&mut Dice::new(3), 50_000);
        connection.send_plain(&noise).unwrap();
        connection.send(TEXT).unwrap();
        connection.send(&noise).unwrap();
        connection.send_plain("x").unwrap();
        let got = peer.read(&mut connection);
        let frames: Vec<_> = got.iter().map(|got| (got.frames, got.payload.is_some())).collect();
        assert_eq!(frames, [(50, false), (1, true), (1, true), (1, false)]);
        assert!(got[0].inflated.bytes == noise && got[2].inflated.bytes == noise);
        assert_eq!(got[1].inflated.bytes, TEXT.as_bytes());
    }
}

#[test]
fn messages_are_compressed_from_the_length_on_that_is_set() {
    for role in ROLES {
        for (compression, least) in [
            (Compression::new(), 64),
            (Compression::new().min_size(10), 10),
            (Compression::new().min_size(1), 1),
            (Compression::new().min_size(usize::MAX), usize::MAX),
        ] {
            let (mut connection, mut peer) = start(role, compression, PER_MESSAGE);
            for len in [0, 1, 9, 10, 63, 64, 65, 1000] {
                let text = "x".repeat(len);
                connection.send(&text).unwrap();
                assert_eq!(peer.reads(&mut connection, &text), len >= least);
                connection.try_send(text.as_bytes()).unwrap();
                assert_eq!(peer.reads(&mut connection, &text), len >= least);
                connection.send_prepared(&Prepared::text(&text[..])).unwrap();
                assert_eq!(peer.reads(&mut connection, &text), len >= least);
                // What is sent in pieces has no length before it ends.
                connection.begin(Kind::Text).unwrap();
                connection.finish(text.as_bytes()).unwrap();
                assert!(peer.reads(&mut connection, &text));
            }
        }
    }
}

#[test]
fn messages_are_compressed_by_their_kind() {
    for role in ROLES {
        for (text, binary) in [(true, true), (true, false), (false, true), (false, false)] {
            let (mut connection, mut peer) = start(role, ALL.text(text).binary(binary), PER_MESSAGE);
            for (kind, is_compressed) in [(Kind::Text, text), (Kind::Binary, binary), (Kind::Text, text)] {
                let (message, prepared) = match kind {
                    Kind::Text => (Message::from(TEXT), Prepared::text(TEXT)),
                    Kind::Binary => (Message::from(TEXT.as_bytes()), Prepared::binary(TEXT)),
                };
                connection.send(message.borrow()).unwrap();
                assert_eq!(peer.reads(&mut connection, TEXT), is_compressed);
                connection.send_prepared(&prepared).unwrap();
                assert_eq!(peer.reads(&mut connection, TEXT), is_compressed);
                connection.begin(kind).unwrap();
                connection.push(b"Hello, ").unwrap();
                connection.finish(b"hello").unwrap();
                let got = peer.one(&mut connection);
                assert_eq!((got.kind, got.payload.is_some(), got.frames), (kind, is_compressed, 2));
                assert_eq!(got.inflated.bytes, b"Hello, hello");
                // And none that is said to be plain.
                connection.send_plain(message).unwrap();
                assert!(!peer.reads(&mut connection, TEXT));
                connection.begin_plain(kind).unwrap();
                connection.finish(TEXT.as_bytes()).unwrap();
                assert!(!peer.reads(&mut connection, TEXT));
            }
        }
    }
}

/// A way to send a message without compressing it.
type Way = (&'static str, fn(&mut Connection, &str));

/// Whatever was not compressed, the compressor has not seen: what comes behind it refers to what the peer knows.
#[test]
fn section_7_2_1_what_is_sent_plain_leaves_the_context_as_it_was() {
    let other = "something else, that nobody may refer to later, since it was never compressed. ".repeat(3);
    let text = String::from_utf8(json(&mut Dice::new(1), 500)).unwrap();
    for role in ROLES {
        let ways: [Way; 8] = [
            ("plain", |connection, other| connection.send_plain(other).unwrap()),
            ("short", |connection, other| connection.send(&other[..63]).unwrap()),
            ("of another kind", |connection, other| connection.send(other.as_bytes()).unwrap()),
            ("in plain pieces", |connection, other| {
                connection.begin_plain(Kind::Text).unwrap();
                connection.push(other.as_bytes()).unwrap();
                connection.finish(b"").unwrap();
            }),
            ("while it is off", |connection, other| {
                connection.set_compression(false);
                connection.send(other).unwrap();
                connection.set_compression(true);
            }),
            ("refused", |connection, other| {
                let full = on(Compression::new().binary(false)).hard_limit(1);
                connection.ping(b"").unwrap();
                connection.set_options(START, &full);
                assert_eq!(connection.send(other), Err(SendError::Full));
                assert_eq!(connection.try_send(other).unwrap_err().message, Message::from(other));
                connection.set_options(START, &on(Compression::new().binary(false)));
                connection.send_plain(other).unwrap();
            }),
            ("refused in pieces", |connection, other| {
                connection.begin(Kind::Text).unwrap();
                assert_eq!(connection.push(b"\xFF"), Err(SendError::InvalidUtf8));
                assert_eq!(connection.finish(b"\xC3"), Err(SendError::InvalidUtf8));
                assert_eq!(connection.send(other), Err(SendError::MessageInProgress));
                connection.finish(other.as_bytes()).unwrap();
            }),
            ("as a control frame", |connection, other| {
                connection.ping(&other.as_bytes()[..100]).unwrap();
                connection.pong(&other.as_bytes()[..100]).unwrap();
                connection.send_plain(other).unwrap();
            }),
        ];
        let (mut connection, mut peer) = start(role, Compression::new().binary(false), PER_MESSAGE);
        connection.send(&text).unwrap();
        let first = peer.one(&mut connection).payload.unwrap();
        for (way, send) in ways {
            send(&mut connection, &other);
            let between = peer.one(&mut connection);
            let expected = if way == "short" { &other[..63] } else { &other };
            assert_eq!(between.inflated.bytes, expected.as_bytes(), "{way}");
            assert_eq!(between.payload.is_some(), way == "refused in pieces");

            connection.send(&text).unwrap();
            let again = peer.one(&mut connection);
            assert_eq!(again.inflated.bytes, text.as_bytes(), "{way}");
            assert!(again.inflated.looks_back && again.payload.unwrap().len() * 4 < first.len(), "{way}");
        }
    }
}

#[test]
fn section_7_2_3_6_an_empty_message_is_one_byte() {
    for role in ROLES {
        for agreement in [PER_MESSAGE, anew(PER_MESSAGE)] {
            let (mut connection, mut peer) = start(role, ALL, agreement);
            for message in ["", "", TEXT, "", TEXT, TEXT, ""] {
                for kind in [Kind::Text, Kind::Binary] {
                    let send: [fn(&mut Connection, Kind, &str); 3] = [
                        |connection, kind, message| match kind {
                            Kind::Text => connection.send(message).unwrap(),
                            Kind::Binary => connection.send(message.as_bytes()).unwrap(),
                        },
                        |connection, _, message| connection.send_prepared(&Prepared::text(message)).unwrap(),
                        |connection, kind, message| {
                            connection.begin(kind).unwrap();
                            connection.finish(message.as_bytes()).unwrap();
                        },
                    ];
                    for send in send {
                        send(&mut connection, kind, message);
                        let got = peer.one(&mut connection);
                        assert_eq!(got.inflated.bytes, message.as_bytes());
                        assert_eq!(got.payload.unwrap() == [0x00], message.is_empty());
                    }
                }
            }
        }
    }
}

#[test]
fn section_7_2_1_a_message_in_pieces_is_compressed_whatever_the_pieces_are() {
    let piece = |bytes: &'static [u8]| bytes;
    let all = [piece(b""), b"H", b"ello, ", TEXT.as_bytes(), "ß€😀".as_bytes()];
    for role in ROLES {
        for agreement in [PER_MESSAGE, anew(PER_MESSAGE)] {
            let (mut connection, mut peer) = start(role, Compression::new(), agreement);
            connection.send(TEXT.repeat(2)).unwrap();
            assert!(peer.reads(&mut connection, TEXT.repeat(2)));
            // Every message of up to three pieces.
            for choice in 0..125 {
                let pieces = [all[choice % 5], all[choice / 5 % 5], all[choice / 25]];
                let pieces = &pieces[choice % 3..];
                connection.begin(Kind::Text).unwrap();
                let (last, before) = pieces.split_last().unwrap();
                for piece in before {
                    connection.push(piece).unwrap();
                    connection.ping(piece.get(..100).unwrap_or(piece)).unwrap();
                }
                connection.finish(last).unwrap();
                let got = peer.one(&mut connection);
                assert_eq!((got.inflated.bytes, got.frames), (pieces.concat(), pieces.len()));
                assert!(got.payload.is_some());
                // What is sent whole before and behind them belongs to the same context.
                connection.send(TEXT.repeat(2)).unwrap();
                let whole = peer.one(&mut connection);
                assert_eq!(whole.inflated.looks_back, agreement == PER_MESSAGE);
            }
        }
    }
}

#[test]
fn pieces_may_end_within_a_character() {
    for role in ROLES {
        let (mut connection, mut peer) = start(role, ALL, PER_MESSAGE);
        connection.begin(Kind::Text).unwrap();
        for byte in "aß€😀".as_bytes() {
            connection.push(&[*byte]).unwrap();
        }
        connection.finish(b"").unwrap();
        assert!(peer.reads(&mut connection, "aß€😀"));
    }
}

#[test]
fn what_begins_compressed_ends_compressed_and_what_begins_plain_ends_plain() {
    for role in ROLES {
        for begins_on in [true, false] {
            let (mut connection, mut peer) = start(role, ALL, PER_MESSAGE);
            connection.send(TEXT).unwrap();
            assert!(peer.reads(&mut connection, TEXT));
            connection.set_compression(begins_on);
            connection.begin(Kind::Text).unwrap();
            connection.push(TEXT.as_bytes()).unwrap();
            connection.set_compression(!begins_on);
            connection.push(TEXT.as_bytes()).unwrap();
            connection.set_options(START, &on(ALL.text(false)));
            connection.finish(TEXT.as_bytes()).unwrap();
            assert_eq!(peer.reads(&mut connection, TEXT.repeat(3)), begins_on);
            connection.set_options(START, &on(ALL));
            connection.send(TEXT).unwrap();
            assert_eq!(peer.reads(&mut connection, TEXT), !begins_on);
        }
    }
}

#[test]
fn other_settings_hold_from_the_next_message_on_and_leave_what_was_agreed_upon() {
    let bits = |bits| WindowBits::new(bits).unwrap();
    let mut small = PER_MESSAGE;
    (small.server_max_window_bits, small.client_max_window_bits) = (bits(10), bits(10));
    let settings = [
        ALL.level(1),
        ALL.level(9).mem_level(9),
        ALL.strategy(Strategy::HuffmanOnly),
        ALL.level(0),
        // What would have to be negotiated is as it was.
        ALL.server_max_window_bits(bits(15)).client_max_window_bits(bits(15)),
        Compression::shared().min_size(0),
    ];
    let text = String::from_utf8(json(&mut Dice::new(2), 5000)).unwrap();
    for role in ROLES {
        for agreement in [PER_MESSAGE, small, anew(PER_MESSAGE)] {
            let (mut connection, mut peer) = start(role, ALL, agreement);
            for compression in settings {
                connection.send(&text).unwrap();
                connection.set_options(START, &on(compression));
                connection.send(&text).unwrap();
                connection.send(&text).unwrap();
                connection.begin(Kind::Text).unwrap();
                connection.push(text.as_bytes()).unwrap();
                connection.set_options(START, &on(ALL));
                connection.push(text.as_bytes()).unwrap();
                connection.finish(b"").unwrap();
                let got = peer.read(&mut connection);
                assert_eq!(got.len(), 4);
                for got in &got {
                    assert!(got.payload.is_some());
                    let most = 1 << agreement.server_max_window_bits.get();
                    assert!(got.inflated.farthest <= most, "{}", got.inflated.farthest);
                }
                assert!(got[..3].iter().all(|got| got.inflated.bytes == text.as_bytes()));
                assert!(got[3].inflated.bytes == text.repeat(2).as_bytes());
                let is_anew = agreement == anew(PER_MESSAGE);
                assert!(!is_anew || got[..3].iter().all(|got| !got.inflated.looks_back));
            }
            // No settings, no change.
            connection.set_options(START, &Config::new());
            connection.send("x").unwrap();
            assert!(peer.reads(&mut connection, "x"));
            connection.set_options(START, &on(ALL.min_size(2)));
            connection.send("x").unwrap();
            assert!(!peer.reads(&mut connection, "x"));
        }
    }
}

#[test]
fn a_message_is_compressed_once_for_all_connections_that_keep_no_context() {
    for role in ROLES {
        let text = "Hello, hello! ".repeat(3000);
        // To be told from what the connection would make of it.
        let ahead = Compression::new().level(0);
        let prepared = Prepared::text(&text[..]).compressed(&ahead);
        let small = Prepared::text(&text[..]).compressed(&ahead.server_max_window_bits(WindowBits::MIN));
        let narrow = |mut agreed: Negotiated| {
            agreed.server_max_window_bits = WindowBits::MIN;
            agreed.client_max_window_bits = WindowBits::MIN;
            agreed
        };
        for (agreement, message, is_ahead) in [
            (anew(PER_MESSAGE), &prepared, true),
            (anew(PER_MESSAGE), &small, true),
            // What comes later may refer to it.
            (PER_MESSAGE, &prepared, false),
            // It may refer further back than the peer can.
            (narrow(anew(PER_MESSAGE)), &prepared, false),
            (narrow(anew(PER_MESSAGE)), &small, true),
            (anew(PER_MESSAGE), &Prepared::text(&text[..]), false),
        ] {
            let (mut connection, mut peer) = start(role, ALL, agreement);
            for _ in 0..2 {
                connection.send_prepared(message).unwrap();
                connection.send(TEXT).unwrap();
                let got = peer.read(&mut connection);
                assert!(got[0].inflated.bytes == text.as_bytes() && got[1].inflated.bytes == TEXT.as_bytes());
                let payload = got[0].payload.as_ref().expect("it is compressed");
                assert_eq!((got[0].frames, payload.len() > text.len()), (1, is_ahead));
            }
        }
        // One that is no longer than the window refers no further back.
        let (mut connection, mut peer) = start(role, ALL, narrow(anew(PER_MESSAGE)));
        connection.send_prepared(&Prepared::text(TEXT).compressed(&ahead)).unwrap();
        assert!(peer.one(&mut connection).payload.is_some_and(|payload| payload.len() > TEXT.len()));
        // Whether it is compressed at all is the connection's own affair.
        let (mut connection, mut peer) = start(role, Compression::new().text(false), anew(PER_MESSAGE));
        connection.send_prepared(&prepared).unwrap();
        assert!(peer.one(&mut connection).payload.is_none());
    }
}
