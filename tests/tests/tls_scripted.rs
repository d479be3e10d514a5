//! TLS on streams that do as a test says: cut, interrupted, held back anywhere.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::cell::RefCell;
use core::future::{Future, pending};
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::Poll;
use core::time::Duration;
use std::io;
use std::sync::mpsc;

use rustls::crypto::cipher::{OutboundChunks, OutboundPlainMessage};
use rustls::{ConnectionTrafficSecrets, ContentType, ProtocolVersion, ServerConnection};
use sansocket::{Cause, ClientRequest, CloseCode, Config, Disconnect, Message, Side};
use sansocket_driver::{
    Connected, Connector, Error, Handler, Outcome, Reply, Runtime, Server, Timer, WebSocket,
};
use sansocket_tests::certificates::Authority;
use sansocket_tests::pair::Dice;
use sansocket_tests::scripted::{Alarm, Clock, End, Step, Task, duplex, stream};

const CONFIG: Config = Config::new();
const NAME: &str = "example.com";

/// A runtime for one client and one connection of a server, on the two ends of a scripted stream.
enum Scripted {}

thread_local! {
    static CLIENT: RefCell<Option<End>> = const { RefCell::new(None) };
    static SPAWNED: RefCell<Option<Spawned>> = const { RefCell::new(None) };
    static CLOCK: Clock = Clock::new();
}

type Spawned = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Runtime for Scripted {
    type Timer = Alarm;
    type Tcp = End;
    type Listener = Option<End>;

    fn timer() -> Alarm {
        CLOCK.with(Clock::alarm)
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        SPAWNED.set(Some(Box::pin(task)));
    }

    async fn connect(_: &str, _: u16) -> io::Result<End> {
        Ok(CLIENT.take().expect("one client"))
    }

    async fn accept(listener: &mut Option<End>) -> io::Result<(End, SocketAddr)> {
        match listener.take() {
            Some(end) => Ok((end, SocketAddr::from(([127, 0, 0, 1], 1)))),
            None => pending().await,
        }
    }

    fn set_nodelay(_: &End, _: bool) -> io::Result<()> {
        Ok(())
    }
}

/// Echoes, and tells its end.
struct Echo(mpsc::Sender<Disconnect>);

impl Handler for Echo {
    type Info = ();

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send(message)?)
    }

    fn close(&mut self, disconnect: &Disconnect) {
        self.0.send(disconnect.clone()).unwrap();
    }
}

/// How client and server do TLS.
struct Tls {
    client: Connector<Scripted>,
    server: fn(&Authority) -> Server<Scripted>,
    authority: Authority,
}

fn by_rustls() -> Tls {
    let authority = Authority::default();
    Tls {
        client: Connector::new().rustls(authority.client().into()),
        server: |authority| Server::new(CONFIG).rustls(authority.server(&[NAME]).into()),
        authority,
    }
}

#[cfg(feature = "native-tls")]
fn by_native_tls() -> Tls {
    let authority = Authority::default();
    Tls {
        client: Connector::new().native_tls(authority.native_client()),
        server: |authority| Server::new(CONFIG).native_tls(authority.native_server(&[NAME])),
        authority,
    }
}

/// Runs a client against a server of `Echo`s, in an order that is left to chance.
fn converse<T>(
    tls: &Tls,
    dice: &mut Dice,
    [client, server]: [End; 2],
    with: impl AsyncFnOnce(Result<Connected<Scripted>, Error>) -> T,
) -> (T, Option<Disconnect>) {
    CLIENT.set(Some(client));
    let (told, end) = mpsc::channel();
    let serve = (tls.server)(&tls.authority).serve(Some(server), move |_| Echo(told.clone()));
    let request = ClientRequest::new(&format!("wss://{NAME}/")).unwrap();
    let mut client =
        Task::new(async { with(tls.client.connect(&request).await.map(|(socket, _)| socket)).await });
    let mut serve = Box::pin(serve);
    assert!(Task::new(serve.as_mut()).poll().is_pending(), "it goes on to accept");
    let mut server = Task::new(SPAWNED.take().expect("a connection"));
    let (mut value, mut served) = (client.poll(), server.poll());
    for _ in 0..1_000_000 {
        match (value.is_pending() && client.is_woken(), served.is_pending() && server.is_woken()) {
            (true, false) => value = client.poll(),
            (false, true) => served = server.poll(),
            (true, true) if dice.below(2) == 0 => value = client.poll(),
            (true, true) => served = server.poll(),
            (false, false) => match value {
                Poll::Ready(value) if served.is_ready() => return (value, end.try_recv().ok()),
                // Nothing but time is left.
                value_so_far => {
                    value = value_so_far;
                    CLOCK.with(|clock| clock.pass(Duration::from_secs(1)));
                }
            },
        }
    }
    panic!("no end")
}

