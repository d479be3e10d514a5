//! RFC 6455 §4.2: the opening handshake as a server does it. What it refuses is in `handshake_refusals_4_2.rs`.

use core::time::Duration;

use sansocket::{
    Accept, AcceptError, Cause, Config, Connection, Event, Input, InvalidHeader, Message, Response, Role,
    SendError, State, Status, Timer, Transport, Version,
};
use sansocket_tests::heads::{Answer, GOOD, asked, but, server, with};
use sansocket_tests::{START, at_every_split, receive, receive_accepting, take_output, wire};

const ACCEPTED: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

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

/// Else a link in a query would pass for the host, whose page may connect.
#[test]
fn section_4_2_1_a_url_in_the_query_is_no_absolute_target() {
    let (_, request) = asked(&but("/chat?room=1&x=?/", "/go?to=http://other.example/"));
    assert_eq!((request.path(), request.query()), ("/go", Some("to=http://other.example/")));
    assert_eq!(request.host(), Some("example.com"));
}

#[test]
fn requests_are_equal_if_their_heads_are() {
    let request = asked(GOOD).1;
    assert_eq!(request, asked(GOOD).1);
    assert_ne!(request, asked(&but("room=1", "room=2")).1);
    assert_ne!(request, asked(&with("X: y")).1);
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
        ("Keep-Alive", "timeout=5", InvalidHeader::Reserved),
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
        assert_eq!(server.receive_eof(), None);
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
fn section_1_9_the_clients_first_choice_among_those_that_are_supported_is_taken() {
    let lines = "Sec-WebSocket-Protocol: v3, v2\r\nSec-WebSocket-Protocol: v1";
    for (request, supported, chosen) in [
        (with(lines), &["v1", "v2"][..], Some("v2")),
        (with(lines), &["v2", "v1", "v3"], Some("v3")),
        (with(lines), &["v1", "v1"], Some("v1")),
        (with(lines), &["V1", "v", "v1 ", "v3, v2", ""], None),
        (with(lines), &[], None),
        (GOOD.to_owned(), &["v1"], None),
        (with("Sec-WebSocket-Protocol:"), &["", "v1"], None),
    ] {
        let (mut server, request) = asked(&request);
        server.accept(START, Accept::new().first_subprotocol(&request, supported)).unwrap();
        assert_eq!(server.agreed().unwrap().subprotocol(), chosen, "{supported:?}");
        let answer = Answer::parse(&take_output(&mut server));
        let sent: Vec<_> =
            answer.headers.iter().filter(|(name, _)| name == "sec-websocket-protocol").collect();
        assert_eq!(sent.iter().map(|(_, value)| &value[..]).collect::<Vec<_>>(), Vec::from_iter(chosen));
    }
}
