//! RFC 7692 §7.1: what messages refer to, how far back, and what is left when memory is given up or shared.
//!
//! By the judgement of a decoder that was written by the letter.

use sansocket::deflate::{Deflater, Params, Pool, Strategy};
use sansocket::extension::{Extension, Negotiated, WindowBits};
use sansocket::{CloseCode, CloseFrame, Compression, Config, Connection, Event, Kind, Message, Role};
use sansocket_tests::compressed::{
    PER_FRAME, PER_MESSAGE, Peer, agreed, anew, deflate, deflater, event, frame, next, open,
};
use sansocket_tests::inflate::{json, noise, windows};
use sansocket_tests::pair::Dice;
use sansocket_tests::{ROLES, START, receive, take_output, wire};

const ALL: Config = Config::new().compression(Some(Compression::new().min_size(0)));

fn text(seed: u64, len: usize) -> String {
    String::from_utf8(json(&mut Dice::new(seed), len)).unwrap()
}

/// That one end, and not the other, takes nothing over.
fn one_anew(role: Role, extension: Extension) -> Negotiated {
    let mut agreement = Negotiated::new(extension);
    match role {
        Role::Client => agreement.client_no_context_takeover = true,
        Role::Server => agreement.server_no_context_takeover = true,
    }
    agreement
}

#[test]
fn section_7_1_1_with_contexts_a_message_that_was_sent_before_is_short() {
    let text = text(1, 1000);
    for role in ROLES {
        let other = if role == Role::Client { Role::Server } else { Role::Client };
        for agreement in [PER_MESSAGE, PER_FRAME, one_anew(other, Extension::PermessageDeflate)] {
            let (mut connection, mut peer) = (agreed(role, &ALL, agreement), Peer::new(role));
            let mut lens = Vec::new();
            for i in 0..3 {
                connection.send(&text).unwrap();
                let got = peer.one(&mut connection);
                assert_eq!((got.inflated.bytes, got.inflated.looks_back), (text.clone().into_bytes(), i > 0));
                lens.push(got.payload.unwrap().len());
            }
            assert!(lens[1] * 10 < lens[0] && lens[2] * 10 < lens[0], "{lens:?}");
        }
    }
}

#[test]
fn section_7_1_1_without_contexts_equal_messages_have_equal_payloads() {
    let texts = [text(1, 1000), text(2, 30), String::new(), text(3, 50_000)];
    for role in ROLES {
        for extension in [Extension::PermessageDeflate, Extension::DeflateFrame] {
            for agreement in [anew(Negotiated::new(extension)), one_anew(role, extension)] {
                let (mut connection, mut peer) = (agreed(role, &ALL, agreement), Peer::new(role));
                let mut first: Vec<Vec<u8>> = Vec::new();
                for i in 0..3 * texts.len() {
                    let text = &texts[i % texts.len()];
                    connection.send(text).unwrap();
                    let got = peer.one(&mut connection);
                    assert!(got.inflated.bytes == text.as_bytes());
                    assert!(!got.inflated.looks_back);
                    first.push(got.payload.unwrap());
                    assert_eq!(first[i], first[i % texts.len()]);
                }
                if extension == Extension::PermessageDeflate {
                    // Its own pieces a message may refer to.
                    connection.begin(Kind::Text).unwrap();
                    connection.push(texts[0].as_bytes()).unwrap();
                    connection.finish(texts[0].as_bytes()).unwrap();
                    let twice = peer.one(&mut connection);
                    assert!(!twice.inflated.looks_back);
                    assert!(twice.payload.unwrap().len() < first[0].len() * 6 / 5);
                }
            }
        }
    }
}

#[test]
fn section_7_1_1_without_contexts_no_message_refers_to_another_whatever_the_effort() {
    let texts = [text(1, 2000), String::new(), text(2, 100), "x".repeat(5000), text(1, 40_000)];
    for window in [8, 9, 12, 15].map(|bits| WindowBits::new(bits).unwrap()) {
        let mut agreement = anew(PER_MESSAGE);
        (agreement.server_max_window_bits, agreement.client_max_window_bits) = (window, window);
        for level in [0, 1, 2, 6, 9] {
            for strategy in [Strategy::Default, Strategy::Filtered, Strategy::HuffmanOnly, Strategy::Rle] {
                let compression = Compression::new().min_size(0).level(level).strategy(strategy);
                let config = Config::new().compression(Some(compression));
                let mut connection = agreed(Role::Server, &config, agreement);
                let mut peer = Peer::new(Role::Server);
                connection.lend_codecs(Box::new(Pool::new()));
                for text in texts.iter().chain(&texts).rev() {
                    connection.send(text).unwrap();
                    let got = peer.one(&mut connection);
                    assert!(got.inflated.bytes == text.as_bytes() && !got.inflated.looks_back);
                }
            }
        }
    }
}

