//! Handlers on a stream that does as it is told: which callbacks are called, in which order, and what goes out.
#![cfg(feature = "driver")]

use core::task::Poll;
use core::time::Duration;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};

use sansocket::{
    Accept, Cause, CloseCode, CloseFrame, Config, Delivery, Keepalive, Kind, Message, Prepared,
    ProtocolError, Refusal, Request, Response, Role, Side, Status, Timer,
};
use sansocket_driver::{Decision, Handler, Outcome, Reply, Serve};
use sansocket_tests::scripted::{Clock, REQUEST, Step, Task, stream};
use sansocket_tests::stage::{Call, Stage, echo, goodbye, idle, ping, text};
use sansocket_tests::wire::{self, BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload, parse};

const CONFIG: Config = Config::new();
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn callbacks_come_in_order_and_close_comes_once_whatever_ends_the_connection() {
    type End = fn(&mut Stage);
    let ends: [(&str, End, Cause, Option<u16>); 8] = [
        ("the peer closes", |s| s.grip.give(goodbye(1001)), Cause::Closed(Side::Remote), Some(1001)),
        (
            "the handler stops",
            |s| s.grip.give([text("stop"), goodbye(1000)].concat()),
            Cause::Closed(Side::Local),
            Some(1000),
        ),
        ("the stream ends", |s| s.grip.end(), Cause::Lost, None),
        ("reading fails", |s| s.grip.fail_reads(ErrorKind::ConnectionReset), Cause::Lost, None),
        (
            "writing fails",
            |s| {
                s.grip.fail_writes(0, ErrorKind::BrokenPipe);
                s.grip.give(text("echo"));
            },
            Cause::Lost,
            None,
        ),
        (
            "the peer is wrong",
            |s| s.grip.give([0x83, 0x80, 0, 0, 0, 0]),
            Cause::Violation(ProtocolError::ReservedOpcode(3)),
            Some(1002),
        ),
        ("the peer is silent", |s| s.clock.pass(60 * SECOND), Cause::TimedOut(Timer::Idle), Some(1000)),
        (
            "the handler fails",
            |s| s.grip.give([text("fail"), goodbye(1011)].concat()),
            Cause::Closed(Side::Local),
            Some(1011),
        ),
    ];
    for (what, end, cause, code) in ends {
        let mut stage = Stage::open(CONFIG.keepalive(Keepalive::Off), |call, reply| match call {
            Call::Message(Message::Text(text)) if text == "stop" => {
                reply.stop();
                Ok(())
            }
            Call::Message(Message::Text(text)) if text == "fail" => Err("it cannot go on".into()),
            Call::Message(message) => Ok(reply.send(message)?),
            _ => Ok(()),
        });
        stage.give(&[text("one"), ping("p"), text("two")]);
        stage.grip.clear();
        end(&mut stage);
        let disconnect = stage.finish();
        assert_eq!(disconnect.cause(), &cause, "{what}");
        let notes = stage.notes.get();
        assert_eq!(notes[..5], ["init /chat true", "open", "message one", "ping p", "message two"], "{what}");
        assert_eq!(notes.iter().filter(|note| note.starts_with("close")).count(), 1, "{what}");
        assert_eq!(notes.last().unwrap(), &format!("close {cause:?}"), "{what}");
        let closes: Vec<_> = stage.frames().into_iter().filter(|(opcode, _)| *opcode == CLOSE).collect();
        assert_eq!(
            closes,
            code.map(|code| (CLOSE, close_payload(code))).into_iter().collect::<Vec<_>>(),
            "{what}"
        );
    }
}

#[test]
fn open_is_called_before_the_client_knows_and_what_it_sends_goes_with_the_response() {
    let mut stage = Stage::new(CONFIG, Accept::new(), |call, reply| match call {
        Call::Open => Ok(reply.send("hello")?),
        _ => Ok(()),
    });
    stage.grip.on_write([Step::Wait]);
    stage.grip.give(REQUEST);
    assert!(stage.task.settle().is_pending());
    assert_eq!(stage.notes.get(), ["init /chat true", "open"]);
    assert!(stage.grip.take().is_empty());
    stage.grip.wake_writer();
    assert!(stage.task.settle().is_pending());
    assert_eq!(stage.grip.log().writes.len(), 1);
    assert!(stage.grip.take_head().starts_with(b"HTTP/1.1 101 "));
    assert_eq!(stage.frames(), [(TEXT, b"hello".to_vec())]);
}

