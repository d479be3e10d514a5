//! Long messages and handlers: lent where they were read, answered from there.
#![cfg(feature = "driver")]

use core::task::Poll;
use std::io::ErrorKind;

use sansocket::{Cause, CloseCode, Config, Message, Role};
use sansocket_tests::pair::Dice;
use sansocket_tests::scripted::Step;
use sansocket_tests::stage::{Call, Stage, echo, goodbye, text};
use sansocket_tests::wire::{self, BINARY, PING, TEXT};

const KIB: usize = 1024;
const CONFIG: Config = Config::new().idle_timeout(None).max_message(3 * 1024 * 1024);

fn payload(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

fn binary(len: usize) -> Vec<u8> {
    wire::frame(Role::Server, BINARY, payload(len))
}

#[test]
fn a_long_answer_is_written_from_where_it_is_with_what_was_queued_before() {
    let mut stage = Stage::open(CONFIG, echo);
    let before = stage.grip.log().writes.len();
    stage.give(&[text("a"), text("b"), binary(20 * KIB), text("c")]);
    let writes = &stage.grip.log().writes[before..];
    // Two slices: the queue with the header, and the payload.
    assert_eq!(writes, [(3 + 3 + 4 + 20 * KIB, 2), (3, 1)]);
    let frames = stage.frames();
    assert_eq!(frames.len(), 4);
    assert!(frames[2] == (BINARY, payload(20 * KIB)));
}

#[test]
fn a_stream_that_takes_a_part_gets_the_rest_later() {
    for taken in [1, 2, 3, 4, 5, 1000, 16 * KIB + 3, 16 * KIB + 4] {
        let mut stage = Stage::open(CONFIG, echo);
        stage.grip.on_write([Step::Move(taken), Step::Wait, Step::Move(1), Step::Yield]);
        stage.give(&[binary(16 * KIB), text("behind"), binary(17 * KIB)]);
        stage.grip.wake_writer();
        assert!(stage.task.settle().is_pending());
        let expected = [(BINARY, payload(16 * KIB)), (TEXT, b"behind".to_vec()), (BINARY, payload(17 * KIB))];
        assert!(stage.frames() == expected, "{taken} bytes at once");
    }
}

#[test]
fn a_write_that_fails_at_a_long_answer_loses_nothing_that_the_peer_said() {
    for after in [0, 1, 4, 5000] {
        let mut stage = Stage::open(CONFIG, echo);
        stage.grip.fail_writes(after, ErrorKind::BrokenPipe);
        stage.grip.give([binary(20 * KIB), text("last words"), goodbye(1000)].concat());
        stage.grip.end();
        assert!(stage.task.settle().is_ready());
        let notes = stage.notes.get();
        assert!(notes.iter().any(|note| note == "message last words"), "{after}");
        assert_eq!(notes.iter().filter(|note| note.starts_with("close ")).count(), 1);
    }
}

#[test]
fn a_stream_that_fails_once_and_then_waits_for_ever_is_found_out() {
    let mut stage = Stage::open(CONFIG, echo);
    stage.grip.on_write([Step::Fail(ErrorKind::ConnectionReset)]);
    stage.grip.give(binary(20 * KIB));
    stage.grip.end();
    let end = stage.task.settle();
    let Poll::Ready(Ok(disconnect)) = end else { panic!("{end:?}") };
    assert_eq!(*disconnect.cause(), Cause::Lost);
}

#[test]
fn a_stream_that_takes_none_of_a_long_answer_has_failed() {
    let mut stage = Stage::open(CONFIG, echo);
    stage.grip.on_write([Step::Zero]);
    stage.grip.give(binary(20 * KIB));
    stage.grip.end();
    assert!(matches!(stage.task.settle(), Poll::Ready(Ok(end)) if *end.cause() == Cause::Lost));
    assert_eq!(stage.frames(), [], "nothing is written behind that");
}

#[test]
fn what_a_peer_says_after_a_write_failed_comes_to_the_handler() {
    for payload in ["short".into(), "x".repeat(20 * KIB)] {
        let mut stage = Stage::open(CONFIG, echo);
        stage.grip.fail_writes(0, ErrorKind::BrokenPipe);
        stage.give(&[text(&payload)]);
        stage.grip.give([text("last words"), goodbye(1000)].concat());
        stage.grip.end();
        assert!(stage.task.settle().is_ready());
        assert!(
            stage.notes.get().iter().any(|note| note == "message last words"),
            "{:?}",
            stage.notes.get().last()
        );
    }
}

#[test]
fn an_interrupted_write_is_none() {
    let mut stage = Stage::open(CONFIG, echo);
    stage.grip.on_write([Step::Fail(ErrorKind::Interrupted); 3]);
    stage.give(&[binary(20 * KIB)]);
    assert!(stage.frames() == [(BINARY, payload(20 * KIB))]);
}

#[test]
fn a_handler_that_closes_behind_a_long_answer_has_both_written() {
    let mut stage = Stage::open(CONFIG, |call, reply| {
        if let Call::Message(message) = call {
            reply.send(message)?;
            reply.close(CloseCode::GOING_AWAY);
        }
        Ok(())
    });
    stage.grip.on_write([Step::Move(100)]);
    stage.give(&[binary(20 * KIB)]);
    let frames = stage.frames();
    assert!(frames[0] == (BINARY, payload(20 * KIB)));
    assert_eq!(frames[1..], [(wire::CLOSE, wire::close_payload(1001))]);
}

#[test]
fn an_echo_of_long_messages_whose_peer_does_not_read_stops_reading_and_then_goes_on() {
    let mut stage = Stage::open(CONFIG, echo);
    stage.grip.set_room(0);
    stage.grip.give(binary(50 * KIB).repeat(40));
    assert!(stage.task.settle().is_pending());
    let reads = stage.grip.log().reads;
    assert!(reads <= 4, "{reads} reads of 64 KiB");
    stage.grip.set_room(30_000);
    let mut bytes = Vec::new();
    while bytes.len() < 40 * (50 * KIB + 4) {
        assert!(stage.task.settle().is_pending());
        let some = stage.grip.take();
        assert!(!some.is_empty(), "it stands still");
        bytes.extend(some);
    }
    assert!(wire::payloads(&bytes, BINARY).iter().all(|answer| *answer == payload(50 * KIB)));
}

#[test]
fn messages_of_all_lengths_come_back_whole_however_the_stream_moves() {
    const LENGTHS: [usize; 10] =
        [0, 1, 300, 16 * KIB - 1, 16 * KIB, 40 * KIB, 64 * KIB, 200 * KIB, 1024 * KIB, 1024 * KIB + 1];
    for seed in 0..25 {
        let mut dice = Dice::new(seed);
        let mut stage = Stage::open(CONFIG, echo);
        let sent: Vec<_> = (0..8)
            .map(|_| match dice.below(4) {
                0 => (TEXT, "é".repeat(dice.pick(&LENGTHS) / 2).into_bytes()),
                1 => (PING, payload(dice.below(126))),
                _ => (BINARY, payload(dice.pick(&LENGTHS))),
            })
            .collect();
        let stream: Vec<_> =
            sent.iter().flat_map(|(opcode, payload)| wire::frame(Role::Server, *opcode, payload)).collect();
        let mut bytes = Vec::new();
        let mut rest = &stream[..];
        let most = dice.pick(&[3000, 70_000, 400_000, stream.len().max(1)]);
        stage.grip.set_room(dice.pick(&[5000, 100_000, 10_000_000]));
        loop {
            let (piece, behind) = rest.split_at(rest.len().min(1 + dice.below(most)));
            stage.grip.give(piece);
            rest = behind;
            assert!(stage.task.settle().is_pending());
            let some = stage.grip.take();
            if some.is_empty() && piece.is_empty() {
                break;
            }
            bytes.extend(some);
        }
        for opcode in [TEXT, BINARY] {
            let of: Vec<_> = sent.iter().filter(|sent| sent.0 == opcode).map(|sent| sent.1.clone()).collect();
            assert!(wire::payloads(&bytes, opcode) == of, "seed {seed}");
        }
    }
}

#[test]
fn messages_are_lent_to_handlers_and_longer_ones_owned() {
    for (len, lent) in [(100, true), (70 * KIB, true), (1024 * KIB, true), (1024 * KIB + 1, false)] {
        let mut stage = Stage::open(CONFIG, |call, reply| {
            if let Call::Message(Message::Binary(payload)) = call {
                reply.send(if matches!(payload, std::borrow::Cow::Borrowed(_)) {
                    "lent"
                } else {
                    "owned"
                })?;
            }
            Ok(())
        });
        for piece in binary(len).chunks(30_000) {
            stage.grip.give(piece);
            assert!(stage.task.settle().is_pending());
        }
        let expected = if lent { "lent" } else { "owned" };
        assert_eq!(stage.frames(), [(TEXT, expected.as_bytes().to_vec())], "{len}");
    }
}
