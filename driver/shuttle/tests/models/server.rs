//! A server's connections, and those who accept, count and end them.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Poll;
use core::time::Duration;
use std::sync::Arc;

use sansocket::{ClientRequest, CloseCode, Config, Disconnect, Message, Seed};
use sansocket_shuttle::{Error, Handler, Outcome, Reply, Server, ServerHandle, WebSocket, connect};
use shuttle::future::spawn;

use crate::explore::explore;
use crate::pipe::Pipe;
use crate::world::{Clock, Network, Slot, World, let_time_pass, listen, turn};

/// Longer than anything takes for which time passes.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// What became of a server's handlers. They are no locks of shuttle's: counting is not for the models.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) made: AtomicUsize,
    pub(crate) there: AtomicUsize,
    pub(crate) opened: AtomicUsize,
    pub(crate) closed: AtomicUsize,
}

/// Answers each message with the same.
pub(crate) struct Echo(pub(crate) Arc<Counts>);

impl Echo {
    pub(crate) fn new(counts: &Arc<Counts>) -> Self {
        counts.made.fetch_add(1, Ordering::Relaxed);
        counts.there.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counts))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.0.there.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Handler for Echo {
    type Info = ();

    fn open(&mut self, _: &mut Reply<'_, ()>) -> Outcome {
        self.0.opened.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send(message)?)
    }

    fn close(&mut self, _: &Disconnect) {
        self.0.closed.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counts {
    /// That each handler came to its end once.
    pub(crate) fn assert_settled(&self) {
        assert_eq!(self.there.load(Ordering::Relaxed), 0);
        assert_eq!(self.opened.load(Ordering::Relaxed), self.closed.load(Ordering::Relaxed));
    }
}

pub(crate) fn config() -> Config {
    Config::new().idle_timeout(None).handshake_timeout(None)
}

pub(crate) async fn client(network: &Network) -> Result<WebSocket<Pipe, Clock>, Error> {
    let request = ClientRequest::new("ws://localhost/").unwrap();
    let stream = network.connect(256);
    connect(stream, Clock::new(), &config(), &request, Seed::new([7; 32])).await.map(|(socket, _)| socket)
}

async fn echo(socket: &mut WebSocket<Pipe, Clock>, number: u8) -> Result<(), Error> {
    socket.send(&[number]).await?;
    match socket.recv().await? {
        Some(message) => {
            assert_eq!(message.as_bytes(), [number]);
            Ok(())
        }
        None => Err(Error::Send(sansocket::SendError::Closed)),
    }
}

fn assert_empty(handle: &ServerHandle<World>, counts: &Counts) {
    assert_eq!(handle.connections(), 0);
    counts.assert_settled();
}

#[test]
fn a_server_ends_while_clients_come_and_go() {
    explore(|| async {
        let (network, listener) = listen();
        let counts = Arc::<Counts>::default();
        let server = Server::<World>::new(config());
        let handle = server.handle();
        let of = Arc::clone(&counts);
        let serves = spawn(server.serve(listener, move |_| Echo::new(&of)));
        // One stays until it is told to go, one closes by itself, one is gone in the middle of its handshake.
        let stays = network.clone();
        let stays = spawn(async move {
            let Ok(mut socket) = client(&stays).await else { return };
            assert!(socket.recv().await.unwrap().is_none());
            let end = socket.disconnect().unwrap();
            assert_eq!(end.received().and_then(|frame| frame.code()), Some(CloseCode::GOING_AWAY));
        });
        let goes = network.clone();
        let goes = spawn(async move {
            let Ok(mut socket) = client(&goes).await else { return };
            if echo(&mut socket, 1).await.is_ok() {
                socket.close(CloseCode::NORMAL_CLOSURE).await;
            }
        });
        let vanishes = spawn(async move {
            let stream = network.connect(256);
            turn();
            drop(stream);
        });
        let ends =
            [handle.clone(), handle.clone()].map(|handle| spawn(async move { handle.shutdown(LONG).await }));
        let [one, other] = ends.map(|end| async { end.await.unwrap() });
        let (one, other) = (one.await, other.await);
        assert!(one.closed <= 3 && one.aborted == 0 && one == other);
        serves.await.unwrap().unwrap();
        assert_eq!(handle.connections(), 0);
        for task in [stays, goes, vanishes] {
            task.await.unwrap();
        }
        counts.assert_settled();
        assert!(counts.made.load(Ordering::Relaxed) >= one.closed);
    });
}

#[test]
fn no_more_than_the_limit_are_served_at_once_and_all_in_the_end() {
    explore(|| async {
        let (network, listener) = listen();
        let counts = Arc::<Counts>::default();
        let server = Server::<World>::new(config()).max_connections(2);
        let handle = server.handle();
        let of = Arc::clone(&counts);
        let serves = spawn(server.serve(listener, move |_| {
            let handler = Echo::new(&of);
            assert!(of.there.load(Ordering::Relaxed) <= 2);
            handler
        }));
        let clients = [0, 1, 2, 3].map(|number| {
            let network = network.clone();
            spawn(async move {
                if number == 0 {
                    drop(network.connect(256));
                    return;
                }
                let mut socket = client(&network).await.unwrap();
                echo(&mut socket, number).await.unwrap();
                assert!(socket.close(CloseCode::NORMAL_CLOSURE).await.is_clean());
            })
        });
        for client in clients {
            client.await.unwrap();
        }
        assert_eq!(counts.opened.load(Ordering::Relaxed), 3);
        let end = handle.shutdown(LONG).await;
        assert_eq!(end.aborted, 0);
        serves.await.unwrap().unwrap();
        assert_empty(&handle, &counts);
    });
}

#[test]
fn what_a_client_an_address_and_a_server_end_at_once_ends_once() {
    /// Tells its address.
    struct Reachable(Echo, Slot<sansocket_shuttle::Address<()>>);

    impl Handler for Reachable {
        type Info = ();

        fn open(&mut self, reply: &mut Reply<'_, ()>) -> Outcome {
            self.1.tell(reply.address());
            self.0.open(reply)
        }

        fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
            self.0.message(message, reply)
        }

        fn info(&mut self, (): (), reply: &mut Reply<'_, ()>) -> Outcome {
            Ok(reply.send(&[2])?)
        }

        fn close(&mut self, disconnect: &Disconnect) {
            assert!(disconnect.is_clean());
            self.0.close(disconnect);
        }
    }

    explore(|| async {
        let (network, listener) = listen();
        let (counts, address) = (Arc::<Counts>::default(), Slot::new());
        let server = Server::<World>::new(config());
        let handle = server.handle();
        let (of, slot) = (Arc::clone(&counts), address.clone());
        let serves = spawn(server.serve(listener, move |_| Reachable(Echo::new(&of), slot.clone())));
        let mut socket = client(&network).await.unwrap();
        let closes = spawn(async move { assert!(socket.close(CloseCode::NORMAL_CLOSURE).await.is_clean()) });
        let ends = handle.clone();
        let ends = spawn(async move { ends.shutdown(LONG).await });
        let reaches = spawn(async move {
            let address = address.wait().await;
            let _ = address.send(());
            address.close(CloseCode::POLICY_VIOLATION);
        });
        for task in [closes, reaches] {
            task.await.unwrap();
        }
        assert_eq!(ends.await.unwrap().aborted, 0);
        serves.await.unwrap().unwrap();
        assert_eq!(counts.closed.load(Ordering::Relaxed), 1);
        assert_empty(&handle, &counts);
    });
}

