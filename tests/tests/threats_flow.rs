//! Attacks by order, time and transport: rows T28, T43 to T45 and T47 of `THREATS.md`.
#![cfg(all(feature = "driver", not(miri)))]

use core::task::Poll;
use std::io::ErrorKind;

use sansocket::{
    Accept, Cause, CloseCode, Config, Event, Keepalive, Message, Request, Response, Role, SendError, Side,
    State, Status, Timer, Transport,
};
use sansocket_driver::{Decision, Error, Handler, Outcome, Reply, Server};
use sansocket_tests::clock::{QUIET, at, end, s};
use sansocket_tests::heads::answer_to;
use sansocket_tests::pair::Dice;
use sansocket_tests::scripted::{self, Clock, REQUEST, Step, Task, stream};
use sansocket_tests::stage::{Call, Stage, echo, text};
use sansocket_tests::wire::{self, BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT};
use sansocket_tests::world::{self, World, settle, start};
use sansocket_tests::{ROLES, START, asking, open, receive, take_output};

/// What is known of a connection without looking at it.
#[derive(Default)]
struct Model {
    /// A Close was sent, and one came.
    ours: bool,
    theirs: bool,
    sent: Vec<(u8, Vec<u8>)>,
}

impl Model {
    fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.sent.push((0x80 | opcode, payload.to_vec()));
    }
}

#[test]
fn t28_whatever_comes_behind_a_close_and_however_often_it_comes_there_is_one_answer_and_silence() {
    for seed in 0..5000 {
        let mut dice = Dice::new(seed);
        let role = dice.pick(&ROLES);
        let (mut connection, mut model, mut output) =
            (open(role, &Config::new()), Model::default(), Vec::new());
        for _ in 0..dice.below(12) {
            let code = dice.pick(&[1000, 1001, 4000]);
            let expected = match dice.below(6) {
                // Ours.
                0 => {
                    let is_open = !model.ours && !model.theirs;
                    let result = connection.close(START, CloseCode::new(code).unwrap());
                    assert_eq!(result, if is_open { Ok(()) } else { Err(SendError::Closed) });
                    if is_open {
                        model.send(CLOSE, &wire::close_payload(code));
                    }
                    model.ours = true;
                    continue;
                }
                1 => {
                    let is_open = !model.ours && !model.theirs;
                    assert_eq!(connection.send("x"), if is_open { Ok(()) } else { Err(SendError::Closed) });
                    if is_open {
                        model.send(TEXT, b"x");
                    }
                    continue;
                }
                // Theirs.
                2 => {
                    let (events, left) = receive(&mut connection, START, &wire::close(role, code, ""));
                    assert_eq!((events.len(), left), (usize::from(!model.theirs), 0));
                    if !model.theirs && !model.ours {
                        model.send(CLOSE, &wire::close_payload(code));
                    }
                    model.theirs = true;
                    continue;
                }
                3 => (wire::frame(role, PING, "?"), Event::Ping(b"?"[..].into())),
                4 => {
                    let parts = [wire::fragment(role, TEXT, "m"), wire::frame(role, CONTINUATION, "n")];
                    (parts.concat(), Event::Message(Message::text("mn")))
                }
                // A fault, if there is anybody left to find it.
                _ if model.theirs => (wire::frame(role, 3, "?"), Event::Pong(b"never"[..].into())),
                _ => (wire::frame(role, BINARY, "m"), Event::Message(Message::binary(b"m".to_vec()))),
            };
            let (bytes, event) = expected;
            let (events, left) = receive(&mut connection, START, &bytes);
            let answered = matches!(event, Event::Ping(_)) && !model.ours && !model.theirs;
            assert_eq!((events, left), (if model.theirs { vec![] } else { vec![event] }, 0), "seed {seed}");
            if answered {
                model.send(PONG, b"?");
            }
            if dice.below(2) == 0 {
                output.extend(take_output(&mut connection));
            }
        }
        output.extend(take_output(&mut connection));
        let sent: Vec<_> =
            wire::parse(&output).into_iter().map(|frame| (frame.first, frame.payload)).collect();
        assert_eq!(sent, model.sent, "seed {seed}");
        let closed = model.ours || model.theirs;
        assert_eq!(connection.state(), if closed { State::Closing } else { State::Open });
        // §7.1.1: the server ends the TCP connection first.
        let shuts = role == Role::Server && model.theirs;
        assert_eq!(connection.transport() == Transport::ShutdownWrite, shuts, "seed {seed}");
    }
}

