//! Timers, by a clock that is moved by hand.
#![cfg(feature = "driver")]

use core::task::Poll;
use core::time::Duration;

use futures_util::FutureExt;
use sansocket::{Cause, CloseCode, Config, Keepalive, Message, Role, State, Timer};
use sansocket_driver::Error;
use sansocket_tests::ROLES;
use sansocket_tests::compressed::{self, PER_MESSAGE};
use sansocket_tests::scripted::{self, Clock, Scene, Step, Task, open, run};
use sansocket_tests::wire::{
    BINARY, CLOSE, PING, PONG, TEXT, close, close_payload, fragment, frame, payloads,
};

const CONFIG: Config = Config::new();

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_silent_peer_is_closed_after_the_idle_timeout() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG.idle_timeout(Some(10 * SECOND)));
        let mut waiting = Task::new(scene.socket.recv());
        assert!(waiting.settle().is_pending());
        scene.clock.pass(5 * SECOND);
        assert!(waiting.settle().is_pending());
        assert_eq!(payloads(&scene.grip.log().written, PING).len(), 1, "it is asked first");
        scene.clock.pass(5 * SECOND);
        assert!(waiting.is_woken());
        assert!(waiting.settle().is_pending());
        assert_eq!(payloads(&scene.grip.log().written, CLOSE), [close_payload(1000)]);
        scene.clock.pass(5 * SECOND);
        let Poll::Ready(Err(error)) = waiting.settle() else { panic!("the peer does not answer") };
        assert_eq!(error.cause(), Some(&Cause::TimedOut(Timer::Idle)));
        drop(waiting);
        assert!(matches!(run(scene.socket.recv()), Ok(None)));
    }
}

#[test]
fn a_peer_that_answers_pings_is_kept() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG.idle_timeout(Some(10 * SECOND)));
        let mut waiting = Task::new(scene.socket.recv());
        assert!(waiting.settle().is_pending());
        for _ in 0..100 {
            scene.clock.pass(5 * SECOND);
            assert!(waiting.settle().is_pending());
            for ping in payloads(&scene.grip.take(), PING) {
                scene.grip.give(frame(role, PONG, ping));
            }
            assert!(waiting.settle().is_pending());
        }
        drop(waiting);
        assert_eq!(scene.socket.connection().state(), State::Open);
    }
}

#[test]
fn a_peer_that_sent_something_while_nobody_received_is_not_idle() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        assert!(scene.socket.recv().now_or_never().is_none());
        // The application is busy for long; what comes meanwhile waits in the stream.
        scene.clock.pass(59 * SECOND);
        scene.grip.give(frame(role, TEXT, "m"));
        scene.clock.pass(2 * SECOND);
        assert_eq!(run(scene.socket.recv()).unwrap(), Some(Message::from("m")));
        assert_eq!(scene.socket.connection().state(), State::Open);
    }
}

/// What has come of its message stays where it was read, and the connection does not see it.
#[test]
fn a_peer_whose_message_comes_bit_by_bit_is_not_idle() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG.idle_timeout(Some(10 * SECOND)));
        let message = frame(role, BINARY, vec![7; 12_000]);
        let mut waiting = Task::new(scene.socket.recv());
        for piece in message.chunks(1_000) {
            assert!(waiting.settle().is_pending());
            scene.clock.pass(9 * SECOND);
            scene.grip.give(piece);
        }
        let Poll::Ready(Ok(Some(received))) = waiting.settle() else { panic!("it is all there") };
        assert_eq!(received, Message::from(vec![7; 12_000]));
    }
}

#[test]
fn close_waits_for_the_peer_no_longer_than_the_close_timeout() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG.close_timeout(3 * SECOND));
        let mut closing = Task::new(scene.socket.close(CloseCode::NORMAL_CLOSURE));
        assert!(closing.settle().is_pending());
        scene.clock.pass(2 * SECOND);
        assert!(closing.settle().is_pending());
        scene.clock.pass(SECOND);
        let Poll::Ready(disconnect) = closing.settle() else { panic!("it is time") };
        assert_eq!(disconnect.cause(), &Cause::TimedOut(Timer::Close));
        assert!(disconnect.sent().is_some() && disconnect.received().is_none());
    }
}

