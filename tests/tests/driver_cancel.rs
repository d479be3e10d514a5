//! Futures that are dropped while they wait, at each place where they do: nothing is lost, repeated or torn.
#![cfg(feature = "driver")]

use core::future::Future;
use core::task::Poll;
use std::io::ErrorKind;

use sansocket::{CloseCode, Config, Delivery, Kind, Message, Role, SendError};
use sansocket_driver::Error;
use sansocket_tests::ROLES;
use sansocket_tests::scripted::{Scene, Step, Task, open, run};
use sansocket_tests::wire::{BINARY, CLOSE, CONTINUATION, PING, TEXT, close, fragment, frame, parse};

const CONFIG: Config = Config::new();

/// Short steps with all kinds of waiting between them.
fn by_halves() -> impl Iterator<Item = Step> {
    let interrupted = Step::Fail(ErrorKind::Interrupted);
    [Step::Yield, Step::Move(2), Step::Forget, interrupted, Step::Move(3), Step::Move(1)]
        .into_iter()
        .cycle()
        .take(600)
}

/// An open WebSocket whose stream does everything by halves.
fn open_by_halves(role: Role, config: &Config) -> Scene {
    let scene = open(role, config);
    scene.grip.on_read(by_halves());
    scene.grip.on_write(by_halves());
    scene.grip.on_flush(by_halves());
    scene
}

/// Drops one future, at the nth time that anything waits.
struct Dropper {
    left: usize,
    dropped: bool,
}

impl Dropper {
    /// What the future comes to; `None` if it was dropped.
    fn run<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let mut task = Task::new(future);
        loop {
            match task.poll() {
                Poll::Ready(value) => return Some(value),
                Poll::Pending if self.left > 0 => self.left -= 1,
                Poll::Pending if !self.dropped => {
                    self.dropped = true;
                    return None;
                }
                Poll::Pending => {}
            }
        }
    }
}

/// Awaits a call, anew if it is dropped.
macro_rules! insist {
    ($dropper:expr, $call:expr) => {
        loop {
            if let Some(value) = $dropper.run($call) {
                break value;
            }
        }
    };
}

/// Runs the scenario once without dropping anything, then with a drop at every place. What it returns must be the same.
fn at_every_await<T: PartialEq + core::fmt::Debug>(mut scenario: impl FnMut(&mut Dropper) -> T) -> usize {
    let whole = scenario(&mut Dropper { left: usize::MAX, dropped: false });
    for n in 0.. {
        let mut dropper = Dropper { left: n, dropped: false };
        assert_eq!(scenario(&mut dropper), whole, "dropped when it waited for the {n}th time");
        if !dropper.dropped {
            return n;
        }
    }
    unreachable!("a scenario ends")
}

#[test]
fn a_recv_that_is_dropped_anywhere_loses_no_message_and_no_answer() {
    for role in ROLES {
        let stream = [
            frame(role, TEXT, "whole"),
            fragment(role, BINARY, [1; 40]),
            frame(role, PING, "between"),
            frame(role, CONTINUATION, [2; 30]),
            frame(role, BINARY, [3; 200]),
            close(role, 1000, "done"),
        ]
        .concat();
        let places = at_every_await(|dropper| {
            let mut scene = open_by_halves(role, &CONFIG);
            scene.grip.give(&stream);
            scene.grip.end();
            let mut messages = Vec::new();
            while let Some(message) = insist!(dropper, scene.socket.recv()).unwrap() {
                messages.push(message);
            }
            assert_eq!(messages.len(), 3);
            (messages, scene.grip.log().written)
        });
        assert!(places > 50, "{places}");
    }
}

#[test]
fn what_was_fed_is_written_once_wherever_a_flush_is_dropped() {
    for role in ROLES {
        let places = at_every_await(|dropper| {
            let mut scene = open_by_halves(role, &CONFIG);
            for message in [Message::from("one"), Message::from(vec![2; 130])] {
                insist!(dropper, scene.socket.feed(message.borrow())).unwrap();
                insist!(dropper, scene.socket.flush()).unwrap();
            }
            assert_eq!(parse(&scene.grip.log().written).len(), 2);
            scene.grip.log().written
        });
        assert!(places > 20, "{places}");
    }
}

#[test]
fn a_feed_that_is_dropped_while_it_waits_for_room_has_not_queued_its_message() {
    for role in ROLES {
        let places = at_every_await(|dropper| {
            let mut scene = open_by_halves(role, &CONFIG.high_water(20));
            for i in 0..10_u8 {
                insist!(dropper, scene.socket.feed(vec![i; 15])).unwrap();
            }
            insist!(dropper, scene.socket.flush()).unwrap();
            let order: Vec<_> =
                parse(&scene.grip.log().written).iter().map(|frame| frame.payload[0]).collect();
            assert_eq!(order, (0..10).collect::<Vec<_>>());
            scene.grip.log().written
        });
        assert!(places > 20, "{places}");
    }
}