#[test]
fn t28_a_peer_that_never_answers_a_close_or_never_ends_the_stream_is_left_after_5_seconds() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        connection.close(START, CloseCode::GOING_AWAY).unwrap();
        take_output(&mut connection);
        // Whatever else it sends.
        for second in 1..5 {
            connection.handle_timeout(at(second));
            let (events, _) = receive(&mut connection, at(second), &wire::frame(role, TEXT, "but"));
            assert_eq!((events.len(), connection.transport()), (1, Transport::Open));
        }
        assert_eq!(connection.poll_timeout().map(|due| (due.at, due.why)), Some((at(5), Timer::Close)));
        connection.handle_timeout(at(5));
        let over = end(&connection).expect("it is over");
        assert_eq!((over.cause(), over.is_clean()), (&Cause::TimedOut(Timer::Close), false));

        let mut connection = open(role, &Config::new());
        receive(&mut connection, START, &wire::close(role, 1000, ""));
        take_output(&mut connection);
        receive(&mut connection, at(4), &wire::frame(role, TEXT, "but"));
        connection.handle_timeout(at(5));
        assert!(end(&connection).expect("it is over").is_clean());
    }
}

#[test]
fn t43_a_day_of_pings_that_nobody_answers_is_one_ping_to_be_answered() {
    for role in ROLES {
        for keepalive in [Keepalive::HalfIdle, Keepalive::Every(s(10)), Keepalive::AfterSilence(s(10))] {
            // Without anything that would end it, a peer that is there and does not answer.
            let config = match keepalive {
                Keepalive::HalfIdle => Config::new(),
                _ => QUIET.keepalive(keepalive),
            };
            let mut connection = open(role, &config);
            let mut pings = Vec::new();
            for turn in 1..=24 * 60 * 60 / 40 {
                let now = at(40 * turn);
                while let Some(due) = connection.poll_timeout().filter(|due| due.at <= now) {
                    connection.handle_timeout(due.at);
                    pings.extend(wire::payloads(&take_output(&mut connection), PING));
                }
                receive(&mut connection, now, &wire::frame(role, BINARY, ""));
            }
            assert_eq!((connection.state(), connection.latency()), (State::Open, None));
            // There is no table of them: each is the first again, until that is answered.
            assert!(pings.len() > 2000 && pings.iter().all(|ping| *ping == pings[0]), "{}", pings.len());
            receive(&mut connection, at(90_000), &wire::frame(role, PONG, &pings[0]));
            assert_eq!(connection.latency(), Some(s(90_000) - s(first_of(keepalive))));
        }
        // Those of an application that never looks are bounded as any output is.
        let mut connection = open(role, &Config::new());
        let mut pings = 0;
        while connection.ping(&[7; 125]).is_ok() {
            pings += 1;
        }
        assert_eq!(connection.can_send(), Err(SendError::Full));
        assert!(connection.buffered() <= (1 << 20) + 131 && pings > 7000, "{pings}");
    }
}

/// When the first Ping goes out, in seconds.
fn first_of(keepalive: Keepalive) -> u64 {
    if keepalive == Keepalive::HalfIdle { 30 } else { 10 }
}

/// Polls `task` to its end, which must come at once.
#[track_caller]
fn assert_ends_within_two_polls<T>(task: &mut Task<'_, T>, what: &str) -> T {
    let mut polls = 0;
    loop {
        polls += 1;
        assert!(polls <= 2, "{what}: {polls} polls after the end");
        match task.poll() {
            Poll::Ready(value) => return value,
            Poll::Pending => assert!(task.is_woken(), "{what}: it sleeps behind the end"),
        }
    }
}

/// Frames of all kinds, the last of which closes the connection.
fn conversation(receiver: Role) -> Vec<u8> {
    [
        wire::frame(receiver, TEXT, "a message"),
        wire::frame(receiver, PING, "?"),
        wire::fragment(receiver, BINARY, [1; 200]),
        wire::frame(receiver, CONTINUATION, [2; 10]),
        wire::close(receiver, 1000, "bye"),
    ]
    .concat()
}

/// What a stream may come to.
const ENDS: [Result<(), ErrorKind>; 2] = [Ok(()), Err(ErrorKind::ConnectionReset)];

