//! Cowboy's `ws_SUITE` on each runtime: opening handshakes. What we answer otherwise, and why, is in
//! `COWBOY.md`.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::time::Duration;

use sansocket::{Accept, Cause, Config, Message, Refusal, Request, Response, Side, Status};
use sansocket_driver::{Decision, Error, Handler, Outcome, Reply, Server};
use sansocket_tests::echo::Echo;
use sansocket_tests::heads::Answer;
use sansocket_tests::raw::Raw;
use sansocket_tests::runtimes::{
    Adapter, AsyncStd, Smol, Tokio, listen, pairs_of_sockets, sleep, spawn, stream_to, test,
};
use sansocket_tests::served::{Served, request};
use sansocket_tests::stage::{Call, Notes, echo, idle};
use tokio::sync::mpsc;

const CONFIG: Config = Config::new();
/// "Hello", as RFC 6455 §5.7 has it from a client, and as it comes back.
const HELLO: &[u8] = b"\x81\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58";
const BACK: &[u8] = b"\x81\x05Hello";

sansocket_tests::on_each_runtime!(
    ws0,
    ws7,
    ws8,
    ws13,
    ws_first_frame_with_handshake,
    ws_init_shutdown_before_handshake,
    ws_subprotocol,
);

/// One runtime after the other: each takes most of the descriptors that there are.
#[test]
fn unlimited_connections() {
    test::<Tokio>(many_connections::<Tokio>());
    test::<AsyncStd>(many_connections::<AsyncStd>());
    test::<Smol>(many_connections::<Smol>());
}

/// Nothing limits connections unless it is asked to.
async fn many_connections<R: Adapter>() {
    let (listener, url) = listen::<R>().await;
    let server = Server::<R>::new(CONFIG);
    let handle = server.handle();
    let (ends, _told) = mpsc::unbounded_channel();
    drop(spawn::<R, _>(server.serve(listener, move |_| Echo(ends.clone()))));
    let mut clients = Vec::new();
    for _ in 0..pairs_of_sockets(3000) {
        let mut client = Raw(stream_to::<R>(&url).await);
        client.write(&request("", b"")).await.unwrap();
        let answer = Answer::parse(&client.read_until(b"\r\n\r\n").await.unwrap());
        assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        clients.push(client);
    }
    for client in &mut clients {
        client.write(HELLO).await.unwrap();
    }
    for client in &mut clients {
        client.expect(BACK).await;
    }
    assert_eq!(handle.connections(), clients.len(), "the server knows of all that are open");
}

async fn ws0<R: Adapter>() {
    let mut served = Served::<R>::new(CONFIG, Accept::new(), idle).await;
    let hixie = b"GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\
        Origin: http://localhost\r\nSec-WebSocket-Key1: Y\" 4 1Lj!957b8@0H756!i\r\n\
        Sec-WebSocket-Key2: 1711 M;4\\74  80<6\r\n\r\n";
    assert_eq!(served.ask(hixie).await.status, "HTTP/1.1 400 Bad Request");
    let body = served.client.read_to_end().await.unwrap();
    assert_eq!(body, Refusal::Hixie76.to_string().as_bytes());
    let Err(Error::Disconnected(end)) = served.outcome().await else { panic!("it was let in") };
    assert_eq!(end.cause(), &Cause::Refused(Refusal::Hixie76));
}

async fn ws7<R: Adapter>() {
    version::<R>("Sec-WebSocket-Version: 7\r\nSec-WebSocket-Origin: http://localhost").await;
}

async fn ws8<R: Adapter>() {
    version::<R>("Sec-WebSocket-Version: 8\r\nSec-WebSocket-Origin: http://localhost").await;
}

async fn ws13<R: Adapter>() {
    version::<R>("Sec-WebSocket-Version: 13\r\nOrigin: http://localhost").await;
}

async fn version<R: Adapter>(lines: &str) {
    let mut served = Served::<R>::new(CONFIG, Accept::new(), echo_and_tick::<R>).await;
    let request = format!(
        "GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{lines}\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let answer = served.ask(request.as_bytes()).await;
    assert_eq!(answer.status, "HTTP/1.1 101 Switching Protocols");
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
    let client = &mut served.client;
    client.write(HELLO).await.unwrap();
    client.expect(BACK).await;
    client.write(b"\x82\x80\0\0\0\0").await.unwrap();
    client.expect(b"\x82\0").await;
    client.write(b"\x82\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58").await.unwrap();
    client.expect(b"\x82\x05Hello").await;
    client.expect(b"\x81\x0Ewebsocket_init").await;
    for _ in 0..3 {
        client.expect(b"\x81\x10websocket_handle").await;
    }
    client.write(b"\x89\x80\0\0\0\0").await.unwrap();
    client.expect(b"\x8A\0").await;
    let end = served.close().await;
    assert_eq!((end.cause(), end.is_clean()), (&Cause::Closed(Side::Remote), true));
}

/// Echoes; after a binary message, so that the order is certain, four more come from timers.
fn echo_and_tick<R: Adapter>(call: Call<'_>, reply: &mut Reply<'_, u32>) -> Outcome {
    let next = match call {
        Call::Message(Message::Binary(bytes)) => {
            let next = (!bytes.is_empty()).then_some(0);
            reply.send(Message::Binary(bytes))?;
            next
        }
        Call::Info(tick) => {
            reply.send(if tick == 0 { "websocket_init" } else { "websocket_handle" })?;
            (tick < 3).then_some(tick + 1)
        }
        call => return echo(call, reply),
    };
    if let Some(tick) = next {
        let address = reply.address();
        R::spawn(async move {
            sleep::<R>(Duration::from_millis(5)).await;
            address.send(tick).unwrap();
        });
    }
    Ok(())
}

async fn ws_first_frame_with_handshake<R: Adapter>() {
    let mut served = Served::<R>::new(CONFIG, Accept::new(), echo).await;
    assert_eq!(served.ask(&request("", HELLO)).await.status, "HTTP/1.1 101 Switching Protocols");
    served.client.expect(BACK).await;
    assert_eq!(served.notes.get(), ["init /chat true", "open", "message Hello"]);
    served.close().await;
}

async fn ws_init_shutdown_before_handshake<R: Adapter>() {
    let mut served = Served::<R>::new(CONFIG, Response::new(Status::FORBIDDEN), idle).await;
    assert_eq!(served.ask(&request("", b"")).await.status, "HTTP/1.1 403 Forbidden");
    let notes = served.notes.clone();
    let Err(Error::Disconnected(end)) = served.outcome().await else { panic!("it was let in") };
    assert_eq!(end.cause(), &Cause::Rejected(Status::FORBIDDEN));
    assert_eq!(notes.get(), ["init /chat true"]);
}

async fn ws_subprotocol<R: Adapter>() {
    struct First;

    impl Handler for First {
        type Info = ();

        async fn init(&mut self, request: Request) -> Decision {
            Accept::new().first_subprotocol(&request, &["bar", "foo"]).into()
        }

        fn message(&mut self, _: Message<'_>, _: &mut Reply<'_, ()>) -> Outcome {
            Ok(())
        }
    }

    for (offered, chosen) in [("foo, bar", Some("foo")), ("other, bar", Some("bar")), ("other", None)] {
        let mut served = Served::<R>::with(CONFIG, First, Notes::default()).await;
        let answer = served.ask(&request(&format!("Sec-WebSocket-Protocol: {offered}\r\n"), b"")).await;
        assert_eq!(answer.header("sec-websocket-protocol"), chosen);
    }
}
