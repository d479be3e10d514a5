//! RFC 6455 §4.2.2: what a server answers to a request that it does not accept.

use core::time::Duration;

use sansocket::{
    Accept, AcceptError, Cause, ClientRequest, Config, Connection, Event, Refusal, Request, Response, Role,
    SendError, State, Status, Timer, Transport,
};
use sansocket_tests::heads::{Answer, GOOD, asked, but, server, with};
use sansocket_tests::{SEED, START, at_every_split, receive, receive_accepting, take_output, wire};

const TEXT_PLAIN: (&str, &str) = ("content-type", "text/plain; charset=utf-8");

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
    assert_eq!(server.receive_eof(), None);
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
fn responses_are_equal_if_status_and_fields_and_body_are() {
    let response = |status, value: &str, body: &str| {
        Response::new(status).with_header("X-Why", value).unwrap().with_body(body)
    };
    let one = response(Status::FORBIDDEN, "because", "no");
    assert_eq!(one, response(Status::FORBIDDEN, "because", "no"));
    assert_ne!(one, response(Status::NOT_FOUND, "because", "no"));
    assert_ne!(one, response(Status::FORBIDDEN, "and", "no"));
    assert_ne!(one, response(Status::FORBIDDEN, "because", "yes"));
}

#[test]
fn a_response_has_one_content_type_that_of_its_body() {
    let types = |response: &Response| -> Vec<String> {
        let of_type = response.headers().filter(|(name, _)| name.eq_ignore_ascii_case("Content-Type"));
        of_type.map(|(_, value)| String::from_utf8(value.to_vec()).unwrap()).collect()
    };
    let response = Response::new(Status::FORBIDDEN).with_header("content-type", "x/y").unwrap();
    let response = response.with_header("X-Else", "z").unwrap();
    let text = response.clone().text("no");
    assert_eq!((types(&text), text.body()), (vec!["text/plain; charset=utf-8".into()], &b"no"[..]));
    let html = text.html("<b>no</b>");
    assert_eq!((types(&html), html.body()), (vec!["text/html; charset=utf-8".into()], &b"<b>no</b>"[..]));
    assert_eq!(html.header("x-else"), Some("z"));
}

