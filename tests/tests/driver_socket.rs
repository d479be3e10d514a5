//! A `WebSocket` on a stream that does as it is told: what is read, written, waited for, and how it ends.
#![cfg(feature = "driver")]

use core::pin::pin;
use core::task::Poll;
use std::io::ErrorKind;

use futures_util::{FutureExt, SinkExt, StreamExt};
use sansocket::{Cause, CloseCode, CloseFrame, Config, Message, ProtocolError, Role, SendError, Side};
use sansocket_driver::Error;
use sansocket_tests::ROLES;
use sansocket_tests::pair::Dice;
use sansocket_tests::scripted::{self, Scene, Step, Task, open, run, run_both};
use sansocket_tests::wire::{
    BINARY, CLOSE, PING, PONG, Parsed, TEXT, close, close_payload, frame, parse, payloads,
};

const CONFIG: Config = Config::new();
const RESET: ErrorKind = ErrorKind::ConnectionReset;

/// Receives to the end: the messages, and the error if there was one. Asserts that nothing follows the end.
fn receive_all(scene: &mut Scene) -> (Vec<Message<'static>>, Option<Error>) {
    let mut messages = Vec::new();
    let error = loop {
        match run(scene.socket.recv()) {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    for _ in 0..2 {
        assert!(matches!(run(scene.socket.recv()), Ok(None)), "the end is told once");
    }
    (messages, error)
}

#[test]
fn what_is_fed_between_messages_of_one_read_goes_out_in_one_write() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        let names: Vec<_> = (0..50).map(|i| format!("message {i}")).collect();
        scene.grip.give(names.iter().flat_map(|name| frame(role, TEXT, name)).collect::<Vec<_>>());
        for name in &names {
            let message = run(scene.socket.recv()).unwrap().unwrap();
            assert_eq!(message.as_text(), Some(&name[..]));
            run(scene.socket.feed(message)).unwrap();
        }
        assert_eq!(scene.grip.log().written, []);
        assert!(scene.socket.recv().now_or_never().is_none());
        let log = scene.grip.log();
        assert_eq!((log.writes.len(), log.reads), (1, 2));
        assert_eq!(
            payloads(&log.written, TEXT),
            names.iter().map(|n| n.clone().into_bytes()).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_large_message_is_written_with_its_header_in_one_call() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        run(scene.socket.send(vec![5; 100_000])).unwrap();
        let log = scene.grip.log();
        assert_eq!(log.writes, [(log.written.len(), 2)]);
        assert_eq!(payloads(&log.written, BINARY), [vec![5; 100_000]]);
    }
}

#[test]
fn recv_writes_answers_to_pings_though_nobody_sends() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        let mut waiting = Task::new(scene.socket.recv());
        assert!(waiting.settle().is_pending());
        scene.grip.give(frame(role, PING, "a"));
        scene.grip.give(frame(role, PING, "b"));
        assert!(waiting.is_woken());
        assert!(waiting.settle().is_pending());
        assert_eq!(payloads(&scene.grip.log().written, PONG), [b"a", b"b"]);
        assert_eq!(scene.grip.log().writes.len(), 1);
    }
}

#[test]
fn a_ping_before_a_message_is_answered_when_recv_returns_it() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        scene.grip.give([frame(role, PING, "a"), frame(role, TEXT, "m"), frame(role, PING, "b")].concat());
        run(scene.socket.recv()).unwrap().unwrap();
        assert_eq!(payloads(&scene.grip.log().written, PONG), [b"a"]);
    }
}

#[test]
fn what_a_stream_holds_back_is_flushed_out_of_it() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        scene.grip.hold_until_flush();
        scene.grip.on_flush([Step::Wait]);
        let mut sending = Task::new(scene.socket.send("m"));
        assert!(sending.settle().is_pending());
        assert_eq!(scene.grip.take(), []);
        scene.grip.wake_writer();
        assert!(matches!(sending.settle(), Poll::Ready(Ok(()))));
        assert_eq!(payloads(&scene.grip.take(), TEXT), [b"m"]);
    }
}