#[test]
fn a_peer_that_has_closed_and_does_not_end_the_stream_is_no_error() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG.close_timeout(3 * SECOND));
        scene.grip.give(close(role, 1000, ""));
        let mut waiting = Task::new(scene.socket.recv());
        assert!(waiting.settle().is_pending());
        scene.clock.pass(3 * SECOND);
        assert!(matches!(waiting.settle(), Poll::Ready(Ok(None))));
    }
}

#[test]
fn a_stream_that_never_lets_the_last_bytes_go_is_given_up() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        scene.grip.hold_until_flush();
        scene.grip.on_flush([Step::Forget; 100]);
        scene.grip.give(close(role, 1000, ""));
        scene.grip.end();
        let mut waiting = Task::new(scene.socket.recv());
        assert!(waiting.settle().is_pending());
        scene.clock.pass(60 * SECOND);
        let Poll::Ready(end) = waiting.settle() else { panic!("it waits for ever") };
        assert!(matches!(end, Ok(None)), "{end:?}");
    }
}

#[test]
fn timers_run_while_a_send_is_blocked() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG.idle_timeout(Some(10 * SECOND)).close_timeout(3 * SECOND));
        scene.grip.set_room(5);
        let mut sending = Task::new(scene.socket.send("a message"));
        assert!(sending.settle().is_pending());
        for pass in [5, 5, 3] {
            assert!(sending.settle().is_pending());
            scene.clock.pass(pass * SECOND);
            assert!(sending.is_woken(), "{pass}");
        }
        let Poll::Ready(Err(error)) = sending.settle() else { panic!("it is time") };
        assert_eq!(error.cause(), Some(&Cause::TimedOut(Timer::Idle)));
        drop(sending);
        assert!(scene.socket.disconnect().unwrap().sent().is_none(), "it never went out");
    }
}

#[test]
fn a_handshake_that_takes_too_long_ends() {
    let (end, grip) = scripted::stream();
    let clock = Clock::new();
    grip.give(b"GET / HT");
    let config = CONFIG;
    let mut reading = Task::new(sansocket_driver::Incoming::read(end, clock.alarm(), &config));
    assert!(reading.settle().is_pending());
    clock.pass(10 * SECOND);
    assert!(reading.settle().is_pending());
    assert!(grip.take().starts_with(b"HTTP/1.1 408 "));
    grip.end();
    let Poll::Ready(Err(error)) = reading.settle() else { panic!("it is time") };
    assert_eq!(error.cause(), Some(&Cause::TimedOut(Timer::Handshake)));
}

/// Its bytes wait in the stream, or here, since the program only sends.
#[test]
fn a_peer_that_nobody_receives_from_is_not_idle_when_a_send_has_to_wait() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG);
        assert!(scene.socket.recv().now_or_never().is_none());
        for minute in 0..5 {
            scene.clock.pass(40 * SECOND);
            scene.grip.give(frame(role, TEXT, format!("{minute}")));
            scene.clock.pass(25 * SECOND);
            scene.grip.set_room(10_000);
            let mut sending = Task::new(scene.socket.send(vec![0; 60_000]));
            assert!(sending.settle().is_pending());
            drop(sending);
            assert_eq!(scene.socket.connection().state(), State::Open, "in minute {minute}");
            scene.grip.set_room(usize::MAX);
            run(scene.socket.flush()).unwrap();
            scene.grip.take();
            assert_eq!(run(scene.socket.recv()).unwrap(), Some(Message::from(format!("{minute}"))));
        }
        // It says nothing more and reads nothing.
        scene.grip.set_room(0);
        scene.clock.pass(65 * SECOND);
        let mut sending = Task::new(scene.socket.send("out"));
        assert!(sending.settle().is_pending());
        drop(sending);
        assert_eq!(scene.socket.connection().state(), State::Closing);
    }
}

/// A peer has said something whenever the application asks, which is once a second.
fn once_a_second(
    scene: &mut Scene,
    role: Role,
    mut says: impl FnMut(u32) -> Vec<u8>,
) -> Option<(u32, Result<Option<Message<'static>>, Error>)> {
    for second in 0..200 {
        scene.grip.give(says(second));
        match Task::new(scene.socket.recv()).settle() {
            Poll::Ready(Ok(Some(message))) => assert_eq!(message, Message::text("m"), "{role:?}"),
            Poll::Ready(end) => return Some((second, end)),
            Poll::Pending => {}
        }
        scene.clock.pass(SECOND);
    }
    None
}

