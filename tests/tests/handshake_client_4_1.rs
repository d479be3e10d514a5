//! RFC 6455 §4.1: the opening handshake as a client does it. Rejections are in `handshake_rejected_4_1.rs`.

use core::time::Duration;
use std::collections::HashSet;

use sansocket::{
    Accept, Cause, ClientRequest, Config, Connection, Event, HandshakeError, InvalidHeader, InvalidUrl, Kind,
    Message, Response, Role, Seed, SendError, State, Status, Timer, Transport,
};
use sansocket_tests::heads::answer_to;
use sansocket_tests::hostile::responses;
use sansocket_tests::{SEED, START, asking, at_every_split, receive, take_output, wire};

fn ask(url: &str) -> ClientRequest {
    ClientRequest::new(url).unwrap()
}

/// A client that asks this, its request taken from it.
fn client_of(request: &ClientRequest) -> Connection {
    let mut client = Connection::client(&Config::new(), request, SEED, START);
    take_output(&mut client);
    client
}

fn client() -> Connection {
    asking(&Config::new()).0
}

/// The request line and the header fields of a head, names as they stand.
fn parse(head: &[u8]) -> (String, Vec<(String, String)>) {
    let text = core::str::from_utf8(head).unwrap().strip_suffix("\r\n\r\n").unwrap();
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap().to_owned();
    let fields = lines.map(|line| line.split_once(": ").unwrap());
    (first, fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn values<'f>(fields: &'f [(String, String)], name: &str) -> Vec<&'f str> {
    fields.iter().filter(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| &value[..]).collect()
}

/// The answer of our server to a client with the tests' seed.
fn good() -> String {
    answer_to(&asking(&Config::new()).1, &Config::new())
}

/// The good answer with `from` replaced.
fn but(from: &str, to: &str) -> String {
    responses::but(&good(), from, to)
}

/// The good answer with these header lines at its end.
fn with(lines: &str) -> String {
    responses::with(&good(), lines)
}

/// 16 bytes from base64.
fn decode(key: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = key.strip_suffix("==").unwrap();
    let bits = digits.bytes().map(|digit| ALPHABET.iter().position(|byte| *byte == digit).unwrap());
    let bits: Vec<_> = bits.flat_map(|digit| (0..6).rev().map(move |bit| digit >> bit & 1)).collect();
    let (bytes, rest) = bits.as_chunks::<8>();
    assert_eq!(rest, [0; 4], "bits behind the last byte");
    bytes
        .iter()
        .map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | u8::try_from(*bit).unwrap()))
        .collect()
}

#[test]
fn section_4_1_a_request_is_what_the_rfc_asks_for() {
    let request = ask("ws://example.com:9001/chat?room=1")
        .header("Origin", "http://example.com")
        .unwrap()
        .header("Cookie", "a=b")
        .unwrap()
        .header("cookie", "c=\u{e9}")
        .unwrap()
        .subprotocol("superchat")
        .unwrap()
        .subprotocol("chat")
        .unwrap()
        .subprotocol("superchat")
        .unwrap();
    let mut client = Connection::client(&Config::new(), &request, SEED, START);
    assert_eq!((client.state(), client.role(), client.agreed()), (State::Connecting, Role::Client, None));
    let (line, mut fields) = parse(&take_output(&mut client));
    assert_eq!(line, "GET /chat?room=1 HTTP/1.1");
    let key = fields.iter().position(|(name, _)| name == "Sec-WebSocket-Key").unwrap();
    assert_eq!(decode(&fields.remove(key).1).len(), 16);
    fields.sort_unstable();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    assert_eq!(
        fields,
        [
            ("Connection", "Upgrade"),
            ("Cookie", "a=b"),
            ("Host", "example.com:9001"),
            ("Origin", "http://example.com"),
            ("Sec-WebSocket-Protocol", "superchat, chat"),
            ("Sec-WebSocket-Version", "13"),
            ("Upgrade", "websocket"),
            ("cookie", "c=\u{e9}"),
        ]
    );
    // Without anything asked for, none of it is there.
    let (_, fields) = parse(&asking(&Config::new()).1);
    assert_eq!(fields.len(), 5);
}