#[test]
fn the_answer_to_a_close_has_left_the_stream_before_the_end_is_told() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        scene.grip.hold_until_flush();
        scene.grip.on_flush([Step::Yield, Step::Yield]);
        scene.grip.give(close(role, 1000, ""));
        scene.grip.end();
        let (_, error) = receive_all(&mut scene);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(payloads(&scene.grip.take(), CLOSE), [close_payload(1000)]);
        assert!(scene.grip.log().shut);
    }
}

#[test]
fn feed_waits_while_the_peer_does_not_read() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG.high_water(1000));
        scene.grip.set_room(0);
        let mut fed = 0;
        while scene.socket.feed(vec![1; 100]).now_or_never().is_some_and(|result| result.is_ok()) {
            fed += 1;
            assert!(fed < 20, "it never waits");
        }
        assert!(scene.socket.connection().buffered() >= 1000);
        let held = scene.socket.connection().buffered();
        let mut waiting = Task::new(scene.socket.feed("last"));
        for _ in 0..100 {
            assert!(waiting.poll().is_pending());
        }
        scene.grip.set_room(200);
        assert!(waiting.is_woken());
        assert!(matches!(waiting.settle(), Poll::Ready(Ok(()))));
        drop(waiting);
        assert!(scene.socket.connection().buffered() < held);
        scene.grip.set_room(usize::MAX);
        run(scene.socket.flush()).unwrap();
        assert_eq!(payloads(&scene.grip.take(), BINARY).len(), fed);
    }
}

#[test]
fn an_echo_whose_peer_does_not_read_stops_reading() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG.high_water(1000));
        scene.grip.set_room(0);
        scene.grip.give(frame(role, BINARY, [1; 100]).repeat(10_000));
        scene.grip.on_read([Step::Move(1500); 1000]);
        let mut echo = Task::new(async {
            while let Some(message) = scene.socket.recv().await.unwrap() {
                scene.socket.feed(message).await.unwrap();
            }
        });
        assert!(echo.settle().is_pending());
        let reads = scene.grip.log().reads;
        assert!(reads < 5, "{reads}");
        for _ in 0..100 {
            assert!(echo.poll().is_pending());
        }
        assert_eq!(scene.grip.log().reads, reads);
        let mut back = Vec::new();
        scene.grip.set_room(5000);
        while echo.settle().is_pending() {
            let some = scene.grip.take();
            if some.is_empty() {
                break;
            }
            back.extend(some);
        }
        drop(echo);
        assert_eq!(payloads(&back, BINARY).len(), 10_000);
    }
}

#[test]
fn pings_of_a_peer_that_does_not_read_do_not_pile_up_pongs() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        scene.grip.set_room(0);
        let mut waiting = Task::new(scene.socket.recv());
        for i in 0..2000_u32 {
            scene.grip.give(frame(role, PING, [i.to_be_bytes(); 25].concat()));
            assert!(waiting.settle().is_pending());
        }
        scene.grip.set_room(usize::MAX);
        assert!(waiting.settle().is_pending());
        drop(waiting);
        let log = scene.grip.log();
        assert!(log.written.len() < 5000, "{}", log.written.len());
        let pongs = payloads(&log.written, PONG);
        assert_eq!(pongs.last(), Some(&[1999_u32.to_be_bytes(); 25].concat()), "the newest is answered");
    }
}