#[test]
fn t44_a_server_ends_within_two_polls_of_the_streams_end_wherever_that_is() {
    let input = [REQUEST, &conversation(Role::Server)].concat();
    for (cut, how) in (0..=input.len()).flat_map(|cut| ENDS.map(|how| (cut, how))) {
        let what = format!("{how:?} behind {cut} bytes");
        let mut stage = Stage::new(Config::new(), Accept::new(), echo);
        stage.grip.give(&input[..cut]);
        assert!(stage.task.settle().is_pending(), "{what}");
        let reads = stage.grip.log().reads;
        match how {
            Ok(()) => stage.grip.end(),
            Err(error) => stage.grip.fail_reads(error),
        }
        let result = assert_ends_within_two_polls(&mut stage.task, &what);
        assert!(stage.grip.log().reads <= reads + 2, "{what}: it reads on");
        assert!(stage.grip.is_dropped() || result.is_ok(), "{what}");
        if cut >= REQUEST.len() {
            let is_whole = cut == input.len();
            let cause = result.expect("it was open").cause().clone();
            assert_eq!(cause, if is_whole { Cause::Closed(Side::Remote) } else { Cause::Lost }, "{what}");
            let closes = stage.notes.get().iter().filter(|note| note.starts_with("close")).count();
            assert_eq!(closes, 1, "{what}");
        }
    }
}

#[test]
fn t44_a_client_ends_within_two_polls_of_the_streams_end_wherever_that_is() {
    // The same seed makes the same key.
    let response = answer_to(&asking(&Config::new()).1, &Config::new());
    let input = [response.as_bytes(), &conversation(Role::Client)].concat();
    let request = sansocket::ClientRequest::new("ws://example.com/chat").unwrap();
    for (cut, how) in (0..=input.len()).flat_map(|cut| ENDS.map(|how| (cut, how))) {
        let what = format!("{how:?} behind {cut} bytes");
        let ((end, grip), clock) = (stream(), Clock::new());
        let talk = async {
            let (mut socket, _) = sansocket_driver::connect(
                end,
                clock.alarm(),
                &Config::new(),
                &request,
                sansocket_tests::SEED,
            )
            .await?;
            while socket.recv().await?.is_some() {}
            Ok::<_, Error>(socket.disconnect().cloned())
        };
        let mut task = Task::new(talk);
        grip.give(&input[..cut]);
        if task.settle().is_ready() {
            panic!("{what}: the stream has not ended");
        }
        match how {
            Ok(()) => grip.end(),
            Err(error) => grip.fail_reads(error),
        }
        let result = assert_ends_within_two_polls(&mut task, &what);
        assert_eq!(result.is_ok(), cut == input.len(), "{what}: {result:?}");
    }
}

/// The scenario with its nth write failing, for every n, until it needs no more writes.
#[test]
fn t44_a_write_that_fails_anywhere_ends_the_connection_and_writes_no_more() {
    for error in [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset, ErrorKind::WriteZero] {
        let mut failed = 0;
        for bytes in 0.. {
            let mut stage = Stage::new(Config::new(), Accept::new(), echo);
            stage.grip.fail_writes(bytes, error);
            stage.grip.give([REQUEST, &conversation(Role::Server)].concat());
            stage.grip.end();
            assert!(stage.task.settle().is_ready(), "{error} behind {bytes}");
            let log = stage.grip.log();
            assert!(
                log.written.len() <= bytes && log.reads < 20,
                "{error} behind {bytes}: {} reads",
                log.reads
            );
            if log.written.len() < bytes {
                break;
            }
            failed += 1;
        }
        assert!(failed > 300, "{failed}");
    }
}

