//! Each adapter on real sockets: echoes, handlers, and how both ends tell the end.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use sansocket::{
    Cause, ClientRequest, CloseCode, CloseFrame, Config, Message, Role, SendError, Side, Status,
};
use sansocket_driver::Error;
use sansocket_tests::echo::echo_server;
use sansocket_tests::raw::Raw;
use sansocket_tests::runtimes::{Adapter, listen, pair, spawn, stream_to, streams, yield_now};
use sansocket_tests::scripted::REQUEST;
use sansocket_tests::wire;

const CONFIG: Config = Config::new();
static DEFAULTS: Config = CONFIG;
const MIB: usize = 1 << 20;

sansocket_tests::on_each_runtime!(
    connect_and_accept_talk_both_ways,
    a_server_serves_200_connections_at_once,
    a_mebibyte_comes_back_whole_however_it_is_fragmented,
    a_message_that_a_handler_sends_in_pieces_arrives_as_one,
    both_ends_agree_on_a_close_that_the_client_begins,
    both_ends_agree_on_a_close_that_the_server_begins,
    a_peer_that_vanishes_is_an_error_once,
    a_handler_that_panics_takes_no_other_connection_down,
    the_server_closes_the_stream_and_the_client_waits_for_that,
    a_recv_that_loses_a_race_again_and_again_loses_no_message,
);

async fn connect_and_accept_talk_both_ways<R: Adapter>() {
    let (mut listener, url) = listen::<R>().await;
    let accepting = async { R::accept_on(R::accept(&mut listener).await.unwrap().0).await.unwrap() };
    let (client, mut server) = tokio::join!(R::connect_to(&url), accepting);
    let mut client = client.unwrap();
    client.send("to the server").await.unwrap();
    server.send(vec![1, 2, 3]).await.unwrap();
    assert_eq!(server.recv().await.unwrap(), Some(Message::from("to the server")));
    assert_eq!(client.recv().await.unwrap(), Some(Message::from(vec![1, 2, 3])));
}

async fn a_server_serves_200_connections_at_once<R: Adapter>() {
    let (url, mut ends) = echo_server::<R>(CONFIG).await;
    let mut sockets = Vec::new();
    for _ in 0..200 {
        sockets.push(R::connect_to(&url).await.unwrap());
    }
    let mut clients = Vec::new();
    for (i, mut socket) in sockets.into_iter().enumerate() {
        clients.push(spawn::<R, _>(async move {
            for round in 0..20 {
                let text = format!("{i} {round}");
                socket.send(&text[..]).await.unwrap();
                assert_eq!(socket.recv().await.unwrap(), Some(Message::from(text)));
            }
            assert!(socket.close(CloseCode::NORMAL_CLOSURE).await.is_clean());
        }));
    }
    for client in clients {
        client.await;
    }
    for _ in 0..200 {
        let end = ends.recv().await.unwrap();
        assert_eq!((end.cause(), end.is_clean()), (&Cause::Closed(Side::Remote), true));
    }
}

async fn a_mebibyte_comes_back_whole_however_it_is_fragmented<R: Adapter>() {
    for fragments in [None, Some(1000), Some(100_000)] {
        let (url, _ends) = echo_server::<R>(CONFIG.auto_fragment(fragments)).await;
        let request = ClientRequest::new(&url).unwrap();
        let stream = stream_to::<R>(&url).await;
        let (mut socket, response) =
            R::connect_on(stream, &request, &CONFIG.auto_fragment(fragments)).await.unwrap();
        assert_eq!(response.status(), Status::SWITCHING_PROTOCOLS);
        for seed in 0..3_u8 {
            let bytes: Vec<u8> = (0..MIB).map(|i| seed.wrapping_add(i.to_le_bytes()[i % 3])).collect();
            socket.send(&bytes[..]).await.unwrap();
            assert!(socket.recv().await.unwrap().unwrap().as_bytes() == bytes, "{fragments:?}");
        }
    }
}

async fn a_message_that_a_handler_sends_in_pieces_arrives_as_one<R: Adapter>() {
    let (url, _ends) = echo_server::<R>(CONFIG).await;
    let mut socket = R::connect_to(&url).await.unwrap();
    socket.send("pieces").await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("abcd")));
}

async fn both_ends_agree_on_a_close_that_the_client_begins<R: Adapter>() {
    let (url, mut ends) = echo_server::<R>(CONFIG).await;
    for frame in [CloseFrame::empty(), CloseFrame::new(CloseCode::new(4000).unwrap(), "enough").unwrap()] {
        let mut socket = R::connect_to(&url).await.unwrap();
        let client = socket.close(frame.clone()).await;
        let server = ends.recv().await.unwrap();
        assert_eq!(client.cause(), &Cause::Closed(Side::Local));
        assert_eq!(server.cause(), &Cause::Closed(Side::Remote));
        assert_eq!((client.sent(), server.received()), (Some(&frame), Some(&frame)));
        // The code is echoed, the reason is not.
        assert_eq!(client.received().map(CloseFrame::code), Some(frame.code()));
        assert_eq!(client.received(), server.sent());
        assert!(matches!(socket.recv().await, Ok(None)));
        assert!(matches!(socket.send("m").await, Err(Error::Send(SendError::Closed))));
    }
}