#[test]
fn a_stream_that_ends_at_any_byte_gives_what_came_whole_and_one_error() {
    for role in ROLES {
        let parts = [
            frame(role, TEXT, "one"),
            frame(role, PING, "p"),
            frame(role, BINARY, [2; 300]),
            close(role, 1000, "x"),
        ];
        let whole = parts.concat();
        let ends: Vec<_> = parts
            .iter()
            .scan(0, |at, part| {
                *at += part.len();
                Some(*at)
            })
            .collect();
        for at in 0..=whole.len() {
            for error in [None, Some(RESET)] {
                let mut scene = open(role, &CONFIG);
                scene.grip.give(&whole[..at]);
                error.map_or_else(|| scene.grip.end(), |error| scene.grip.fail_reads(error));
                let (messages, told) = receive_all(&mut scene);
                assert_eq!(messages.len(), [ends[0], ends[2]].iter().filter(|end| **end <= at).count());
                let disconnect = scene.socket.disconnect().unwrap();
                match told {
                    None => {
                        assert_eq!(at, whole.len());
                        assert_eq!(disconnect.cause(), &Cause::Closed(Side::Remote));
                        assert!(disconnect.is_clean());
                    }
                    Some(told) => {
                        assert!(at < whole.len());
                        assert_eq!(disconnect.cause(), &Cause::Lost);
                        match (error, told) {
                            (None, told) => assert_eq!(told.cause(), Some(&Cause::Lost)),
                            (Some(error), Error::Io(told)) => assert_eq!(told.kind(), error),
                            (_, told) => panic!("{told:?}"),
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_write_that_fails_at_any_byte_is_told_once_and_nothing_is_written_behind_it() {
    for role in ROLES {
        let mut whole = open(role, &CONFIG);
        let run_through = |scene: &mut Scene| {
            let mut errors = Vec::new();
            errors.extend(run(scene.socket.send("first")).err());
            errors.extend(run(scene.socket.send(vec![7; 200])).err());
            errors
        };
        assert_eq!(run_through(&mut whole).len(), 0);
        let all = whole.grip.log().written;
        for at in 0..all.len() {
            for kind in [ErrorKind::BrokenPipe, ErrorKind::WriteZero] {
                let mut scene = open(role, &CONFIG);
                scene.grip.on_write([Step::Move(at.max(1)), Step::Yield]);
                scene.grip.fail_writes(at, kind);
                let errors = run_through(&mut scene);
                assert_eq!(scene.grip.log().written, all[..at]);
                assert!(matches!(&errors[0], Error::Io(error) if error.kind() == kind), "{errors:?}");
                assert!(scene.socket.send("more").now_or_never().unwrap().is_err());
                scene.grip.end();
                let (messages, error) = receive_all(&mut scene);
                assert_eq!(messages, []);
                assert_eq!(error.unwrap().cause(), Some(&Cause::Lost));
            }
        }
    }
}

#[test]
fn a_fault_of_the_peer_is_told_though_the_peer_breaks_the_stream_behind_it() {
    for role in ROLES {
        for breaks in ["reading", "writing", "both"] {
            let mut scene = open(role, &CONFIG);
            if breaks != "writing" {
                scene.grip.fail_reads(RESET);
            }
            if breaks != "reading" {
                scene.grip.fail_writes(1, RESET);
            }
            scene.grip.give(frame(role, TEXT, b"\xFF"));
            let (messages, error) = receive_all(&mut scene);
            let error = error.expect("a fault");
            let expected = Cause::Violation(ProtocolError::InvalidUtf8);
            assert_eq!((messages.len(), error.cause()), (0, Some(&expected)), "{breaks}: {error:?}");
        }
    }
}

#[test]
fn a_stream_that_takes_no_bytes_fails_with_write_zero() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        scene.grip.on_write([Step::Move(1), Step::Zero]);
        let error = run(scene.socket.send("m")).unwrap_err();
        assert!(matches!(&error, Error::Io(error) if error.kind() == ErrorKind::WriteZero), "{error:?}");
    }
}

#[test]
fn a_flush_that_fails_ends_the_connection() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        scene.grip.on_flush([Step::Fail(RESET)]);
        let error = run(scene.socket.send("m")).unwrap_err();
        assert!(matches!(&error, Error::Io(error) if error.kind() == RESET), "{error:?}");
        scene.grip.end();
        assert_eq!(receive_all(&mut scene).1.unwrap().cause(), Some(&Cause::Lost));
    }
}

#[test]
fn messages_that_were_read_before_a_write_failed_are_still_received() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        scene.grip.give([frame(role, TEXT, "1"), frame(role, TEXT, "2"), close(role, 1000, "")].concat());
        run(scene.socket.recv()).unwrap().unwrap();
        // The peer has said all that it had to say and is gone.
        scene.grip.fail_writes(0, ErrorKind::BrokenPipe);
        run(scene.socket.send("too late")).unwrap_err();
        scene.grip.end();
        let (messages, _) = receive_all(&mut scene);
        assert_eq!(messages, [Message::from("2")]);
    }
}

#[test]
fn interrupted_calls_are_repeated() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        let interrupted = Step::Fail(ErrorKind::Interrupted);
        scene.grip.on_write([interrupted, Step::Move(2), interrupted, interrupted, Step::Move(1)]);
        run(scene.socket.send("m")).unwrap();
        assert_eq!(payloads(&scene.grip.log().written, TEXT), [b"m"]);
        scene.grip.on_read([interrupted, Step::Move(1), interrupted, interrupted]);
        scene.grip.give(frame(role, TEXT, "m"));
        assert_eq!(run(scene.socket.recv()).unwrap(), Some(Message::from("m")));
    }
}

