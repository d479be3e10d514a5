//! A client that connects again: when, after what, and what it remembers.
#![cfg(feature = "runtimes")]

use core::task::Poll;
use core::time::Duration;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use sansocket::{ClientRequest, Status};
use sansocket_driver::{Backoff, Connected, Connector, Error, Proxy, ProxyError, Reconnect};
use sansocket_tests::lab::{self, Lab, World};
use sansocket_tests::scripted::Task;
use tokio::net::{TcpListener, TcpSocket};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
/// No wait but what a server asks for.
const AT_ONCE: Backoff = Backoff::new().first(Duration::ZERO);
/// A wait that is surely longer than a millisecond, and at most an hour.
const LONG: Backoff = Backoff::new().first(HOUR).longest(HOUR);

type Client = Reconnect<Lab>;
type Opening<'c> = Task<'c, Result<Connected<Lab>, Error>>;

fn client(backoff: Backoff) -> (World, Client) {
    let world = lab::begin();
    (world, Reconnect::new(Connector::new(), request("/")).backoff(backoff))
}

fn request(path: &str) -> ClientRequest {
    ClientRequest::new(&format!("ws://server.example{path}")).unwrap()
}

fn connect(client: &mut Client) -> Opening<'_> {
    let mut task = Task::new(client.connect());
    assert!(task.settle().is_pending());
    task
}

/// Accepts the client that has connected.
#[track_caller]
fn open(world: &World, task: &mut Opening<'_>) -> Connected<Lab> {
    world.call().accept();
    match task.settle() {
        Poll::Ready(Ok(socket)) => socket,
        other => panic!("{other:?}"),
    }
}

/// Lets the client wait its hour at most, and sees that it does.
#[track_caller]
fn wait(world: &World, task: &mut Opening<'_>) {
    world.clock.pass(Duration::from_millis(1));
    assert!(task.settle().is_pending() && world.is_quiet());
    world.clock.pass(HOUR);
    assert!(task.settle().is_pending());
}

#[test]
fn waits_double_up_to_the_longest_and_are_scattered_down_to_nothing() {
    let backoff = Backoff::new();
    for (earlier, most) in [(0, 5), (1, 10), (2, 20), (3, 40), (4, 80), (5, 90), (6, 90), (u32::MAX, 90)] {
        let most = Duration::from_secs(most);
        assert_eq!(backoff.delay(earlier, 0), Duration::ZERO);
        assert_eq!(backoff.delay(earlier, 1 << 63), most / 2);
        assert_eq!(backoff.delay(earlier, 1 << 62), most / 4);
        assert_eq!(backoff.delay(earlier, u64::MAX), most - Duration::from_nanos(1));
    }
    assert_eq!(AT_ONCE.delay(7, u64::MAX), Duration::ZERO);
    assert_eq!(LONG.longest(SECOND).delay(0, 1 << 63), SECOND / 2);
    let endless = Backoff::new().first(Duration::MAX).longest(Duration::MAX);
    assert!(endless.delay(u32::MAX, u64::MAX) > HOUR * 24 * 365 * 500);
}

#[test]
fn the_first_attempt_waits_for_nothing_and_the_second_for_its_backoff() {
    let (world, mut client) = client(LONG);
    world.fail([ErrorKind::ConnectionRefused]);
    let mut task = connect(&mut client);
    wait(&world, &mut task);
    open(&world, &mut task);
}

#[test]
fn every_wait_is_drawn_anew() {
    let waits = || {
        let (world, mut client) = client(LONG);
        world.fail([ErrorKind::ConnectionRefused]);
        let mut task = connect(&mut client);
        let mut minutes = 0;
        while world.is_quiet() {
            world.clock.pass(Duration::from_secs(60));
            assert!(task.settle().is_pending());
            minutes += 1;
        }
        minutes
    };
    let all: Vec<u32> = (0..64).map(|_| waits()).collect();
    // The chance that 64 are on one side of 30 minutes is 1 in 2^63.
    assert!(all.iter().any(|wait| *wait <= 30) && all.iter().any(|wait| *wait > 30), "{all:?}");
    assert!(all.iter().all(|wait| *wait <= 60), "{all:?}");
}

#[test]
fn streams_that_fail_are_tried_again_unless_what_is_asked_for_cannot_be() {
    for error in [
        ErrorKind::ConnectionRefused,
        ErrorKind::ConnectionReset,
        ErrorKind::HostUnreachable,
        ErrorKind::NetworkDown,
        ErrorKind::TimedOut,
        ErrorKind::UnexpectedEof,
        ErrorKind::Other,
    ] {
        let (world, mut client) = client(AT_ONCE);
        world.fail([error; 3]);
        let mut task = connect(&mut client);
        open(&world, &mut task);
    }
    for error in [ErrorKind::InvalidData, ErrorKind::InvalidInput, ErrorKind::Unsupported] {
        let (world, mut client) = client(AT_ONCE);
        world.fail([error]);
        let mut task = Task::new(client.connect());
        assert!(matches!(task.settle(), Poll::Ready(Err(Error::Io(told))) if told.kind() == error));
    }
}

