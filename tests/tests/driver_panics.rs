//! Callbacks that panic: it is their own connection's affair, and their handler is told.
#![cfg(feature = "driver")]

use core::future::Future;
use core::task::Poll;
use std::sync::{Arc, Mutex, PoisonError};

use sansocket::{Accept, Cause, Config, Data, Delivery, Disconnect, Message, Request, Role, Side, Status};
use sansocket_driver::{Address, Decision, Error, Handler, HandlerPanic, Outcome, Reply, Serve};
use sansocket_tests::scripted::{Clock, Grip, REQUEST, Task, stream};
use sansocket_tests::stage::{Notes, Stage, echo, goodbye, ping, text};
use sansocket_tests::wire::{self, CLOSE, PONG, TEXT, close_payload, parse};

const CONFIG: Config = Config::new();

/// Panics in one callback, and notes all of them.
struct Faulty {
    at: &'static str,
    notes: Notes,
    address: Arc<Mutex<Option<Address<u32>>>>,
}

impl Faulty {
    fn called(&self, name: &str) -> Outcome {
        self.notes.push(name);
        assert!(self.at != name, "in {name}");
        Ok(())
    }
}

impl Handler for Faulty {
    type Info = u32;

    async fn init(&mut self, _: Request) -> Decision {
        let _ = self.called("init");
        core::future::ready(()).await;
        Accept::new().into()
    }

    fn open(&mut self, reply: &mut Reply<'_, u32>) -> Outcome {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply.address());
        reply.send("before")?;
        self.called("open")
    }

    fn message(&mut self, _: Message<'_>, reply: &mut Reply<'_, u32>) -> Outcome {
        reply.send("before")?;
        self.called("message")
    }

    fn data(&mut self, _: Data<'_>, reply: &mut Reply<'_, u32>) -> Outcome {
        reply.send("before")?;
        self.called("data")
    }

    fn ping(&mut self, _: &[u8], _: &mut Reply<'_, u32>) -> Outcome {
        self.called("ping")
    }

    fn pong(&mut self, _: &[u8], _: &mut Reply<'_, u32>) -> Outcome {
        self.called("pong")
    }

    fn info(&mut self, _: u32, _: &mut Reply<'_, u32>) -> Outcome {
        self.called("info")
    }

    fn error(&mut self, error: &(dyn core::error::Error + Send + Sync + 'static)) {
        let panic = error.downcast_ref::<HandlerPanic>().expect("it panicked");
        self.notes.push(format!("error {}", panic.message()));
    }

    fn close(&mut self, disconnect: &Disconnect) {
        self.notes.push(format!("close {:?}", disconnect.cause()));
        assert!(self.at != "close", "in close");
    }
}

struct Scene {
    task: Task<'static, Result<Disconnect, Error>>,
    grip: Grip,
    notes: Notes,
    address: Arc<Mutex<Option<Address<u32>>>>,
}

/// A connection before its request, whose handler panics at this place.
fn panics_at(at: &'static str, config: Config) -> Scene {
    let ((end, grip), notes, address) = (stream(), Notes::default(), Arc::default());
    let handler = Faulty { at, notes: notes.clone(), address: Arc::clone(&address) };
    Scene { task: Task::new(Serve::new(end, Clock::new().alarm(), config, handler)), grip, notes, address }
}

/// What was written behind the response.
fn frames(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let head = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a response") + 4;
    parse(&bytes[head..]).into_iter().map(|frame| (frame.first & 0x0F, frame.payload)).collect()
}

#[test]
fn a_panic_in_any_callback_closes_with_1011_and_is_told_once() {
    for (at, bytes) in [
        ("open", vec![]),
        ("message", text("m")),
        ("data", text("m")),
        ("ping", ping("p")),
        ("pong", wire::frame(Role::Server, PONG, "q")),
        ("info", vec![]),
    ] {
        let delivery = if at == "data" { Delivery::Streaming } else { Delivery::Whole };
        let mut scene = panics_at(at, CONFIG.delivery(delivery));
        scene.grip.give(REQUEST);
        assert!(scene.task.settle().is_pending());
        let address = scene.address.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap();
        if at == "info" {
            address.send(1).unwrap();
            address.send(2).unwrap();
        }
        scene.grip.give([bytes, text("never"), ping("never")].concat());
        assert!(scene.task.settle().is_pending(), "{at}");
        let sent = frames(&scene.grip.take());
        let closes = sent.iter().filter(|frame| frame.0 == CLOSE).count();
        assert_eq!(
            (closes, sent.last()),
            (1, Some(&(CLOSE, close_payload(1011)))),
            "{at}: nothing behind it"
        );
        let before = if ["message", "data"].contains(&at) { 2 } else { 1 };
        assert_eq!(sent.iter().filter(|frame| frame.0 == TEXT).count(), before, "{at}: what was sent before");
        scene.grip.give(goodbye(1011));
        scene.grip.end();
        let Poll::Ready(Ok(end)) = scene.task.settle() else { panic!("{at}: it is over") };
        assert_eq!((end.cause(), end.is_clean()), (&Cause::Closed(Side::Local), true));
        let error = format!("error in {at}");
        let mut expected = vec!["init", "open", at, &error, "close Closed(Local)"];
        expected.dedup();
        assert_eq!(scene.notes.get(), expected);
        assert!(address.is_closed());
    }
}

#[test]
fn a_panic_in_close_is_told_and_ends_nothing_else() {
    let mut scene = panics_at("close", CONFIG);
    scene.grip.give([REQUEST, &goodbye(1000)].concat());
    scene.grip.end();
    let Poll::Ready(Ok(end)) = scene.task.settle() else { panic!("it is over") };
    assert_eq!((end.cause(), end.is_clean()), (&Cause::Closed(Side::Remote), true));
    assert_eq!(scene.notes.get(), ["init", "open", "close Closed(Remote)", "error in close"]);
    assert_eq!(frames(&scene.grip.take()).last(), Some(&(CLOSE, close_payload(1000))));
}

#[test]
fn a_panic_in_init_is_answered_with_500() {
    let mut scene = panics_at("init", CONFIG);
    scene.grip.give(REQUEST);
    assert!(scene.task.settle().is_pending());
    assert!(scene.grip.take().starts_with(b"HTTP/1.1 500 "));
    scene.grip.end();
    let Poll::Ready(Err(error)) = scene.task.settle() else { panic!("it never opened") };
    assert_eq!(error.cause(), Some(&Cause::Rejected(Status::INTERNAL_SERVER_ERROR)));
    assert_eq!(scene.notes.get(), ["init", "error in init"], "`close` belongs to `open`");
}

/// Panics before it has a future to return, which no `async fn` does, or when that has waited.
struct Hasty {
    at_once: bool,
    notes: Notes,
}

impl Handler for Hasty {
    type Info = ();