#[test]
fn a_send_that_is_dropped_while_it_writes_is_completed_by_whatever_comes_next() {
    for role in ROLES {
        let [by_flush, by_recv] = [true, false].map(|flush| {
            at_every_await(|dropper| {
                let mut scene = open_by_halves(role, &CONFIG);
                scene.grip.give(frame(role, TEXT, "m"));
                // There is room, so each is queued at once.
                let _ = dropper.run(scene.socket.send("first"));
                let _ = dropper.run(scene.socket.send("second"));
                match flush {
                    true => insist!(dropper, scene.socket.flush()).unwrap(),
                    false => {
                        insist!(dropper, scene.socket.recv()).unwrap();
                        // This one is of no use to it but that it writes while it waits.
                        let mut waiting = Task::new(scene.socket.recv());
                        (0..500).for_each(|_| assert!(waiting.poll().is_pending()));
                    }
                }
                assert_eq!(parse(&scene.grip.log().written).len(), 2);
                scene.grip.log().written
            })
        });
        assert!(by_flush > 5 && by_recv > 5);
    }
}

#[test]
fn a_send_that_is_dropped_is_sent_whole_or_not_at_all() {
    for role in ROLES {
        let mut outcomes = [0, 0];
        for n in 0.. {
            let mut dropper = Dropper { left: n, dropped: false };
            let mut scene = open_by_halves(role, &CONFIG.high_water(20));
            run(scene.socket.feed([0; 60].as_slice())).unwrap();
            let sent = dropper.run(scene.socket.send([1; 50].as_slice())).is_some();
            insist!(dropper, scene.socket.send([2; 40].as_slice())).unwrap();
            let order: Vec<_> =
                parse(&scene.grip.log().written).iter().map(|frame| frame.payload[0]).collect();
            match &order[..] {
                [0, 1, 2] => outcomes[0] += 1,
                [0, 2] if !sent => outcomes[1] += 1,
                // The last one was dropped and sent again.
                [0, 1, 2, 2] if sent => break,
                order => panic!("{order:?}"),
            }
        }
        assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
    }
}

#[test]
fn a_close_that_is_dropped_anywhere_goes_on_where_it_was() {
    for role in ROLES {
        let places = at_every_await(|dropper| {
            let mut scene = open_by_halves(role, &CONFIG);
            insist!(dropper, scene.socket.feed([7; 60].as_slice())).unwrap();
            scene.grip.give([frame(role, TEXT, "late"), close(role, 4000, "")].concat());
            scene.grip.end();
            let disconnect = insist!(dropper, scene.socket.close(CloseCode::GOING_AWAY));
            assert!(disconnect.is_clean(), "{disconnect:?}");
            let frames = parse(&scene.grip.log().written);
            assert_eq!(frames.iter().map(|frame| frame.first & 0x0F).collect::<Vec<_>>(), [BINARY, CLOSE]);
            (disconnect, frames)
        });
        assert!(places > 5, "{places}");
    }
}

#[test]
fn a_recv_data_that_is_dropped_anywhere_loses_no_piece() {
    for (role, delivery) in
        ROLES.into_iter().flat_map(|role| [(role, Delivery::Whole), (role, Delivery::Streaming)])
    {
        let stream = [
            frame(role, TEXT, "whole"),
            fragment(role, BINARY, [1; 40]),
            frame(role, PING, "between"),
            frame(role, CONTINUATION, [2; 30]),
            frame(role, BINARY, ""),
            close(role, 1000, "done"),
        ]
        .concat();
        let places = at_every_await(|dropper| {
            let mut scene = open_by_halves(role, &CONFIG.delivery(delivery));
            scene.grip.give(&stream);
            scene.grip.end();
            let (mut messages, mut message) = (Vec::new(), None);
            while let Some(data) = insist!(dropper, scene.socket.recv_data()).unwrap() {
                assert_eq!(data.first, message.is_none());
                message.get_or_insert_with(Vec::new).extend_from_slice(&data.payload);
                if data.last {
                    messages.push((data.kind, message.take().unwrap()));
                }
            }
            let fragments = [[1; 40].to_vec(), [2; 30].to_vec()].concat();
            let expected =
                [(Kind::Text, b"whole".to_vec()), (Kind::Binary, fragments), (Kind::Binary, Vec::new())];
            assert_eq!(messages, expected);
            scene.grip.log().written
        });
        assert!(places > 20, "{places}");
    }
}

