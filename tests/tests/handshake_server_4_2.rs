//! RFC 6455 §4.2: the opening handshake as a server does it.

use core::time::Duration;

use sansocket::{
    Accept, AcceptError, Cause, Config, Connection, Event, Input, InvalidHeader, Message, Refusal, Request,
    Response, Role, SendError, State, Status, Timer, Transport, Version,
};
use sansocket_tests::{START, at_every_split, receive, receive_accepting, take_output, wire};

/// The request of §1.2, with the key of §1.3.
const GOOD: &str = "GET /chat?room=1&x=?/ HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const ACCEPTED: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const TEXT_PLAIN: (&str, &str) = ("content-type", "text/plain; charset=utf-8");

/// The good request with `from` replaced.
fn but(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

/// The good request with these header lines at its end.
fn with(lines: &str) -> String {
    but("13\r\n\r\n", &format!("13\r\n{lines}\r\n\r\n"))
}

fn server() -> Connection {
    Connection::server(&Config::new(), START)
}

/// A server that waits for the application's answer to `request`.
fn asked(request: &str) -> (Connection, Request) {
    let mut server = server();
    let (events, rest) = receive(&mut server, START, request.as_bytes());
    let [Event::Request(request)] = &events[..] else { panic!("{request}: {events:?}") };
    assert_eq!(rest, 0);
    (server, request.clone())
}

/// A response on the wire, taken apart: names in lower case, sorted.
#[derive(Debug)]
struct Answer {
    status: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let text = core::str::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().to_owned();
        let mut headers: Vec<_> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        headers.sort_unstable();
        Self { status, headers, body: body.to_owned() }
    }

    /// Has these headers and no other, and a body of the length that it says.
    fn assert_headers(&self, expected: &[(&str, &str)]) {
        let length = self.body.len().to_string();
        let mut expected: Vec<_> = [expected, &[("content-length", &length)]].concat();
        expected.sort_unstable();
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        assert_eq!(headers, expected);
    }
}