#[test]
fn close_goes_through_the_closing_handshake_from_both_roles() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        let frame = CloseFrame::new(CloseCode::new(4321).unwrap(), "enough").unwrap();
        let mut closing = Task::new(scene.socket.close(frame.clone()));
        assert!(closing.settle().is_pending());
        assert_eq!(parse(&scene.grip.log().written)[0].payload, b"\x10\xE1enough");
        assert!(!scene.grip.log().shut, "both Close frames come first");
        scene.grip.give([scripted_text(role), close(role, 4321, "")].concat());
        assert!(closing.settle().is_pending());
        // §7.1.1: the server closes the stream, the client waits for that.
        assert_eq!(scene.grip.log().shut, role == Role::Server);
        scene.grip.end();
        let Poll::Ready(disconnect) = closing.settle() else { panic!("both have closed") };
        drop(closing);
        assert!(disconnect.is_clean() && scene.grip.log().shut);
        assert_eq!(disconnect.sent(), Some(&frame));
        assert_eq!(scene.socket.disconnect(), Some(&disconnect));
        assert!(matches!(run(scene.socket.recv()), Ok(None)));
        assert!(matches!(run(scene.socket.send("m")), Err(Error::Send(SendError::Closed))));
        assert_eq!(
            run(scene.socket.close(CloseCode::GOING_AWAY)),
            disconnect,
            "closing again changes nothing"
        );
    }
}

fn scripted_text(role: Role) -> Vec<u8> {
    frame(role, TEXT, "on its way")
}

#[test]
fn recv_gives_what_comes_between_start_close_and_the_peers_close() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        scene.socket.start_close(CloseCode::GOING_AWAY);
        scene.grip.give([scripted_text(role), close(role, 1001, "")].concat());
        scene.grip.end();
        let (messages, error) = receive_all(&mut scene);
        assert_eq!(messages, [Message::from("on its way")]);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(scene.socket.disconnect().unwrap().cause(), &Cause::Closed(Side::Local));
        assert_eq!(payloads(&scene.grip.log().written, CLOSE), [close_payload(1001)]);
    }
}

