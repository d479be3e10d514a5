//! Handlers on a stream that does as it is told: which callbacks are called, in which order, and what goes out.

use core::task::Poll;
use core::time::Duration;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};

use sansocket::{
    Accept, Cause, CloseCode, CloseFrame, Config, Data, Delivery, Disconnect, Keepalive, Kind, Message,
    Prepared, ProtocolError, Refusal, Request, Response, Role, Side, Status, Timer,
};
use sansocket_driver::{Address, AddressError, Decision, Error, Handler, Outcome, Reply, Serve};
use sansocket_tests::scripted::{Clock, Grip, REQUEST, Step, Task, stream};
use sansocket_tests::wire::{self, BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload, parse};

const CONFIG: Config = Config::new();
const SECOND: Duration = Duration::from_secs(1);

/// What is called.
enum Call<'c> {
    Open,
    Message(Message<'c>),
    Data,
    Ping,
    Pong,
    Info(u32),
}

type Act = dyn FnMut(Call<'_>, &mut Reply<'_, u32>) -> Outcome + Send;

/// Notes each call, and acts.
struct Actor {
    notes: Notes,
    decision: Decision,
    act: Box<Act>,
}

/// The calls, as lines of text.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn push(&self, note: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(note.into());
    }

    fn get(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Handler for Actor {
    type Info = u32;

    async fn init(&mut self, request: Request) -> Decision {
        self.notes.push(format!("init {} {}", request.path(), request.is_upgrade()));
        self.decision.clone()
    }

    fn open(&mut self, reply: &mut Reply<'_, u32>) -> Outcome {
        self.notes.push("open");
        (self.act)(Call::Open, reply)
    }

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, u32>) -> Outcome {
        self.notes.push(format!("message {}", String::from_utf8_lossy(message.as_bytes())));
        (self.act)(Call::Message(message), reply)
    }

    fn data(&mut self, data: Data<'_>, reply: &mut Reply<'_, u32>) -> Outcome {
        let text = String::from_utf8_lossy(&data.payload);
        self.notes.push(format!("data {text} {} {}", data.first, data.last));
        (self.act)(Call::Data, reply)
    }

    fn ping(&mut self, payload: &[u8], reply: &mut Reply<'_, u32>) -> Outcome {
        self.notes.push(format!("ping {}", String::from_utf8_lossy(payload)));
        (self.act)(Call::Ping, reply)
    }

    fn pong(&mut self, payload: &[u8], reply: &mut Reply<'_, u32>) -> Outcome {
        self.notes.push(format!("pong {}", String::from_utf8_lossy(payload)));
        (self.act)(Call::Pong, reply)
    }

    fn info(&mut self, info: u32, reply: &mut Reply<'_, u32>) -> Outcome {
        self.notes.push(format!("info {info}"));
        (self.act)(Call::Info(info), reply)
    }

    fn close(&mut self, disconnect: &Disconnect) {
        self.notes.push(format!("close {:?}", disconnect.cause()));
    }
}

/// A connection that is served.
struct Stage {
    task: Task<'static, Result<Disconnect, Error>>,
    grip: Grip,
    clock: Clock,
    notes: Notes,
}

impl Stage {
    /// A connection before its request.
    fn new(
        config: Config,
        decision: impl Into<Decision>,
        act: impl FnMut(Call<'_>, &mut Reply<'_, u32>) -> Outcome + Send + 'static,
    ) -> Self {
        let ((end, grip), clock, notes) = (stream(), Clock::new(), Notes::default());
        let actor = Actor { notes: notes.clone(), decision: decision.into(), act: Box::new(act) };
        Self { task: Task::new(Serve::new(end, clock.alarm(), config, actor)), grip, clock, notes }
    }

    /// An open WebSocket. The stream's log begins behind the opening handshake, and has what `open` sent.
    fn open(
        config: Config,
        act: impl FnMut(Call<'_>, &mut Reply<'_, u32>) -> Outcome + Send + 'static,
    ) -> Self {
        let mut stage = Self::new(config, Accept::new(), act);
        assert!(stage.task.settle().is_pending());
        // The response is written, the stream not yet flushed: `open` is still to be called.
        stage.grip.on_flush([Step::Wait]);
        stage.grip.give(REQUEST);
        assert!(stage.task.settle().is_pending());
        assert!(stage.grip.take().starts_with(b"HTTP/1.1 101 "));
        stage.grip.clear();
        stage.grip.wake_writer();
        stage
    }

    /// Gives it the bytes of these frames in one read, and lets it go on.
    fn give(&mut self, frames: &[Vec<u8>]) {
        self.grip.give(frames.concat());
        assert!(self.task.settle().is_pending());
    }

