//! A server whose clients, clock and listener do as they are told.
#![cfg(feature = "driver")]

use core::cell::RefCell;
use core::future::Future;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::io::{Error, ErrorKind};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use sansocket::{Accept, Config, Disconnect, Message, Request, Role};
use sansocket_driver::{Decision, Handler, Outcome, Reply, Server, ServerHandle, Shutdown};
use sansocket_tests::scripted::{Grip, REQUEST};
use sansocket_tests::stage::{Notes, goodbye, text};
use sansocket_tests::wire::{CLOSE, TEXT, close_payload, parse};
use sansocket_tests::world::{self, Door, World, pass, settle, start};

const CONFIG: Config = Config::new();
const SECOND: Duration = Duration::from_secs(1);

/// Echoes, and decides after some time.
struct Echo {
    notes: Notes,
    takes: Duration,
}

impl Handler for Echo {
    type Info = ();

    async fn init(&mut self, _: Request) -> Decision {
        self.notes.push("init");
        wait(self.takes).await;
        Accept::new().into()
    }

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send(message)?)
    }

    fn close(&mut self, disconnect: &Disconnect) {
        self.notes.push(format!("close {:?}", disconnect.cause()));
    }
}

async fn wait(duration: Duration) {
    use sansocket_driver::{Runtime, Timer};
    let mut timer = World::timer();
    let at = timer.now() + duration;
    core::future::poll_fn(|cx| timer.poll_at(cx, at)).await;
}

/// A server that serves.
struct Scene {
    door: Door,
    handle: ServerHandle<World>,
    notes: Notes,
    served: world::Outcome<std::io::Result<()>>,
}

fn begin(server: Server<World>) -> Scene {
    begin_slowly(server, Duration::ZERO)
}

/// One whose handlers take this long to decide.
fn begin_slowly(server: Server<World>, takes: Duration) -> Scene {
    let ((listener, door), notes, handle) = (world::listener(), Notes::default(), server.handle());
    let given = notes.clone();
    let served = start(server.serve(listener, move |_| Echo { notes: given.clone(), takes }));
    settle();
    Scene { door, handle, notes, served }
}

impl Scene {
    /// A client whose WebSocket is open.
    fn open(&self) -> Grip {
        let grip = self.door.knock();
        grip.give(REQUEST);
        settle();
        assert!(grip.take().starts_with(b"HTTP/1.1 101 "));
        grip
    }

    fn shut_down(&self, patience: Duration) -> world::Outcome<Shutdown> {
        let handle = self.handle.clone();
        let outcome = start(async move { handle.shutdown(patience).await });
        settle();
        outcome
    }
}

#[track_caller]
fn assert_echoes(grip: &Grip) {
    grip.give(text("m"));
    settle();
    assert_eq!(frames(grip), [(TEXT, b"m".to_vec())]);
}

fn frames(grip: &Grip) -> Vec<(u8, Vec<u8>)> {
    parse(&grip.take()).into_iter().map(|frame| (frame.first & 0x0F, frame.payload)).collect()
}

/// The numbers that a shutdown reports, which must be over.
#[track_caller]
fn numbers(shutdown: &world::Outcome<Shutdown>) -> (usize, usize) {
    let shutdown = shutdown.take().expect("it is over");
    (shutdown.closed, shutdown.aborted)
}

/// Goes on when all connections that wait for it are through.
fn answer_close(grip: &Grip) {
    assert_eq!(frames(grip), [(CLOSE, close_payload(1001))]);
    grip.give(goodbye(1001));
    grip.end();
    settle();
}

#[test]
fn connections_beyond_the_limit_are_not_accepted_before_others_leave() {
    let scene = begin(Server::new(CONFIG).max_connections(2));
    let (one, two) = (scene.open(), scene.open());
    let waiting: Vec<_> = (0..3).map(|_| scene.door.knock()).collect();
    waiting.iter().for_each(|grip| grip.give(REQUEST));
    settle();
    assert_eq!((scene.door.accepted(), scene.handle.connections()), (2, 2));
    for (served, leaves) in [one, two].iter().enumerate() {
        leaves.end();
        settle();
        assert_eq!((scene.door.accepted(), scene.handle.connections()), (3 + served, 2));
        assert!(waiting[served].take().starts_with(b"HTTP/1.1 101 "));
        assert_echoes(&waiting[served]);
    }
    assert_eq!(waiting[2].take(), []);
}