fn nothing_is_lost(tls: &Tls, seeds: core::ops::Range<u64>) {
    for seed in seeds {
        let mut dice = Dice::new(seed);
        let room = dice.pick(&[100, 5000, 1 << 20]);
        let [(client, client_grip), (server, server_grip)] = duplex(room);
        for (i, grip) in [(0, &client_grip), (1, &server_grip)] {
            grip.at_random(seed * 2 + i);
            if dice.below(2) == 0 {
                grip.hold_until_flush();
            }
        }
        let sizes: Vec<usize> = (0..8).map(|_| dice.pick(&[0, 1, 125, 126, 1000, 16_384, 70_000])).collect();
        let began = CLOCK.with(|clock| clock.alarm().now());
        let talk = async |socket: Result<Connected<Scripted>, Error>| {
            let (mut sender, mut receiver) = socket.unwrap().split();
            let sending = async {
                for (i, &size) in sizes.iter().enumerate() {
                    sender.feed(pattern(i, size)).await.unwrap();
                }
                sender.flush().await.unwrap();
            };
            let receiving = async {
                for (i, &size) in sizes.iter().enumerate() {
                    let message = receiver.recv().await.unwrap().unwrap();
                    assert!(message.as_bytes() == pattern(i, size), "seed {seed}: {size} bytes");
                }
            };
            futures_util::future::join(sending, receiving).await;
            WebSocket::reunite(sender, receiver).unwrap().close(CloseCode::NORMAL_CLOSURE).await
        };
        let (client, server) = converse(tls, &mut dice, [client, server], talk);
        let server = server.expect("the handler is told");
        assert_eq!(CLOCK.with(|clock| clock.alarm().now()), began, "seed {seed}: it waited for a timer");
        assert_eq!(client.cause(), &Cause::Closed(Side::Local), "seed {seed}");
        assert!(client.is_clean() && server.is_clean(), "seed {seed}: {client:?} {server:?}");
        for grip in [client_grip, server_grip] {
            let log = grip.log();
            assert!(log.shut, "seed {seed}");
            assert!(!log.written.windows(8).any(|bytes| bytes == b"Upgrade:"), "seed {seed}: in the clear");
        }
    }
}

fn pattern(i: usize, size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 31 + i).to_le_bytes()[0]).collect()
}

#[test]
fn nothing_is_lost_however_the_stream_is_cut() {
    nothing_is_lost(&by_rustls(), 0..150);
}

#[cfg(feature = "native-tls")]
#[test]
fn nothing_is_lost_however_the_stream_is_cut_by_the_platforms_library_either() {
    nothing_is_lost(&by_native_tls(), 0..150);
}

/// The stream breaks for both ends after so many bytes of the client's.
fn breaks_after(tls: &Tls, bytes: usize) -> (Result<(), Error>, Option<Disconnect>) {
    let [(client, client_grip), (server, _server_grip)] = duplex(1 << 20);
    client_grip.fail_writes(bytes, io::ErrorKind::ConnectionReset);
    let talk = async |socket: Result<Connected<Scripted>, Error>| -> Result<(), Error> {
        let mut socket = socket?;
        socket.send("a message").await?;
        socket.recv().await?;
        socket.close(CloseCode::NORMAL_CLOSURE).await;
        Ok(())
    };
    converse(tls, &mut Dice::new(1), [client, server], talk)
}

fn every_break_is_told(tls: &Tls) {
    // So many bytes does a client write that nothing happens to.
    let [(client, grip), (server, _)] = duplex(1 << 20);
    let talk = async |socket: Result<Connected<Scripted>, Error>| {
        let mut socket = socket.unwrap();
        socket.send("a message").await.unwrap();
        socket.recv().await.unwrap();
        socket.close(CloseCode::NORMAL_CLOSURE).await;
    };
    converse(tls, &mut Dice::new(1), [client, server], talk);
    let all = grip.log().written.len();
    let (mut told, mut opened) = (0, 0);
    for bytes in (0..all).step_by(7) {
        let (client, server) = breaks_after(tls, bytes);
        told += usize::from(client.is_err());
        opened += usize::from(server.is_some());
    }
    assert!(told > 0 && opened > 0 && told + opened >= all / 7, "{told} {opened} of {all}");
}

