//! One task receives, another sends. Each has a waker of its own, and the stream has room for one in each direction.
#![cfg(feature = "driver")]

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::Poll;
use core::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sansocket::{CloseCode, Config, Keepalive, Message};
use sansocket_tests::ROLES;
use sansocket_tests::pair::Dice;
use sansocket_tests::scripted::{Clock, Scene, Task, connect_on, duplex, open, run_both, serve_on};
use sansocket_tests::wire::{CLOSE, PING, PONG, TEXT, close, frame, parse};

const CONFIG: Config = Config::new();

fn payloads(scene: &sansocket_tests::scripted::Grip, opcode: u8) -> usize {
    parse(&scene.take()).iter().filter(|frame| frame.first & 0x0F == opcode).count()
}

#[test]
fn neither_takes_the_others_wake_up() {
    for role in ROLES {
        for (reader_first, data_first) in [(true, true), (true, false), (false, true), (false, false)] {
            let what = format!("{role:?}, reader first: {reader_first}, data first: {data_first}");
            let scene = open(role, &CONFIG);
            let (mut sink, mut stream) = scene.socket.split();
            scene.grip.set_room(0);
            let mut reader = Task::new(stream.next());
            let mut writer = Task::new(sink.send(Message::from("out")));
            // Who comes last has its waker in both directions of the stream.
            if reader_first {
                assert!(reader.poll().is_pending());
                assert!(writer.poll().is_pending());
            } else {
                assert!(writer.poll().is_pending());
                assert!(reader.poll().is_pending());
            }
            if data_first {
                scene.grip.give(frame(role, TEXT, "in"));
                assert!(reader.is_woken(), "{what}");
                assert!(matches!(reader.settle(), Poll::Ready(Some(Ok(_)))));
            }
            scene.grip.set_room(usize::MAX);
            assert!(writer.is_woken(), "{what}");
            assert!(matches!(writer.settle(), Poll::Ready(Ok(()))));
            if !data_first {
                scene.grip.give(frame(role, TEXT, "in"));
                assert!(reader.is_woken(), "{what}");
                assert!(matches!(reader.settle(), Poll::Ready(Some(Ok(_)))));
            }
            assert_eq!(payloads(&scene.grip, TEXT), 1);
        }
    }
}

#[test]
fn what_is_fed_while_another_task_receives_is_written_by_that() {
    for role in ROLES {
        let Scene { socket, grip, .. } = open(role, &CONFIG);
        let socket = RefCell::new(socket);
        let mut reader = Task::new(poll_fn(|cx| socket.borrow_mut().poll_recv(cx)));
        assert!(reader.settle().is_pending());
        let mut writer = Task::new(poll_fn(|cx| socket.borrow_mut().poll_ready_unpin(cx)));
        assert!(matches!(writer.poll(), Poll::Ready(Ok(()))));
        socket.borrow_mut().start_send_unpin(Message::from("out")).unwrap();
        assert!(reader.is_woken());
        assert!(reader.settle().is_pending());
        assert_eq!(payloads(&grip, TEXT), 1);
    }
}

#[test]
fn a_close_is_news_to_who_receives_once() {
    for role in ROLES {
        let Scene { socket, grip, .. } = open(role, &CONFIG);
        let socket = RefCell::new(socket);
        let mut reader = Task::new(poll_fn(|cx| socket.borrow_mut().poll_recv(cx)));
        assert!(reader.settle().is_pending());
        socket.borrow_mut().start_close(CloseCode::NORMAL_CLOSURE);
        assert!(reader.is_woken());
        assert!(reader.settle().is_pending());
        assert_eq!(payloads(&grip, CLOSE), 1);
        // A program that begins it anew on each turn does not turn for ever.
        socket.borrow_mut().start_close(CloseCode::NORMAL_CLOSURE);
        assert!(!reader.is_woken());
    }
}

