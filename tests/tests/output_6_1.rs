//! RFC 6455 §6.1: output that is queued, shown in slices and written bit by bit.

use std::io::IoSlice;

use sansocket::{CloseCode, Config, Connection, Kind, Message, Prepared, Role, Transport};
use sansocket_tests::clock::{at, end};
use sansocket_tests::{ROLES, START, open, receive, take_output, wire};

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

#[test]
fn for_a_vectored_write_there_are_as_many_of_the_slices_as_there_is_room_for() {
    let prepared = Prepared::binary(payload(CHAIN));
    let mut server = open(Role::Server, &Config::new());
    for _ in 0..3 {
        server.send_prepared(&prepared).unwrap();
    }
    let transmit = server.transmit();
    let slices: Vec<_> = transmit.slices().collect();
    for room in 0..8 {
        let mut slots = vec![IoSlice::new(b"?"); room];
        let shown: Vec<_> = transmit.io_slices(&mut slots).iter().map(|slice| &**slice).collect();
        assert_eq!(shown, slices[..room.min(6)], "{room}");
    }
}

/// What messages of these lengths and a Ping behind each take on the wire.
fn wire_len<const N: usize>(role: Role, lens: [usize; N]) -> usize {
    let key = if role == Role::Client { 4 } else { 0 };
    lens.iter().map(|len| len + if *len > 125 { 4 } else { 2 } + key + 2 + key).sum()
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
        assert!(connection.wants_output());
        let mut block = Vec::with_capacity(4096);
        block.extend(b"left over");
        let address = block.as_ptr();
        assert_eq!(connection.lend_output(block), None);
        assert!(!connection.wants_output());
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
        assert!(connection.wants_output());
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

/// A write that was on its way, in a ring or on another thread, is told about when the connection has moved on.
#[test]
fn to_acknowledge_output_that_the_connection_has_dropped_makes_no_difference() {
    let drops: [fn(&mut Connection); 5] = [
        Connection::transport_failed,
        |connection| connection.write_failed(START),
        |connection| {
            connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
            connection.write_failed(START);
        },
        |connection| {
            connection.receive_eof();
        },
        |connection| {
            connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
            connection.handle_timeout(at(5));
        },
    ];
    for role in ROLES {
        for fragment in [None, Some(1000)] {
            for (i, drop) in drops.iter().enumerate() {
                let [told, not_told] = [30_000, 0].map(|acknowledged| {
                    let mut connection = open(role, &Config::new().auto_fragment(fragment));
                    connection.send(vec![0; 50_000]).unwrap();
                    drop(&mut connection);
                    connection.transmitted(acknowledged);
                    let shown = (connection.transmit().len(), connection.buffered(), connection.state());
                    let deadline = connection.poll_timeout();
                    connection.handle_timeout(at(5));
                    let verdict = end(&connection);
                    connection.transmitted(acknowledged);
                    (shown, deadline, verdict, connection.state(), connection.transmit().is_empty())
                });
                assert_eq!(told, not_told, "{role:?}, {fragment:?}, {i}");
                assert_eq!(told.0.1, 0, "it was dropped: {i}");
            }
        }
    }
}