#[test]
fn a_recv_that_puts_pieces_together_loses_none_when_it_is_dropped() {
    for role in ROLES {
        let stream =
            [fragment(role, BINARY, [1; 40]), frame(role, CONTINUATION, [2; 30]), frame(role, TEXT, "next")];
        let places = at_every_await(|dropper| {
            let mut scene = open_by_halves(role, &CONFIG.delivery(Delivery::Streaming));
            scene.grip.give(stream.concat());
            let first = insist!(dropper, scene.socket.recv()).unwrap().unwrap();
            assert_eq!(first.as_bytes(), [[1; 40].to_vec(), [2; 30].to_vec()].concat());
            assert_eq!(insist!(dropper, scene.socket.recv()).unwrap(), Some(Message::from("next")));
        });
        assert!(places > 20, "{places}");
    }
}

#[test]
fn what_a_dropped_recv_has_put_together_recv_data_gives_as_a_piece() {
    for role in ROLES {
        let mut scene = open(role, &CONFIG.delivery(Delivery::Streaming));
        scene.grip.give(fragment(role, TEXT, "begin"));
        let mut waiting = Task::new(scene.socket.recv());
        assert!(waiting.settle().is_pending());
        drop(waiting);
        scene.grip.give(frame(role, CONTINUATION, "end"));
        let (mut whole, mut firsts) = (Vec::new(), Vec::new());
        loop {
            let data = run(scene.socket.recv_data()).unwrap().unwrap();
            firsts.push(data.first);
            whole.extend_from_slice(&data.payload);
            if data.last {
                break;
            }
        }
        assert_eq!(String::from_utf8_lossy(&whole), "beginend", "the message has lost its beginning");
        assert!(firsts[0] && firsts[1..].iter().all(|first| !first));
    }
}

#[test]
fn pieces_are_sent_once_wherever_a_push_or_a_finish_is_dropped() {
    for role in ROLES {
        let places = at_every_await(|dropper| {
            let mut scene = open_by_halves(role, &CONFIG.high_water(20));
            scene.socket.begin(Kind::Binary).unwrap();
            for i in 0..6 {
                insist!(dropper, scene.socket.push(&[i; 15])).unwrap();
            }
            // It was queued if it is in progress no more.
            match insist!(dropper, scene.socket.finish(&[6; 15])) {
                Ok(()) => {}
                Err(Error::Send(SendError::NoMessageInProgress)) if dropper.dropped => {
                    insist!(dropper, scene.socket.flush()).unwrap();
                }
                Err(error) => panic!("{error:?}"),
            }
            let frames = parse(&scene.grip.log().written);
            let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.payload.clone()).collect();
            assert_eq!(bytes, (0..7).flat_map(|i| [i; 15]).collect::<Vec<_>>());
            assert_eq!(frames.iter().filter(|frame| frame.first & 0x80 != 0).count(), 1);
        });
        assert!(places > 20, "{places}");
    }
}

#[test]
fn halves_are_as_safe_to_drop_as_the_whole() {
    for role in ROLES {
        let places = at_every_await(|dropper| {
            let Scene { socket, grip, .. } = open_by_halves(role, &CONFIG.high_water(20));
            let (mut sender, mut receiver) = socket.split();
            grip.give(
                [frame(role, PING, "p"), frame(role, TEXT, "in"), frame(role, BINARY, [3; 40])].concat(),
            );
            for i in 0..4_u8 {
                insist!(dropper, sender.feed(vec![i; 15])).unwrap();
                insist!(dropper, sender.flush()).unwrap();
            }
            assert_eq!(insist!(dropper, receiver.recv()).unwrap(), Some(Message::from("in")));
            assert_eq!(insist!(dropper, receiver.recv_data()).unwrap().unwrap().payload, [3; 40].to_vec());
            insist!(dropper, sender.flush()).unwrap();
            grip.give(close(role, 1001, ""));
            grip.end();
            assert!(insist!(dropper, sender.close(CloseCode::GOING_AWAY)).is_clean());
            assert!(matches!(insist!(dropper, receiver.recv()), Ok(None)));
            let frames = parse(&grip.log().written);
            let order: Vec<_> = frames
                .iter()
                .filter(|frame| frame.first & 0x0F == BINARY)
                .map(|frame| frame.payload[0])
                .collect();
            assert_eq!(order, [0, 1, 2, 3]);
            assert_eq!(frames.iter().filter(|frame| frame.first & 0x0F == CLOSE).count(), 1);
        });
        assert!(places > 20, "{places}");
    }
}