#[test]
fn answers_are_tried_again_if_they_are_429_or_5xx() {
    for status in [200, 302, 400, 401, 403, 404, 408, 410, 426, 429, 500, 502, 503, 504, 599] {
        let (world, mut client) = client(AT_ONCE);
        let mut task = connect(&mut client);
        world.call().answer(status, &[]);
        match task.settle() {
            Poll::Pending if status == 429 || status >= 500 => drop(open(&world, &mut task)),
            Poll::Ready(Err(Error::Rejected(response))) if status != 429 && status < 500 => {
                assert_eq!(response.status().get(), status);
                assert!(world.is_quiet());
            }
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[test]
fn a_server_that_is_silent_or_goes_away_is_tried_again_and_one_that_talks_nonsense_is_not() {
    let (world, mut client) = client(AT_ONCE);
    let mut task = connect(&mut client);
    let silent = world.call();
    world.clock.pass(60 * SECOND);
    assert!(task.settle().is_pending());
    drop(silent);
    world.call().grip.end();
    assert!(task.settle().is_pending());
    world.call().grip.give("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n");
    let Poll::Ready(Err(error)) = task.settle() else { panic!("that is no WebSocket") };
    assert!(!error.is_temporary(), "{error}");
    assert!(world.is_quiet());
}

#[test]
fn a_proxy_that_cannot_reach_the_server_is_tried_again_and_one_that_refuses_is_not() {
    let status = |code| ProxyError::Status(Status::new(code).unwrap());
    for (error, temporary) in [
        (status(502), true),
        (status(429), true),
        (status(407), false),
        (status(403), false),
        (ProxyError::Reply(1), true),
        (ProxyError::Reply(2), false),
        (ProxyError::Reply(3), true),
        (ProxyError::Reply(5), true),
        (ProxyError::Reply(7), false),
        (ProxyError::Ended, true),
        (ProxyError::Login, false),
        (ProxyError::Method, false),
        (ProxyError::Malformed, false),
        (ProxyError::Early, false),
    ] {
        assert_eq!(Error::from(error).is_temporary(), temporary, "{error}");
    }
    assert!(!Error::from(Proxy::new("ftp://x").unwrap_err()).is_temporary());
    assert!(!Error::from(ClientRequest::new("ftp://x").unwrap_err()).is_temporary());
}

#[test]
fn a_server_that_says_when_is_not_asked_sooner() {
    for (value, wait) in [("7", 7), ("090", 90), ("91", 90), ("99999999999999999999999", 90)] {
        for status in [429, 503] {
            let (world, mut client) = client(AT_ONCE);
            let mut task = connect(&mut client);
            world.call().answer(status, &[&format!("retry-after: {value}")]);
            assert!(task.settle().is_pending());
            world.clock.pass(wait * SECOND - Duration::from_nanos(1));
            assert!(task.settle().is_pending() && world.is_quiet(), "{value}");
            world.clock.pass(Duration::from_nanos(1));
            assert!(task.settle().is_pending());
            open(&world, &mut task);
        }
    }
    for value in ["", "-1", "+1", "1.5", "Fri, 31 Dec 1999 23:59:59 GMT"] {
        let (world, mut client) = client(AT_ONCE);
        let mut task = connect(&mut client);
        world.call().answer(503, &[&format!("Retry-After: {value}")]);
        assert!(task.settle().is_pending());
        open(&world, &mut task);
    }
}

#[test]
fn the_program_may_decide_what_is_tried_again() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (world, client) = client(AT_ONCE);
    let notes = Arc::clone(&told);
    let mut client = client.retry_if(move |error| {
        notes.lock().unwrap().push(error.to_string());
        matches!(error, Error::Rejected(response) if response.status() == Status::NOT_FOUND)
    });
    let mut task = connect(&mut client);
    world.call().answer(404, &[]);
    assert!(task.settle().is_pending());
    world.call().answer(503, &[]);
    assert!(matches!(task.settle(), Poll::Ready(Err(Error::Rejected(_)))));
    assert_eq!(
        told.lock().unwrap()[..],
        ["the server answered with status 404", "the server answered with status 503"]
    );
}

#[test]
fn a_wait_that_is_cancelled_goes_on_with_the_next_call() {
    let (world, mut client) = client(AT_ONCE);
    let mut task = connect(&mut client);
    world.call().answer(503, &["Retry-After: 60"]);
    assert!(task.settle().is_pending());
    for _ in 0..59 {
        world.clock.pass(SECOND);
        drop(task);
        task = connect(&mut client);
        assert!(world.is_quiet());
    }
    world.clock.pass(SECOND);
    assert!(task.settle().is_pending());
    open(&world, &mut task);
}

#[test]
fn an_attempt_that_is_cancelled_counts_as_failed() {
    let (world, mut client) = client(LONG);
    drop(connect(&mut client));
    world.call();
    let mut task = connect(&mut client);
    wait(&world, &mut task);
    open(&world, &mut task);
}

#[test]
fn an_error_that_is_told_does_not_shorten_the_wait() {
    let (world, mut client) = client(LONG);
    let mut task = connect(&mut client);
    world.call().answer(404, &[]);
    assert!(task.settle().is_ready());
    drop(task);
    client.set_request(request("/other"));
    let mut task = connect(&mut client);
    wait(&world, &mut task);
    assert_eq!(world.call().accept().path(), "/other");
}

#[test]
fn the_backoff_begins_anew_behind_a_connection_that_has_lasted() {
    let millisecond = Duration::from_millis(1);
    for (age, lasted) in [(5 * SECOND, true), (5 * SECOND - millisecond, false)] {
        // Behind 30 failures a wait is at most 2^30 ms.
        let (world, mut client) = client(Backoff::new().first(millisecond).longest(1000 * HOUR));
        world.fail([ErrorKind::ConnectionRefused; 30]);
        let mut task = connect(&mut client);
        for _ in 0..30 {
            world.clock.pass(1000 * HOUR);
            assert!(task.settle().is_pending());
        }
        let socket = open(&world, &mut task);
        drop(task);
        world.clock.pass(age);
        drop(socket);
        let mut task = connect(&mut client);
        world.clock.pass(millisecond);
        assert!(task.settle().is_pending());
        assert_eq!(world.is_quiet(), !lasted, "after {age:?}");
    }
}

#[test]
fn a_server_that_accepts_and_closes_at_once_is_asked_less_and_less_often() {
    let millisecond = Duration::from_millis(1);
    let (world, mut client) = client(Backoff::new().first(millisecond).longest(10_000 * HOUR));
    for _ in 0..36 {
        let mut task = connect(&mut client);
        if world.is_quiet() {
            world.clock.pass(10_000 * HOUR);
            assert!(task.settle().is_pending());
        }
        drop(open(&world, &mut task));
    }
    // A wait that is cancelled is no part of the connection's life.
    for _ in 0..3 {
        let mut task = connect(&mut client);
        world.clock.pass(3 * SECOND);
        assert!(task.settle().is_pending() && world.is_quiet());
    }
}

#[test]
fn a_client_can_be_moved_to_another_thread_while_it_connects() {
    fn assert_send(_: impl Send) {}
    assert_send(sansocket_tokio::Reconnect::new(Connector::new(), request("/")).connect());
}

/// Sends as many messages as are wanted, and goes.
async fn serve_once(listener: &TcpListener, messages: u8) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut socket = sansocket_tokio::accept(stream).await.unwrap();
    for message in 0..messages {
        socket.send(vec![message]).await.unwrap();
    }
}

#[cfg(not(miri))]
#[tokio::test(start_paused = true)]
async fn a_client_stays_with_a_server_that_comes_and_goes() {
    let port = TcpSocket::new_v4().unwrap();
    // The port is taken, and nobody listens.
    port.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let request = ClientRequest::new(&format!("ws://{}", port.local_addr().unwrap())).unwrap();

    let client = tokio::spawn(async {
        let mut client = sansocket_tokio::Reconnect::new(sansocket_tokio::Connector::new(), request);
        let mut got = Vec::new();
        while let Ok(mut socket) = client.connect().await {
            while let Ok(Some(message)) = socket.recv().await {
                got.extend_from_slice(message.as_bytes());
            }
        }
        got
    });
    tokio::time::sleep(HOUR).await;
    assert!(!client.is_finished());
    let listener = port.listen(16).unwrap();
    serve_once(&listener, 2).await;
    for _ in 0..5 {
        // Away again: whoever comes is turned away.
        drop(listener.accept().await.unwrap());
    }
    serve_once(&listener, 3).await;
    let (stream, _) = listener.accept().await.unwrap();
    let incoming = sansocket_tokio::incoming(stream, &sansocket::Config::new()).await.unwrap();
    incoming.reject(sansocket::Response::new(Status::NOT_FOUND)).await.unwrap();
    assert_eq!(client.await.unwrap(), [0, 1, 0, 1, 2]);
}