#[test]
fn a_connection_counts_from_when_it_is_accepted_until_its_stream_is_gone() {
    let scene = begin(Server::new(CONFIG));
    let grip = scene.door.knock();
    settle();
    assert_eq!(scene.handle.connections(), 1, "it has not even asked");
    grip.give(REQUEST);
    settle();
    assert_eq!(scene.handle.connections(), 1);
    grip.give(goodbye(1000));
    settle();
    assert_eq!(scene.handle.connections(), 1, "it waits for the client's end of the stream");
    grip.end();
    settle();
    assert_eq!(scene.handle.connections(), 0);
}

#[test]
fn a_shutdown_closes_with_1001_once_and_waits_for_the_answers() {
    let scene = begin(Server::new(CONFIG));
    let grips = [scene.open(), scene.open(), scene.open()];
    let ending = scene.shut_down(4 * SECOND);
    assert!(scene.door.is_closed(), "nobody else comes in");
    for (left, grip) in [3, 2, 1].into_iter().zip(&grips) {
        assert_eq!(scene.handle.connections(), left);
        assert!(ending.take().is_none() && scene.served.take().is_none());
        // What the client sent before it knew.
        grip.give(text("late"));
        answer_close(grip);
    }
    assert_eq!(numbers(&ending), (3, 0));
    assert!(matches!(scene.served.take(), Some(Ok(()))));
    let notes = scene.notes.get();
    assert_eq!(notes.iter().filter(|note| *note == "close Closed(Local)").count(), 3);
    assert_eq!(notes.iter().filter(|note| note.starts_with("close")).count(), 3);
}

#[test]
fn an_idle_server_shuts_down_at_once() {
    let scene = begin(Server::new(CONFIG));
    assert_eq!(numbers(&scene.shut_down(SECOND)), (0, 0));
    assert!(matches!(scene.served.take(), Some(Ok(()))));
    assert!(scene.door.is_closed());
}

#[test]
fn a_server_that_is_full_shuts_down_too() {
    let scene = begin(Server::new(CONFIG).max_connections(1));
    let grip = scene.open();
    let waiting = scene.door.knock();
    waiting.give(REQUEST);
    settle();
    let ending = scene.shut_down(SECOND);
    answer_close(&grip);
    assert_eq!(numbers(&ending), (1, 0));
    assert!(matches!(scene.served.take(), Some(Ok(()))));
    assert_eq!(waiting.take(), []);
}

#[test]
fn a_server_that_is_shut_down_before_it_serves_serves_nobody() {
    let server = Server::<World>::new(CONFIG);
    let handle = server.handle();
    let ending = start(async move { handle.shutdown(SECOND).await });
    settle();
    assert_eq!(numbers(&ending), (0, 0));
    let scene = begin(server);
    assert!(matches!(scene.served.take(), Some(Ok(()))));
}

#[test]
fn a_request_that_comes_during_a_shutdown_gets_503_and_no_handler() {
    let scene = begin(Server::new(CONFIG));
    let grip = scene.door.knock();
    settle();
    let ending = scene.shut_down(SECOND);
    assert_eq!(scene.handle.connections(), 1);
    grip.give(REQUEST);
    settle();
    assert!(grip.take().starts_with(b"HTTP/1.1 503 "));
    grip.end();
    settle();
    assert_eq!(numbers(&ending), (1, 0));
    assert_eq!(scene.notes.get(), [""; 0]);
}

