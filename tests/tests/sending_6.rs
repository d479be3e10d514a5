//! RFC 6455 §5.4, §6.1: messages out, whole and in pieces, and output that is written bit by bit.

use sansocket::{CloseCode, Config, Connection, Kind, Message, Prepared, Role, SendError, State, Transport};
use sansocket_tests::{ROLES, START, asking, open, receive, take_output, wire};

/// An owned payload from this length on is not copied.
const CHAIN: usize = 16 * 1024;

fn payload(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

/// First byte and payload of each frame.
fn frames(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    wire::parse(bytes).into_iter().map(|frame| (frame.first, frame.payload)).collect()
}

fn frames_of(connection: &mut Connection) -> Vec<(u8, Vec<u8>)> {
    frames(&take_output(connection))
}

/// Takes the output in steps of these sizes, over and over.
fn take_in_steps(connection: &mut Connection, steps: &[usize]) -> Vec<u8> {
    let mut output = Vec::new();
    let mut steps = steps.iter().cycle();
    while !connection.transmit().is_empty() {
        let first = connection.transmit().first();
        let n = first.len().min(*steps.next().unwrap());
        output.extend_from_slice(&first[..n]);
        connection.transmitted(n);
    }
    output
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
        connection.try_send("tried").unwrap();
        connection.send_prepared(&Prepared::text("prepared")).unwrap();
        connection.send_prepared(&Prepared::binary(b"bytes".to_vec())).unwrap();
        let expected: [(u8, &[u8]); 9] = [
            (0x81, b"str"),
            (0x81, b"String"),
            (0x82, b"slice"),
            (0x82, b"Vec"),
            (0x81, b"text"),
            (0x82, b"binary"),
            (0x81, b"tried"),
            (0x81, b"prepared"),
            (0x82, b"bytes"),
        ];
        assert_eq!(frames_of(&mut connection), expected.map(|(first, bytes)| (first, bytes.to_vec())));
    }
}

#[test]
fn a_big_owned_payload_is_a_slice_of_its_own_and_is_not_copied() {
    for role in ROLES {
        for len in [CHAIN, CHAIN + 1, 100_000] {
            let mut connection = open(role, &Config::new());
            connection.send("before").unwrap();
            let bytes = payload(len);
            let text = "x".repeat(len);
            let addresses = [bytes.as_ptr(), text.as_ptr()];
            connection.send(bytes).unwrap();
            connection.ping(b"between").unwrap();
            connection.send(text).unwrap();
            connection.send("behind").unwrap();
            let slices: Vec<_> = connection.transmit().slices().collect();
            assert_eq!(slices.len(), 5);
            assert_eq!([slices[1].as_ptr(), slices[3].as_ptr()], addresses);
            assert_eq!([slices[1].len(), slices[3].len()], [len, len]);
            let firsts: Vec<_> = frames_of(&mut connection).iter().map(|frame| frame.0).collect();
            assert_eq!(firsts, [0x81, 0x82, 0x89, 0x81, 0x81]);
        }
    }
}

#[test]
fn a_big_prepared_payload_is_shared_by_all_servers() {
    let prepared = Prepared::binary(payload(CHAIN));
    for _ in 0..3 {
        let mut server = open(Role::Server, &Config::new());
        server.send_prepared(&prepared).unwrap();
        let slices: Vec<_> = server.transmit().slices().collect();
        assert_eq!(slices[1].as_ptr(), prepared.payload().as_ptr());
        assert_eq!(frames_of(&mut server), [(0x82, payload(CHAIN))]);
    }
}

#[test]
fn small_output_is_one_slice() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        for len in [0, 1, 125, 1000, CHAIN - 1] {
            connection.send(payload(len)).unwrap();
            connection.ping(b"").unwrap();
        }
        let transmit = connection.transmit();
        assert_eq!(transmit.slices().count(), 1);
        assert_eq!((transmit.first().len(), transmit.to_vec().len()), (transmit.len(), transmit.len()));
        assert_eq!(take_output(&mut connection).len(), wire_len(role, [0, 1, 125, 1000, CHAIN - 1]));
        assert_eq!((connection.transmit().first(), connection.transmit().slices().count()), (&b""[..], 0));
    }
}