#[test]
fn section_4_1_a_url_says_where_to_connect_and_what_to_ask_for() {
    for (url, secure, host, port, header, target) in [
        ("ws://example.com", false, "example.com", 80, "example.com", "/"),
        ("ws://example.com:80/", false, "example.com", 80, "example.com", "/"),
        ("ws://example.com:443/", false, "example.com", 443, "example.com:443", "/"),
        ("wss://example.com/x", true, "example.com", 443, "example.com", "/x"),
        ("wss://example.com:443/x", true, "example.com", 443, "example.com", "/x"),
        ("wss://example.com:80/x", true, "example.com", 80, "example.com:80", "/x"),
        ("WSS://Example.com:65535?q=/", true, "Example.com", 65535, "Example.com:65535", "/?q=/"),
        ("ws://127.0.0.1:1/", false, "127.0.0.1", 1, "127.0.0.1:1", "/"),
        ("ws://[::1]/", false, "::1", 80, "[::1]", "/"),
        ("ws://[2001:db8::1]:8080/a%20b", false, "2001:db8::1", 8080, "[2001:db8::1]:8080", "/a%20b"),
    ] {
        let request = ask(url);
        assert_eq!((request.is_secure(), request.host(), request.port()), (secure, host, port), "{url}");
        assert_eq!(request.target(), target, "{url}");
        let mut client = Connection::client(&Config::new(), &request, SEED, START);
        let (line, fields) = parse(&take_output(&mut client));
        assert_eq!((line, values(&fields, "host")), (format!("GET {target} HTTP/1.1"), vec![header]));
    }
}

#[test]
fn section_4_1_a_request_that_cannot_be_sent_cannot_be_made() {
    for (url, error) in [
        ("", InvalidUrl::Scheme),
        ("example.com", InvalidUrl::Scheme),
        ("http://example.com", InvalidUrl::Scheme),
        ("ws:/example.com", InvalidUrl::Scheme),
        (" ws://example.com", InvalidUrl::Scheme),
        ("ws://", InvalidUrl::Host),
        ("ws:///chat", InvalidUrl::Host),
        ("ws://:80/", InvalidUrl::Host),
        ("ws://?x", InvalidUrl::Host),
        ("ws://[::1", InvalidUrl::Host),
        ("ws://[1.2.3.4]/", InvalidUrl::Host),
        ("ws://::1/", InvalidUrl::Host),
        ("ws://a\\b/", InvalidUrl::Character),
        ("ws://example.com:0/", InvalidUrl::Port),
        ("ws://example.com:65536/", InvalidUrl::Port),
        ("ws://example.com:-1/", InvalidUrl::Port),
        ("ws://example.com:+1/", InvalidUrl::Port),
        ("ws://example.com:8o/", InvalidUrl::Port),
        ("ws://me@example.com/", InvalidUrl::Userinfo),
        ("wss://me:secret@example.com/", InvalidUrl::Userinfo),
        ("ws://example.com/#", InvalidUrl::Fragment),
        ("ws://example.com#top", InvalidUrl::Fragment),
        ("ws://example.com/a b", InvalidUrl::Character),
        ("ws://example.com/\r\nX:y", InvalidUrl::Character),
        ("ws://example.com/\0", InvalidUrl::Character),
        ("ws://example.com\t/", InvalidUrl::Character),
        ("ws://ex\u{e4}mple.com/", InvalidUrl::Character),
        ("ws://example.com/ ", InvalidUrl::Character),
    ] {
        assert_eq!(ClientRequest::new(url).unwrap_err(), error, "{url:?}");
    }
    for (name, value, error) in [
        ("Sec-WebSocket-Key", "x", InvalidHeader::Reserved),
        ("sec-websocket-protocol", "x", InvalidHeader::Reserved),
        ("host", "x", InvalidHeader::Reserved),
        ("Connection", "x", InvalidHeader::Reserved),
        ("Upgrade", "x", InvalidHeader::Reserved),
        ("Content-Length", "0", InvalidHeader::Reserved),
        ("Transfer-Encoding", "chunked", InvalidHeader::Reserved),
        ("", "x", InvalidHeader::Name),
        ("X Y", "x", InvalidHeader::Name),
        ("X", "a\r\nY: b", InvalidHeader::Value),
        ("X", "a\0", InvalidHeader::Value),
    ] {
        assert_eq!(ask("ws://example.com").header(name, value).unwrap_err(), error, "{name} {value:?}");
    }
    for name in ["", "a b", "a,b", "a\r\nb", "\u{e4}", "a;b", "\"a\""] {
        let outcome = ask("ws://example.com").subprotocol(name);
        assert_eq!(outcome.unwrap_err(), InvalidHeader::Value, "{name:?}");
    }
}