#[test]
fn stream_and_sink_are_recv_and_send() {
    for role in ROLES {
        let scene = open(role, &CONFIG);
        scene.grip.give([frame(role, TEXT, "a"), frame(role, BINARY, "b")].concat());
        let (sink, stream) = scene.socket.split();
        let mut echo = Task::new(stream.forward(sink));
        assert!(echo.settle().is_pending());
        scene.grip.give(close(role, 1000, ""));
        scene.grip.end();
        assert!(matches!(echo.settle(), Poll::Ready(Ok(()))));
        let kinds: Vec<_> = parse(&scene.grip.log().written).iter().map(|frame| frame.first & 0x0F).collect();
        assert_eq!(kinds, [TEXT, BINARY, CLOSE]);
        assert!(scene.grip.log().shut);

        let mut scene = open(role, &CONFIG);
        let mut closing = Task::new(async {
            scene.socket.send_all(&mut futures_util::stream::iter([Ok(Message::from("x"))])).await.unwrap();
            SinkExt::close(&mut scene.socket).await.unwrap();
        });
        assert!(closing.settle().is_pending());
        let sent = [(TEXT, b"x".to_vec()), (CLOSE, close_payload(1000))].map(|(opcode, payload)| Parsed {
            first: 0x80 | opcode,
            masked: role == Role::Client,
            payload,
        });
        assert_eq!(parse(&scene.grip.log().written), sent);
        scene.grip.give(close(role, 1000, ""));
        scene.grip.end();
        assert!(closing.settle().is_ready());
    }
}

#[test]
fn a_peer_that_always_has_more_does_not_keep_a_poll_from_returning() {
    for role in ROLES {
        let scene = open(role, &CONFIG);
        let mut socket = pin!(scene.socket);
        scene.grip.give(frame(role, PING, "").repeat(1000));
        scene.grip.on_read([Step::Move(6); 1000]);
        let mut waiting = Task::new(socket.recv());
        assert!(waiting.poll().is_pending());
        let reads = scene.grip.log().reads;
        assert!((2..=64).contains(&reads), "{reads}");
        assert!(waiting.is_woken(), "there is more to read");
        assert!(waiting.poll().is_pending());
        assert!(scene.grip.log().reads > reads);
    }
}

#[test]
fn connections_that_wait_hold_no_memory_to_read_into() {
    // They take it in turns to read into the same block, which is only so if each has given it back.
    let mut blocks = Vec::new();
    for role in ROLES {
        let mut scenes: Vec<_> = (0..50).map(|_| open(role, &CONFIG)).collect();
        for scene in &mut scenes {
            scene.grip.give([frame(role, TEXT, "m"), frame(role, BINARY, [1; 50])[..20].to_vec()].concat());
            run(scene.socket.recv()).unwrap().unwrap();
            assert!(scene.socket.recv().now_or_never().is_none());
            blocks.extend(scene.grip.log().blocks);
        }
        for scene in scenes {
            let (_, left) = scene.socket.into_io();
            assert_eq!(left, frame(role, BINARY, [1; 50])[..20], "a message that has begun");
        }
    }
    // Behind what waits there for the rest of its message, or at the front.
    let spread = blocks.iter().max().unwrap() - blocks.iter().min().unwrap();
    assert!(spread < 100, "{spread}: another block");
}

#[test]
fn two_ends_talk_over_a_stream_that_does_everything_by_halves() {
    for seed in 0..100 {
        let mut dice = Dice::new(seed);
        let (room, most) = dice.pick(&[(1, 300), (30, 300), (5000, 70_000)]);
        let [(one, grip), (other, _)] = scripted::duplex(room);
        grip.at_random(seed);
        let clock = scripted::Clock::new();
        let client = async {
            let mut socket = scripted::connect_on(one, &clock, &CONFIG).await;
            for len in [0, 125, 126, most, 3] {
                socket.send(vec![9; len]).await.unwrap();
                assert_eq!(socket.recv().await.unwrap(), Some(Message::from(vec![9; len])));
            }
            socket.close(CloseCode::NORMAL_CLOSURE).await
        };
        let server = async {
            let mut socket = scripted::serve_on(other, &clock, &CONFIG).await;
            while let Some(message) = socket.recv().await.unwrap() {
                socket.send(message).await.unwrap();
            }
            socket.disconnect().unwrap().clone()
        };
        let (client, server) = run_both(&mut dice, client, server);
        assert!(client.is_clean() && server.is_clean(), "{seed}: {client:?} {server:?}");
        assert_eq!(
            (client.cause(), server.cause()),
            (&Cause::Closed(Side::Local), &Cause::Closed(Side::Remote))
        );
    }
}