#[test]
fn whoever_is_not_gone_after_the_patience_is_dropped_and_counted() {
    let scene = begin_slowly(Server::new(CONFIG), 3 * SECOND);
    let slow = scene.door.knock();
    slow.give(REQUEST);
    settle();
    pass(3 * SECOND);
    assert!(slow.take().starts_with(b"HTTP/1.1 101 "));
    let silent = scene.door.knock();
    let deciding = scene.door.knock();
    deciding.give(REQUEST);
    settle();
    let ending = scene.shut_down(2 * SECOND);
    pass(2 * SECOND - Duration::from_nanos(1));
    assert!(ending.take().is_none());
    assert_eq!(scene.handle.connections(), 3);
    pass(Duration::from_nanos(1));
    assert_eq!(numbers(&ending), (0, 3));
    assert!(matches!(scene.served.take(), Some(Ok(()))));
    assert_eq!(frames(&slow), [(CLOSE, close_payload(1001))]);
    assert_eq!((silent.take(), deciding.take()), (vec![], vec![]));
    // The one that was open is told, and nobody else.
    assert_eq!(scene.notes.get(), ["init", "init", "close Lost"]);
}

#[test]
fn an_init_that_decides_during_a_shutdown_opens_and_closes_with_1001() {
    let scene = begin_slowly(Server::new(CONFIG), SECOND);
    let grip = scene.door.knock();
    grip.give(REQUEST);
    settle();
    let ending = scene.shut_down(4 * SECOND);
    assert_eq!(grip.take(), []);
    pass(SECOND);
    let answer = grip.take();
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    assert_eq!(parse(&answer[head..])[0].payload, close_payload(1001));
    grip.give(goodbye(1001));
    grip.end();
    settle();
    assert_eq!(numbers(&ending), (1, 0));
    assert_eq!(scene.notes.get(), ["init", "close Closed(Local)"]);
}

#[test]
fn two_shutdowns_are_one_and_the_shorter_patience_counts() {
    let scene = begin(Server::new(CONFIG));
    let (slow, quick) = (scene.open(), scene.open());
    let patient = scene.shut_down(4 * SECOND);
    let hasty = scene.shut_down(SECOND);
    answer_close(&quick);
    pass(SECOND);
    assert_eq!(hasty.take().map(|shutdown| shutdown.aborted), Some(1));
    assert_eq!(patient.take().map(|shutdown| shutdown.aborted), Some(1));
    assert_eq!(frames(&slow), [(CLOSE, close_payload(1001))], "one Close");
}