/// Nothing is left of other messages, not even their number.
#[test]
fn section_7_1_1_without_contexts_equal_messages_have_equal_payloads_from_a_pool_too() {
    for role in ROLES {
        for text in ["HelloHello", "Hello, hello, hello", &"x".repeat(100), &text(1, 1000)] {
            let (mut connection, mut peer) = (agreed(role, &ALL, anew(PER_MESSAGE)), Peer::new(role));
            connection.lend_codecs(Box::new(Pool::new()));
            let mut payloads = Vec::new();
            for _ in 0..3 {
                connection.send(text).unwrap();
                payloads.extend(peer.one(&mut connection).payload);
                connection.send("another").unwrap();
                assert!(peer.reads(&mut connection, "another"));
            }
            assert_eq!(payloads[0], payloads[1], "{text}");
            assert_eq!(payloads[0], payloads[2], "{text}");
        }
    }
}

#[test]
fn section_7_1_2_no_end_refers_further_back_than_its_window_allows() {
    let texts =
        [text(1, 100_000), text(2, 100), text(1, 500), "ab".repeat(40_000), text(3, 1023), text(1, 3000)];
    let noise = noise(&mut Dice::new(1), 300);
    for role in ROLES {
        for window in windows() {
            let mut agreement = PER_MESSAGE;
            // The other's says nothing about this one.
            match role {
                Role::Client => agreement.client_max_window_bits = window,
                Role::Server => agreement.server_max_window_bits = window,
            }
            let (mut connection, mut peer) = (agreed(role, &ALL, agreement), Peer::new(role));
            let mut farthest = 0;
            for (i, text) in texts.iter().chain(&texts).enumerate() {
                if i % 2 == 0 {
                    connection.send(text).unwrap();
                } else {
                    connection.begin(Kind::Text).unwrap();
                    text.as_bytes().chunks(700).for_each(|piece| connection.push(piece).unwrap());
                    connection.finish(b"").unwrap();
                }
                // The same thing at every distance.
                connection
                    .send([&noise[..], &text.as_bytes()[..(i * 37).min(text.len())], &noise].concat())
                    .unwrap();
                let got = peer.read(&mut connection);
                assert!(got[0].inflated.bytes == text.as_bytes());
                farthest = got.iter().map(|got| got.inflated.farthest).fold(farthest, usize::max);
            }
            assert!(farthest <= 1 << window.get(), "{farthest} in a window of {window} bits");
            assert!(farthest > 100, "nothing repeats, and this tells nothing");
        }
    }
}

#[test]
fn messages_can_be_read_whatever_the_effort() {
    let texts = [text(1, 5000), text(1, 5000), String::new(), "x".repeat(20_000)];
    let noise = noise(&mut Dice::new(1), 20_000);
    for role in ROLES {
        for level in 0..=10 {
            for strategy in [Strategy::Default, Strategy::Filtered, Strategy::HuffmanOnly, Strategy::Rle] {
                for mem_level in [1, 9] {
                    let compression =
                        Compression::new().min_size(0).level(level).strategy(strategy).mem_level(mem_level);
                    let mut connection = open(role, &Config::new().compression(Some(compression)));
                    let mut peer = Peer::new(role);
                    for text in &texts {
                        connection.send(text).unwrap();
                        assert!(peer.reads(&mut connection, text));
                    }
                    connection.send(&noise).unwrap();
                    assert!(peer.reads(&mut connection, &noise));
                }
            }
        }
    }
}

#[test]
fn memory_may_be_given_up_at_any_time_and_the_next_message_refers_to_none() {
    let text = text(1, 1000);
    for role in ROLES {
        let (mut connection, mut peer) = (open(role, &ALL), Peer::new(role));
        connection.release_memory();
        for i in 0..6 {
            connection.send(&text).unwrap();
            let got = peer.one(&mut connection);
            assert!(got.inflated.bytes == text.as_bytes());
            assert_eq!(got.inflated.looks_back, i % 2 == 1, "the memory of message {i}");
            // Within one message, too.
            connection.begin(Kind::Text).unwrap();
            connection.release_memory();
            connection.push(text.as_bytes()).unwrap();
            connection.release_memory();
            connection.finish(b"").unwrap();
            assert!(peer.reads(&mut connection, &text));
            if i % 2 == 1 {
                connection.release_memory();
            }
        }
    }
}