#[test]
fn a_client_that_goes_before_it_has_the_response_was_open_to_the_handler() {
    let mut stage = Stage::new(CONFIG, Accept::new(), idle);
    stage.grip.fail_writes(0, ErrorKind::BrokenPipe);
    stage.grip.give(REQUEST);
    assert_eq!(stage.finish().cause(), &Cause::Lost);
    assert_eq!(stage.notes.get(), ["init /chat true", "open", "close Lost"]);
}

#[test]
fn an_error_in_any_callback_closes_with_1011_and_drops_what_follows() {
    for (at, frames) in [
        ("open", vec![]),
        ("message m", vec![text("m")]),
        ("ping p", vec![ping("p")]),
        ("pong q", vec![wire::frame(Role::Server, PONG, "q")]),
        ("info 7", vec![]),
        ("data d true true", vec![text("d")]),
    ] {
        let streaming = at.starts_with("data");
        let config = CONFIG.delivery(if streaming { Delivery::Streaming } else { Delivery::Whole });
        let address = Arc::new(Mutex::new(None));
        let given = Arc::clone(&address);
        let mut stage = Stage::open(config, move |call, reply| {
            given.lock().unwrap().get_or_insert_with(|| reply.address());
            reply.send("before")?;
            match (call, at) {
                (Call::Open, at) if at != "open" => Ok(()),
                _ => Err("it cannot go on".into()),
            }
        });
        assert!(stage.task.settle().is_pending());
        if at == "info 7" {
            address.lock().unwrap().as_ref().unwrap().send(7).unwrap();
        }
        stage.give(&[frames.concat(), text("never"), ping("never")]);
        let frames = stage.frames();
        assert_eq!(frames.last(), Some(&(CLOSE, close_payload(1011))), "{at}");
        assert_eq!(
            frames.iter().filter(|frame| frame.1 == b"before").count(),
            if at == "open" { 1 } else { 2 }
        );
        stage.grip.give(goodbye(1011));
        let disconnect = stage.finish();
        assert!(disconnect.is_clean());
        let notes = stage.notes.get();
        let mut expected = vec!["open", at, "error it cannot go on", "close Closed(Local)"];
        expected.dedup();
        assert_eq!(notes[1..], expected);
    }
}

