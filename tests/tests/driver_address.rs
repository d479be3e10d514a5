//! What reaches a handler from the rest of a program.
#![cfg(feature = "driver")]

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use sansocket::{CloseCode, CloseFrame, Config, Message, Role};
use sansocket_driver::{Address, AddressError, Handler, Outcome, Reply, Serve};
use sansocket_tests::scripted::{Clock, REQUEST, Task, stream};
use sansocket_tests::stage::{Call, Stage, goodbye, idle, text};
use sansocket_tests::wire::{self, TEXT};

const CONFIG: Config = Config::new();
const SECOND: Duration = Duration::from_secs(1);

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

#[test]
fn a_connection_is_closed_by_its_address_and_what_is_queued_for_the_handler_is_dropped() {
    let (mut stage, address) = reachable(CONFIG, at_open, idle);
    let address = address();
    address.send(1).unwrap();
    let frame = CloseFrame::new(CloseCode::POLICY_VIOLATION, "banned").unwrap();
    address.close(frame.clone());
    address.close(CloseCode::NORMAL_CLOSURE);
    assert!(stage.task.is_woken());
    assert!(stage.task.settle().is_pending());
    let closed = (wire::CLOSE, wire::close(Role::Client, 1008, "banned")[2..].to_vec());
    assert_eq!(stage.frames(), [closed], "the first close counts");
    stage.grip.give(goodbye(1008));
    let end = stage.finish();
    assert!(end.is_clean());
    assert_eq!(end.sent(), Some(&frame));
    // It is over: that makes no difference any more.
    address.close(CloseCode::NORMAL_CLOSURE);
    assert!(address.is_closed());
}

#[test]
fn a_connection_whose_peer_does_not_read_is_closed_all_the_same() {
    let config = CONFIG.high_water(100).close_timeout(5 * SECOND);
    let (mut stage, address) = reachable(config, at_open, |call, reply| match call {
        Call::Message(_) => Ok(reply.send(vec![0; 1000])?),
        _ => Ok(()),
    });
    let address = address();
    stage.grip.set_room(0);
    stage.give(&[text("in")]);
    address.send(1).unwrap();
    assert!(stage.task.settle().is_pending());
    address.close(CloseCode::GOING_AWAY);
    assert!(stage.task.is_woken(), "though there is no room for what was sent before");
    assert!(stage.task.settle().is_pending());
    stage.clock.pass(6 * SECOND);
    stage.clock.pass(6 * SECOND);
    assert!(stage.task.settle().is_ready());
    assert!(!stage.notes.get().iter().any(|note| note.starts_with("info")));
}

#[test]
fn a_paused_handler_whose_peer_does_not_read_either_can_be_resumed() {
    let (mut stage, address) = reachable(CONFIG.high_water(100), at_open, |call, reply| {
        match call {
            Call::Message(_) => {
                reply.send(vec![0; 1000])?;
                reply.pause();
            }
            Call::Info(_) => reply.resume(),
            _ => {}
        }
        Ok(())
    });
    stage.grip.set_room(0);
    stage.give(&[text("in")]);
    address().send(1).unwrap();
    assert!(stage.task.settle().is_pending());
    assert_eq!(stage.notes.get()[2..], ["message in", "info 1"]);
    // Its timers run again.
    let mut ended = stage.task.settle();
    for _ in 0..30 {
        stage.clock.pass(10 * SECOND);
        if ended.is_pending() {
            ended = stage.task.settle();
        }
    }
    assert!(ended.is_ready());
}