#[test]
fn a_peer_that_goes_on_talking_and_does_not_answer_our_close_is_left() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG.close_timeout(5 * SECOND));
        scene.socket.start_close(CloseCode::GOING_AWAY);
        let end = once_a_second(&mut scene, role, |_| frame(role, TEXT, "m"));
        let (second, end) = end.expect("an end");
        assert!((5..40).contains(&second), "{second}");
        let error = end.unwrap_err();
        assert_eq!(error.cause(), Some(&Cause::TimedOut(Timer::Close)));
        assert_eq!(scene.socket.connection().state(), State::Closed);
    }
}

#[test]
fn a_peer_that_goes_on_talking_is_asked_and_must_answer() {
    for role in ROLES {
        let config = CONFIG.keepalive(Keepalive::Every(10 * SECOND)).pong_timeout(Some(20 * SECOND));
        let mut scene = open(role, &config);
        let (second, end) = once_a_second(&mut scene, role, |_| frame(role, TEXT, "m")).expect("an end");
        assert!((30..100).contains(&second), "{second}");
        assert_eq!(end.unwrap_err().cause(), Some(&Cause::TimedOut(Timer::Pong)));

        let mut scene = open(role, &config);
        let grip = scene.grip.clone();
        let mut pings = 0;
        let end = once_a_second(&mut scene, role, |_| {
            let asked = payloads(&grip.take(), PING);
            pings += asked.len();
            let pongs = asked.iter().flat_map(|ping| frame(role, PONG, ping));
            pongs.chain(frame(role, TEXT, "m")).collect()
        });
        assert!(end.is_none() && pings >= 5, "{pings}, {end:?}");
    }
}

#[test]
fn a_pong_that_waits_behind_much_else_came_in_time() {
    for role in ROLES {
        let config = CONFIG.keepalive(Keepalive::Every(10 * SECOND)).pong_timeout(Some(20 * SECOND));
        // The application has read ever so often when it takes a rest.
        for before in 0..40 {
            let mut scene = open(role, &config);
            scene.clock.pass(10 * SECOND);
            assert!(Task::new(scene.socket.recv()).settle().is_pending());
            let pings = payloads(&scene.grip.take(), PING);
            assert_eq!(pings.len(), 1);
            for _ in 0..before {
                scene.grip.give(frame(role, TEXT, "m"));
                assert!(matches!(run(scene.socket.recv()), Ok(Some(_))));
            }
            scene.clock.pass(30 * SECOND);
            let message = frame(role, BINARY, vec![7; 60_000]);
            scene.grip.give(message.repeat(12));
            scene.grip.give(frame(role, PONG, &pings[0]));
            for _ in 0..12 {
                assert!(matches!(run(scene.socket.recv()), Ok(Some(_))), "{before}");
            }
            assert!(Task::new(scene.socket.recv()).settle().is_pending());
            assert_eq!(scene.socket.connection().state(), State::Open, "{before}");
        }
    }
}

/// Also if a poll ends before, as it has read much.
#[test]
fn a_pong_that_waits_behind_a_long_message_came_in_time() {
    let config =
        CONFIG.max_message(4 << 20).keepalive(Keepalive::Every(10 * SECOND)).pong_timeout(Some(20 * SECOND));
    for (compression, len) in [(None, 17 * 65_000), (Some(PER_MESSAGE), 65_600)] {
        let Scene { mut socket, grip, clock } = compressed::scene(&config, compression);
        let mut receiving = Task::new(socket.recv());
        clock.pass(10 * SECOND);
        assert!(receiving.settle().is_pending());
        let pings = payloads(&grip.take(), PING);
        assert_eq!(pings.len(), 1);
        grip.give(fragment(Role::Server, BINARY, vec![7; len]));
        grip.give(frame(Role::Server, PONG, &pings[0]));
        clock.pass(30 * SECOND);
        assert!(receiving.settle().is_pending());
        drop(receiving);
        assert_eq!(socket.connection().state(), State::Open, "{compression:?}");
    }
}

#[test]
fn a_peer_that_always_has_something_to_say_is_not_idle_however_slow_we_are() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG.idle_timeout(Some(10 * SECOND)));
        for _ in 0..100 {
            scene.grip.give(frame(role, TEXT, "m"));
            assert!(matches!(run(scene.socket.recv()), Ok(Some(_))));
            scene.clock.pass(11 * SECOND);
        }
        assert_eq!(scene.socket.connection().state(), State::Open);
    }
}
