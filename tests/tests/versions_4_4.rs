//! RFC 6455 §4.4: the drafts' versions 7 and 8 from the handshake to the Close, in the bare state machine and
//! over real sockets on each runtime; which versions are refused, and how.
#![cfg(all(feature = "runtimes", not(miri)))]

use sansocket::{Accept, ClientRequest, Config, Delivery, Event, InvalidHeader, Message, Role, Status};
use sansocket_driver::Error;
use sansocket_tests::at_every_split;
use sansocket_tests::heads::{Answer, but, server};
use sansocket_tests::hostile::witness::{self, converse};
use sansocket_tests::raw::Raw;
use sansocket_tests::runtimes::{Adapter, Socket, stream_to, streams};
use sansocket_tests::wire::{self, BINARY, CLOSE, PING, PONG, TEXT};

static CONFIG: Config = Config::new();

/// What Firefox 6 and Chrome 14 ask for.
fn draft(version: &str, lines: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         {lines}Sec-WebSocket-Version: {version}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// The same for all versions, to the byte (§1.3).
const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// The header that names the origin in each version.
const VERSIONS: [(&str, &str); 3] =
    [("7", "Sec-WebSocket-Origin"), ("8", "Sec-WebSocket-Origin"), ("13", "Origin")];

/// What a client sends, and gets from an endpoint that echoes.
fn conversation() -> [(Vec<u8>, Vec<u8>); 7] {
    let there = |opcode, payload: &[u8]| wire::frame(Role::Server, opcode, payload);
    let back = |opcode, payload: &[u8]| wire::frame(Role::Client, opcode, payload);
    let echo = |opcode, payload: &[u8]| (there(opcode, payload), back(opcode, payload));
    let fragments = [wire::fragment(Role::Server, TEXT, "Hel"), there(0, b"lo")].concat();
    [
        echo(TEXT, b"Hello"),
        echo(BINARY, b"\x00\x80\xFF"),
        echo(TEXT, b""),
        echo(BINARY, b""),
        (fragments, back(TEXT, b"Hello")),
        (there(PING, b"there?"), back(PONG, b"there?")),
        (wire::close(Role::Server, 1000, "bye"), back(CLOSE, &wire::close_payload(1000))),
    ]
}

#[test]
fn section_4_4_drafts_are_spoken_wherever_they_are_cut() {
    for (version, origin) in VERSIONS {
        let frames = conversation().map(|(there, _)| there).concat();
        let request = draft(version, &format!("{origin}: http://localhost\r\n"));
        let record = at_every_split(server, &[request.as_bytes(), &frames].concat());
        let answers = conversation().into_iter().skip(5).flat_map(|(_, back)| back);
        assert_eq!(record.output, [ACCEPTED.as_bytes(), &answers.collect::<Vec<_>>()].concat(), "{version}");
        let messages = record.events.iter().filter_map(|event| match event {
            Event::Message(message) => Some(message.clone()),
            _ => None,
        });
        let binary = |bytes: &'static [u8]| Message::binary(bytes);
        let expected = ["Hello".into(), binary(b"\x00\x80\xFF"), "".into(), binary(b""), "Hello".into()];
        assert_eq!(messages.collect::<Vec<_>>(), expected, "{version}");
        assert!(record.end.is_clean(), "{version}");
    }
}

sansocket_tests::on_each_runtime!(
    drafts_are_spoken_with_a_handler_from_the_handshake_to_the_close,
    drafts_are_spoken_with_a_stream_from_the_handshake_to_the_close,
    an_origin_is_read_where_the_version_has_it,
    versions_that_are_not_spoken_are_refused,
    a_client_asks_for_version_13_and_tells_what_else_a_server_speaks,
);

/// Each answer comes before the next question.
async fn speak<R: Adapter>(raw: &mut Raw<R::Tcp>, request: &str) {
    raw.write(request.as_bytes()).await.unwrap();
    let head = raw.read_until(b"\r\n\r\n").await.unwrap();
    assert_eq!(core::str::from_utf8(&head), Ok(ACCEPTED), "{request}");
    for (there, back) in conversation() {
        raw.write(&there).await.unwrap();
        let mut got = Vec::new();
        while got.len() < back.len() {
            let some = raw.read().await.unwrap();
            assert_ne!(some, [], "{request}: {there:02x?}");
            got.extend(some);
        }
        assert_eq!(got, back, "{request}");
    }
    assert_eq!(raw.read_to_end().await.unwrap(), []);
}

async fn drafts_are_spoken_with_a_handler_from_the_handshake_to_the_close<R: Adapter>() {
    let (url, mut told) = witness::server::<R>(CONFIG.clone()).await;
    for (version, origin) in VERSIONS {
        let mut raw = Raw(stream_to::<R>(&url).await);
        speak::<R>(&mut raw, &draft(version, &format!("{origin}: http://localhost\r\n"))).await;
        drop(raw);
        let testimony = told.recv().await.unwrap();
        assert!(testimony.end().is_clean(), "{version}");
        let ping = format!("ping {:?}", b"there?");
        assert_eq!(testimony.events, ["Hello", "\0\u{fffd}\u{fffd}", "", "", "Hello", &ping], "{version}");
    }
}

async fn drafts_are_spoken_with_a_stream_from_the_handshake_to_the_close<R: Adapter>() {
    for (version, origin) in VERSIONS {
        let (one, other) = streams::<R>().await;
        let client = async {
            let mut raw = Raw(one);
            speak::<R>(&mut raw, &draft(version, &format!("{origin}: http://localhost\r\n"))).await;
        };
        let program = async {
            let incoming = R::incoming(other, &CONFIG).await.unwrap();
            let asked = incoming.request().version().unwrap();
            assert_eq!(format!("{asked:?}"), format!("V{version}"));
            assert_eq!(incoming.request().origin(), Some("http://localhost"));
            let socket: Socket<R> = incoming.accept(Accept::new()).await.unwrap();
            converse::<R>(socket, Delivery::Whole).await
        };
        let ((), testimony) = tokio::join!(client, program);
        assert!(testimony.end().is_clean(), "{version}");
    }
}

/// What a server answers to this, up to the end of the stream; it is not shown to a handler.
async fn refused<R: Adapter>(url: &str, request: &str) -> Answer {
    let mut raw = Raw(stream_to::<R>(url).await);
    raw.write(request.as_bytes()).await.unwrap();
    Answer::parse(&raw.read_to_end().await.unwrap())
}

async fn an_origin_is_read_where_the_version_has_it<R: Adapter>() {
    let (url, mut told) = witness::server::<R>(CONFIG.clone()).await;
    let draft_name = |origin| format!("Sec-WebSocket-Origin: {origin}\r\n");
    let rfc_name = |origin| format!("Origin: {origin}\r\n");
    let (good, evil) = ("http://localhost", "http://evil.example");
    for (version, lines, is_let_in) in [
        ("7", draft_name(good), true),
        ("8", draft_name(good), true),
        ("7", draft_name(evil), false),
        ("8", draft_name(evil), false),
        ("7", draft_name("null"), false),
        ("13", rfc_name(evil), false),
        // hybi-11 has the RFC's name, and version 8.
        ("8", rfc_name(good), true),
        ("8", rfc_name(evil), false),
        ("8", draft_name(good) + &rfc_name(evil), false),
        // In version 13 the drafts' name is any header.
        ("13", draft_name(evil), true),
        ("13", draft_name(good) + &rfc_name(evil), false),
    ] {
        let request = draft(version, &lines);
        if is_let_in {
            speak::<R>(&mut Raw(stream_to::<R>(&url).await), &request).await;
        } else {
            let answer = refused::<R>(&url, &request).await;
            assert_eq!(answer.status, "HTTP/1.1 403 Forbidden", "{request}");
        }
        assert_eq!(told.recv().await.unwrap().requests.len(), usize::from(is_let_in), "{request}");
    }
}

async fn versions_that_are_not_spoken_are_refused<R: Adapter>() {
    let (url, mut told) = witness::server::<R>(CONFIG.clone()).await;
    let mut requests: Vec<_> = [
        "0", "4", "6", "9", "12", "14", "25", "255", "007", "08", "013", "+13", "-13", "13.0", "7, 8, 13",
        "8;", "", "hybi-13",
    ]
    .map(|version| draft(version, ""))
    .into();
    requests.push(draft("8", "Sec-WebSocket-Version: 13\r\n"));
    requests.push(but("Sec-WebSocket-Version: 13\r\n", ""));
    for request in requests {
        let answer = refused::<R>(&url, &request).await;
        assert_eq!(answer.status, "HTTP/1.1 426 Upgrade Required", "{request}");
        answer.assert_headers(&[
            ("connection", "Upgrade, close"),
            ("content-type", "text/plain; charset=utf-8"),
            ("sec-websocket-version", "13, 8, 7"),
            ("upgrade", "websocket"),
        ]);
        assert_eq!(told.recv().await.unwrap().requests, [], "{request}");
    }
    // What browsers spoke before version 4: it has keys of another kind, and 8 bytes behind the head.
    let hixie = "GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\
        Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\nSec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\n\
        Origin: http://localhost\r\n\r\n^n:ds[4U";
    let answer = refused::<R>(&url, hixie).await;
    assert_eq!(answer.status, "HTTP/1.1 400 Bad Request");
    answer.assert_headers(&[("connection", "close"), ("content-type", "text/plain; charset=utf-8")]);
    assert_eq!(told.recv().await.unwrap().requests, []);
}

async fn a_client_asks_for_version_13_and_tells_what_else_a_server_speaks<R: Adapter>() {
    let request = ClientRequest::new("ws://example.com/chat").unwrap();
    let own = request.clone().header("Sec-WebSocket-Version", "8").map(drop);
    assert_eq!(own, Err(InvalidHeader::Reserved));
    let (one, other) = streams::<R>().await;
    let server = async {
        let mut raw = Raw(other);
        let head = String::from_utf8(raw.read_until(b"\r\n\r\n").await.unwrap()).unwrap();
        assert_eq!(head.matches("Sec-WebSocket-Version").count(), 1);
        assert!(head.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{head}");
        let answer =
            "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8, 7\r\nContent-Length: 0\r\n\r\n";
        raw.write(answer.as_bytes()).await.unwrap();
        assert_eq!(raw.read_to_end().await.unwrap(), []);
    };
    let (client, ()) = tokio::join!(R::connect_on(one, &request, &CONFIG), server);
    let Err(Error::Rejected(response)) = client else { panic!("{client:?}") };
    assert_eq!(response.status(), Status::UPGRADE_REQUIRED);
    assert_eq!(response.header("sec-websocket-version"), Some("8, 7"));
}