#[test]
fn a_stream_that_breaks_anywhere_ends_both_sides() {
    every_break_is_told(&by_rustls());
}

#[cfg(feature = "native-tls")]
#[test]
fn a_stream_that_breaks_anywhere_ends_both_sides_of_the_platforms_library_too() {
    every_break_is_told(&by_native_tls());
}

#[test]
fn a_stream_that_takes_no_bytes_is_an_error_and_no_endless_loop() {
    for after in 0..4 {
        let [(client, grip), (server, _server_grip)] = duplex(1 << 20);
        grip.on_write(core::iter::repeat_n(Step::Move(usize::MAX), after).chain([Step::Zero]));
        let talk = async |socket: Result<Connected<Scripted>, Error>| -> Result<(), Error> {
            let mut socket = socket?;
            socket.send("a message").await?;
            socket.recv().await?;
            Ok(())
        };
        let (client, _) = converse(&by_rustls(), &mut Dice::new(1), [client, server], talk);
        let Err(Error::Io(error)) = client else { panic!("{client:?}") };
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }
}

/// Records of a server with a ticket for a session in each.
fn tickets(server: ServerConnection, count: u64) -> Vec<u8> {
    // Lifetime, `age_add`, nonce, ticket, no extensions (RFC 8446 §4.6.1).
    const TICKET: &[u8] = &[4, 0, 0, 16, 0, 0, 1, 0, 1, 2, 3, 4, 1, 0, 0, 2, 5, 6, 0, 0];
    let suite = server.negotiated_cipher_suite().and_then(|suite| suite.tls13()).unwrap();
    let (next, secrets) = server.dangerous_extract_secrets().unwrap().tx;
    let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
    | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
    | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
    else {
        panic!("{:?}", suite.common.suite)
    };
    let mut encrypter = suite.aead_alg.encrypter(key, iv);
    let record = |number| {
        let (typ, version) = (ContentType::Handshake, ProtocolVersion::TLSv1_2);
        let message = OutboundPlainMessage { typ, version, payload: OutboundChunks::Single(TICKET) };
        encrypter.encrypt(message, number).unwrap().encode()
    };
    (next..next + count).flat_map(record).collect()
}

/// A server has no answer for its client, but thousands of tickets.
fn tickets_are_taken_in_turn_with_other_tasks(client: &Connector<Scripted>, authority: &Authority) {
    let (end, grip) = stream();
    CLIENT.set(Some(end));
    let request = ClientRequest::new(&format!("wss://{NAME}/")).unwrap();
    let mut client = Task::new(client.connect(&request));
    let mut config = authority.server(&[NAME]);
    (config.enable_secret_extraction, config.send_tls13_tickets) = (true, 0);
    let mut server = ServerConnection::new(config.into()).unwrap();
    while server.is_handshaking() {
        assert!(client.settle().is_pending());
        let (flight, mut answer) = (grip.take(), Vec::new());
        let mut flight = &flight[..];
        while !flight.is_empty() {
            server.read_tls(&mut flight).unwrap();
            server.process_new_packets().unwrap();
        }
        while server.wants_write() {
            server.write_tls(&mut answer).unwrap();
        }
        grip.give(answer);
    }
    assert!(client.settle().is_pending());

    let records = tickets(server, 10_000);
    grip.clear();
    grip.give(&records);
    let (mut reads, mut most) = (0, 0);
    while client.is_woken() {
        assert!(client.poll().is_pending());
        let before = core::mem::replace(&mut reads, grip.log().reads);
        most = most.max(reads - before);
    }
    // rustls reads 4 KiB at a time, OpenSSL less.
    assert!(reads > records.len() / 4096, "not all of them were taken in {reads} reads");
    assert!(most <= 16, "{most} of {reads} reads in one poll");
    grip.end();
    assert!(client.settle().is_ready());
}

#[test]
fn records_without_data_leave_other_tasks_their_turn() {
    let authority = Authority::default();
    let client = Connector::new().rustls(authority.client().into());
    tickets_are_taken_in_turn_with_other_tasks(&client, &authority);
}

#[cfg(feature = "native-tls")]
#[test]
fn records_without_data_leave_other_tasks_their_turn_with_the_platforms_library_too() {
    let authority = Authority::default();
    let client = Connector::new().native_tls(authority.native_client());
    tickets_are_taken_in_turn_with_other_tasks(&client, &authority);
}