/// The peer may refer to what was received before.
#[test]
fn giving_memory_up_does_not_lose_what_was_received() {
    let text = text(1, 1000);
    for role in ROLES {
        for agreement in [PER_MESSAGE, PER_FRAME] {
            let mut deflater = deflater();
            let mut connection = agreed(role, &ALL, agreement);
            for _ in 0..3 {
                let stream = frame(role, Kind::Text, next(&mut deflater, &text));
                // In the middle of the message it changes nothing either.
                let (begin, end) = stream.split_at(stream.len() / 2);
                assert_eq!(receive(&mut connection, START, begin).0, []);
                connection.release_memory();
                assert_eq!(receive(&mut connection, START, end).0, [Event::Message(Message::from(&text))]);
                connection.release_memory();
            }
        }
    }
}

#[test]
fn section_5_5_control_frames_are_as_they_are_whatever_is_compressed() {
    for role in ROLES {
        for agreement in [PER_MESSAGE, PER_FRAME] {
            let mut connection = agreed(role, &ALL, agreement);
            connection.send("Hello").unwrap();
            take_output(&mut connection);
            connection.ping(&[b'x'; 125]).unwrap();
            connection.pong(&[b'x'; 125]).unwrap();
            connection.probe(START).unwrap();
            receive(&mut connection, START, &wire::frame(role, wire::PING, [b'y'; 125]));
            let reason = "x".repeat(123);
            let close = CloseFrame::new(CloseCode::NORMAL_CLOSURE, &reason[..]).unwrap();
            connection.close(START, close).unwrap();
            let frames = wire::parse(&take_output(&mut connection));
            let firsts: Vec<_> = frames.iter().map(|frame| frame.first).collect();
            assert_eq!(firsts, [0x89, 0x8A, 0x89, 0x8A, 0x88]);
            for (i, payload) in [(0, vec![b'x'; 125]), (1, vec![b'x'; 125]), (3, vec![b'y'; 125])] {
                assert_eq!(frames[i].payload, payload);
            }
            assert_eq!(frames[4].payload[2..], *reason.as_bytes());
        }
    }
}

/// Two connections of each role in turn, with one pool for all, or none.
#[test]
fn codecs_that_are_shared_make_the_same_messages_and_refer_to_none_of_another() {
    let texts = [text(1, 1000), text(2, 30), text(1, 1000), text(3, 20_000)];
    let mut small = anew(PER_MESSAGE);
    (small.server_max_window_bits, small.client_max_window_bits) = (WindowBits::MIN, WindowBits::MIN);
    for agreement in [anew(PER_MESSAGE), small, anew(PER_FRAME)] {
        let mut pool = Box::new(Pool::new());
        for role in ROLES {
            let mut connections: Vec<_> =
                (0..3).map(|_| (agreed(role, &ALL, agreement), Peer::new(role))).collect();
            let (mut alone, mut peer_alone) = (agreed(role, &ALL, agreement), Peer::new(role));
            for i in 0..12 {
                let text = &texts[i % texts.len()];
                alone.send(text).unwrap();
                let expected = peer_alone.one(&mut alone);
                let (connection, peer) = &mut connections[i % 3];
                assert!(connection.wants_codecs());
                assert!(connection.lend_codecs(pool).is_none());
                assert!(!connection.wants_codecs());
                // What comes in is inflated by what others used, too.
                let params = Params::new().window(agreement.server_max_window_bits);
                let stream = frame(role, Kind::Text, next(&mut Deflater::new(&params), text));
                assert!(receive(connection, START, &stream).0 == [Event::Message(Message::from(text))]);
                connection.send(text).unwrap();
                pool = connection.reclaim_codecs().unwrap();
                let got = peer.one(connection);
                assert!(got.payload == expected.payload && !got.inflated.looks_back);
                assert!(got.inflated.bytes == text.as_bytes());
            }
        }
    }
}

/// What the peer sends cannot refer to what another sent, whichever codec takes it.
#[test]
fn a_message_cannot_be_made_of_what_another_connection_received() {
    let secret = text(1, 1000);
    let mut deflater = deflater();
    next(&mut deflater, &secret);
    let referring = next(&mut deflater, &secret);
    for role in ROLES {
        let agreement = anew(PER_MESSAGE);
        let mut pool = Box::new(Pool::new());
        let mut victim = agreed(role, &ALL, agreement);
        victim.lend_codecs(pool);
        let stream = frame(role, Kind::Text, deflate(&secret));
        assert_eq!(receive(&mut victim, START, &stream).0.len(), 1);
        pool = victim.reclaim_codecs().unwrap();
        for delivery in sansocket_tests::compressed::DELIVERIES {
            // Of its own bytes, before it refers to any other, something may come.
            let referring = frame(role, Kind::Text, &referring);
            let mut alone = agreed(role, &ALL.delivery(delivery), agreement);
            let (expected, _) = receive(&mut alone, START, &referring);
            let mut attacker = agreed(role, &ALL.delivery(delivery), agreement);
            attacker.lend_codecs(pool);
            assert_eq!(receive(&mut attacker, START, &referring).0, expected);
            assert_eq!(wire::parse(&take_output(&mut attacker))[0].payload, wire::close_payload(1007));
            pool = attacker.reclaim_codecs().unwrap();
        }
    }
}

