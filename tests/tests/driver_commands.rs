//! What a handler's `Reply` commands, and what its `init` may answer.
#![cfg(feature = "driver")]

use core::task::Poll;
use core::time::Duration;
use std::sync::{Arc, Mutex};

use sansocket::deflate::Inflater;
use sansocket::extension::WindowBits;
use sansocket::{
    Accept, Cause, Config, Keepalive, Kind, Message, Request, Response, Role, Side, Status, Timer,
};
use sansocket_driver::{Address, Decision, Handler, Outcome, Reply, Serve};
use sansocket_tests::compressed::{self, PER_MESSAGE};
use sansocket_tests::scripted::{Clock, REQUEST, Scene, Step, Task, stream};
use sansocket_tests::stage::{Call, Stage, goodbye, ping, text};
use sansocket_tests::wire::{BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload, frame};

const CONFIG: Config = Config::new();
const SECOND: Duration = Duration::from_secs(1);

fn frames(of: &[(u8, &str)]) -> Vec<(u8, Vec<u8>)> {
    of.iter().map(|(opcode, text)| (*opcode, text.as_bytes().to_vec())).collect()
}

#[test]
fn a_batch_goes_out_in_order_in_one_write_up_to_its_close() {
    let mut stage = Stage::open(CONFIG, |call, reply| {
        if let Call::Message(_) = call {
            reply.send("one")?;
            reply.ping(b"two")?;
            reply.begin(Kind::Binary)?;
            reply.push(b"three")?;
            reply.pong(b"four")?;
            reply.finish(b"five")?;
            reply.stop();
            reply.send("never")?;
            reply.ping(b"never")?;
        }
        Ok(())
    });
    stage.give(&[text("a"), text("b"), ping("p")]);
    assert_eq!(stage.grip.log().writes.len(), 1);
    let mut expected =
        frames(&[(TEXT, "one"), (PING, "two"), (BINARY, "three"), (PONG, "four"), (CONTINUATION, "five")]);
    expected.push((CLOSE, close_payload(1000)));
    assert_eq!(stage.frames(), expected);
    stage.give(&[text("late"), ping("late"), goodbye(1000)]);
    assert_eq!(stage.frames(), []);
    assert!(stage.finish().is_clean());
    assert_eq!(stage.notes.get()[1..], ["open", "message a", "close Closed(Local)"]);
}

#[test]
fn a_handler_that_pauses_at_once_receives_nothing_until_it_resumes() {
    let given = Arc::new(Mutex::new(None::<Address<u32>>));
    let gives = Arc::clone(&given);
    let mut stage = Stage::open(CONFIG, move |call, reply| {
        match call {
            Call::Open => {
                *gives.lock().unwrap() = Some(reply.address());
                reply.pause();
                reply.pause();
            }
            Call::Info(_) => reply.resume(),
            _ => {}
        }
        Ok(())
    });
    assert!(stage.task.settle().is_pending());
    let reads = stage.grip.log().reads;
    stage.give(&[text("a"), ping("p"), goodbye(1000)]);
    assert_eq!((stage.grip.log().reads, stage.frames()), (reads, vec![]), "no Ping is seen, no Close");
    stage.clock.pass(600 * SECOND);
    assert!(stage.task.settle().is_pending());
    assert_eq!(stage.notes.get()[1..], ["open"], "no timer runs");
    given.lock().unwrap().as_ref().unwrap().send(0).unwrap();
    assert!(stage.task.settle().is_pending());
    assert_eq!(stage.notes.get()[2..], ["info 0", "message a", "ping p"]);
    assert_eq!(stage.finish().cause(), &Cause::Closed(Side::Remote));
}

#[test]
fn a_new_idle_timeout_begins_when_it_is_set() {
    let config = CONFIG.keepalive(Keepalive::Off).idle_timeout(None);
    let with = config.clone().idle_timeout(Some(10 * SECOND));
    let mut stage = Stage::open(config, move |call, reply| {
        if let Call::Message(_) = call {
            reply.set_options(&with);
        }
        Ok(())
    });
    assert!(stage.task.settle().is_pending());
    stage.clock.pass(3600 * SECOND);
    stage.give(&[text("m")]);
    stage.clock.pass(9 * SECOND);
    assert!(stage.task.settle().is_pending());
    assert_eq!(stage.frames(), []);
    stage.clock.pass(SECOND);
    assert!(stage.task.settle().is_pending());
    assert_eq!(stage.frames(), [(CLOSE, close_payload(1000))]);
    stage.grip.give(goodbye(1000));
    assert_eq!(stage.finish().cause(), &Cause::TimedOut(Timer::Idle));
}

#[test]
fn a_handler_that_hibernates_goes_on_as_before() {
    for compression in [None, Some(sansocket::Compression::new().min_size(0))] {
        let mut stage = Stage::open_compressed(CONFIG.compression(compression), |call, reply| {
            if let Call::Message(message) = call {
                reply.send(message)?;
            }
            reply.hibernate();
            Ok(())
        });
        let mut inflater = Inflater::new(WindowBits::MAX);
        for _ in 0..3 {
            stage.give(&[text("abc"), ping("p"), text("abc")]);
            let mut said = stage.frames();
            if compression.is_some() {
                for (_, payload) in said.iter_mut().filter(|(opcode, _)| *opcode == TEXT) {
                    *payload = inflater.message(payload, 100).unwrap().to_vec();
                }
            }
            assert_eq!(said, frames(&[(TEXT, "abc"), (PONG, "p"), (TEXT, "abc")]));
        }
    }
}

