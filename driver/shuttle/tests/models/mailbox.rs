//! A handler, and the addresses by which other tasks reach it: what they send comes once and in order, or not at all
//! once the end has begun, and the handler's task never sleeps on it.

use core::time::Duration;
use std::sync::{Arc, Mutex};

use sansocket::{Cause, ClientRequest, CloseCode, Config, Disconnect, Message, Seed};
use sansocket_shuttle::{Address, AddressError, Error, Handler, Outcome, Reply, Serve, WebSocket, connect};
use shuttle::future::{JoinHandle, spawn};

use crate::explore::explore;
use crate::pipe::{Pipe, pipe};
use crate::world::{Clock, Slot, let_time_pass, turn};

#[derive(Debug)]
struct Info {
    from: u8,
    /// Which of that one's it is.
    number: u8,
    /// Shows that it is still somewhere.
    _alive: Arc<()>,
}

impl Info {
    fn new(from: u8, number: u8, alive: &Arc<()>) -> Self {
        Self { from, number, _alive: Arc::clone(alive) }
    }
}

/// What becomes of a handler. No lock of shuttle's: looking at it is not for the models.
#[derive(Default)]
struct Log {
    infos: Vec<(u8, u8)>,
    messages: Vec<u8>,
    ends: Vec<Disconnect>,
}

/// A handler that does what `on` says.
#[derive(Clone)]
struct Scripted {
    on: fn(Met<'_>, &mut Reply<'_, Info>),
    log: Arc<Mutex<Log>>,
    address: Slot<Address<Info>>,
}

enum Met<'m> {
    Open,
    Message(&'m [u8]),
    Info(&'m Info, usize),
}

impl Scripted {
    fn new(on: fn(Met<'_>, &mut Reply<'_, Info>)) -> Self {
        Self { on, log: Arc::default(), address: Slot::new() }
    }

    fn log(self) -> Log {
        core::mem::take(&mut self.log.lock().unwrap())
    }
}

impl Handler for Scripted {
    type Info = Info;

    fn open(&mut self, reply: &mut Reply<'_, Info>) -> Outcome {
        (self.on)(Met::Open, reply);
        self.address.tell(reply.address());
        Ok(())
    }

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, Info>) -> Outcome {
        self.log.lock().unwrap().messages.push(message.as_bytes()[0]);
        (self.on)(Met::Message(message.as_bytes()), reply);
        Ok(())
    }

    fn info(&mut self, info: Info, reply: &mut Reply<'_, Info>) -> Outcome {
        let count = {
            let infos = &mut self.log.lock().unwrap().infos;
            infos.push((info.from, info.number));
            infos.len()
        };
        (self.on)(Met::Info(&info, count), reply);
        Ok(())
    }

    fn error(&mut self, error: &(dyn core::error::Error + Send + Sync + 'static)) {
        panic!("{error}");
    }

    fn close(&mut self, disconnect: &Disconnect) {
        self.log.lock().unwrap().ends.push(disconnect.clone());
    }
}

type Client = WebSocket<Pipe, Clock>;
type Served = JoinHandle<Result<Disconnect, Error>>;

const ROOM: usize = 256;

fn config() -> Config {
    Config::new().idle_timeout(None).handshake_timeout(None)
}

async fn open<H: Handler + Send + 'static>(handler: H, config: Config) -> (Served, Client) {
    let (server, client) = pipe(ROOM);
    let served = spawn(Serve::new(server, Clock::new(), config, handler));
    let request = ClientRequest::new("ws://localhost/").unwrap();
    let client = connect(client, Clock::new(), &self::config(), &request, Seed::new([7; 32])).await;
    (served, client.unwrap().0)
}

/// A task that sends `count` infos, and how many were taken.
fn sender(address: &Slot<Address<Info>>, from: u8, count: u8, alive: &Arc<()>) -> JoinHandle<u8> {
    let (address, alive) = (address.clone(), Arc::clone(alive));
    spawn(async move {
        let address = address.wait().await;
        let (mut taken, mut closed) = (0, false);
        for number in 0..count {
            match address.send(Info::new(from, number, &alive)) {
                Ok(()) => {
                    assert!(!closed, "it was closed before");
                    taken += 1;
                }
                Err(AddressError::Closed(info)) => {
                    assert_eq!((info.from, info.number), (from, number));
                    closed = true;
                }
                Err(AddressError::Full(_)) => unreachable!(),
            }
        }
        assert!(!closed || address.is_closed());
        taken
    })
}