#[test]
fn who_does_not_go_in_time_is_dropped_and_counted() {
    explore(|| async {
        let (network, listener) = listen();
        let counts = Arc::<Counts>::default();
        let server = Server::<World>::new(config().close_timeout(LONG));
        let handle = server.handle();
        let of = Arc::clone(&counts);
        let serves = spawn(server.serve(listener, move |_| Echo::new(&of)));
        // One has asked nothing yet, one never receives, so that it never answers, and one does.
        let silent = network.connect(256);
        let deaf = client(&network).await.unwrap();
        let mut polite = client(&network).await.unwrap();
        let polite = spawn(async move { while let Ok(Some(_)) = polite.recv().await {} });
        let _time = let_time_pass();
        let end = handle.shutdown(Duration::from_secs(1)).await;
        assert!(end.aborted >= 1 && end.closed + end.aborted == 3, "{end:?}");
        serves.await.unwrap().unwrap();
        polite.await.unwrap();
        drop((silent, deaf));
        assert_eq!(counts.closed.load(Ordering::Relaxed), 2);
        assert_empty(&handle, &counts);
    });
}

#[test]
fn connections_go_on_if_their_server_is_dropped() {
    explore(|| async {
        let (network, listener) = listen();
        let counts = Arc::<Counts>::default();
        let server = Server::<World>::new(config());
        let handle = server.handle();
        let of = Arc::clone(&counts);
        let stop = Slot::new();
        let stops = stop.clone();
        let serves = spawn(async move {
            let mut serve = pin!(server.serve(listener, move |_| Echo::new(&of)));
            let mut stops = pin!(stops.wait());
            poll_fn(|cx| match stops.as_mut().poll(cx) {
                Poll::Pending => serve.as_mut().poll(cx).map(|_| unreachable!("nobody ends it")),
                ready => ready,
            })
            .await;
        });
        let clients = [1, 2].map(|number| {
            let network = network.clone();
            spawn(async move {
                // Whoever was accepted is served to the end.
                let Ok(mut socket) = client(&network).await else { return 0 };
                echo(&mut socket, number).await.unwrap();
                assert!(socket.close(CloseCode::NORMAL_CLOSURE).await.is_clean());
                1
            })
        });
        stop.tell(());
        serves.await.unwrap();
        let mut served = 0;
        for client in clients {
            served += client.await.unwrap();
        }
        let end = handle.shutdown(LONG).await;
        assert_eq!(end.aborted, 0);
        assert_eq!(counts.opened.load(Ordering::Relaxed), served);
        assert_empty(&handle, &counts);
    });
}