    fn init(&mut self, _: Request) -> impl Future<Output = Decision> + Send {
        assert!(!self.at_once, "at once");
        async {
            let mut waited = false;
            core::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                if core::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            panic!("later")
        }
    }

    fn message(&mut self, _: Message<'_>, _: &mut Reply<'_, ()>) -> Outcome {
        Ok(())
    }

    fn error(&mut self, error: &(dyn core::error::Error + Send + Sync + 'static)) {
        self.notes.push(error.to_string());
    }
}

#[test]
fn a_panic_in_init_is_the_same_before_its_first_await_and_behind_it() {
    for at_once in [false, true] {
        let ((end, grip), notes) = (stream(), Notes::default());
        let handler = Hasty { at_once, notes: notes.clone() };
        let mut task = Task::new(Serve::new(end, Clock::new().alarm(), CONFIG, handler));
        grip.give(REQUEST);
        grip.end();
        assert!(matches!(task.settle(), Poll::Ready(Err(_))));
        assert!(grip.take().starts_with(b"HTTP/1.1 500 "), "at once: {at_once}");
        assert_eq!(notes.get().len(), 1);
    }
}

#[test]
fn a_panic_with_something_else_than_text_is_one_too() {
    let mut stage = Stage::open(CONFIG, |_, _| std::panic::panic_any(7));
    assert!(stage.task.settle().is_pending());
    assert_eq!(stage.frames(), [(CLOSE, close_payload(1011))]);
    stage.grip.give(goodbye(1011));
    assert_eq!(stage.finish().cause(), &Cause::Closed(Side::Local));
    assert_eq!(stage.notes.get()[1..], ["open", "error a callback panicked: ", "close Closed(Local)"]);
}

#[test]
fn a_panic_leaves_other_connections_of_the_thread_as_they_were() {
    let compressed = CONFIG.compression(Some(sansocket::Compression::new().min_size(0)));
    let mut other = Stage::open(compressed.clone(), echo);
    other.give(&[text("one")]);
    for _ in 0..20 {
        let mut faulty = Stage::open(compressed.clone(), |call, reply| {
            let message = matches!(call, sansocket_tests::stage::Call::Message(_));
            echo(call, reply)?;
            assert!(!message, "it has sent something");
            Ok(())
        });
        faulty.give(&[text("a"), text("b")]);
        assert_eq!(faulty.frames(), [(TEXT, b"a".to_vec()), (CLOSE, close_payload(1011))]);
    }
    other.give(&[text("two")]);
    assert_eq!(other.frames(), [(TEXT, b"one".to_vec()), (TEXT, b"two".to_vec())]);
}

#[test]
fn what_was_begun_when_a_callback_panicked_is_not_finished() {
    let mut stage = Stage::open(CONFIG, |call, reply| {
        if let sansocket_tests::stage::Call::Message(_) = call {
            reply.begin(sansocket::Kind::Text)?;
            reply.push(b"half")?;
            panic!("in the middle");
        }
        Ok(())
    });
    stage.give(&[text("m")]);
    let frames = stage.frames();
    assert_eq!(frames, [(TEXT, b"half".to_vec()), (CLOSE, close_payload(1011))]);
    stage.grip.give(goodbye(1011));
    assert!(stage.finish().is_clean());
}