    /// Lets it come to its end, and ends the stream if it waits for that. Asserts that nothing is called after that.
    #[track_caller]
    fn finish(&mut self) -> Disconnect {
        let mut result = self.task.settle();
        if result.is_pending() {
            self.grip.end();
            result = self.task.settle();
        }
        let notes = self.notes.get();
        assert!(self.task.poll().is_pending() && self.notes.get() == notes, "it goes on behind its end");
        match result {
            Poll::Ready(Ok(disconnect)) => disconnect,
            other => panic!("{other:?}"),
        }
    }

    /// The frames that were written and not taken: opcodes and payloads.
    fn frames(&self) -> Vec<(u8, Vec<u8>)> {
        parse(&self.grip.take()).into_iter().map(|frame| (frame.first & 0x0F, frame.payload)).collect()
    }
}

fn text(payload: &str) -> Vec<u8> {
    wire::frame(Role::Server, TEXT, payload)
}

fn ping(payload: &str) -> Vec<u8> {
    wire::frame(Role::Server, PING, payload)
}

fn goodbye(code: u16) -> Vec<u8> {
    wire::close(Role::Server, code, "")
}

fn idle(_: Call<'_>, _: &mut Reply<'_, u32>) -> Outcome {
    Ok(())
}

fn echo(call: Call<'_>, reply: &mut Reply<'_, u32>) -> Outcome {
    if let Call::Message(message) = call {
        reply.send(message)?;
    }
    Ok(())
}

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
        let open: &[&str] = if at == "open" { &["open"] } else { &["open", at] };
        assert_eq!(notes[1..notes.len() - 1], *open);
        assert_eq!(notes.last().unwrap(), "close Closed(Local)");
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

mod address {
    //! What reaches a handler from the rest of a program.

    use super::*;

    type Given = Arc<Mutex<Option<Address<u32>>>>;