#[test]
fn a_request_that_is_answered_with_a_response_opens_and_closes_nothing() {
    let page = b"GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n";
    for (request, note) in [(REQUEST, "init /chat true"), (page, "init /page false")] {
        let response = Response::new(Status::NOT_FOUND).text("nobody here");
        let mut stage = Stage::new(CONFIG, response, idle);
        stage.grip.give(request);
        assert!(stage.task.settle().is_pending(), "the client is to close first or see the end");
        assert!(stage.grip.log().shut);
        let answer = String::from_utf8(stage.grip.take()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 ") && answer.ends_with("\r\n\r\nnobody here"), "{answer}");
        stage.grip.end();
        let Poll::Ready(Err(error)) = stage.task.settle() else { panic!("it never opened") };
        assert_eq!(error.cause(), Some(&Cause::Rejected(Status::NOT_FOUND)));
        assert_eq!(stage.notes.get(), [note]);
    }
}

#[test]
fn a_request_that_is_refused_comes_to_no_handler() {
    let wrong = b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let no_upgrade = b"GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n";
    for (request, cause, notes) in [
        (&wrong[..], Cause::Refused(Refusal::Host), &[][..]),
        // The handler is asked, but cannot open a WebSocket that nobody asked for.
        (no_upgrade, Cause::Refused(Refusal::NoUpgrade), &["init /page false"]),
        (b"GET /cut", Cause::Lost, &[]),
    ] {
        let mut stage = Stage::new(CONFIG, Accept::new(), idle);
        stage.grip.give(request);
        stage.grip.end();
        let Poll::Ready(Err(error)) = stage.task.settle() else { panic!("it never opened") };
        assert_eq!(error.cause(), Some(&cause));
        assert_eq!(stage.notes.get(), notes);
    }
}

#[test]
fn a_handler_may_take_its_time_over_a_request() {
    struct Slow(Arc<Mutex<Vec<&'static str>>>);
    impl Handler for Slow {
        type Info = ();

        async fn init(&mut self, _: Request) -> Decision {
            self.0.lock().unwrap().push("asked");
            let mut asked = false;
            core::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                if core::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            self.0.lock().unwrap().push("decided");
            Accept::new().header("X-Slow", "1").expect("a header").into()
        }

        fn message(&mut self, _: Message<'_>, _: &mut Reply<'_, ()>) -> Outcome {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push("message");
            Ok(())
        }
    }
    let ((end, grip), clock, notes) = (stream(), Clock::new(), Arc::default());
    grip.give([REQUEST, &text("at once")].concat());
    let mut task = Task::new(Serve::new(end, clock.alarm(), CONFIG, Slow(Arc::clone(&notes))));
    assert!(task.poll().is_pending());
    assert_eq!(*notes.lock().unwrap(), ["asked"]);
    assert!(task.settle().is_pending());
    assert_eq!(*notes.lock().unwrap(), ["asked", "decided", "message"]);
    assert!(String::from_utf8(grip.take()).unwrap().contains("\r\nX-Slow: 1\r\n"));
}

#[test]
fn what_the_callbacks_of_one_read_send_goes_out_in_order_in_one_write() {
    let mut stage = Stage::open(CONFIG, |call, reply| {
        match call {
            Call::Open => reply.send("welcome")?,
            Call::Message(message) => {
                reply.send(message.borrow())?;
                reply.ping(b"you?")?;
                reply.begin(Kind::Binary)?;
                reply.push(b"pie")?;
                reply.finish(b"ce")?;
                reply.send_prepared(&Prepared::text("all"))?;
            }
            Call::Ping => reply.pong(b"too")?,
            _ => {}
        }
        Ok(())
    });
    assert!(stage.task.settle().is_pending());
    assert_eq!(stage.frames(), [(TEXT, b"welcome".to_vec())]);
    let before = stage.grip.log().writes.len();
    stage.give(&[text("a"), ping("p"), text("b")]);
    assert_eq!(stage.grip.log().writes.len(), before + 1);
    let one = |name: &'static str| {
        [(TEXT, name), (PING, "you?"), (BINARY, "pie"), (CONTINUATION, "ce"), (TEXT, "all")]
    };
    let expected = [&one("a")[..], &[(PONG, "p"), (PONG, "too")], &one("b")].concat();
    let expected: Vec<_> =
        expected.into_iter().map(|(opcode, text)| (opcode, text.as_bytes().to_vec())).collect();
    assert_eq!(stage.frames(), expected);
}

#[test]
fn what_a_handler_sends_behind_its_close_is_dropped() {
    let mut stage = Stage::open(CONFIG, |call, reply| {
        if let Call::Message(_) = call {
            reply.send("last words")?;
            assert!(!reply.is_closing());
            reply.close(CloseFrame::new(CloseCode::GOING_AWAY, "bye")?);
            assert!(reply.is_closing());
            reply.send("more")?;
            reply.ping(b"")?;
            reply.begin(Kind::Text)?;
            reply.push(b"")?;
            reply.finish(b"")?;
            reply.close(CloseCode::NORMAL_CLOSURE);
            reply.stop();
        }
        Ok(())
    });
    stage.give(&[text("a"), text("b"), ping("c")]);
    assert_eq!(stage.frames(), [(TEXT, b"last words".to_vec()), (CLOSE, b"\x03\xE9bye".to_vec())]);
    stage.give(&[goodbye(1001)]);
    assert!(stage.grip.log().shut, "a server closes the stream first");
    assert_eq!(stage.finish().cause(), &Cause::Closed(Side::Local));
    assert_eq!(stage.notes.get()[1..], ["open", "message a", "close Closed(Local)"]);
}

#[test]
fn pieces_pings_and_pongs_come_as_they_arrive() {
    let mut stage = Stage::open(CONFIG.delivery(Delivery::Streaming).auto_pong(false), idle);
    let long = wire::frame(Role::Server, TEXT, "abcdef");
    stage.give(&[wire::frame(Role::Server, PONG, "q"), long[..9].to_vec()]);
    stage.give(&[long[9..].to_vec(), ping("p")]);
    assert_eq!(stage.frames(), [], "pings are left to the handler");
    let notes = stage.notes.get();
    assert_eq!(notes[1..], ["open", "pong q", "data abc true false", "data def false true", "ping p"]);
}

#[test]
fn new_options_are_in_force_for_what_follows() {
    let mut stage = Stage::open(CONFIG.max_message(3), |call, reply| {
        if let Call::Message(Message::Text(text)) = call {
            reply.set_options(&CONFIG.max_message(if text == "big" { 100 } else { 5 }));
        }
        Ok(())
    });
    stage.give(&[text("big"), text("123456789"), text("1234567")]);
    assert_eq!(stage.frames(), [(CLOSE, close_payload(1009))]);
    let cause = Cause::Violation(ProtocolError::MessageTooBig { len: 7, max: 5 });
    assert_eq!(stage.finish().cause(), &cause);
    assert_eq!(stage.notes.get()[2..4], ["message big", "message 123456789"]);
}

/// It need not wait until all of the output is gone, which may be never.
#[test]
fn input_that_waited_for_output_is_taken_once_less_than_the_high_water_mark_is_queued() {
    for room in [74_000, 75_019] {
        let mut stage = Stage::open(CONFIG.idle_timeout(None).keepalive(Keepalive::Off), |call, reply| {
            if let Call::Message(Message::Text(_)) = call {
                for _ in 0..5 {
                    reply.send(vec![0; 15_000])?;
                }
            }
            Ok(())
        });
        stage.grip.clear();
        stage.grip.set_room(room);
        stage.give(&[text("more"), wire::frame(Role::Server, BINARY, "behind")]);
        assert_eq!(stage.notes.get().len(), 4, "{:?}", stage.notes.get());
    }
}

#[test]
fn a_handler_in_trouble_hears_of_output_that_does_not_fit() {
    let mut stage = Stage::open(CONFIG.hard_limit(100), |call, reply| {
        if let Call::Message(_) = call {
            reply.send(&[0; 100][..])?;
            assert!(reply.buffered() > 100);
            reply.send("too much")?;
        }
        Ok(())
    });
    stage.give(&[text("m")]);
    let opcodes: Vec<_> = stage.frames().iter().map(|frame| frame.0).collect();
    assert_eq!(opcodes, [BINARY, CLOSE], "SendError::Full is an error like any other: 1011");
}

#[test]
fn an_echo_whose_peer_does_not_read_stops_reading_and_then_goes_on() {
    let mut stage = Stage::open(CONFIG.high_water(1000), echo);
    stage.grip.set_room(0);
    stage.grip.on_read([Step::Move(500); 200]);
    stage.give(&[text("a few bytes of text").repeat(3000)]);
    let log = stage.grip.log();
    assert!(log.reads < 20 && log.written.is_empty(), "{}", log.reads);
    stage.grip.set_room(700);
    let mut bytes = Vec::new();
    while bytes.len() < 3000 * 21 {
        assert!(stage.task.settle().is_pending());
        let some = stage.grip.take();
        assert!(!some.is_empty(), "it stands still");
        bytes.extend(some);
    }
    assert_eq!(parse(&bytes).len(), 3000);
}

#[test]
fn one_poll_does_a_bounded_amount_of_work() {
    let mut stage = Stage::open(CONFIG, echo);
    stage.grip.on_read([Step::Move(7); 1000]);
    stage.grip.give(text("m").repeat(1000));
    assert!(stage.task.poll().is_pending());
    assert!(stage.grip.log().reads <= 64);
    assert!(stage.task.is_woken());
    assert!(stage.task.settle().is_pending());
    assert_eq!(stage.frames().len(), 1000);
}

#[test]
fn connections_that_are_paused_hold_only_the_bytes_that_wait() {
    // They take it in turns to read into the same block, which is only so if each has given it back.
    let mut stages: Vec<_> = (0..50)
        .map(|_| {
            let mut stage = Stage::open(CONFIG, |call, reply| {
                if let Call::Message(_) = call {
                    reply.pause();
                }
                Ok(())
            });
            stage.give(&[text("a"), text("b")]);
            assert_eq!(stage.notes.get().last().unwrap(), "message a");
            stage
        })
        .collect();
    let mut blocks: Vec<_> = stages.iter().flat_map(|stage| stage.grip.log().blocks).collect();
    blocks.sort_unstable();
    blocks.dedup();
    assert_eq!(blocks.len(), 1);
    for stage in &mut stages {
        assert!(stage.task.poll().is_pending());
        assert_eq!(stage.notes.get().last().unwrap(), "message a");
    }
}
