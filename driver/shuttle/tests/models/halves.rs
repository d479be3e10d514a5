//! A WebSocket in two halves, in two tasks: neither may need the other, and what one does that the other waits for must
//! wake it.

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::Poll;

use futures_sink::Sink;
use sansocket::{Agreed, Cause, CloseCode, Config, Endpoint, Message, Seed, Timer};
use sansocket_shuttle::{Error, Io, Receiver, Sender, WebSocket};
use shuttle::future::spawn;

use crate::explore::explore;
use crate::pipe::{Pipe, pipe};
use crate::world::{Clock, let_time_pass};

type Socket = WebSocket<Pipe, Clock>;

/// Two ends of a connection, on streams that hold `room` bytes. One message is enough for a sender to wait for room.
fn pair(room: usize) -> (Socket, Socket) {
    pair_with(room, &config().high_water(4))
}

fn pair_with(room: usize, config: &Config) -> (Socket, Socket) {
    let (one, other) = pipe(room);
    let client = Endpoint::Client(Seed::new([7; 32]));
    (open(one, Endpoint::Server, config), open(other, client, config))
}

fn open(pipe: Pipe, endpoint: Endpoint, config: &Config) -> Socket {
    WebSocket::established(pipe, Clock::new(), endpoint, config, Agreed::new(), &[])
}

fn config() -> Config {
    Config::new().idle_timeout(None)
}

/// Longer than the streams of most models hold.
fn message(number: u8) -> Message<'static> {
    Message::binary(vec![number; 6])
}

async fn send(sender: &mut Sender<Pipe, Clock>, count: u8) {
    for number in 0..count {
        sender.send(message(number)).await.unwrap();
    }
}

async fn receive(receiver: &mut Receiver<Pipe, Clock>, count: u8) {
    for number in 0..count {
        assert_eq!(receiver.recv().await.unwrap(), Some(message(number)));
    }
}

/// The numbers of the messages up to the end.
async fn drain(receiver: &mut Receiver<Pipe, Clock>) -> (Vec<u8>, Result<(), Error>) {
    let mut numbers = Vec::new();
    loop {
        match receiver.recv().await {
            Ok(Some(message)) => numbers.push(message.as_bytes()[0]),
            Ok(None) => return (numbers, Ok(())),
            Err(error) => {
                assert!(receiver.recv().await.unwrap().is_none(), "an error is told once");
                return (numbers, Err(error));
            }
        }
    }
}

fn is_ascending(numbers: &[u8]) -> bool {
    numbers.is_sorted_by(|one, next| one < next)
}

#[test]
fn each_half_goes_on_whatever_the_other_waits_for() {
    explore(|| async {
        let (server, client) = pair(5);
        let ends = [server, client].map(|end| {
            let (mut sender, mut receiver) = end.split();
            let sends = spawn(async move {
                send(&mut sender, 3).await;
                sender
            });
            let receives = spawn(async move {
                receive(&mut receiver, 3).await;
                receiver
            });
            (sends, receives)
        });
        for (sends, receives) in ends {
            let (sender, receiver) = (sends.await.unwrap(), receives.await.unwrap());
            let whole = WebSocket::reunite(sender, receiver).unwrap();
            assert_eq!(whole.connection().buffered(), 0);
            let (_, unread) = whole.into_io();
            assert!(unread.is_empty());
        }
    });
}

#[test]
fn what_one_half_queues_the_other_writes() {
    explore(|| async {
        let (server, mut client) = pair_with(5, &config());
        let (mut sender, mut receiver) = server.split();
        let receives = spawn(async move { drain(&mut receiver).await });
        for number in 0..2 {
            let feeds = spawn(async move {
                match number {
                    0 => sender.feed(message(number)).await.unwrap(),
                    _ => Pin::new(&mut sender).start_send(message(number)).unwrap(),
                }
                sender
            });
            assert_eq!(client.recv().await.unwrap(), Some(message(number)));
            sender = feeds.await.unwrap();
        }
        let closes = spawn(async move {
            sender.start_close(CloseCode::NORMAL_CLOSURE);
            sender
        });
        assert!(client.recv().await.unwrap().is_none());
        let (numbers, end) = receives.await.unwrap();
        assert!(numbers.is_empty() && end.is_ok());
        drop(closes.await.unwrap());
    });
}

