//! Streams that end or fail at each byte of a conversation, in either direction, from the first byte of the
//! request on: both ends come to their end, and what came before was received.
#![cfg(feature = "driver")]

use core::cell::RefCell;
use core::time::Duration;
use std::io::ErrorKind;

use sansocket::{Accept, Cause, ClientRequest, CloseCode, Compression, Config, Kind, Message, Side};
use sansocket_driver::{Incoming, connect};
use sansocket_tests::SEED;
use sansocket_tests::scripted::{Clock, End, Grip, Socket, Task, duplex};

const CONFIG: Config = Config::new();
const RESET: ErrorKind = ErrorKind::ConnectionReset;

/// What one end saw.
#[derive(Debug, Default)]
struct Seen {
    opened: bool,
    messages: Vec<Message<'static>>,
    errors: usize,
    /// How often the end was told, which must be each time from then on.
    ends: usize,
    cause: Option<Cause>,
    is_clean: bool,
}

fn sent() -> [Message<'static>; 3] {
    [Message::from("first"), Message::from(vec![2; 130]), Message::from("in pieces")]
}

/// Receives to the end.
async fn wait_for_end(socket: &mut Socket, seen: &RefCell<Seen>) {
    for _ in 0..3 {
        match socket.recv().await {
            Ok(Some(message)) => seen.borrow_mut().messages.push(message),
            Ok(None) => seen.borrow_mut().ends += 1,
            Err(_) => seen.borrow_mut().errors += 1,
        }
    }
    let mut seen = seen.borrow_mut();
    seen.cause = socket.disconnect().map(|end| end.cause().clone());
    seen.is_clean = socket.disconnect().is_some_and(sansocket::Disconnect::is_clean);
}

/// Sends, waits for each to come back, and closes.
async fn client(end: End, clock: &Clock, config: &Config, seen: &RefCell<Seen>) {
    let request = ClientRequest::new("ws://example.com/chat").expect("a URL");
    let Ok((mut socket, _)) = connect(end, clock.alarm(), config, &request, SEED).await else { return };
    seen.borrow_mut().opened = true;
    for (i, message) in sent().into_iter().enumerate() {
        let result = match i {
            0 | 1 => socket.send(message).await,
            _ => in_pieces(&mut socket).await,
        };
        if result.is_err() {
            break;
        }
        match socket.recv().await {
            Ok(Some(message)) => seen.borrow_mut().messages.push(message),
            Ok(None) => panic!("the server does not close"),
            Err(_) => {
                seen.borrow_mut().errors += 1;
                break;
            }
        }
    }
    socket.start_close(CloseCode::NORMAL_CLOSURE);
    wait_for_end(&mut socket, seen).await;
}

async fn in_pieces(socket: &mut Socket) -> Result<(), sansocket_driver::Error> {
    socket.begin(Kind::Text)?;
    socket.push(b"in ").await?;
    socket.ping(b"?")?;
    socket.finish(b"pieces").await
}

/// Echoes; that it cannot is no reason not to receive.
async fn server(end: End, clock: &Clock, config: &Config, seen: &RefCell<Seen>) {
    let Ok(incoming) = Incoming::read(end, clock.alarm(), config).await else { return };
    let Ok(mut socket) = incoming.accept(Accept::new()).await else { return };
    seen.borrow_mut().opened = true;
    while let Ok(Some(message)) = socket.recv().await.inspect_err(|_| seen.borrow_mut().errors += 1) {
        let _ = socket.send(message.borrow()).await;
        seen.borrow_mut().messages.push(message);
    }
    wait_for_end(&mut socket, seen).await;
}

/// What both ends saw, and how much each wrote. Neither hangs, though it may take the timeouts.
fn talk(config: &Config, prepare: impl FnOnce(&Grip, &Grip)) -> ([Seen; 2], [usize; 2]) {
    let [(one, client_grip), (other, server_grip)] = duplex(usize::MAX);
    prepare(&client_grip, &server_grip);
    let (clock, seen) = (Clock::new(), [RefCell::default(), RefCell::default()]);
    let mut tasks = vec![
        Task::new(client(one, &clock, config, &seen[0])),
        Task::new(server(other, &clock, config, &seen[1])),
    ];
    tasks.retain_mut(|task| task.poll().is_pending());
    for _ in 0..200 {
        while tasks.iter().any(Task::is_woken) {
            tasks.retain_mut(|task| !task.is_woken() || task.poll().is_pending());
        }
        if tasks.is_empty() {
            break;
        }
        clock.pass(Duration::from_secs(1));
    }
    assert!(tasks.is_empty(), "{} hang", tasks.len());
    drop(tasks);
    let written = [&client_grip, &server_grip].map(|grip| grip.log().written.len());
    (seen.map(RefCell::into_inner), written)
}

/// What holds wherever it was cut.
#[track_caller]
fn assert_sound(seen: &[Seen; 2], what: &str) {
    let [client, server] = seen;
    for seen in seen {
        assert!(sent().starts_with(&seen.messages), "{what}: {seen:?}");
        if seen.opened {
            let is_orderly = matches!(seen.cause, Some(Cause::Closed(_)));
            assert_eq!(seen.errors, usize::from(!is_orderly), "{what}: it is told once: {seen:?}");
            assert!(seen.ends >= 2 && seen.cause.is_some(), "{what}: {seen:?}");
        }
    }
    assert!(client.messages.len() <= server.messages.len(), "{what}: {seen:?}");
}

#[test]
fn wherever_a_stream_is_cut_both_ends_come_to_theirs() {
    for config in [CONFIG, CONFIG.compression(Some(Compression::new().min_size(0)))] {
        let (whole, written) = talk(&config, |_, _| {});
        for (seen, by) in whole.iter().zip([Side::Local, Side::Remote]) {
            assert_eq!((&seen.messages[..], seen.errors, seen.is_clean), (&sent()[..], 0, true), "{seen:?}");
            assert_eq!(seen.cause, Some(Cause::Closed(by)));
        }
        // For each direction: the writer's place among the two, and how much it writes.
        for (writer, len) in written.into_iter().enumerate() {
            let mut most = [0, 0];
            for at in 0..=len {
                for end in [Ok(()), Err(RESET)] {
                    let what = format!("{writer} is not heard after {at} bytes: {end:?}");
                    let (seen, _) = talk(&config, |client, server| {
                        [server, client][writer].cut_reads(at, end);
                    });
                    assert_sound(&seen, &what);
                    let hears = &seen[1 - writer];
                    assert!(most[0] <= hears.messages.len(), "{what}: less came of more");
                    most[0] = hears.messages.len();
                    if at < len {
                        assert!(hears.cause != Some(Cause::Closed(Side::Remote)), "{what}");
                    }
                }
                for error in [ErrorKind::BrokenPipe, RESET] {
                    let what = format!("{writer} cannot write after {at} bytes: {error}");
                    let (seen, _) = talk(&config, |client, server| {
                        [client, server][writer].fail_writes(at, error);
                    });
                    assert_sound(&seen, &what);
                    let hears = &seen[1 - writer];
                    assert!(most[1] <= hears.messages.len(), "{what}: less came of more");
                    most[1] = hears.messages.len();
                }
            }
            assert_eq!(most, [3, 3]);
        }
    }
}