#[test]
fn what_may_have_to_be_inflated_is_read_and_taken_little_by_little() {
    const LEN: usize = 60_000;
    for (compression, least, most) in [(None, 10, 16), (Some(sansocket::Compression::new()), 1, 2)] {
        let mut stage = Stage::open_compressed(CONFIG.compression(compression), |call, reply| {
            // As if its mailbox were never empty.
            if let Call::Message(_) | Call::Info(_) = call {
                reply.address().send(1)?;
            }
            Ok(())
        });
        let reads = |stage: &Stage| stage.grip.log().reads;
        let opened = reads(&stage);
        stage.grip.give(frame(Role::Server, BINARY, vec![7; LEN]).repeat(40));
        assert!(stage.task.poll().is_pending());
        let once = reads(&stage) - opened;
        assert!((least..=most).contains(&once), "{once} reads of 64 KiB in one poll");
        assert!(stage.task.is_woken());
    }
}

/// A program that only receives waits nowhere else, if its peer sends faster than it inflates.
#[test]
fn what_may_have_to_be_inflated_lets_others_have_their_turn_in_however_many_calls_it_is_received() {
    for (compression, most) in [(None, 20), (Some(PER_MESSAGE), 2)] {
        let Scene { mut socket, grip, .. } = compressed::scene(&CONFIG, compression);
        grip.give(frame(Role::Server, BINARY, vec![7; 60_000]).repeat(20));
        let received = core::cell::Cell::new(0);
        let mut task = Task::new(async {
            while let Ok(Some(_)) = socket.recv().await {
                received.set(received.get() + 1);
            }
        });
        assert!(task.poll().is_pending());
        assert!((1..=most).contains(&received.get()), "{} messages in one poll", received.get());
        assert_eq!(task.is_woken(), received.get() < 20);
        assert!(task.settle().is_pending());
        drop(task);
        assert_eq!(received.get(), 20);
    }
}

/// Answers by the path, after it has waited.
struct Router;

impl Handler for Router {
    type Info = ();

    async fn init(&mut self, request: Request) -> Decision {
        let mut waited = false;
        core::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if core::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        match request.query() {
            Some("small") => Accept::new().config(CONFIG.max_message(3)).into(),
            Some("large") => Accept::new().config(CONFIG.max_message(300)).subprotocol("chat").into(),
            Some(code) => {
                let status = Status::new(code.parse().expect("a status")).expect("a status");
                let response = Response::new(status).with_header("X-Path", request.path()).expect("a header");
                response.with_body(b"the body".to_vec()).into()
            }
            None => Accept::new().into(),
        }
    }

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send(message)?)
    }
}

fn request(query: &str, more: &str) -> Vec<u8> {
    let request = String::from_utf8(REQUEST.to_vec()).unwrap();
    request.replace("/chat", &format!("/chat?{query}")).replace("\r\n\r\n", &format!("\r\n{more}\r\n")).into()
}

fn serve() -> (Task<'static, impl Sized>, sansocket_tests::scripted::Grip) {
    let (end, grip) = stream();
    (Task::new(Serve::new(end, Clock::new().alarm(), CONFIG.max_message(30), Router)), grip)
}

#[test]
fn init_gives_each_connection_settings_of_its_own() {
    for (query, len, fits) in
        [("small", 3, true), ("small", 4, false), ("large", 300, true), ("large", 301, false)]
    {
        let (mut task, grip) = serve();
        // They hold for what came with the request, too.
        grip.give([request(query, "Sec-WebSocket-Protocol: chat\r\n"), text(&"a".repeat(len))].concat());
        assert!(task.settle().is_pending());
        let answer = grip.take();
        assert!(answer.starts_with(b"HTTP/1.1 101 "));
        let ends_with = if fits { vec![b'a'; len] } else { close_payload(1009) };
        assert!(answer.ends_with(&ends_with), "{query} {len}");
        assert_eq!(String::from_utf8_lossy(&answer).contains("Protocol: chat"), query == "large");
    }
}

#[test]
fn init_may_answer_with_any_response() {
    for code in [200, 301, 400, 401, 403, 404, 418, 429, 500, 503] {
        for page in [false, true] {
            let (mut task, grip) = serve();
            match page {
                true => grip.give(format!("GET /page?{code} HTTP/1.1\r\nHost: example.com\r\n\r\n")),
                false => grip.give(request(&code.to_string(), "")),
            }
            // It goes out whole however slowly.
            grip.on_write([Step::Move(1), Step::Yield, Step::Move(20), Step::Yield]);
            assert!(task.settle().is_pending());
            let answer = String::from_utf8(grip.take()).unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
            let path = if page { "/page" } else { "/chat" };
            assert!(answer.contains(&format!("\r\nX-Path: {path}\r\n")), "{answer}");
            assert!(answer.ends_with("\r\n\r\nthe body"), "{answer}");
            assert!(grip.log().shut);
            grip.end();
            assert!(task.settle().is_ready());
        }
    }
}

#[test]
fn a_client_that_leaves_while_init_decides_is_answered_all_the_same() {
    let (mut task, grip) = serve();
    grip.give(request("small", ""));
    assert!(task.poll().is_pending());
    grip.end();
    assert!(task.settle().is_ready());
    assert!(grip.take().starts_with(b"HTTP/1.1 101 "), "nothing is read meanwhile");
}