#[test]
fn a_shutdown_that_is_dropped_goes_on_but_cuts_nobody_off() {
    let scene = begin(Server::new(CONFIG.close_timeout(60 * SECOND)));
    let grip = scene.open();
    {
        let handle = scene.handle.clone();
        let mut shutdown = core::pin::pin!(handle.shutdown(SECOND));
        assert!(shutdown.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    settle();
    pass(30 * SECOND);
    assert_eq!(scene.handle.connections(), 1);
    answer_close(&grip);
    assert!(matches!(scene.served.take(), Some(Ok(()))));
}

#[test]
fn a_client_that_is_let_in_while_the_shutdown_begins_is_part_of_it() {
    // `make` stands for another thread, on which the shutdown begins while a connection is being accepted.
    type Ending = Rc<RefCell<Option<world::Outcome<Shutdown>>>>;
    let server = Server::<World>::new(CONFIG.handshake_timeout(None));
    let ((listener, door), handle) = (world::listener(), server.handle());
    let (ending, notes) = (Ending::default(), Notes::default());
    let (begun, given, looker) = (Rc::clone(&ending), notes.clone(), handle.clone());
    let served = start(server.serve(listener, move |_| {
        let handle = handle.clone();
        let mut shutdown = Box::pin(async move { handle.shutdown(SECOND).await });
        let first = shutdown.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        *begun.borrow_mut() = Some(start(async move {
            match first {
                Poll::Ready(shutdown) => shutdown,
                Poll::Pending => shutdown.await,
            }
        }));
        Echo { notes: given.clone(), takes: Duration::ZERO }
    }));
    let _silent = door.knock();
    settle();
    pass(10 * SECOND);
    let ended = ending.borrow().as_ref().and_then(world::Outcome::take).is_some();
    assert!(ended && looker.connections() == 0, "it is over, and {} are left", looker.connections());
    assert!(matches!(served.take(), Some(Ok(()))), "serve waits for somebody who need never speak");
}

#[test]
fn a_listener_that_is_out_of_descriptors_goes_on_when_there_may_be_some() {
    let scene = begin(Server::new(CONFIG));
    let grip = scene.open();
    const EMFILE: i32 = 24;
    (0..3).for_each(|_| scene.door.fail(Error::from_raw_os_error(EMFILE)));
    settle();
    assert_eq!(scene.door.accepted(), 2, "it does not spin");
    pass(SECOND / 10);
    pass(SECOND / 10);
    pass(SECOND / 10);
    assert_eq!(scene.door.accepted(), 4);
    assert_echoes(&scene.open());
    assert_echoes(&grip);
    assert!(scene.served.take().is_none());
}

#[test]
fn clients_that_are_gone_before_they_are_accepted_are_no_error() {
    let scene = begin(Server::new(CONFIG));
    for kind in [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset, ErrorKind::Interrupted] {
        scene.door.fail(kind.into());
        settle();
        assert_echoes(&scene.open());
    }
    assert!(scene.served.take().is_none());
}

#[test]
fn a_listener_that_fails_ends_serve_and_leaves_the_connections_alone() {
    const EINVAL: i32 = 22;
    for error in [Error::from_raw_os_error(EINVAL), Error::other("it is no listener")] {
        let scene = begin(Server::new(CONFIG));
        let grip = scene.open();
        let kind = error.kind();
        scene.door.fail(error);
        settle();
        let Some(Err(told)) = scene.served.take() else { panic!("it goes on") };
        assert_eq!(told.kind(), kind);
        assert!(scene.door.is_closed());
        assert_echoes(&grip);
        // And they can still be ended.
        let ending = scene.shut_down(SECOND);
        answer_close(&grip);
        assert_eq!(numbers(&ending), (1, 0));
    }
}

#[test]
fn a_listener_that_fails_does_not_keep_a_shutdown_waiting() {
    let scene = begin(Server::new(CONFIG));
    (0..100).for_each(|_| scene.door.fail(Error::from_raw_os_error(24)));
    settle();
    assert_eq!(numbers(&scene.shut_down(SECOND)), (0, 0));
    pass(SECOND / 10);
    assert!(matches!(scene.served.take(), Some(Ok(()))));
}

#[test]
fn a_handler_that_panics_leaves_its_place_to_another() {
    struct Panics(Arc<Mutex<Vec<&'static str>>>);
    impl Handler for Panics {
        type Info = ();

        fn message(&mut self, _: Message<'_>, _: &mut Reply<'_, ()>) -> Outcome {
            panic!("it cannot go on")
        }

        fn close(&mut self, _: &Disconnect) {
            self.0.lock().unwrap().push("close");
        }
    }
    let server = Server::<World>::new(CONFIG).max_connections(1);
    let ((listener, door), closes) = (world::listener(), Arc::new(Mutex::new(Vec::new())));
    let given = Arc::clone(&closes);
    let served = start(server.serve(listener, move |_| Panics(Arc::clone(&given))));
    for round in 1..=3 {
        let grip = door.knock();
        grip.give([REQUEST, &text("m")].concat());
        settle();
        let answer = grip.take();
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "round {round}");
        assert!(answer.ends_with(&[&[0x88, 2][..], &close_payload(1011)].concat()));
        grip.give(sansocket_tests::wire::close(Role::Server, 1011, ""));
        grip.end();
        settle();
        assert_eq!(closes.lock().unwrap().len(), round);
    }
    assert!(served.take().is_none());
}

#[test]
fn a_handler_that_cannot_be_made_costs_its_own_connection_only() {
    let ((listener, door), notes) = (world::listener(), Notes::default());
    let (given, mut made) = (notes.clone(), 0);
    let server = Server::<World>::new(CONFIG);
    let (handle, _served) = (
        server.handle(),
        start(server.serve(listener, move |_| {
            made += 1;
            assert_ne!(made, 2, "as it happens");
            Echo { notes: given.clone(), takes: Duration::ZERO }
        })),
    );
    let open = || {
        let grip = door.knock();
        grip.give(REQUEST);
        settle();
        grip
    };
    let [first, second, third] = [open(), open(), open()];
    assert!(second.take().is_empty());
    assert_eq!(handle.connections(), 2);
    for grip in [first, third] {
        assert!(grip.take().starts_with(b"HTTP/1.1 101 "));
        assert_echoes(&grip);
    }
}