#[test]
fn t45_a_send_that_is_dropped_at_any_poll_leaves_whole_frames_only() {
    for role in ROLES {
        let mut places = 0;
        for n in 0_usize.. {
            let mut scene = scripted::open(role, &Config::new().high_water(100));
            scene.grip.on_write(
                [Step::Yield, Step::Move(3), Step::Yield, Step::Move(1)].into_iter().cycle().take(200),
            );
            let mut left = n;
            let mut dropped = false;
            for message in 0..8_u8 {
                let mut task = Task::new(scene.socket.send(vec![message; 60]));
                while task.poll().is_pending() {
                    if left == 0 && !dropped {
                        dropped = true;
                        break;
                    }
                    left = left.saturating_sub(1);
                }
            }
            scripted::run(scene.socket.flush()).unwrap();
            // `parse` is for whole frames only.
            let sent: Vec<_> = wire::parse(&scene.grip.log().written);
            let numbers: Vec<u8> = sent.iter().map(|frame| frame.payload[0]).collect();
            assert!(sent.iter().all(|frame| frame.payload == [frame.payload[0]; 60]), "dropped at {n}");
            assert!(numbers.is_sorted_by(|a, b| a < b) && numbers.len() >= 7, "dropped at {n}: {numbers:?}");
            if !dropped {
                assert_eq!(numbers.len(), 8);
                break;
            }
            places += 1;
        }
        assert!(places > 20, "{places}");
    }
}

#[test]
fn t45_a_handler_that_panics_is_closed_with_1011_behind_whole_frames() {
    for panics_at in 0..5 {
        let mut number = 0;
        let mut stage = Stage::open(Config::new(), move |call, reply| {
            if let Call::Message(message) = call {
                reply.send(message)?;
                number += 1;
                assert!(number <= panics_at, "as told");
            }
            Ok(())
        });
        stage.grip.on_write([Step::Move(1), Step::Yield].into_iter().cycle().take(100));
        stage.give(&[text("a"), text("b"), text("c"), text("d"), text("e")]);
        let frames = stage.frames();
        let mut expected: Vec<_> =
            ["a", "b", "c", "d", "e"].iter().map(|it| (TEXT, it.as_bytes().to_vec())).collect();
        expected.truncate(panics_at + 1);
        expected.push((CLOSE, wire::close_payload(1011)));
        assert_eq!(frames, expected);
        // Nothing is called any more, and nothing sent.
        stage.give(&[text("f")]);
        assert_eq!(stage.frames(), []);
        let code = stage.finish().sent().and_then(|frame| frame.code());
        assert_eq!(code, Some(CloseCode::INTERNAL_ERROR));
        assert!(!stage.notes.get().iter().any(|note| note == "message f"));
    }
}

/// Has room for so many.
struct Crowded {
    full: bool,
}

impl Handler for Crowded {
    type Info = ();

    async fn init(&mut self, _: Request) -> Decision {
        match self.full {
            true => Response::new(Status::SERVICE_UNAVAILABLE).text("full").into(),
            false => Accept::new().into(),
        }
    }

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send(message)?)
    }
}

#[test]
fn t47_connections_beyond_the_limit_wait_or_are_answered_with_503_as_the_program_says() {
    // They wait where the system keeps them, and cost nothing here.
    let (listener, door) = world::listener();
    let server = Server::<World>::new(Config::new()).max_connections(10);
    let handle = server.handle();
    let _served = start(server.serve(listener, |_| Crowded { full: false }));
    let clients: Vec<_> = (0..1000).map(|_| door.knock()).collect();
    clients.iter().for_each(|client| client.give(REQUEST));
    settle();
    assert_eq!((door.accepted(), handle.connections()), (10, 10));
    // Each has its turn.
    for (i, client) in clients.iter().enumerate() {
        assert!(client.take().starts_with(b"HTTP/1.1 101 "), "{i}");
        client.give(text("m"));
        settle();
        assert_eq!(wire::payloads(&client.take(), TEXT), [b"m"]);
        client.end();
        settle();
        assert!(handle.connections() <= 10, "{i}");
    }
    assert_eq!((door.accepted(), handle.connections()), (1000, 0));

    // Or the program says so: it knows how many there are.
    let (listener, door) = world::listener();
    let server = Server::<World>::new(Config::new());
    let handle = server.handle();
    let counter = handle.clone();
    let _served = start(server.serve(listener, move |_| Crowded { full: counter.connections() >= 10 }));
    let clients: Vec<_> = (0..30).map(|_| door.knock()).collect();
    clients.iter().for_each(|client| client.give(REQUEST));
    settle();
    let answers: Vec<_> = clients.iter().map(|client| client.take()).collect();
    assert!(answers[..10].iter().all(|answer| answer.starts_with(b"HTTP/1.1 101 ")));
    assert!(answers[10..].iter().all(|answer| answer.starts_with(b"HTTP/1.1 503 ")));
    clients.iter().for_each(|client| client.end());
    settle();
    assert_eq!(handle.connections(), 0);
}