async fn both_ends_agree_on_a_close_that_the_server_begins<R: Adapter>() {
    let (url, mut ends) = echo_server::<R>(CONFIG).await;
    let mut socket = R::connect_to(&url).await.unwrap();
    socket.send("before").await.unwrap();
    socket.send("stop").await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("before")));
    assert!(matches!(socket.recv().await, Ok(None)));
    let (client, server) = (socket.disconnect().unwrap(), ends.recv().await.unwrap());
    assert_eq!((client.cause(), server.cause()), (&Cause::Closed(Side::Remote), &Cause::Closed(Side::Local)));
    let frame = CloseFrame::new(CloseCode::GOING_AWAY, "as told").unwrap();
    assert_eq!((client.received(), server.sent()), (Some(&frame), Some(&frame)));
    assert!(client.is_clean() && server.is_clean());
}

async fn a_peer_that_vanishes_is_an_error_once<R: Adapter>() {
    let (url, mut ends) = echo_server::<R>(CONFIG).await;
    drop(R::connect_to(&url).await.unwrap());
    assert_eq!(ends.recv().await.unwrap().cause(), &Cause::Lost);
    let (mut client, server) = pair::<R>(&CONFIG, &CONFIG).await;
    drop(server);
    client.recv().await.unwrap_err();
    assert_eq!(client.disconnect().unwrap().cause(), &Cause::Lost);
    assert!(matches!(client.recv().await, Ok(None)));
}

async fn a_handler_that_panics_takes_no_other_connection_down<R: Adapter>() {
    let (url, mut ends) = echo_server::<R>(CONFIG).await;
    let mut other = R::connect_to(&url).await.unwrap();
    // More of them than an executor has threads.
    for _ in 0..4 {
        let mut socket = R::connect_to(&url).await.unwrap();
        socket.send("panic").await.unwrap();
        assert!(matches!(socket.recv().await, Ok(None)));
        let code = socket.disconnect().unwrap().received().unwrap().code();
        assert_eq!(code, Some(CloseCode::INTERNAL_ERROR));
        assert_eq!(ends.recv().await.unwrap().cause(), &Cause::Closed(Side::Local));
    }
    other.send("still there").await.unwrap();
    assert_eq!(other.recv().await.unwrap(), Some(Message::from("still there")));
}

async fn the_server_closes_the_stream_and_the_client_waits_for_that<R: Adapter>() {
    // A client by hand: it goes on holding its end.
    let (url, mut ends) = echo_server::<R>(CONFIG).await;
    let mut raw = Raw(stream_to::<R>(&url).await);
    raw.write(REQUEST).await.unwrap();
    raw.write(&wire::close(Role::Server, 1000, "")).await.unwrap();
    let all = raw.read_to_end().await.unwrap();
    assert!(all.ends_with(&wire::close(Role::Client, 1000, "")));
    assert!(ends.try_recv().is_err(), "it waits for our end of the stream");
    drop(raw);
    assert!(ends.recv().await.unwrap().is_clean());

    // A server by hand, with the library's handshake.
    let (one, other) = streams::<R>().await;
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let (client, server) = tokio::join!(R::connect_on(one, &request, &DEFAULTS), R::accept_on(other));
    let (mut client, (stream, _)) = (client.unwrap().0, server.unwrap().into_io());
    let mut raw = Raw(stream);
    let finished = Arc::new(AtomicBool::new(false));
    let finishes = Arc::clone(&finished);
    let closing = spawn::<R, _>(async move {
        let end = client.close(CloseCode::NORMAL_CLOSURE).await;
        finishes.store(true, Ordering::SeqCst);
        end
    });
    let close = wire::close(Role::Client, 1000, "");
    assert_eq!(wire::parse(&raw.read().await.unwrap()).len(), 1);
    raw.write(&close).await.unwrap();
    for _ in 0..100 {
        yield_now().await;
    }
    assert!(!finished.load(Ordering::SeqCst));
    raw.shut_down().await.unwrap();
    assert!(closing.await.is_clean());
    assert_eq!(raw.read().await.unwrap(), []);
}

async fn a_recv_that_loses_a_race_again_and_again_loses_no_message<R: Adapter>() {
    let (mut client, mut server) = pair::<R>(&CONFIG, &CONFIG).await;
    let sending = spawn::<R, _>(async move {
        for i in 0..500_usize {
            client.send(vec![1; i * 37 % 5000]).await.unwrap();
        }
        client
    });
    let mut received = 0;
    while received < 500 {
        tokio::select! {
            biased;
            () = yield_now() => {}
            message = server.recv() => {
                assert_eq!(message.unwrap().unwrap().len(), received * 37 % 5000);
                received += 1;
            }
        }
    }
    sending.await;
}