#[test]
fn a_client_that_sends_and_receives_at_once_never_stands_still_with_an_echo() {
    // Each message alone is more than high water, all of them more than the stream and both outboxes hold.
    let config = CONFIG.high_water(1000);
    let [(one, _), (other, _)] = duplex(500);
    let clock = Clock::new();
    let client = async {
        let (mut sink, mut stream) = connect_on(one, &clock, &config).await.split();
        let sending = async {
            for i in 0..50 {
                sink.send(Message::from(vec![i; 2000])).await.unwrap();
            }
        };
        let receiving = async {
            for i in 0..50 {
                assert_eq!(stream.next().await.unwrap().unwrap(), Message::from(vec![i; 2000]));
            }
        };
        futures_util::future::join(sending, receiving).await;
    };
    let server = async {
        let mut socket = serve_on(other, &clock, &config).await;
        for _ in 0..50 {
            let message = socket.recv().await.unwrap().unwrap();
            socket.feed(message).await.unwrap();
        }
        socket.flush().await.unwrap();
    };
    run_both(&mut Dice::new(1), client, server);
}

#[test]
fn timers_wake_the_reader_after_a_writer_has_set_them() {
    for role in ROLES {
        let config = CONFIG.idle_timeout(Some(Duration::from_secs(10)));
        let scene = open(role, &config);
        let (mut sink, mut stream) = scene.socket.split();
        let mut reader = Task::new(stream.next());
        assert!(reader.poll().is_pending());
        scene.grip.set_room(0);
        let mut writer = Task::new(sink.send(Message::from("out")));
        assert!(writer.poll().is_pending());
        drop(writer);
        scene.grip.set_room(usize::MAX);
        assert!(reader.settle().is_pending());
        scene.grip.take();
        scene.clock.pass(Duration::from_secs(5));
        assert!(reader.is_woken());
        assert!(reader.settle().is_pending());
        assert_eq!(payloads(&scene.grip, PING), 1);
    }
}

#[test]
fn options_that_a_writer_sets_count_for_the_reader_that_waits() {
    for role in ROLES {
        let scene = open(role, &Config::new().idle_timeout(None).keepalive(Keepalive::Off));
        let (mut sender, mut receiver) = scene.socket.split();
        let mut waiting = Task::new(receiver.recv());
        assert!(waiting.settle().is_pending());
        sender.with_socket(|socket| {
            socket.set_options(&Config::new().idle_timeout(Some(Duration::from_secs(10))));
        });
        assert!(waiting.is_woken());
        assert!(waiting.settle().is_pending());
        scene.clock.pass(Duration::from_secs(5));
        assert!(waiting.is_woken() && waiting.settle().is_pending());
        assert_eq!(payloads(&scene.grip, PING), 1);
    }
}

#[test]
fn a_reader_that_is_dropped_while_it_waits_leaves_the_writer_awake() {
    for role in ROLES {
        let scene = open(role, &CONFIG);
        let (mut sink, mut stream) = scene.socket.split();
        scene.grip.set_room(0);
        let mut writer = Task::new(sink.send(Message::from("out")));
        assert!(writer.poll().is_pending());
        let mut reader = Task::new(stream.next());
        assert!(reader.poll().is_pending());
        drop(reader);
        drop(stream);
        scene.grip.set_room(usize::MAX);
        assert!(writer.is_woken());
        assert!(matches!(writer.settle(), Poll::Ready(Ok(()))));
        assert_eq!(payloads(&scene.grip, TEXT), 1);
    }
}

#[test]
fn what_a_writer_left_when_it_was_dropped_the_reader_writes() {
    for role in ROLES {
        let scene = open(role, &CONFIG);
        let (mut sink, mut stream) = scene.socket.split();
        scene.grip.set_room(3);
        let mut reader = Task::new(stream.next());
        assert!(reader.poll().is_pending());
        let mut writer = Task::new(sink.send(Message::from("out")));
        assert!(writer.poll().is_pending());
        drop(writer);
        drop(sink);
        scene.grip.give(frame(role, PING, ""));
        assert!(reader.is_woken());
        assert!(reader.settle().is_pending());
        scene.grip.set_room(usize::MAX);
        assert!(reader.is_woken());
        assert!(reader.settle().is_pending());
        let kinds: Vec<_> = parse(&scene.grip.log().written).iter().map(|frame| frame.first & 0x0F).collect();
        assert_eq!(kinds, [TEXT, PONG]);
    }
}

