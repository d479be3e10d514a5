//! The tokio adapter on tokio's own clock, which leaps ahead when nothing else is to be done. What needs no
//! clock is in `adapters_*`, for all runtimes.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::time::Duration;
use std::sync::{Arc, Mutex};

use sansocket::{
    Accept, Cause, ClientRequest, CloseCode, Config, Disconnect, Keepalive, Message, State, Timer,
};
use sansocket_tests::scripted::REQUEST;
use sansocket_tests::wire;
use sansocket_tokio::{Handler, Outcome, Reply, WebSocket, accept, connect_on, incoming, serve_connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::Instant;

const CONFIG: Config = Config::new();
static DEFAULTS: Config = CONFIG;

async fn open(
    client: &Config,
    server: &Config,
) -> (WebSocket<tokio::io::DuplexStream>, WebSocket<tokio::io::DuplexStream>) {
    let (one, other) = duplex(4096);
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let accepted = async { incoming(other, server).await.unwrap().accept(Accept::new()).await.unwrap() };
    let (client, server) = tokio::join!(connect_on(one, &request, client), accepted);
    (client.unwrap().0, server)
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up_after_the_idle_and_the_close_timeout() {
    let (_client, mut server) = open(&CONFIG, &CONFIG).await;
    let began = Instant::now();
    let error = server.recv().await.unwrap_err();
    assert_eq!(error.cause(), Some(&Cause::TimedOut(Timer::Idle)));
    assert_eq!(began.elapsed().as_secs(), 65);
    assert!(matches!(server.recv().await, Ok(None)));
}

#[tokio::test(start_paused = true)]
async fn a_quiet_connection_is_kept_alive_from_one_side() {
    let (mut client, mut server) = open(&CONFIG.idle_timeout(None), &CONFIG).await;
    let quiet = async { tokio::join!(client.recv(), server.recv()) };
    assert!(tokio::time::timeout(Duration::from_secs(3600), quiet).await.is_err(), "nobody says anything");
    for socket in [&client, &server] {
        assert_eq!(socket.connection().state(), State::Open);
    }
    assert!(server.connection().latency().is_some() && client.connection().latency().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_told_of_a_peer_that_went_silent() {
    struct Ends(Arc<Mutex<Vec<Disconnect>>>);
    impl Handler for Ends {
        type Info = ();

        fn message(&mut self, _: Message<'_>, _: &mut Reply<'_, ()>) -> Outcome {
            Ok(())
        }

        fn close(&mut self, disconnect: &Disconnect) {
            self.0.lock().unwrap().push(disconnect.clone());
        }
    }
    let ends = Arc::default();
    let (mut one, other) = duplex(4096);
    one.write_all(REQUEST).await.unwrap();
    let config = CONFIG.keepalive(Keepalive::Every(Duration::from_secs(7)));
    let began = Instant::now();
    let end = serve_connection(other, config, Ends(Arc::clone(&ends))).await.unwrap();
    assert_eq!(end.cause(), &Cause::TimedOut(Timer::Idle));
    assert_eq!(*ends.lock().unwrap(), [end]);
    assert_eq!(began.elapsed().as_secs(), 65);
    let mut all = Vec::new();
    one.read_to_end(&mut all).await.unwrap();
    let head = all.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let pings = wire::parse(&all[head..]).iter().filter(|frame| frame.first == 0x89).count();
    assert_eq!(pings, 8, "every 7 s for 60 s");
}

#[tokio::test(start_paused = true)]
async fn close_waits_for_a_peer_that_does_not_answer_for_5_seconds() {
    let (mut client, _server) = open(&CONFIG, &CONFIG).await;
    let began = Instant::now();
    let end = client.close(CloseCode::NORMAL_CLOSURE).await;
    assert_eq!((end.cause(), end.is_clean()), (&Cause::TimedOut(Timer::Close), false));
    assert_eq!(began.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_may_take_10_seconds_on_either_side() {
    let (one, _other) = duplex(4096);
    let began = Instant::now();
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let error = connect_on(one, &request, &DEFAULTS).await.unwrap_err();
    assert_eq!(error.cause(), Some(&Cause::TimedOut(Timer::Handshake)));
    assert_eq!(began.elapsed().as_secs(), 10);
    let (_one, other) = duplex(4096);
    let error = accept(other).await.unwrap_err();
    assert_eq!(error.cause(), Some(&Cause::TimedOut(Timer::Handshake)));
    assert_eq!(began.elapsed().as_secs(), 20);
}