#[test]
fn a_close_that_one_half_begins_the_other_goes_through_with() {
    explore(|| async {
        let (server, client) = pair(5);
        let (mut sender, mut receiver) = server.split();
        let receives = spawn(async move { drain(&mut receiver).await });
        let closes = spawn(async move {
            sender.feed(message(0)).await.unwrap();
            sender.start_close(CloseCode::NORMAL_CLOSURE);
            sender
        });
        let (mut peer_sender, mut peer_receiver) = client.split();
        let peer_sends = spawn(async move {
            let mut sent = Vec::new();
            for number in 0..3 {
                match peer_sender.send(message(number)).await {
                    Ok(()) => sent.push(number),
                    // Its Close came in between.
                    Err(Error::Send(_)) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            (sent, peer_sender)
        });
        let (numbers, end) = drain(&mut peer_receiver).await;
        assert!(numbers == [0] && end.is_ok());
        let (sent, _peer_sender) = peer_sends.await.unwrap();
        let (numbers, end) = receives.await.unwrap();
        assert!(end.is_ok());
        assert!(numbers.starts_with(&sent) && is_ascending(&numbers), "{numbers:?} of {sent:?}");
        let mut sender = closes.await.unwrap();
        assert!(matches!(sender.feed(message(1)).await, Err(Error::Send(_))));
    });
}

#[test]
fn both_halves_learn_the_end_if_one_closes() {
    explore(|| async {
        let (server, client) = pair(5);
        let (mut sender, mut receiver) = server.split();
        let receives = spawn(async move { drain(&mut receiver).await });
        let closes = spawn(async move {
            send(&mut sender, 1).await;
            sender.close(CloseCode::NORMAL_CLOSURE).await
        });
        let (mut peer_sender, mut peer_receiver) = client.split();
        let peer_sends = spawn(async move {
            for number in 0..3 {
                if peer_sender.send(message(number)).await.is_err() {
                    break;
                }
            }
            peer_sender
        });
        let (numbers, end) = drain(&mut peer_receiver).await;
        assert!(numbers == [0] && end.is_ok());
        assert!(closes.await.unwrap().is_clean());
        let (numbers, end) = receives.await.unwrap();
        assert!(end.is_ok() && is_ascending(&numbers), "{numbers:?}");
        drop(peer_sends.await.unwrap());
    });
}

#[test]
fn both_halves_learn_that_the_peer_is_gone() {
    explore(|| async {
        let (server, mut client) = pair(5);
        let (mut sender, mut receiver) = server.split();
        let receives = spawn(async move { drain(&mut receiver).await });
        let sends = spawn(async move {
            // The stream is full before the second one is through, at the latest.
            while sender.send(message(0)).await.is_ok() {}
        });
        let goes = spawn(async move {
            client.feed(message(0)).await.unwrap();
            client.flush().await.unwrap();
            let took = client.recv().await.unwrap();
            assert_eq!(took, Some(message(0)));
            drop(client);
        });
        goes.await.unwrap();
        sends.await.unwrap();
        let (numbers, end) = receives.await.unwrap();
        assert!(numbers == [0] && end.is_err());
    });
}

#[test]
fn both_halves_learn_that_a_peer_is_through_which_does_not_read() {
    explore(|| async {
        // Just one message.
        let (server, mut peer) = pipe(8);
        let (mut sender, mut receiver) = open(server, Endpoint::Server, &config().high_water(4)).split();
        let receives = spawn(async move { drain(&mut receiver).await });
        let sends = spawn(async move { while sender.send(message(0)).await.is_ok() {} });
        poll_fn(|cx| Pin::new(&mut peer).poll_shutdown(cx)).await.unwrap();
        let (numbers, _) = receives.await.unwrap();
        assert!(numbers.is_empty());
        sends.await.unwrap();
        drop(peer);
    });
}

#[test]
fn a_half_goes_on_without_the_other() {
    explore(|| async {
        let (server, client) = pair(5);
        let (mut sender, mut receiver) = server.split();
        let (mut peer_sender, mut peer_receiver) = client.split();
        let tasks = [
            spawn(async move {
                receive(&mut receiver, 1).await;
                // Once more, and it waits while it is dropped.
                let _ = once(receiver.recv()).await;
            }),
            spawn(async move {
                peer_sender.feed(message(0)).await.unwrap();
                // Whoever takes it may be gone before this is told.
                let _ = peer_sender.flush().await;
            }),
            spawn(async move {
                send(&mut sender, 3).await;
            }),
        ];
        let (numbers, end) = drain(&mut peer_receiver).await;
        assert_eq!(numbers, [0, 1, 2]);
        // Both halves are gone then, and the stream with them.
        assert!(matches!(end, Err(Error::Disconnected(ref end)) if *end.cause() == Cause::Lost), "{end:?}");
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_half_that_goes_to_another_task_is_woken_there() {
    explore(|| async {
        let (server, client) = pair(5);
        let ends = [server, client].map(|end| {
            let (mut sender, mut receiver) = end.split();
            let sends = spawn(async move {
                if let Poll::Ready(sent) = once(sender.send(message(0))).await {
                    sent.unwrap();
                }
                sender
            });
            let receives = spawn(async move {
                let first = once(receiver.recv()).await;
                (receiver, first)
            });
            let sends = spawn(async move {
                let mut sender = sends.await.unwrap();
                // The first is queued, whether it was written or not.
                sender.send(message(1)).await.unwrap();
                sender.send(message(2)).await.unwrap();
                sender
            });
            let receives = spawn(async move {
                let (mut receiver, first) = receives.await.unwrap();
                let from = match first {
                    Poll::Ready(first) => {
                        assert_eq!(first.unwrap(), Some(message(0)));
                        1
                    }
                    Poll::Pending => 0,
                };
                for number in from..3 {
                    assert_eq!(receiver.recv().await.unwrap(), Some(message(number)));
                }
                receiver
            });
            (sends, receives)
        });
        for (sends, receives) in ends {
            WebSocket::reunite(sends.await.unwrap(), receives.await.unwrap()).unwrap();
        }
    });
}

#[test]
fn both_halves_learn_that_time_is_up() {
    explore(|| async {
        let (server, client) = pair(5);
        let (mut sender, mut receiver) = server.split();
        let receives = spawn(async move { drain(&mut receiver).await });
        let closes = spawn(async move {
            // The peer never reads.
            sender.feed(message(0)).await.unwrap();
            sender.close(CloseCode::NORMAL_CLOSURE).await
        });
        let _time = let_time_pass();
        assert!(matches!(closes.await.unwrap().cause(), Cause::TimedOut(Timer::Close)));
        let (numbers, _) = receives.await.unwrap();
        assert!(numbers.is_empty());
        drop(client);
    });
}

/// What one poll comes to.
async fn once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}