#[test]
fn section_4_1_the_key_is_random_and_the_same_for_the_same_seed() {
    let head = |seed: u16| {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&seed.to_be_bytes());
        let mut client = Connection::client(&Config::new(), &ask("ws://x"), Seed::new(bytes), START);
        take_output(&mut client)
    };
    let mut keys = HashSet::new();
    for seed in 0..1000 {
        let (_, fields) = parse(&head(seed));
        let key = decode(values(&fields, "sec-websocket-key")[0]);
        assert_eq!(key.len(), 16);
        assert!(keys.insert(key), "seed {seed} repeats a key");
    }
    assert_eq!(head(7), head(7));
    // Every bit is drawn: each is set in about half of the keys.
    for bit in 0..128 {
        let set = keys.iter().filter(|key| key[bit / 8] >> (bit % 8) & 1 == 1).count();
        assert!((400..=600).contains(&set), "bit {bit} is set in {set} of 1000");
    }
    // The key that everybody sees is no masking key.
    let mut client = Connection::client(&Config::new(), &ask("ws://example.com/"), SEED, START);
    let key = decode(values(&parse(&take_output(&mut client)).1, "sec-websocket-key")[0]);
    receive(&mut client, START, good().as_bytes());
    client.send("x").unwrap();
    let frame = take_output(&mut client);
    assert!(!key.as_chunks::<4>().0.contains(frame[2..6].try_into().unwrap()));
}

#[test]
fn section_4_1_a_good_answer_opens_the_connection() {
    for (from, to) in [
        ("", ""),
        ("101 Switching Protocols", "101 "),
        ("Upgrade: websocket", "upgrade:WebSocket  "),
        ("Connection: Upgrade", "CONNECTION: keep-alive, upgrade"),
        ("Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade"),
        ("Upgrade: websocket", "Upgrade: websocket\r\nSet-Cookie: a=b\r\nX-Latin: \u{e9}"),
    ] {
        let answer = but(from, to);
        // Frames behind it in the same read are received.
        let frames =
            [wire::frame(Role::Client, wire::TEXT, "Hello"), wire::close(Role::Client, 1000, "")].concat();
        let record = at_every_split(client, &[answer.as_bytes(), &frames].concat());
        let [Event::Open(response), Event::Message(message), Event::Close(_)] = &record.events[..] else {
            panic!("{answer}: {:?}", record.events)
        };
        assert_eq!((response.status(), response.body()), (Status::SWITCHING_PROTOCOLS, &b""[..]));
        assert_eq!(response.header("upgrade").unwrap().to_ascii_lowercase(), "websocket");
        assert_eq!(response.header("set-cookie"), to.contains("Cookie").then_some("a=b"));
        assert_eq!(message, &Message::from("Hello"));
        assert!(record.end.is_clean());
    }
    let mut client = client();
    receive(&mut client, START, good().as_bytes());
    assert_eq!((client.state(), client.transport()), (State::Open, Transport::Open));
    assert_eq!(client.agreed().unwrap().subprotocol(), None);
    assert_eq!(client.poll_timeout().unwrap().why, Timer::KeepAlive);
}

#[test]
fn section_4_1_a_subprotocol_must_be_one_that_was_offered() {
    let request = ask("ws://example.com/").subprotocol("v1").unwrap().subprotocol("v2").unwrap();
    for (line, outcome) in [
        ("X: y", Ok(None)),
        ("Sec-WebSocket-Protocol: v1", Ok(Some("v1"))),
        ("sec-websocket-protocol:v2 ", Ok(Some("v2"))),
        ("Sec-WebSocket-Protocol: v3", Err(HandshakeError::Subprotocol)),
        ("Sec-WebSocket-Protocol: V1", Err(HandshakeError::Subprotocol)),
        ("Sec-WebSocket-Protocol: v1, v2", Err(HandshakeError::Subprotocol)),
        ("Sec-WebSocket-Protocol: v1\r\nSec-WebSocket-Protocol: v2", Err(HandshakeError::Subprotocol)),
        ("Sec-WebSocket-Protocol: v1\r\nSec-WebSocket-Protocol: v1", Err(HandshakeError::Subprotocol)),
        ("Sec-WebSocket-Protocol:", Err(HandshakeError::Subprotocol)),
    ] {
        let record = at_every_split(|| client_of(&request), with(line).as_bytes());
        let mut client = client_of(&request);
        receive(&mut client, START, with(line).as_bytes());
        match outcome {
            Ok(chosen) => {
                assert!(matches!(record.events[..], [Event::Open(_)]), "{line}");
                assert_eq!(client.agreed().unwrap().subprotocol(), chosen);
            }
            Err(error) => assert_eq!(record.end.cause(), &Cause::Handshake(error), "{line}"),
        }
    }
}

#[test]
fn section_4_1_eight_interim_responses_are_skipped() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(7)
        + "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\nContent-Length: 9\r\n\r\n";
    let record = at_every_split(client, (interim.clone() + &good()).as_bytes());
    assert!(matches!(&record.events[..], [Event::Open(response)] if response.header("link").is_none()));
    let record = at_every_split(client, (interim + "HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n").as_bytes());
    assert!(
        matches!(&record.events[..], [Event::Rejected(response)] if response.status() == Status::NOT_FOUND)
    );
}