/// That of each sender's infos came no others than the first, in order, and how many.
fn in_order(infos: &[(u8, u8)], from: u8) -> u8 {
    let mut next = 0;
    for (_, number) in infos.iter().filter(|info| info.0 == from) {
        assert_eq!(*number, next, "{infos:?}");
        next += 1;
    }
    next
}

#[test]
fn all_that_is_sent_to_a_handler_comes_once_and_in_order() {
    explore(|| async {
        let handler = Scripted::new(|met, reply| {
            if matches!(met, Met::Info(_, 7)) {
                reply.stop();
            }
        });
        let (alive, address) = (Arc::default(), handler.address.clone());
        let senders = [(0, 3), (1, 3), (2, 1)].map(|(from, count)| sender(&address, from, count, &alive));
        let (served, mut client) = open(handler.clone(), config()).await;
        assert!(client.recv().await.unwrap().is_none());
        assert!(served.await.unwrap().unwrap().is_clean());
        for (sender, count) in senders.into_iter().zip([3, 3, 1]) {
            assert_eq!(sender.await.unwrap(), count);
        }
        let address = address.wait().await;
        assert!(matches!(address.send(Info::new(0, 9, &alive)), Err(AddressError::Closed(_))));
        let log = handler.log();
        assert_eq!([0, 1, 2].map(|from| in_order(&log.infos, from)), [3, 3, 1]);
        assert_eq!(log.ends.len(), 1);
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

#[test]
fn what_comes_too_late_for_a_handler_is_given_back_or_dropped() {
    explore(|| async {
        let handler = Scripted::new(|_, _| {});
        let (alive, address) = (Arc::default(), handler.address.clone());
        let senders = [0, 1].map(|from| sender(&address, from, 4, &alive));
        let (served, mut client) = open(handler.clone(), config()).await;
        assert!(client.close(CloseCode::NORMAL_CLOSURE).await.is_clean());
        assert!(served.await.unwrap().unwrap().is_clean());
        let log = handler.log();
        for (sender, from) in senders.into_iter().zip([0, 1]) {
            assert!(in_order(&log.infos, from) <= sender.await.unwrap());
        }
        let address = address.wait().await;
        assert!(address.is_closed());
        // Whoever keeps an address keeps nothing else.
        assert_eq!((log.ends.len(), Arc::strong_count(&alive)), (1, 1));
    });
}

#[test]
fn an_address_closes_a_connection_before_what_is_sent_after_it() {
    explore(|| async {
        let handler = Scripted::new(|_, _| {});
        let (alive, address) = (Arc::default(), handler.address.clone());
        let other = sender(&address, 0, 3, &alive);
        let closers = [CloseCode::GOING_AWAY, CloseCode::POLICY_VIOLATION].map(|code| {
            let (address, alive) = (address.clone(), Arc::clone(&alive));
            spawn(async move {
                let address = address.wait().await;
                address.close(code);
                let _ = address.send(Info::new(1, 0, &alive));
            })
        });
        let (served, mut client) = open(handler.clone(), config()).await;
        assert!(client.recv().await.unwrap().is_none());
        let end = served.await.unwrap().unwrap();
        let code = end.sent().and_then(|frame| frame.code());
        assert!(
            end.is_clean()
                && (code == Some(CloseCode::GOING_AWAY) || code == Some(CloseCode::POLICY_VIOLATION))
        );
        for closer in closers {
            closer.await.unwrap();
        }
        let (log, taken) = (handler.log(), other.await.unwrap());
        assert!(in_order(&log.infos, 0) <= taken);
        assert_eq!((in_order(&log.infos, 1), log.ends.len(), Arc::strong_count(&alive)), (0, 1, 1));
    });
}

/// Makes its first address when a message comes, which its task waited for without one.
struct Late(Scripted);

impl Handler for Late {
    type Info = Info;

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, Info>) -> Outcome {
        self.0.address.tell(reply.address());
        self.0.message(message, reply)
    }

    fn info(&mut self, info: Info, reply: &mut Reply<'_, Info>) -> Outcome {
        self.0.info(info, reply)
    }
}

#[test]
fn an_address_that_is_made_late_reaches_its_handler() {
    explore(|| async {
        let handler = Scripted::new(|met, reply| {
            if matches!(met, Met::Info(..)) {
                reply.stop();
            }
        });
        let alive = Arc::default();
        let sender = sender(&handler.address, 0, 1, &alive);
        let (served, mut client) = open(Late(handler.clone()), config()).await;
        client.send(&[1]).await.unwrap();
        assert!(client.recv().await.unwrap().is_none());
        assert!(served.await.unwrap().unwrap().is_clean());
        assert_eq!(sender.await.unwrap(), 1);
        let log = handler.log();
        assert_eq!((log.infos.len(), log.messages), (1, vec![1]));
    });
}

#[test]
fn what_waits_for_a_slow_peer_comes_once_that_reads() {
    explore(|| async {
        let handler = Scripted::new(|met, reply| match met {
            Met::Info(info, count) => {
                // The stream holds none of them as a whole.
                reply.send(Message::binary(vec![info.number; ROOM])).unwrap();
                if count == 4 {
                    reply.stop();
                }
            }
            Met::Message(_) | Met::Open => {}
        });
        let alive = Arc::default();
        let sender = sender(&handler.address, 0, 4, &alive);
        let (served, mut client) = open(handler.clone(), config().high_water(ROOM / 2)).await;
        for number in 0..4 {
            turn();
            assert_eq!(client.recv().await.unwrap(), Some(Message::binary(vec![number; ROOM])));
        }
        assert!(client.recv().await.unwrap().is_none());
        assert!(served.await.unwrap().unwrap().is_clean());
        assert_eq!(sender.await.unwrap(), 4);
        assert_eq!(handler.log().infos.len(), 4);
    });
}

#[test]
fn a_close_gets_through_to_a_handler_whose_peer_does_not_read() {
    explore(|| async {
        let handler = Scripted::new(|met, reply| {
            if let Met::Info(info, _) = met {
                reply.send(Message::binary(vec![info.number; ROOM])).unwrap();
            }
        });
        let (alive, address) = (Arc::default(), handler.address.clone());
        let sender = sender(&address, 0, 4, &alive);
        let config = config().high_water(ROOM / 2).close_timeout(Duration::from_secs(1));
        let (served, client) = open(handler.clone(), config).await;
        let closer = spawn(async move { address.wait().await.close(CloseCode::GOING_AWAY) });
        let _time = let_time_pass();
        let end = served.await.unwrap().unwrap();
        assert!(matches!(end.cause(), Cause::TimedOut(_)), "{end:?}");
        closer.await.unwrap();
        sender.await.unwrap();
        drop(client);
        assert_eq!((handler.log().ends.len(), Arc::strong_count(&alive)), (1, 1));
    });
}

#[test]
fn a_paused_handler_is_resumed_from_elsewhere() {
    explore(|| async {
        let handler = Scripted::new(|met, reply| match met {
            Met::Open => reply.pause(),
            Met::Info(..) => reply.resume(),
            Met::Message(payload) => {
                reply.send(payload).unwrap();
                if payload == [1] {
                    reply.pause();
                }
            }
        });
        let (alive, address) = (Arc::default(), handler.address.clone());
        let resumer = sender(&address, 0, 1, &alive);
        let (served, mut client) = open(handler.clone(), config()).await;
        for number in [1, 2] {
            client.send(&[number]).await.unwrap();
        }
        assert_eq!(client.recv().await.unwrap(), Some(Message::binary(vec![1])));
        resumer.await.unwrap();
        let resumer = sender(&address, 1, 1, &alive);
        assert_eq!(client.recv().await.unwrap(), Some(Message::binary(vec![2])));
        assert!(client.close(CloseCode::NORMAL_CLOSURE).await.is_clean());
        assert!(served.await.unwrap().unwrap().is_clean());
        resumer.await.unwrap();
        assert_eq!(handler.log().messages, [1, 2]);
    });
}