/// A gateway may pass on what its own server said.
#[test]
fn a_response_that_was_received_is_written_as_one_of_our_own() {
    let passed_on = |response: Response| {
        let mut server = server();
        receive(&mut server, START, GOOD.as_bytes());
        server.reject(START, response);
        String::from_utf8(take_output(&mut server)).unwrap()
    };
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let client = || {
        let mut client = Connection::client(&Config::new(), &request, SEED, START);
        let asked = take_output(&mut client);
        (client, asked)
    };

    let (mut rejected, _) = client();
    let head = "HTTP/1.1 403 No\r\nX-Why: because\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nTrailer: X\r\n";
    let body = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let (events, _) = receive(&mut rejected, START, [head, body].concat().as_bytes());
    let [Event::Rejected(response)] = &events[..] else { panic!("{events:?}") };
    let expected =
        "HTTP/1.1 403 Forbidden\r\nX-Why: because\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    assert_eq!(passed_on(response.clone()), expected);

    let (mut opened, asked) = client();
    let mut upstream = server();
    receive(&mut upstream, START, &asked);
    upstream.accept(START, Accept::new()).unwrap();
    let (events, _) = receive(&mut opened, START, &take_output(&mut upstream));
    let [Event::Open(response)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(response.status().get(), 101);
    assert!(passed_on(response.clone()).starts_with("HTTP/1.1 500 Internal Server Error\r\n"));
}

#[test]
fn rfc_9110_section_15_the_statuses_of_a_handshake_have_their_reasons() {
    for (code, reason) in [
        (200, "OK"),
        (204, "No Content"),
        (301, "Moved Permanently"),
        (302, "Found"),
        (303, "See Other"),
        (304, "Not Modified"),
        (307, "Temporary Redirect"),
        (308, "Permanent Redirect"),
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (408, "Request Timeout"),
        (426, "Upgrade Required"),
        (429, "Too Many Requests"),
        (431, "Request Header Fields Too Large"),
        (500, "Internal Server Error"),
        (503, "Service Unavailable"),
        (505, "HTTP Version Not Supported"),
    ] {
        let (mut server, _) = asked(GOOD);
        let status = Status::new(code).unwrap();
        server.reject(START, Response::new(status));
        let answer = Answer::parse(&take_output(&mut server));
        assert_eq!(answer.status, format!("HTTP/1.1 {code} {reason}"));
        assert_eq!(status.to_string(), code.to_string());
    }
}

/// RFC 9112 §3.2.4.
#[test]
fn an_asterisk_is_the_target_of_options_and_of_nothing_else() {
    let plain = |line: &str| {
        but("GET /chat?room=1&x=?/", line).replacen("Upgrade: websocket\r\nConnection: Upgrade\r\n", "", 1)
    };
    let (_, request) = asked(&plain("OPTIONS *"));
    assert_eq!((request.method(), request.target(), request.is_upgrade()), ("OPTIONS", "*", false));
    for line in ["GET *", "OPTIONS chat", "OPTIONS **"] {
        let record = at_every_split(server, plain(line).as_bytes());
        assert_eq!(record.end.cause(), &Cause::Refused(Refusal::Malformed), "{line}");
    }
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

/// A name more would take more memory than a request may.
#[test]
fn a_client_may_offer_64_subprotocols_that_are_different() {
    let names = |count: usize| (0..count).map(|i| format!("p{i}")).collect::<Vec<_>>();
    let one_field = |names: &[String]| with(&format!("Sec-WebSocket-Protocol: {}", names.join(", ")));
    let many_fields = |names: &[String]| {
        with(
            &names
                .iter()
                .map(|name| format!("Sec-WebSocket-Protocol: {name}"))
                .collect::<Vec<_>>()
                .join("\r\n"),
        )
    };
    assert_eq!(Request::MAX_SUBPROTOCOLS, 64);
    for request in [one_field, many_fields] {
        let (mut server, asked) = asked(&request(&names(64)));
        assert_eq!(asked.subprotocols().collect::<Vec<_>>(), names(64));
        server.accept(START, Accept::new().subprotocol("p63")).unwrap();
        assert_eq!(Answer::parse(&take_output(&mut server)).header("sec-websocket-protocol"), Some("p63"));
        let mut twice = names(64);
        twice[63] = "p0".into();
        let mut no_token = names(64);
        no_token[63] = "p 63".into();
        for offered in [names(65), twice, no_token] {
            let record = sansocket_tests::splits::run(self::server(), [request(&offered).as_bytes()]);
            assert_eq!(record.events, []);
            assert_eq!(record.end.cause(), &Cause::Refused(Refusal::Subprotocols), "{offered:?}");
        }
    }
    // Of a request for something else they are a header like any other.
    let other = one_field(&names(65)).replacen("Upgrade: websocket\r\n", "", 1);
    assert_eq!(asked(&other).1.subprotocols().count(), 65);
}

/// An answer, a verdict and its line in a log are short, whatever a client writes.
#[test]
fn a_refusal_repeats_at_most_256_bytes_of_what_a_client_wrote() {
    let hosts = Config::new().hosts(["example.org"]);
    for (character, escaped) in
        [("x", "x"), ("\u{300}", "\\u{300}"), ("€", "€"), ("😀", "😀"), ("\"", "\\\"")]
    {
        for bytes in [250, 255, 256, 257, 258, 259, 260, 300, 1000, 8000] {
            let text = |begin: &str| {
                let text = begin.to_owned() + &character.repeat((bytes - begin.len()) / character.len());
                let fits = |end: &usize| text.is_char_boundary(*end);
                let cut = text.len() > 256;
                let end = if cut { (0..=253).rfind(fits).unwrap() } else { text.len() };
                let repeated = text[..end].to_owned() + if cut { "…" } else { "" };
                assert!(repeated.len() <= Refusal::MAX_QUOTED);
                (text, repeated)
            };
            let (origin, repeated) = text("http://");
            let refused = |config: &Config, head: &str| {
                let mut server = Connection::server(config, START);
                assert_eq!(receive(&mut server, START, head.as_bytes()), (vec![], 0));
                let answer = Answer::parse(&take_output(&mut server));
                server.receive_eof();
                let Transport::Close(end) = server.transport() else { panic!("not over") };
                assert!(answer.body.len() < 2048 && end.to_string().len() < 2048, "{end}");
                assert!(answer.body.contains(&escaped.repeat(20)), "{}", answer.body);
                end.cause().clone()
            };
            let refusal = Refusal::Origin { origin: repeated, host: "example.com".into() };
            assert_eq!(refused(&Config::new(), &with(&format!("Origin: {origin}"))), Cause::Refused(refusal));
            if character == "x" {
                let (host, repeated) = text("");
                let head = but("example.com", &host);
                let refusal = Refusal::ForeignHost { host: repeated.clone() };
                assert_eq!(refused(&hosts, &head), Cause::Refused(refusal));
                let refusal = Refusal::Origin { origin: "null".into(), host: repeated };
                let head = head.replacen("\r\n\r\n", "\r\nOrigin: null\r\n\r\n", 1);
                assert_eq!(refused(&Config::new(), &head), Cause::Refused(refusal));
            }
        }
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
            assert_eq!(server.receive_eof(), None);
        }
        let Transport::Close(end) = server.transport() else { panic!("{cut}") };
        assert_eq!(end.cause(), &Cause::TimedOut(Timer::Handshake));
        assert_eq!(server.poll_timeout(), None);
    }
}

#[test]
fn rfc_9110_section_9_3_2_the_answer_to_head_behind_an_empty_line_has_no_body() {
    let record = at_every_split(|| Connection::server(&Config::new(), START), b"\r\nHEAD / HTTP/1.1\r\n\r\n");
    assert!(record.output.starts_with(b"HTTP/1.1 400 "));
    assert!(record.output.ends_with(b"\r\n\r\n"));
}