#[test]
fn a_server_that_goes_away_within_its_answer_is_lost_and_within_a_body_has_answered() {
    for (fields, body) in [
        ("Content-Length: 5\r\n", "Hello"),
        ("", "Hello"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nHello\r\n0\r\n\r\n"),
    ] {
        let head = format!("HTTP/1.1 403 Forbidden\r\n{fields}\r\n");
        let stream = head.clone() + body;
        for cut in 0..stream.len() {
            let mut client = client();
            let (events, _) = receive(&mut client, START, &stream.as_bytes()[..cut]);
            assert_eq!(events, [], "{cut}");
            let event = client.receive_eof();
            let Transport::Close(end) = client.transport() else { panic!("{cut}") };
            if cut < head.len() {
                assert_eq!((event, end.cause()), (None, &Cause::Lost), "{cut}");
            } else {
                let Some(Event::Rejected(response)) = event else { panic!("{cut}: {event:?}") };
                assert!(b"Hello".starts_with(response.body()), "{response:?}");
                assert_eq!(end.cause(), &Cause::Rejected(Status::FORBIDDEN));
            }
            assert_eq!(client.receive_eof(), None);
        }
    }
    for cut in 0..good().len() {
        let mut client = client();
        assert_eq!(receive(&mut client, START, &good().as_bytes()[..cut]).0, []);
        assert_eq!(client.receive_eof(), None);
        let Transport::Close(end) = client.transport() else { panic!("{cut}") };
        assert_eq!((end.cause(), client.state()), (&Cause::Lost, State::Closed));
    }
}

#[test]
fn a_server_that_is_slow_is_given_up() {
    for come in ["", "H", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n"] {
        let (mut client, _) = asking(&Config::new().handshake_timeout(Some(Duration::from_secs(3))));
        let deadline = client.poll_timeout().unwrap();
        assert_eq!((deadline.at - START, deadline.why), (Duration::from_secs(3), Timer::Handshake));
        for (i, byte) in (0..).zip(come.as_bytes().chunks(1)) {
            receive(&mut client, START + Duration::from_millis(10 * i), byte);
            assert_eq!(client.poll_timeout(), Some(deadline));
        }
        client.handle_timeout(deadline.at);
        let Transport::Close(end) = client.transport() else { panic!("{come}") };
        assert_eq!(end.cause(), &Cause::TimedOut(Timer::Handshake));
        assert_eq!(receive(&mut client, deadline.at, good().as_bytes()), (vec![], 0));
        assert_eq!(client.state(), State::Closed);
    }
}

#[test]
fn nothing_is_sent_before_the_answer() {
    let mut client = client();
    for bytes in [&b""[..], b"HTTP/1.1 100 Continue\r\n\r\n", &good().as_bytes()[..good().len() - 1]] {
        receive(&mut client, START, bytes);
        assert_eq!(client.can_send(), Err(SendError::NotOpen));
        assert_eq!(client.send("early"), Err(SendError::NotOpen));
        let rejected = client.try_send("early").unwrap_err();
        assert_eq!((rejected.message, rejected.error), (Message::from("early"), SendError::NotOpen));
        assert_eq!(client.begin(Kind::Text), Err(SendError::NotOpen));
        assert_eq!(client.ping(b""), Err(SendError::NotOpen));
        assert_eq!(client.pong(b""), Err(SendError::NotOpen));
        assert_eq!(client.close(START, sansocket::CloseCode::NORMAL_CLOSURE), Err(SendError::NotOpen));
        assert_eq!(client.accept(START, Accept::new()), Err(sansocket::AcceptError::NoRequest));
        client.reject(START, Response::new(Status::OK));
        assert_eq!((client.transmit().is_empty(), client.buffered()), (true, 0));
        assert_eq!(client.state(), State::Connecting);
    }
    receive(&mut client, START, b"\n");
    assert_eq!(client.state(), State::Open);
    client.send("now").unwrap();
    assert_eq!(wire::parse(&take_output(&mut client))[0].payload, b"now");
}

/// RFC 9112 §2.2 lets a server ignore an empty line, and no client.
#[test]
fn section_4_1_a_response_behind_an_empty_line_is_none() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    let refusal = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    for before in ["\r\n".to_owned(), "\r\n\r\n".to_owned(), "\n".to_owned(), format!("{interim}\r\n")] {
        for answer in [&good()[..], refusal] {
            let record = at_every_split(client, format!("{before}{answer}").as_bytes());
            assert_eq!(record.end.cause(), &Cause::Handshake(HandshakeError::Malformed), "{before:?}");
            assert_eq!(record.events, []);
        }
    }
}
