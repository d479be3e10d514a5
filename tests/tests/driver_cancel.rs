//! Futures that are dropped while they wait, and tasks that share a connection: nothing is lost, repeated or forgotten.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::ErrorKind;

use sansocket::{Cause, CloseCode, Config, Disconnect, Message, Role, Side};
use sansocket_tests::ROLES;
use sansocket_tests::pair::Dice;
use sansocket_tests::scripted::{
    Clock, Scene, Socket, Step, Task, connect_on, duplex, open, run, run_both, serve_on,
};
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

/// A future that may be dropped when it waits.
struct Fickle<'d, F> {
    future: Pin<Box<F>>,
    dice: &'d mut Dice,
    /// Of this many times that it waits, it is dropped once.
    once_in: usize,
}

impl<F: Future> Future for Fickle<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if self.once_in > 0 && self.dice.roll().is_multiple_of(self.once_in as u64) => {
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

fn fickle<F: Future>(dice: &mut Dice, once_in: usize, future: F) -> Fickle<'_, F> {
    Fickle { future: Box::pin(future), dice, once_in }
}

/// The `number`th message of a side: no two are the same.
fn numbered(number: usize, lens: &[usize]) -> Vec<u8> {
    let len = lens[number % lens.len()];
    [&number.to_be_bytes()[..], &vec![number.to_le_bytes()[0]; len]].concat()
}

/// Sends the messages up to `sends` and receives `receives`, in any order, dropping futures all the while.
async fn talk(socket: &mut Socket, dice: &mut Dice, lens: &[usize], sends: usize, receives: usize) {
    let (mut sent, mut received) = (0, 0);
    while sent < sends || received < receives {
        match dice.below(3) {
            0 if sent < sends => {
                if let Some(result) = fickle(dice, 3, socket.feed(numbered(sent, lens))).await {
                    result.unwrap();
                    sent += 1;
                }
            }
            1 => {
                // Waiting for the peer to read, without reading, is how two ends come to wait for each other.
                let _ = fickle(dice, 1, socket.flush()).await;
            }
            _ if received < receives => {
                // Nor does it wait for a peer that waits for messages of its own.
                let once_in = if sent < sends { 1 } else { 3 };
                if let Some(result) = fickle(dice, once_in, socket.recv()).await {
                    let message = result.unwrap().expect("more are to come");
                    assert_eq!(message.into_bytes(), numbered(received, lens));
                    received += 1;
                }
            }
            _ => {}
        }
        if received == receives && fickle(dice, 4, socket.flush()).await.is_some_and(|result| result.is_err())
        {
            panic!("it is open");
        }
    }
}

async fn close_down(socket: &mut Socket, dice: &mut Dice) -> Disconnect {
    loop {
        if let Some(disconnect) = fickle(dice, 3, socket.close(CloseCode::NORMAL_CLOSURE)).await {
            return disconnect;
        }
    }
}

async fn wait_for_end(socket: &mut Socket, dice: &mut Dice) -> Vec<Message<'static>> {
    let mut messages = Vec::new();
    loop {
        match fickle(dice, 3, socket.recv()).await {
            None => {}
            Some(Ok(Some(message))) => messages.push(message),
            Some(Ok(None)) => return messages,
            Some(Err(error)) => panic!("{error:?}"),
        }
    }
}

#[test]
fn messages_arrive_once_and_in_order_under_10_000_random_schedules() {
    const LENS: [usize; 9] = [0, 1, 50, 117, 118, 125, 300, 7, 17_000];
    for seed in 0..10_000 {
        let mut dice = Dice::new(seed);
        // Heavy traffic both ways needs room in the outboxes; one way it may run against a full one.
        let (water, sends) = dice.pick(&[(1 << 20, [5, 5]), (100, [8, 0]), (100, [0, 8]), (1, [6, 0])]);
        let lens = if dice.below(50) == 0 { &LENS[..] } else { &LENS[..8] };
        let config = CONFIG.high_water(water).auto_fragment(dice.pick(&[None, None, Some(40)]));
        let [(one, grip_one), (other, grip_other)] = duplex(dice.pick(&[1, 7, 100, 10_000]));
        grip_one.at_random(dice.roll());
        grip_other.at_random(dice.roll());
        let (mut client_dice, mut server_dice) = (Dice::new(dice.roll()), Dice::new(dice.roll()));
        let clock = Clock::new();
        let client = async {
            let mut socket = connect_on(one, &clock, &config).await;
            talk(&mut socket, &mut client_dice, lens, sends[0], sends[1]).await;
            close_down(&mut socket, &mut client_dice).await
        };
        let server = async {
            let mut socket = serve_on(other, &clock, &config).await;
            talk(&mut socket, &mut server_dice, lens, sends[1], sends[0]).await;
            assert_eq!(wait_for_end(&mut socket, &mut server_dice).await, [], "seed {seed}");
            socket.disconnect().unwrap().clone()
        };
        let (client, server) = run_both(&mut dice, client, server);
        assert!(client.is_clean() && server.is_clean(), "seed {seed}: {client:?}, {server:?}");
        assert_eq!(server.cause(), &Cause::Closed(Side::Remote));
    }
}

#[test]
fn a_send_that_is_dropped_at_random_arrives_once_or_not_at_all() {
    for seed in 0..2_000 {
        let mut dice = Dice::new(seed);
        let config = CONFIG.high_water(dice.pick(&[1, 50, 500]));
        let [(one, grip_one), (other, grip_other)] = duplex(dice.pick(&[1, 7, 100]));
        grip_one.at_random(dice.roll());
        grip_other.at_random(dice.roll());
        let (mut client_dice, mut server_dice) = (Dice::new(dice.roll()), Dice::new(dice.roll()));
        let clock = Clock::new();
        let client = async {
            let mut socket = connect_on(one, &clock, &config).await;
            let mut done = Vec::new();
            for i in 0..8 {
                if fickle(&mut client_dice, 3, socket.send(numbered(i, &[1, 60, 200]))).await.is_some() {
                    done.push(i);
                }
            }
            (done, close_down(&mut socket, &mut client_dice).await)
        };
        let server = async {
            let mut socket = serve_on(other, &clock, &config).await;
            wait_for_end(&mut socket, &mut server_dice).await
        };
        let ((done, disconnect), messages) = run_both(&mut dice, client, server);
        assert!(disconnect.is_clean(), "seed {seed}");
        let came: Vec<_> = (0..8)
            .filter(|i| messages.iter().any(|message| message.as_bytes() == numbered(*i, &[1, 60, 200])))
            .collect();
        assert_eq!(came.len(), messages.len(), "seed {seed}: {came:?} once each");
        assert!(messages.is_sorted_by_key(|message| message.as_bytes()[7]), "seed {seed}");
        assert!(done.iter().all(|i| came.contains(i)), "seed {seed}: {done:?} were sent, {came:?} came");
    }
}