/// What messages of these lengths and a Ping behind each take on the wire.
fn wire_len<const N: usize>(role: Role, lens: [usize; N]) -> usize {
    let key = if role == Role::Client { 4 } else { 0 };
    lens.iter().map(|len| len + if *len > 125 { 4 } else { 2 } + key + 2 + key).sum()
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
                connection.receive_eof(START);
            },
            Connection::transport_failed,
            |connection| {
                connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
                receive(connection, START, &wire::close(connection.role(), 1000, ""));
                take_output(connection);
                connection.receive_eof(START);
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

#[test]
fn what_is_sent_behind_fragments_that_wait_stays_behind_them_and_a_close_is_last() {
    for role in ROLES {
        let mut connection = open(role, &Config::new().auto_fragment(Some(1000)));
        connection.send(payload(100_000)).unwrap();
        connection.send("small").unwrap();
        connection.begin(Kind::Text).unwrap();
        connection.push(b"piece").unwrap();
        connection.finish(b"").unwrap();
        connection.send(payload(1500)).unwrap();
        connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
        assert_eq!(connection.transport(), Transport::Open);
        let sent = frames(&take_in_steps(&mut connection, &[999, 1, 5000]));
        let tail: Vec<_> = sent[100..].iter().map(|(first, bytes)| (*first, bytes.len())).collect();
        assert_eq!(tail, [(0x81, 5), (0x01, 5), (0x80, 0), (0x02, 1000), (0x80, 500), (0x88, 2)]);
    }
}

/// Everything that can be queued, small and chained.
fn queue_everything(connection: &mut Connection) {
    connection.send("Hello").unwrap();
    connection.send(payload(CHAIN)).unwrap();
    connection.send(payload(CHAIN + 5)).unwrap();
    connection.ping(b"ping").unwrap();
    connection.send_prepared(&Prepared::binary(payload(CHAIN))).unwrap();
    connection.send("").unwrap();
    connection.begin(Kind::Binary).unwrap();
    connection.push(&payload(300)).unwrap();
    connection.finish(&payload(CHAIN)).unwrap();
    connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
}

#[test]
fn however_little_is_written_at_a_time_the_bytes_are_the_same() {
    for role in ROLES {
        for fragment in [None, Some(100), Some(CHAIN)] {
            let config = Config::new().auto_fragment(fragment);
            let mut at_once = open(role, &config);
            queue_everything(&mut at_once);
            let expected = take_output(&mut at_once);
            for steps in [&[1][..], &[2], &[3], &[1, 2, 3], &[3, 1], &[0, 5], &[CHAIN, 1], &[usize::MAX]] {
                let mut connection = open(role, &config);
                queue_everything(&mut connection);
                assert!(take_in_steps(&mut connection, steps) == expected, "{fragment:?} {steps:?}");
                assert_eq!((connection.transmit().len(), connection.buffered()), (0, 0));
            }
        }
    }
}

/// A generator for the schedules below: the same numbers every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}

/// What was queued, to be compared with what came out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sent {
    messages: Vec<Vec<u8>>,
    pings: Vec<Vec<u8>>,
}

/// Puts the messages in `bytes` together; every rule of §5.4 must hold.
fn reassemble(bytes: &[u8]) -> Sent {
    let mut sent = Sent::default();
    let mut open: Option<Vec<u8>> = None;
    for frame in wire::parse(bytes) {
        let fin = frame.first & 0x80 != 0;
        match frame.first & 0x7F {
            wire::PING => sent.pings.push(frame.payload),
            wire::PONG => assert_eq!(frame.payload, b"?"),
            wire::CONTINUATION => {
                let mut message = open.take().expect("a continuation of nothing");
                message.extend(frame.payload);
                if fin { sent.messages.push(message) } else { open = Some(message) }
            }
            wire::BINARY => {
                assert!(open.is_none(), "a message within another");
                if fin { sent.messages.push(frame.payload) } else { open = Some(frame.payload) }
            }
            other => panic!("opcode {other}"),
        }
    }
    assert!(open.is_none(), "an unfinished message");
    sent
}