fn assert_accepted(request: &str) {
    let record = at_every_split(server, request.as_bytes());
    assert!(matches!(&record.events[..], [Event::Request(request)] if request.is_upgrade()), "{request}");
    let answer = Answer::parse(&record.output);
    assert_eq!(answer.status, "HTTP/1.1 101 Switching Protocols");
    let expected = [("connection", "Upgrade"), ("sec-websocket-accept", ACCEPTED), ("upgrade", "websocket")];
    assert_eq!(answer.headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!((&answer.body[..], record.state), ("", State::Open));
}

#[test]
fn section_4_2_2_the_rfcs_request_gets_the_rfcs_answer() {
    assert_accepted(GOOD);
    let (mut server, _) = asked(GOOD);
    server.accept(START, Accept::new()).unwrap();
    assert_eq!((server.state(), server.transport()), (State::Open, Transport::Open));
    assert_eq!(server.agreed().unwrap().subprotocol(), None);
}

#[test]
fn section_4_4_versions_13_8_and_7_are_spoken() {
    let draft = |version: u8| {
        format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Origin: http://localhost\r\nSec-WebSocket-Version: {version}\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    };
    let rfc = draft(13).replace("Sec-WebSocket-Origin", "Origin");
    for (request, version) in [(draft(7), Version::V7), (draft(8), Version::V8), (rfc, Version::V13)] {
        assert_accepted(&request);
        let (_, request) = asked(&request);
        assert_eq!((request.version(), request.origin()), (Some(version), Some("http://localhost")));
    }
    // The old name means nothing in the new version.
    let (_, request) = asked(&draft(13));
    assert_eq!(request.origin(), None);
}

#[test]
fn section_4_2_1_names_and_tokens_may_stand_in_lists_and_in_any_case() {
    for (from, to) in [
        ("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
        ("Connection: Upgrade", "Connection: Upgrade,keep-alive"),
        ("Connection: Upgrade", "Connection: ,, keep-alive ,\tupgrade , "),
        ("Connection: Upgrade", "Connection: keep-alive\r\nConnection: UPGRADE"),
        ("Connection: Upgrade", "connection: upgrade"),
        ("Connection: Upgrade", "CONNECTION:Upgrade"),
        ("Upgrade: websocket", "Upgrade: foo, websocket"),
        ("Upgrade: websocket", "Upgrade: websocket, h2c/1"),
        ("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket"),
        ("Upgrade: websocket", "upgrade: WebSocket"),
        ("Upgrade: websocket", "UPGRADE:   WEBSOCKET   "),
        ("Host:", "hOsT:"),
        ("Sec-WebSocket-Key:", "SEC-WEBSOCKET-KEY:"),
        ("Sec-WebSocket-Version: 13", "sec-websocket-version:\t13 "),
        ("GET", "\r\nGET"),
        ("13\r\n", "13\r\nContent-Length: 0\r\n"),
        ("13\r\n", "13\r\nX-Empty:\r\nX-Latin-1: \u{e9}\r\n"),
    ] {
        assert_accepted(&but(from, to));
    }
}

#[test]
fn section_4_2_1_a_request_shows_what_the_client_asks() {
    let lines = "Sec-WebSocket-Protocol: chat, Super.Chat\r\nCookie: a=b\r\nCOOKIE: c=d\r\n\
        sec-websocket-protocol: v2\r\nOrigin: http://example.com";
    let (_, request) = asked(&with(lines));
    assert!(request.is_upgrade());
    assert_eq!(request.method(), "GET");
    assert_eq!(request.target(), "/chat?room=1&x=?/");
    assert_eq!((request.path(), request.query()), ("/chat", Some("room=1&x=?/")));
    assert_eq!((request.host(), request.origin()), (Some("example.com"), Some("http://example.com")));
    assert_eq!(request.version(), Some(Version::V13));
    assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["chat", "Super.Chat", "v2"]);
    assert_eq!((request.header("cookie"), request.header("absent")), (Some("a=b"), None));
    let headers: Vec<_> = request.headers().collect();
    assert_eq!(headers.len(), 10);
    assert_eq!(headers[0], ("Host", &b"example.com"[..]));
    assert_eq!(headers[7], ("COOKIE", &b"c=d"[..]));

    let (_, request) = asked(&but("/chat?room=1&x=?/", "/"));
    assert_eq!((request.path(), request.query(), request.origin()), ("/", None, None));
    let (_, request) = asked(&but("/chat?room=1&x=?/", "/%61pi/../x?"));
    assert_eq!((request.path(), request.query()), ("/%61pi/../x", Some("")));
    assert_eq!(request, request.clone());
    let (_, latin) = asked(&with("X: ok").replace("ok", "\u{e9}"));
    assert_eq!(latin.header("x"), Some("\u{e9}"));
}

#[test]
fn section_4_2_1_an_absolute_target_contains_the_resource_name() {
    for (target, path, query) in [
        ("http://example.com/chat?room=1", "/chat", Some("room=1")),
        ("https://example.com/chat", "/chat", None),
        ("http://example.com", "/", None),
        ("http://example.com?room=1", "/", Some("room=1")),
    ] {
        let (_, request) = asked(&but("/chat?room=1&x=?/", target));
        assert_eq!((request.path(), request.query()), (path, query), "{target}");
    }
}

#[test]
fn a_request_that_is_printed_keeps_its_headers_secret() {
    let secrets = "Cookie: session=s3cret\r\nAuthorization: Bearer s3cret";
    let (_, request) = asked(&with(secrets));
    for text in [format!("{request:?}"), format!("{request:#?}"), format!("{:?}", Event::Request(request))] {
        assert!(text.contains("/chat") && text.contains("V13"), "{text}");
        assert!(!text.contains("s3cret") && !text.contains("dGhl") && !text.contains("session"), "{text}");
    }
}

#[test]
fn section_1_9_a_subprotocol_is_chosen_from_those_that_were_offered() {
    let request = with("Sec-WebSocket-Protocol: chat, superchat");
    for chosen in ["chat", "superchat"] {
        let (mut server, _) = asked(&request);
        server.accept(START, Accept::new().subprotocol(chosen)).unwrap();
        let answer = Answer::parse(&take_output(&mut server));
        assert!(answer.headers.contains(&("sec-websocket-protocol".to_owned(), chosen.to_owned())));
        assert_eq!(server.agreed().unwrap().subprotocol(), Some(chosen));
    }
    for (request, chosen) in
        [(&request[..], "Chat"), (&request, "chat, superchat"), (&request, ""), (GOOD, "chat")]
    {
        let (mut server, _) = asked(request);
        let outcome = server.accept(START, Accept::new().subprotocol(chosen));
        assert_eq!(outcome, Err(AcceptError::SubprotocolNotOffered), "{chosen:?}");
        // The request waits on.
        assert_eq!((server.state(), server.transmit().is_empty()), (State::Connecting, true));
        assert_eq!(server.poll_timeout(), None);
        server.accept(START, Accept::new()).unwrap();
        assert_eq!(server.state(), State::Open);
        let answer = Answer::parse(&take_output(&mut server));
        assert!(!answer.headers.iter().any(|(name, _)| name == "sec-websocket-protocol"), "{answer:?}");
    }
}

#[test]
fn section_4_2_2_the_application_adds_headers_and_not_those_of_the_handshake() {
    let (mut server, _) = asked(GOOD);
    let accept = Accept::new()
        .header("Set-Cookie", "a=b; Path=/")
        .unwrap()
        .header("set-cookie", "c=\u{e9}\t\"d\"")
        .unwrap()
        .header("X-Empty", "")
        .unwrap();
    server.accept(START, accept).unwrap();
    let answer = Answer::parse(&take_output(&mut server));
    let cookies: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
    assert_eq!(cookies.len(), 2);
    assert_eq!((&cookies[0].1[..], &cookies[1].1[..]), ("a=b; Path=/", "c=\u{e9}\t\"d\""));
    assert_eq!(answer.headers.len(), 6);

    for (name, value, error) in [
        ("Connection", "close", InvalidHeader::Reserved),
        ("UPGRADE", "h2c", InvalidHeader::Reserved),
        ("content-length", "5", InvalidHeader::Reserved),
        ("Transfer-Encoding", "chunked", InvalidHeader::Reserved),
        ("Host", "evil.example", InvalidHeader::Reserved),
        ("Trailer", "X", InvalidHeader::Reserved),
        ("Sec-WebSocket-Accept", "x", InvalidHeader::Reserved),
        ("sec-websocket-extensions", "permessage-deflate", InvalidHeader::Reserved),
        ("Sec-WebSocket-Protocol", "x", InvalidHeader::Reserved),
        ("SEC-WEBSOCKET-Whatever", "x", InvalidHeader::Reserved),
        ("", "x", InvalidHeader::Name),
        ("X Y", "x", InvalidHeader::Name),
        ("X:", "x", InvalidHeader::Name),
        ("X\r\nY", "x", InvalidHeader::Name),
        ("\u{dc}", "x", InvalidHeader::Name),
        ("X", "a\rb", InvalidHeader::Value),
        ("X", "a\nb", InvalidHeader::Value),
        ("X", "a\r\nSet-Cookie: evil", InvalidHeader::Value),
        ("X", "a\0b", InvalidHeader::Value),
        ("X", "a\u{7f}", InvalidHeader::Value),
        ("X", "a\u{1b}", InvalidHeader::Value),
    ] {
        assert_eq!(Accept::new().header(name, value).unwrap_err(), error, "{name:?} {value:?}");
        assert_eq!(
            Response::new(Status::OK).with_header(name, value).unwrap_err(),
            error,
            "{name:?} {value:?}"
        );
    }
}

#[test]
fn an_accepted_client_can_be_given_settings_of_its_own() {
    let frame = wire::frame(Role::Server, wire::TEXT, "Hello");
    for (made_with, accepted_with, fits) in
        [(1 << 20, None, true), (1 << 20, Some(4), false), (4, Some(5), true)]
    {
        let mut server = Connection::server(&Config::new().max_message(made_with), START);
        receive(&mut server, START, GOOD.as_bytes());
        let mut accept = Accept::new();
        if let Some(limit) = accepted_with {
            let idle = Some(Duration::from_secs(7));
            accept = accept.config(Config::new().max_message(limit).idle_timeout(idle));
        }
        server.accept(START, accept).unwrap();
        let half_idle = if accepted_with.is_some() { 3500 } else { 30_000 };
        let deadline = server.poll_timeout().unwrap();
        assert_eq!((deadline.at - START, deadline.why), (Duration::from_millis(half_idle), Timer::KeepAlive));
        take_output(&mut server);
        let (events, _) = receive(&mut server, START, &frame);
        if fits {
            assert_eq!(events, [Event::Message(Message::from("Hello"))]);
        } else {
            assert_eq!(events, []);
            assert_eq!(wire::parse(&take_output(&mut server))[0].payload, wire::close_payload(1009));
        }
    }
}

#[test]
fn what_follows_a_request_stays_with_the_caller_until_it_is_answered() {
    let frame = wire::frame(Role::Server, wire::TEXT, "Hello");
    let stream = [GOOD.as_bytes(), &frame].concat();
    for cut in 0..=stream.len() {
        for accepts in [true, false] {
            let mut server = server();
            let (mut events, _) = receive(&mut server, START, &stream[..cut]);
            let taken = cut.min(GOOD.len());
            let (more, rest) = receive(&mut server, START, &stream[taken..]);
            events.extend(more);
            assert!(matches!(events[..], [Event::Request(_)]), "cut at {cut}: {events:?}");
            assert_eq!((rest, server.wants_read()), (frame.len(), false));
            // Offering it again changes nothing.
            assert_eq!(receive(&mut server, START, &frame), (vec![], frame.len()));
            assert!(server.transmit().is_empty());
            if accepts {
                server.accept(START, Accept::new()).unwrap();
                assert!(server.wants_read());
                assert_eq!(receive(&mut server, START, &frame).0, [Event::Message(Message::from("Hello"))]);
                continue;
            }
            server.reject(START, Response::new(Status::NOT_FOUND));
            let output = take_output(&mut server);
            assert_eq!(receive(&mut server, START, &frame), (vec![], 0));
            assert_eq!(receive_accepting(&mut server, START, GOOD.as_bytes()), (vec![], 0));
            assert_eq!(take_output(&mut server), b"");
            assert!(output.starts_with(b"HTTP/1.1 404 Not Found\r\n"));
        }
    }
}

#[test]
fn an_application_rejects_with_a_response_of_its_own() {
    let (mut server, _) = asked(GOOD);
    let response = Response::new(Status::UNAUTHORIZED)
        .with_header("WWW-Authenticate", "Basic realm=\"x\"")
        .unwrap()
        .text("Who are you?");
    server.reject(START, response.clone());
    assert_eq!((server.state(), server.transport()), (State::Closing, Transport::Open));
    let expected = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Length: 12\r\nConnection: close\r\n\r\nWho are you?";
    assert_eq!(String::from_utf8(take_output(&mut server)).unwrap(), expected);
    assert_eq!(server.transport(), Transport::ShutdownWrite);
    assert_eq!(server.send("late"), Err(SendError::Closed));
    assert_eq!(server.accept(START, Accept::new()), Err(AcceptError::NoRequest));
    server.reject(START, response);
    assert!(server.transmit().is_empty());
    assert_eq!(server.receive_eof(START), None);
    let Transport::Close(end) = server.transport() else { panic!() };
    assert_eq!((end.cause(), end.is_orderly()), (&Cause::Rejected(Status::UNAUTHORIZED), true));
}

#[test]
fn a_rejection_is_written_as_http_has_it() {
    let head = GOOD.replacen("GET", "HEAD", 1).replacen("Upgrade: websocket\r\n", "", 1);
    let code = |code| Status::new(code).unwrap();
    let body = |code| Response::new(code).with_body("abc");
    for (request, response, expected) in [
        (GOOD, body(code(200)), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"),
        (GOOD, body(code(418)), "HTTP/1.1 418 \r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"),
        (&head, body(code(200)), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"),
        // An upgrade and other interim responses are not the application's to send.
        (
            GOOD,
            Response::new(Status::SWITCHING_PROTOCOLS),
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ),
    ] {
        let (mut server, _) = asked(request);
        server.reject(START, response);
        assert_eq!(String::from_utf8(take_output(&mut server)).unwrap(), expected);
    }
    assert_eq!((Status::new(99), Status::new(600)), (None, None));
}

#[test]
fn a_rejection_with_204_or_304_has_no_body_and_204_no_length() {
    // RFC 9110 §8.6, §15.3.5, §15.4.5.
    for code in [204, 304] {
        let (mut server, _) = asked(GOOD);
        server.reject(START, Response::new(Status::new(code).unwrap()).with_body("abc"));
        let output = String::from_utf8(take_output(&mut server)).unwrap();
        assert!(output.ends_with("\r\n\r\n"), "{output}");
        if code == 204 {
            assert!(!output.to_ascii_lowercase().contains("content-length"), "{output}");
        }
    }
}

#[test]
fn a_request_for_something_else_is_shown_and_told_to_upgrade_if_it_is_accepted() {
    for (from, to, method) in [
        ("Connection: Upgrade\r\n", "", "GET"),
        ("Upgrade: websocket\r\n", "", "GET"),
        ("Connection: Upgrade", "Connection: keep-alive", "GET"),
        ("Connection: Upgrade", "Connection: Upgraded, \"Upgrade\"", "GET"),
        ("Upgrade: websocket", "Upgrade: h2c", "GET"),
        ("Upgrade: websocket", "Upgrade: websocket/13", "GET"),
        (
            "GET /chat?room=1&x=?/ HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket",
            "POST / HTTP/1.1\r\nHost: x",
            "POST",
        ),
        (
            "GET /chat?room=1&x=?/ HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket",
            "get / HTTP/1.1\r\nHost: x",
            "get",
        ),
    ] {
        let request = but(from, to);
        let record = at_every_split(server, request.as_bytes());
        let [Event::Request(request)] = &record.events[..] else { panic!("{to}: {:?}", record.events) };
        assert!(!request.is_upgrade());
        assert_eq!((request.method(), request.version()), (method, None));
        let answer = Answer::parse(&record.output);
        if method == "GET" {
            assert_eq!(answer.status, "HTTP/1.1 426 Upgrade Required");
            answer.assert_headers(&[("connection", "Upgrade, close"), ("upgrade", "websocket"), TEXT_PLAIN]);
            assert!(answer.body.contains("must ask to upgrade"), "{answer:?}");
            assert_eq!(record.end.cause(), &Cause::Refused(Refusal::NoUpgrade));
        } else {
            assert_eq!(answer.status, "HTTP/1.1 405 Method Not Allowed");
            answer.assert_headers(&[("allow", "GET"), ("connection", "close"), TEXT_PLAIN]);
            assert_eq!(record.end.cause(), &Cause::Refused(Refusal::Method));
        }
        assert_eq!((record.state, record.shutdown), (State::Closing, true));
    }
}

#[test]
fn section_4_2_1_what_is_wrong_with_a_request_is_told() {
    let limit = format!("X: {}", "x".repeat(16 << 10));
    let origin = Refusal::Origin { origin: "http://evil.example".into(), host: "example.com".into() };
    let hixie = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\
        Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n\
        Origin: http://x\r\n\r\n^n:ds[4U";
    let table = [
        (but("Host: ", "Host : "), Refusal::Malformed, "400 Bad Request", "well-formed"),
        (with(&limit), Refusal::HeadTooLong, "431 Request Header Fields Too Large", "too long"),
        (
            with(&["X: y"; 96].join("\r\n")),
            Refusal::TooManyHeaders,
            "431 Request Header Fields Too Large",
            "too many headers",
        ),
        (but("HTTP/1.1", "HTTP/1.0"), Refusal::HttpVersion, "505 HTTP Version Not Supported", "HTTP/1.1"),
        (but("Host: example.com\r\n", ""), Refusal::Host, "400 Bad Request", "one Host"),
        (with("Content-Length: 5\r\n\r\nhello"), Refusal::Body, "400 Bad Request", "body"),
        (but("GET", "POST"), Refusal::Method, "405 Method Not Allowed", "GET"),
        (but(": 13", ": 12"), Refusal::Version, "426 Upgrade Required", "13, 8, 7"),
        (hixie.to_owned(), Refusal::Hixie76, "400 Bad Request", "before version 4"),
        (but("dGhlIHNhbXBsZSBub25jZQ==", "dGhl"), Refusal::Key, "400 Bad Request", "Sec-WebSocket-Key"),
        (
            with("Sec-WebSocket-Protocol: a, b, a"),
            Refusal::Subprotocols,
            "400 Bad Request",
            "Sec-WebSocket-Protocol",
        ),
        (
            with("Sec-WebSocket-Extensions: a;"),
            Refusal::Extensions,
            "400 Bad Request",
            "Sec-WebSocket-Extensions",
        ),
        (with("Origin: http://evil.example"), origin, "403 Forbidden", "http://evil.example"),
    ];
    for (request, refusal, status, says) in table {
        // What a smuggler would like to be taken for frames or another request.
        let tail = [wire::frame(Role::Server, wire::TEXT, "attack").as_slice(), GOOD.as_bytes()].concat();
        let stream = [request.as_bytes(), &tail].concat();
        let record = if stream.len() < 4096 {
            at_every_split(server, &stream)
        } else {
            sansocket_tests::splits::run(server(), [&stream[..]])
        };
        assert_eq!(record.events, [], "{refusal:?}");
        let answer = Answer::parse(&record.output);
        assert_eq!(answer.status, format!("HTTP/1.1 {status}"));
        assert_eq!(refusal.status().get().to_string(), status[..3]);
        match refusal {
            Refusal::Method => {
                answer.assert_headers(&[("allow", "GET"), ("connection", "close"), TEXT_PLAIN]);
            }
            Refusal::Version => answer.assert_headers(&[
                ("connection", "Upgrade, close"),
                ("sec-websocket-version", "13, 8, 7"),
                ("upgrade", "websocket"),
                TEXT_PLAIN,
            ]),
            _ => answer.assert_headers(&[("connection", "close"), TEXT_PLAIN]),
        }
        assert!(answer.body.contains(says), "{}", answer.body);
        assert_eq!(answer.body, refusal.to_string());
        assert_eq!((record.state, record.shutdown), (State::Closing, true));
        assert_eq!((record.end.sent(), record.end.received()), (None, None));
        assert!(!record.end.is_orderly());
        assert_eq!(record.end.cause(), &Cause::Refused(refusal));
    }
}

#[test]
fn a_refusal_is_written_before_the_transport_is_shut_down() {
    let mut server = server();
    // What stands behind it in the same read is taken with it: there is nothing that the caller could do about it.
    let request = but(": 13", ": 12") + GOOD;
    assert_eq!(receive(&mut server, START, request.as_bytes()), (vec![], 0));
    while !server.transmit().is_empty() {
        assert_eq!((server.transport(), server.state()), (Transport::Open, State::Closing));
        assert_eq!(server.send("x"), Err(SendError::Closed));
        server.transmitted(1);
    }
    assert_eq!(server.transport(), Transport::ShutdownWrite);
    // It reads on, so that no reset takes the response away, but not for ever.
    assert!(server.wants_read());
    assert_eq!(receive(&mut server, START, GOOD.as_bytes()), (vec![], 0));
    let deadline = server.poll_timeout().unwrap();
    assert_eq!((deadline.at - START, deadline.why), (Duration::from_secs(5), Timer::Close));
    server.handle_timeout(deadline.at);
    let Transport::Close(end) = server.transport() else { panic!() };
    assert_eq!(end.cause(), &Cause::Refused(Refusal::Version));
}

#[test]
fn the_answer_to_head_never_has_a_body() {
    // RFC 9110 §9.3.2. Refused by the library, asking for an upgrade or not.
    for request in [
        but("GET", "HEAD"),
        but("GET", "HEAD").replacen("Host: example.com\r\n", "", 1),
        but("GET", "HEAD").replacen("Upgrade: websocket\r\n", "", 1),
    ] {
        let mut server = server();
        receive_accepting(&mut server, START, request.as_bytes());
        let output = String::from_utf8(take_output(&mut server)).unwrap();
        assert!(output.starts_with("HTTP/1.1 4"), "{output}");
        assert!(output.ends_with("\r\n\r\n"), "{output}");
    }
}

#[test]
fn a_client_that_is_slow_is_told_and_one_that_says_nothing_is_dropped() {
    let config = Config::new().handshake_timeout(Some(Duration::from_secs(3)));
    for cut in [0, 1, 2, 100, GOOD.len() - 1] {
        let mut server = Connection::server(&config, START);
        let mut now = START;
        let deadline = server.poll_timeout().unwrap();
        assert_eq!((deadline.at - START, deadline.why), (Duration::from_secs(3), Timer::Handshake));
        for byte in GOOD.as_bytes()[..cut].chunks(1) {
            // A trickle does not help.
            now = now + Duration::from_millis(10);
            assert_eq!(receive(&mut server, now, byte), (vec![], 0));
            server.handle_timeout(now);
            assert_eq!(server.poll_timeout(), Some(deadline));
        }
        server.handle_timeout(deadline.at);
        let output = take_output(&mut server);
        if cut == 0 {
            assert_eq!(output, b"");
        } else {
            let answer = Answer::parse(&output);
            assert_eq!(answer.status, "HTTP/1.1 408 Request Timeout");
            answer.assert_headers(&[("connection", "close"), TEXT_PLAIN]);
            assert_eq!(answer.body, Refusal::TimedOut.to_string());
            assert_eq!(server.transport(), Transport::ShutdownWrite);
            // The rest comes too late.
            assert_eq!(receive(&mut server, deadline.at, &GOOD.as_bytes()[cut..]), (vec![], 0));
            assert_eq!(server.receive_eof(deadline.at), None);
        }
        let Transport::Close(end) = server.transport() else { panic!("{cut}") };
        assert_eq!(end.cause(), &Cause::TimedOut(Timer::Handshake));
        assert_eq!(server.poll_timeout(), None);
    }
}

#[test]
fn the_handshake_timer_rests_while_the_application_decides_and_is_gone_once_the_connection_is_open() {
    let (mut server, _) = asked(GOOD);
    assert_eq!(server.poll_timeout(), None);
    let late = START + Duration::from_secs(3600);
    server.handle_timeout(late);
    assert_eq!((server.state(), server.transport()), (State::Connecting, Transport::Open));
    server.accept(late, Accept::new()).unwrap();
    let deadline = server.poll_timeout().unwrap();
    assert_eq!((deadline.at - late, deadline.why), (Duration::from_secs(30), Timer::KeepAlive));
    server.handle_timeout(late + Duration::from_secs(20));
    assert_eq!((server.state(), server.transport()), (State::Open, Transport::Open));

    let patient = Connection::server(&Config::new().handshake_timeout(None), START);
    assert_eq!(patient.poll_timeout(), None);
}

#[test]
fn a_client_that_goes_away_at_any_byte_of_its_request_is_lost() {
    for cut in 0..=GOOD.len() {
        let mut server = server();
        let (events, rest) = receive(&mut server, START, &GOOD.as_bytes()[..cut]);
        assert_eq!((events.len(), rest), (usize::from(cut == GOOD.len()), 0));
        assert_eq!(server.receive_eof(START), None);
        let Transport::Close(end) = server.transport() else { panic!("{cut}") };
        assert_eq!(end.cause(), &Cause::Lost);
        assert_eq!((server.state(), server.transmit().is_empty()), (State::Closed, true));
        // An answer that comes late is no panic, and goes nowhere.
        assert_eq!(server.accept(START, Accept::new()), Err(AcceptError::NoRequest));
        server.reject(START, Response::new(Status::OK));
        assert!(server.transmit().is_empty());
    }
}

#[test]
fn nothing_is_answered_or_sent_before_there_is_a_request() {
    let mut server = server();
    for bytes in [&b""[..], &GOOD.as_bytes()[..50]] {
        receive(&mut server, START, bytes);
        assert_eq!(server.accept(START, Accept::new()), Err(AcceptError::NoRequest));
        server.reject(START, Response::new(Status::OK));
        assert_eq!(server.send("early"), Err(SendError::NotOpen));
        assert_eq!(server.ping(b""), Err(SendError::NotOpen));
        assert_eq!(server.close(START, sansocket::CloseCode::NORMAL_CLOSURE), Err(SendError::NotOpen));
        assert!(server.transmit().is_empty());
        assert_eq!((server.state(), server.agreed()), (State::Connecting, None));
    }
    let mut rest = GOOD.as_bytes()[50..].to_vec();
    let mut input = Input::new(&mut rest);
    assert!(matches!(server.receive(START, &mut input), Some(Event::Request(_))));
    assert_eq!(server.send("early"), Err(SendError::NotOpen));
    server.accept(START, Accept::new()).unwrap();
    assert_eq!(server.accept(START, Accept::new()), Err(AcceptError::NoRequest));
    assert_eq!(AcceptError::NoRequest.to_string(), "no request is waiting for an answer");
}

#[test]
fn rfc_9110_section_9_3_2_the_answer_to_head_behind_an_empty_line_has_no_body() {
    let record = at_every_split(|| Connection::server(&Config::new(), START), b"\r\nHEAD / HTTP/1.1\r\n\r\n");
    assert!(record.output.starts_with(b"HTTP/1.1 400 "));
    assert!(record.output.ends_with(b"\r\n\r\n"));
}