#[test]
fn a_pool_gives_each_connection_what_it_has_agreed_upon() {
    let noise = noise(&mut Dice::new(1), 10_000);
    let far = [&noise[..], &noise].concat();
    for role in ROLES {
        let mut pool = Box::new(Pool::new());
        for bits in [8, 15, 10, 14, 15, 8, 9, 13] {
            let mut agreement = anew(PER_MESSAGE);
            agreement.server_max_window_bits = WindowBits::new(bits).unwrap();
            agreement.client_max_window_bits = agreement.server_max_window_bits;
            let (mut connection, mut peer) = (agreed(role, &ALL, agreement), Peer::new(role));
            connection.lend_codecs(pool);
            let params = Params::new().window(agreement.server_max_window_bits);
            let stream = frame(role, Kind::Binary, next(&mut Deflater::new(&params), &far));
            assert!(receive(&mut connection, START, &stream).0 == [Event::Message(Message::from(&far))]);
            connection.send(&far).unwrap();
            pool = connection.reclaim_codecs().unwrap();
            let got = peer.one(&mut connection);
            assert!(got.inflated.bytes == far && got.inflated.farthest <= 1 << bits);
            // And no less than it might use.
            assert_eq!(got.inflated.farthest == noise.len(), bits >= 14);
        }
    }
}

#[test]
fn a_pool_may_come_and_go_within_a_message() {
    let text = text(1, 1000);
    for role in ROLES {
        for agreement in [PER_MESSAGE, anew(PER_MESSAGE), PER_FRAME] {
            for lent_at in 0..4 {
                let mut pool = Some(Box::new(Pool::new()));
                let (mut connection, mut peer) = (agreed(role, &ALL, agreement), Peer::new(role));
                let stream = frame(role, Kind::Text, deflate(&text));
                for _ in 0..3 {
                    let mut events = Vec::new();
                    connection.begin(Kind::Text).unwrap();
                    for (i, chunk) in stream.chunks(stream.len().div_ceil(4)).enumerate() {
                        if i == lent_at {
                            assert!(connection.lend_codecs(pool.take().unwrap()).is_none());
                        }
                        connection.push(text.as_bytes()).unwrap();
                        events.extend(receive(&mut connection, START, chunk).0);
                        if i == lent_at {
                            pool = connection.reclaim_codecs();
                        }
                    }
                    connection.finish(b"").unwrap();
                    assert_eq!(events, [event(sansocket::Delivery::Whole, Kind::Text, &text)]);
                    assert_eq!(peer.reads(&mut connection, text.repeat(4)), agreement != PER_FRAME);
                }
            }
        }
    }
}

#[test]
fn a_pool_comes_back_from_where_it_is_of_no_use() {
    for role in ROLES {
        let mut plain = sansocket_tests::open(role, &ALL);
        assert!(!plain.wants_codecs());
        assert!(plain.lend_codecs(Box::new(Pool::new())).is_some());
        assert!(plain.reclaim_codecs().is_none());

        let mut connection = open(role, &ALL);
        assert!(connection.reclaim_codecs().is_none());
        assert!(connection.lend_codecs(Box::new(Pool::new())).is_none());
        assert!(connection.lend_codecs(Box::new(Pool::new())).is_some());
        // Its end makes no difference.
        connection.transport_failed();
        assert!(connection.reclaim_codecs().is_some());
        assert!(connection.reclaim_codecs().is_none());
    }
}

/// The same calls make the same bytes.
#[test]
fn compression_is_deterministic() {
    let run = |role| {
        let mut connection: Connection = open(role, &ALL);
        for i in 0..20 {
            connection.send(text(i, 1000)).unwrap();
            connection.begin(Kind::Binary).unwrap();
            connection.push(text(i, 100).as_bytes()).unwrap();
            connection.finish(b"").unwrap();
        }
        take_output(&mut connection)
    };
    for role in ROLES {
        assert!(run(role) == run(role));
    }
}