    /// A handler that gives its address away when `give` says so; it sends what it gets, `act` may do more.
    fn reachable(
        config: Config,
        give: fn(&Call<'_>) -> bool,
        mut act: impl FnMut(Call<'_>, &mut Reply<'_, u32>) -> Outcome + Send + 'static,
    ) -> (Stage, impl Fn() -> Address<u32>) {
        let given = Given::default();
        let taken = Arc::clone(&given);
        let mut stage = Stage::open(config, move |call, reply| {
            if give(&call) {
                *given.lock().unwrap() = Some(reply.address());
            }
            if let Call::Info(info) = call {
                reply.send(info.to_string())?;
            }
            act(call, reply)
        });
        assert!(stage.task.settle().is_pending());
        (stage, move || taken.lock().unwrap().clone().expect("it was given away"))
    }

    fn at_open(call: &Call<'_>) -> bool {
        matches!(call, Call::Open)
    }

    fn numbers(stage: &Stage) -> Vec<u32> {
        let frames = stage.frames().into_iter().filter(|(opcode, _)| *opcode == TEXT);
        frames.map(|(_, payload)| String::from_utf8(payload).unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn infos_from_other_threads_arrive_in_order_and_wake_the_task() {
        let (mut stage, address) = reachable(CONFIG, at_open, idle);
        let address = address();
        let threads: Vec<_> = (0..4_u32)
            .map(|thread| {
                let address = address.clone();
                std::thread::spawn(move || (0..200).for_each(|i| address.send(thread * 1000 + i).unwrap()))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(stage.task.is_woken());
        assert!(stage.task.settle().is_pending());
        let numbers = numbers(&stage);
        assert_eq!(numbers.len(), 800);
        for thread in 0..4 {
            assert!(numbers.iter().filter(|number| **number / 1000 == thread).is_sorted());
        }
    }

    #[test]
    fn an_address_that_was_first_asked_for_in_a_later_callback_wakes_the_task() {
        let (mut stage, address) = reachable(CONFIG, |call| matches!(call, Call::Message(_)), idle);
        stage.give(&[text("m")]);
        address().send(5).unwrap();
        assert!(stage.task.is_woken(), "the task sleeps, and the info waits for the peer to say something");
        assert!(stage.task.settle().is_pending());
        assert_eq!(numbers(&stage), [5]);
    }

    #[test]
    fn an_address_is_full_at_1024_and_gives_back_what_it_does_not_take() {
        let (mut stage, address) = reachable(CONFIG, at_open, idle);
        let address = address();
        for i in 0..1024 {
            address.send(i).unwrap();
        }
        assert_eq!(address.clone().send(7), Err(AddressError::Full(7)));
        assert!(stage.task.settle().is_pending());
        address.send(1024).unwrap();
        assert!(stage.task.settle().is_pending());
        assert_eq!(numbers(&stage), (0..=1024).collect::<Vec<_>>());
    }

    #[test]
    fn clones_reach_the_same_handler_and_know_when_it_is_gone() {
        let (mut stage, address) = reachable(CONFIG, at_open, idle);
        let (other, others) = reachable(CONFIG, at_open, idle);
        let (address, clone) = (address(), address());
        assert!(address.is_same(&clone) && !address.is_same(&others()));
        drop(other);
        assert!(others().is_closed());
        assert_eq!(others().send(1), Err(AddressError::Closed(1)));
        stage.grip.end();
        stage.finish();
        assert!(address.is_closed() && clone.is_closed());
        assert_eq!(clone.send(2), Err(AddressError::Closed(2)));
    }

    #[test]
    fn an_info_may_pause_and_another_resume() {
        let (mut stage, address) = reachable(CONFIG, at_open, |call, reply| {
            match call {
                Call::Info(0) => reply.pause(),
                Call::Info(1) => reply.resume(),
                Call::Message(_) => reply.pause(),
                _ => {}
            }
            Ok(())
        });
        stage.give(&[text("a"), text("b"), text("c")]);
        assert_eq!(stage.notes.get()[2..], ["message a"], "what was read behind it waits, too");
        stage.grip.give(text("d"));
        let reads = stage.grip.log().reads;
        stage.clock.pass(1000 * SECOND);
        assert!(stage.task.settle().is_pending());
        assert_eq!(stage.grip.log().reads, reads);
        address().send(1).unwrap();
        assert!(stage.task.settle().is_pending());
        address().send(1).unwrap();
        assert!(stage.task.settle().is_pending());
        assert_eq!(stage.notes.get()[2..], ["message a", "info 1", "message b", "info 1", "message c"]);
        address().send(0).unwrap();
        address().send(1).unwrap();
        assert!(stage.task.settle().is_pending());
        assert_eq!(stage.notes.get()[7..], ["info 0", "info 1", "message d"]);
    }

    #[test]
    fn infos_wait_while_the_peer_does_not_read() {
        let (mut stage, address) = reachable(CONFIG.high_water(100), at_open, |call, reply| {
            if let Call::Info(_) = call {
                reply.send(vec![0; 100])?;
            }
            Ok(())
        });
        stage.grip.set_room(0);
        let address = address();
        for i in 0..500 {
            address.send(i).unwrap();
        }
        assert!(stage.task.settle().is_pending());
        assert_eq!(stage.notes.get()[2..], ["info 0"]);
        assert!(address.send(500).is_ok(), "it waits in the queue instead");
        stage.grip.set_room(usize::MAX);
        assert!(stage.task.is_woken());
        assert!(stage.task.settle().is_pending());
        assert_eq!(numbers(&stage), (0..=500).collect::<Vec<_>>());
    }

    #[test]
    fn a_handler_that_sends_to_itself_for_ever_lets_others_run() {
        let own: Given = Arc::default();
        let (mut stage, address) = reachable(CONFIG, at_open, move |call, reply| {
            let own = own.lock().unwrap().get_or_insert_with(|| reply.address()).clone();
            if let Call::Info(info) = call {
                assert!(info < 100_000, "a poll that does not return");
                own.send(info + 1)?;
            }
            Ok(())
        });
        address().send(0).unwrap();
        assert!(stage.task.poll().is_pending());
        let infos = stage.notes.get().len();
        assert!(infos < 2000, "{infos} infos in one poll");
        assert!(stage.task.is_woken());
    }

    #[test]
    fn what_is_queued_when_the_connection_ends_is_dropped_outside_of_the_lock() {
        /// Something that looks at the address when it is dropped.
        struct Nosy(Option<Address<Self>>);
        impl Drop for Nosy {
            fn drop(&mut self) {
                if let Some(address) = &self.0 {
                    assert!(address.is_closed());
                }
            }
        }
        struct Keeper(Arc<Mutex<Option<Address<Nosy>>>>);
        impl Handler for Keeper {
            type Info = Nosy;

            fn open(&mut self, reply: &mut Reply<'_, Nosy>) -> Outcome {
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply.address());
                Ok(())
            }

            fn message(&mut self, _: Message<'_>, _: &mut Reply<'_, Nosy>) -> Outcome {
                Ok(())
            }
        }
        let ((end, grip), clock, given) = (stream(), Clock::new(), Arc::default());
        grip.give(REQUEST);
        let mut task = Task::new(Serve::new(end, clock.alarm(), CONFIG, Keeper(Arc::clone(&given))));
        assert!(task.settle().is_pending());
        let address = given.lock().unwrap().clone().unwrap();
        assert!(address.send(Nosy(Some(address.clone()))).is_ok());
        drop(task);
        assert!(address.is_closed());
    }
}