#[test]
fn when_one_closes_the_other_is_told_the_end() {
    for role in ROLES {
        let scene = open(role, &CONFIG);
        let (mut sink, mut stream) = scene.socket.split();
        let mut reader = Task::new(stream.next());
        assert!(reader.poll().is_pending());
        let mut writer = Task::new(sink.close(CloseCode::NORMAL_CLOSURE));
        assert!(writer.poll().is_pending());
        scene.grip.give(close(role, 1000, ""));
        scene.grip.end();
        assert!(reader.is_woken() || writer.is_woken());
        for _ in 0..3 {
            if writer.is_woken() {
                assert!(matches!(writer.settle(), Poll::Ready(end) if end.is_clean()));
                break;
            }
        }
        assert!(reader.is_woken());
        assert!(matches!(reader.settle(), Poll::Ready(None)));
    }
}

/// Halves whose receiver waits for the peer.
macro_rules! waiting_halves {
    ($scene:ident, $sender:ident, $reader:ident, $role:expr) => {
        let $scene = open($role, &CONFIG);
        let (mut $sender, mut receiver) = $scene.socket.split();
        let mut $reader = Task::new(receiver.recv());
        assert!($reader.settle().is_pending());
    };
}

#[test]
fn a_close_that_the_sender_starts_the_receiver_goes_through_with() {
    for role in ROLES {
        waiting_halves!(scene, sender, reader, role);
        sender.start_close(CloseCode::NORMAL_CLOSURE);
        assert!(reader.is_woken(), "nobody writes the Close");
        assert!(reader.settle().is_pending());
        assert_eq!(payloads(&scene.grip, CLOSE), 1);
        scene.grip.give(close(role, 1000, ""));
        scene.grip.end();
        assert!(matches!(reader.settle(), Poll::Ready(Ok(None))));
    }
}

#[test]
fn a_ping_or_probe_that_the_sender_queues_the_receiver_writes() {
    for role in ROLES {
        for probes in [false, true] {
            waiting_halves!(scene, sender, reader, role);
            if probes { sender.probe() } else { sender.ping(b"?") }.unwrap();
            assert!(reader.is_woken(), "nobody writes the Ping");
            assert!(reader.settle().is_pending());
            assert_eq!(payloads(&scene.grip, PING), 1);
        }
    }
}

#[test]
fn what_is_fed_when_the_receiver_has_just_looked_is_written_by_it() {
    for role in ROLES {
        waiting_halves!(scene, sender, reader, role);
        // `feed` in its two steps. The receiver may run on another thread between them.
        let mut room = Task::new(poll_fn(|cx| sender.poll_ready_unpin(cx)));
        assert!(matches!(room.poll(), Poll::Ready(Ok(()))));
        drop(room);
        assert!(reader.settle().is_pending());
        sender.start_send_unpin(Message::from("out")).unwrap();
        assert!(reader.is_woken(), "nobody writes it");
        assert!(reader.settle().is_pending());
        assert_eq!(payloads(&scene.grip, TEXT), 1);
    }
}

#[test]
fn halves_in_one_task_wake_each_other() {
    for role in ROLES {
        let scene = open(role, &CONFIG);
        let (mut sender, mut receiver) = scene.socket.split();
        let mut task = Task::new(async {
            let receiving = async { receiver.recv().await.unwrap().unwrap() };
            let sending = async {
                sender.feed("out").await.unwrap();
                core::future::pending::<()>().await;
            };
            match futures_util::future::select(core::pin::pin!(receiving), core::pin::pin!(sending)).await {
                futures_util::future::Either::Left((message, _)) => message,
                futures_util::future::Either::Right(_) => unreachable!(),
            }
        });
        assert!(task.settle().is_pending());
        assert_eq!(payloads(&scene.grip, TEXT), 1, "what was fed is written, though nothing comes");
        scene.grip.give(frame(role, TEXT, "in"));
        assert!(matches!(task.settle(), Poll::Ready(message) if message.as_text() == Some("in")));
    }
}
