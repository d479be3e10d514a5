//! Whoever does not read stops who writes, over real sockets: what waits stays below a mark, however
//! much is to be sent.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::future::Future;
use core::pin::pin;
use core::task::Poll;
use std::sync::Arc;

use sansocket::{CloseCode, Config, Disconnect, Message, Role};
use sansocket_driver::{Handler, Outcome, Reply};
use sansocket_tests::raw::Raw;
use sansocket_tests::runtimes::{Adapter, Socket, listen, pair, spawn, stream_to};
use sansocket_tests::scripted::REQUEST;
use sansocket_tests::wire::{self, BINARY};
use tokio::sync::{Notify, mpsc};

/// Far more than the sockets hold.
const MESSAGES: usize = 600;
const LEN: usize = 64 * 1024;
const WATER: usize = 100_000;
const CONFIG: Config = Config::new().high_water(WATER);

sansocket_tests::on_each_runtime!(
    a_peer_that_does_not_read_stops_who_feeds,
    a_program_that_does_not_receive_stops_its_peer,
    a_half_whose_peer_does_not_read_waits_and_the_other_goes_on,
    a_handler_whose_peer_does_not_read_is_not_called,
);

/// Tells when a future waits for the first time.
async fn notify_first_wait<F: Future>(future: F, waits: &Notify) -> F::Output {
    let mut future = pin!(future);
    core::future::poll_fn(|cx| {
        let result = future.as_mut().poll(cx);
        if result.is_pending() {
            waits.notify_one();
        }
        result
    })
    .await
}

/// Feeds all the messages, and sees to it that few of them wait.
async fn feed_all<R: Adapter>(socket: &mut Socket<R>, waits: &Notify) {
    for i in 0..MESSAGES {
        let message = vec![i.to_le_bytes()[0]; LEN];
        notify_first_wait(socket.feed(message), waits).await.unwrap();
        // One message more than the mark, with its header.
        assert!(socket.connection().buffered() < WATER + LEN + 14, "{i}");
    }
    socket.flush().await.unwrap();
}

async fn a_peer_that_does_not_read_stops_who_feeds<R: Adapter>() {
    let (client, server) = pair::<R>(&CONFIG, &CONFIG).await;
    let (mut raw, unread) = (Raw(client.into_io().0), Arc::new(Notify::new()));
    let feeding = {
        let (waits, mut server) = (Arc::clone(&unread), server);
        spawn::<R, _>(async move {
            feed_all::<R>(&mut server, &waits).await;
            server
        })
    };
    unread.notified().await;
    let mut left = MESSAGES * (LEN + 10);
    while left > 0 {
        let came = raw.read().await.unwrap();
        assert!(!came.is_empty(), "{left} are missing");
        left -= came.len();
    }
    feeding.await;
}

async fn a_program_that_does_not_receive_stops_its_peer<R: Adapter>() {
    for role in sansocket_tests::ROLES {
        let (client, server) = pair::<R>(&CONFIG, &CONFIG).await;
        let (mut feeds, mut receives) = match role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        let waiting = Arc::new(Notify::new());
        let waits = Arc::clone(&waiting);
        let feeding = spawn::<R, _>(async move {
            feed_all::<R>(&mut feeds, &waits).await;
            feeds
        });
        waiting.notified().await;
        for i in 0..MESSAGES {
            let message = receives.recv().await.unwrap().unwrap();
            assert!(message.as_bytes() == vec![i.to_le_bytes()[0]; LEN], "{i}");
        }
        feeding.await;
    }
}

async fn a_half_whose_peer_does_not_read_waits_and_the_other_goes_on<R: Adapter>() {
    let (client, mut server) = pair::<R>(&CONFIG, &CONFIG).await;
    let (mut sender, mut receiver) = client.split();
    let waiting = Arc::new(Notify::new());
    let waits = Arc::clone(&waiting);
    let feeding = spawn::<R, _>(async move {
        for i in 0..MESSAGES {
            notify_first_wait(sender.feed(vec![1; LEN]), &waits).await.unwrap();
            assert!(sender.with_socket(|socket| socket.connection().buffered()) < WATER + LEN + 14, "{i}");
        }
        sender.flush().await.unwrap();
        sender
    });
    waiting.notified().await;
    // The server sends without receiving, and the client receives all of it.
    for i in 0..50_u8 {
        let (sent, came) = tokio::join!(server.send(vec![i; LEN]), receiver.recv());
        sent.unwrap();
        assert!(came.unwrap().unwrap().as_bytes() == vec![i; LEN], "{i}");
    }
    for _ in 0..MESSAGES {
        assert_eq!(server.recv().await.unwrap().unwrap().len(), LEN);
    }
    feeding.await;
}

/// Echoes; tells when its output is full, and fails if it is called then.
struct Echo {
    full: Arc<Notify>,
    ends: mpsc::UnboundedSender<Disconnect>,
}

impl Handler for Echo {
    type Info = ();

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        if reply.buffered() >= WATER {
            return Err("called though its peer does not read".into());
        }
        reply.send(message)?;
        if reply.buffered() >= WATER {
            self.full.notify_one();
        }
        Ok(())
    }

    fn close(&mut self, disconnect: &Disconnect) {
        let _ = self.ends.send(disconnect.clone());
    }
}

async fn a_handler_whose_peer_does_not_read_is_not_called<R: Adapter>() {
    const SMALL: usize = 1000;
    let (listener, url) = listen::<R>().await;
    let (full, (ends, mut told)) = (Arc::new(Notify::new()), mpsc::unbounded_channel());
    let gives = Arc::clone(&full);
    drop(spawn::<R, _>(R::serve(listener, CONFIG, move |_| Echo {
        full: Arc::clone(&gives),
        ends: ends.clone(),
    })));
    let mut raw = Raw(stream_to::<R>(&url).await);
    raw.write(REQUEST).await.unwrap();
    raw.read_until(b"\r\n\r\n").await.unwrap();
    // Writes all the time, and begins to read when the handler can write no more.
    let mut frames = wire::frame(Role::Server, BINARY, [7; SMALL]).repeat(64 * MESSAGES);
    frames.extend(wire::close(Role::Server, 1000, ""));
    let (mut written, mut back, mut reads) = (0, Vec::new(), pin!(async { full.notified().await }));
    let mut is_full = false;
    core::future::poll_fn(|cx| {
        use sansocket_driver::Io;
        use std::io::IoSlice;
        loop {
            let mut moved = false;
            if written < frames.len() {
                let slices = [IoSlice::new(&frames[written..])];
                if let Poll::Ready(n) = core::pin::Pin::new(&mut raw.0).poll_write(cx, &slices) {
                    written += n.unwrap();
                    moved = true;
                }
            }
            is_full = is_full || reads.as_mut().poll(cx).is_ready();
            if is_full {
                let mut bytes = [0; 10_000];
                if let Poll::Ready(n) = core::pin::Pin::new(&mut raw.0).poll_read(cx, &mut bytes) {
                    let n = n.unwrap();
                    back.extend_from_slice(&bytes[..n]);
                    if n == 0 {
                        return Poll::Ready(());
                    }
                    moved = true;
                }
            } else if written == frames.len() {
                panic!("all of it was taken, and nobody reads what comes back");
            }
            if !moved {
                return Poll::Pending;
            }
        }
    })
    .await;
    let frames = wire::parse(&back);
    assert_eq!(frames.len(), 64 * MESSAGES + 1);
    assert_eq!(frames.last().unwrap().payload, CloseCode::NORMAL_CLOSURE.get().to_be_bytes());
    drop(raw);
    assert!(told.recv().await.unwrap().is_clean());
}