#[test]
fn commands_between_partial_writes_only_add_behind_what_is_shown_and_all_comes_out_in_order() {
    for role in ROLES {
        for fragment in [None, Some(100), Some(5000), Some(20_000)] {
            for seed in 0..6 {
                let mut dice = Dice(seed);
                let config = Config::new().auto_fragment(fragment).hard_limit(usize::MAX);
                let mut connection = open(role, &config);
                let (mut sent, mut output, mut pieces) = (Sent::default(), Vec::new(), None::<Vec<u8>>);
                for step in 0..80_u32 {
                    let shown = connection.transmit().to_vec();
                    let len = [0, 3, 200, 4000, CHAIN - 1, CHAIN, 40_000][dice.below(7)];
                    let mut bytes = payload(len);
                    bytes.extend(step.to_be_bytes());
                    match (dice.below(8), &mut pieces) {
                        (0, pieces @ None) => {
                            connection.begin(Kind::Binary).unwrap();
                            *pieces = Some(Vec::new());
                        }
                        (1, Some(_)) => {
                            connection.finish(&bytes).unwrap();
                            let mut message = pieces.take().unwrap();
                            message.extend(bytes);
                            sent.messages.push(message);
                        }
                        (2, _) => {
                            connection.ping(&step.to_be_bytes()).unwrap();
                            sent.pings.push(step.to_be_bytes().to_vec());
                        }
                        (3, _) => {
                            receive(&mut connection, START, &wire::frame(role, wire::PING, "?"));
                        }
                        (4, _) => connection.release_memory(),
                        (_, Some(message)) => {
                            connection.push(&bytes).unwrap();
                            message.extend(bytes);
                        }
                        (how, None) => {
                            match how {
                                5 => connection.send(&bytes[..]),
                                6 => connection.send_prepared(&Prepared::binary(bytes.clone())),
                                _ => connection.send(bytes.clone()),
                            }
                            .unwrap();
                            sent.messages.push(bytes);
                        }
                    }
                    let now = connection.transmit().to_vec();
                    assert!(now.starts_with(&shown), "what was shown has changed");
                    let n = dice.below(now.len() + 1).min([1, 100, 20_000, usize::MAX][dice.below(4)]);
                    output.extend_from_slice(&now[..n]);
                    connection.transmitted(n);
                    assert!(
                        connection.transmit().to_vec().starts_with(&now[n..]),
                        "what is left has changed"
                    );
                }
                if let Some(message) = pieces {
                    connection.finish(b"").unwrap();
                    sent.messages.push(message);
                }
                output.extend(take_output(&mut connection));
                assert!(reassemble(&output) == sent, "{role:?} {fragment:?} {seed}");
            }
        }
    }
}

#[test]
fn the_output_block_is_lent_and_reclaimed() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        assert_eq!(connection.reclaim_output(), None, "there is none yet");
        let mut block = Vec::with_capacity(4096);
        block.extend(b"left over");
        let address = block.as_ptr();
        assert_eq!(connection.lend_output(block), None);
        assert!(connection.transmit().is_empty(), "what was in it is dropped");

        connection.send("Hello").unwrap();
        assert_eq!(connection.transmit().first().as_ptr(), address);
        assert_eq!(connection.reclaim_output(), None, "it is in use");
        connection.transmitted(1);
        assert_eq!(connection.reclaim_output(), None, "it is in use");
        assert_eq!(connection.lend_output(vec![1, 2, 3]), Some(vec![1, 2, 3]), "it has one");
        connection.transmitted(connection.transmit().len());
        let block = connection.reclaim_output().unwrap();
        assert_eq!((block.as_ptr(), block.len(), block.capacity()), (address, 0, 4096));
        connection.send("again").unwrap();
        assert_eq!(frames_of(&mut connection), [(0x81, b"again".to_vec())]);
    }
}

#[test]
fn releasing_memory_loses_nothing() {
    for role in ROLES {
        let mut connection = open(role, &Config::new().auto_fragment(Some(30_000)));
        queue_everything(&mut connection);
        let mut again = open(role, &Config::new().auto_fragment(Some(30_000)));
        queue_everything(&mut again);
        let expected = take_output(&mut again);
        let mut output = Vec::new();
        while !connection.transmit().is_empty() {
            connection.release_memory();
            let mut part = connection.transmit().to_vec();
            part.truncate(777);
            connection.transmitted(part.len());
            output.extend(part);
        }
        assert!(output == expected);
    }
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        receive(&mut connection, START, &wire::fragment(role, wire::TEXT, "a"));
        connection.release_memory();
        let (events, _) = receive(&mut connection, START, &wire::frame(role, 0, "b"));
        assert_eq!(events, [sansocket::Event::Message(Message::from("ab"))]);
    }
}
