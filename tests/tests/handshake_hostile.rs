//! RFC 6455 §4, §10: opening handshakes that are meant to harm, and what an application may not inject.
//! The table that all surfaces are tested by is `hostile_handshakes.rs`'s.

use sansocket::{
    Accept, Cause, ClientRequest, Config, Connection, Event, Refusal, Response, Role, State, Status,
    Transport,
};
use sansocket_tests::heads::{at_many_splits, server, status};
use sansocket_tests::splits::Record;
use sansocket_tests::{SEED, START, at_every_split, receive, receive_accepting, take_output, wire};

const GOOD: &str = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SMUGGLED: &str = "GET /admin HTTP/1.1\r\nHost: internal\r\n\r\n";

/// The good request with `from` replaced.
fn but(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

/// The good request with these header lines at its end.
fn with(lines: &str) -> String {
    but("13\r\n\r\n", &format!("13\r\n{lines}\r\n\r\n"))
}

/// The server refuses `request` with `expected`, and takes no byte behind it for anything.
fn assert_refused(name: &str, request: &str, expected: u16) -> Record {
    let tail = wire::frame(Role::Server, wire::TEXT, "attack");
    let record = at_many_splits(server, &[request.as_bytes(), &tail, SMUGGLED.as_bytes()].concat());
    assert_eq!(status(&record), expected, "{name}");
    // A request that asks for no WebSocket is the application's to answer: here it accepts.
    let is_shown = matches!(record.end.cause(), Cause::Refused(Refusal::NoUpgrade));
    assert_eq!(record.events.len(), usize::from(is_shown), "{name}: {:?}", record.events);
    assert!(matches!(record.end.cause(), Cause::Refused(refusal) if refusal.status().get() == expected));
    assert_eq!((record.state, record.shutdown), (State::Closing, true), "{name}");
    record
}

#[test]
fn rfc_9112_lenient_http_is_refused() {
    for (name, request) in [
        ("space before the first header", but("Host", " Host")),
        ("tab before the first header", but("Host", "\tHost")),
        ("folded with a tab", with("X: a\r\n\tb")),
        ("one bare LF", but("Upgrade\r\n", "Upgrade\n")),
        ("bare LF at the end", but("13\r\n\r\n", "13\r\n\n")),
        ("CR in a value", with("X: a\rb")),
        ("CR CR LF", but("Upgrade\r\n", "Upgrade\r\r\n")),
        ("control character in a value", with("X: a\u{1}b")),
        ("DEL in a value", with("X: a\u{7f}b")),
        ("no colon", with("X")),
        ("no name", with(": x")),
        ("a name that is no token", with("X(: x")),
        ("NUL in a name", with("X\0: x")),
        ("NUL in the target", but("/chat", "/ch\0at")),
        ("two spaces before the target", but("GET /", "GET  /")),
        ("no target", but(" /chat", "")),
        ("no method", but("GET /chat", " /chat")),
        ("HTTP/0.9", but(" HTTP/1.1", "")),
        ("a method that is no token", but("GET", "G(T")),
        ("Content-Length that differs", with("Content-Length: 0\r\nContent-Length: 5")),
        ("Content-Length that is none", with("Content-Length: +0")),
        ("Transfer-Encoding of nothing", with("Transfer-Encoding: identity")),
        ("Transfer-Encoding and Content-Length", with("Content-Length: 0\r\nTransfer-Encoding: chunked")),
    ] {
        assert_refused(name, &request, 400);
    }
    for version in ["HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "HTTP/0.9"] {
        assert_refused(version, &but("HTTP/1.1", version), 505);
    }
    assert_refused("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
}

#[test]
fn rfc_9112_section_3_a_request_line_that_is_none_is_malformed_and_no_other_version() {
    for (name, request) in [
        ("space in the target", but("/chat", "/chat room")),
        ("space behind the version", but("HTTP/1.1", "HTTP/1.1 ")),
        ("another protocol", but("HTTP/1.1", "ICY/1.1")),
    ] {
        assert_refused(name, &request, 400);
    }
}

#[test]
fn rfc_9112_section_3_2_a_target_that_is_no_path_is_refused() {
    for target in ["chat", "*", "example.com:80", "?x", "chat/room?x"] {
        assert_refused(target, &but("/chat", target), 400);
    }
}

#[test]
fn rfc_9112_section_3_2_a_host_that_is_none_is_refused() {
    for host in [
        "exa mple.com",
        "example.com, evil.example",
        "me@example.com",
        "example.com/x",
        "a:b:80",
        "a:port",
        "[::1",
        "\u{e4}",
    ] {
        assert_refused(host, &but("Host: example.com", &format!("Host: {host}")), 400);
    }
}

#[test]
fn section_4_2_1_a_version_a_key_or_a_subprotocol_that_is_none_is_refused() {
    for version in ["", "1337", "0", "6", "9", "14", "013", "+13", "13, 8", "8 13", "0x0d", "\u{b9}3", "13;"]
    {
        let record = assert_refused(version, &but(": 13", &format!(": {version}")), 426);
        assert!(String::from_utf8(record.output).unwrap().contains("Sec-WebSocket-Version: 13, 8, 7\r\n"));
    }
    assert_refused("two versions", &with("Sec-WebSocket-Version: 13"), 426);
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    for bad in [
        "",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZXo=",
        "dGhlIHNhbXBsZSBub25jZXp6",
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZ===",
        "dGhlIHNhbXBsZSBub25_ZQ==",
        "dGhl IHNhbXBsZSBub25ZQ==",
        "========================",
    ] {
        assert_refused(bad, &but(key, bad), 400);
    }
    for bad in ["a b", "a;b", "a, b, a", "a\r\nSec-WebSocket-Protocol: a", "\"a\"", "a/b", "\u{e4}"] {
        assert_refused(bad, &with(&format!("Sec-WebSocket-Protocol: {bad}")), 400);
    }
    // The RFC's other example has bits behind its last byte (§4.1).
    assert_eq!(status(&at_every_split(server, but(key, "AQIDBAUGBwgJCgsMDQ4PEC==").as_bytes())), 101);
}

#[test]
fn threats_t6_a_request_behind_an_accepted_one_is_no_request_but_a_broken_frame() {
    let record = at_every_split(server, [GOOD, SMUGGLED].concat().as_bytes());
    assert!(matches!(record.events[..], [Event::Request(_)]));
    assert!(matches!(record.end.cause(), Cause::Violation(_)));
    let head = record.output.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let frames = wire::parse(&record.output[head..]);
    assert_eq!((frames.len(), &frames[0].payload), (1, &wire::close_payload(1002)));
}

/// Pseudo-random text of what may break a head.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    fn text(&mut self, alphabet: &str) -> String {
        let alphabet: Vec<_> = alphabet.chars().collect();
        // Mostly what is harmless, so that some gets through.
        let harmless = if self.below(3) == 0 { alphabet.len() } else { 4 };
        (0..=self.below(6)).map(|_| alphabet[self.below(harmless)]).collect()
    }
}

type Fields = Vec<(String, Vec<u8>)>;

fn owned(headers: &[httparse::Header<'_>]) -> Fields {
    headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect()
}

/// The header fields of a response on the wire, which ends behind them.
fn response_fields(bytes: &[u8]) -> Fields {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    assert_eq!(response.parse(bytes), Ok(httparse::Status::Complete(bytes.len())), "{bytes:?}");
    owned(response.headers)
}

#[test]
fn threats_t12_what_an_application_puts_in_a_head_comes_out_the_same_or_not_at_all() {
    let mut random = Random(0x0123_4567_89AB_CDEF);
    let (mut sent, mut refused) = (0, 0);
    for _ in 0..100_000 {
        let name = format!("X{}", random.text("aZ-9_: \t\r\n\0\u{e9}\u{7f}(\u{2028}"));
        let value = random.text("ab;\"\t, :\r\n\0\u{e9}\u{7f}\u{85}\u{2028}");
        let field = (name.clone(), value.clone().into_bytes());
        let made = Accept::new().header(&name, &value);
        let response = Response::new(Status::NOT_FOUND).with_header(&name, &value);
        let asked = ClientRequest::new("ws://x").unwrap().header(&name, &value);
        assert_eq!((made.is_ok(), response.is_ok()), (asked.is_ok(), asked.is_ok()), "{name:?} {value:?}");
        let (Ok(made), Ok(response), Ok(asked)) = (made, response, asked) else {
            refused += 1;
            continue;
        };
        sent += 1;
        let mut server = server();
        receive(&mut server, START, GOOD.as_bytes());
        server.accept(START, made).unwrap();
        let fields = response_fields(&take_output(&mut server));
        assert_eq!((fields.len(), fields.last()), (4, Some(&field)));

        let mut server = Connection::server(&Config::new(), START);
        receive(&mut server, START, GOOD.as_bytes());
        server.reject(START, response);
        let fields = response_fields(&take_output(&mut server));
        assert_eq!((fields.len(), fields.first()), (3, Some(&field)));

        let mut client = Connection::client(&Config::new(), &asked, SEED, START);
        let (_, _, fields) = request_parts(&take_output(&mut client));
        assert_eq!((fields.len(), fields.last()), (6, Some(&field)));
    }
    assert!(sent > 10_000 && refused > 10_000, "{sent} {refused}");
}

fn request_parts(bytes: &[u8]) -> (String, String, Fields) {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut request = httparse::Request::new(&mut headers);
    assert_eq!(request.parse(bytes), Ok(httparse::Status::Complete(bytes.len())), "{bytes:?}");
    let (method, target) = (request.method.unwrap().to_owned(), request.path.unwrap().to_owned());
    (method, target, owned(request.headers))
}

#[test]
fn threats_t12_a_url_or_a_subprotocol_cannot_change_a_head() {
    let mut random = Random(0xFEDC_BA98_7654_3210);
    let (mut sent, mut refused) = (0, 0);
    for _ in 0..100_000 {
        let hostile = "ab.1/:?@#[]\\ \t\r\n\0\u{e9}%<>\"{}|^`,;=&";
        let url =
            format!("ws://a{}/b{}?{}", random.text(hostile), random.text(hostile), random.text(hostile));
        let subprotocol = random.text("ab.1, ;\"\r\n\0\t:/\u{e9}");
        let request =
            ClientRequest::new(&url).ok().and_then(|request| request.subprotocol(&subprotocol).ok());
        let Some(request) = request else {
            refused += 1;
            continue;
        };
        sent += 1;
        let mut client = Connection::client(&Config::new(), &request, SEED, START);
        let head = take_output(&mut client);
        let (method, target, fields) = request_parts(&head);
        assert_eq!((&method[..], &target[..]), ("GET", request.target()), "{url:?}");
        // A query right behind the host gets the path that it lacks.
        let suffix = target.strip_prefix('/').filter(|rest| rest.starts_with('?'));
        let is_asked_for = url.ends_with(&target) || suffix.is_some_and(|suffix| url.ends_with(suffix));
        assert!(is_asked_for, "{url:?} asks for {target:?}");
        let value = |name: &str| fields.iter().find(|(have, _)| have == name).map(|(_, value)| &value[..]);
        assert_eq!(fields.len(), 6, "{url:?}");
        assert_eq!(value("Sec-WebSocket-Protocol"), Some(subprotocol.as_bytes()));
        let port = if request.port() == 80 { String::new() } else { format!(":{}", request.port()) };
        assert_eq!(value("Host"), Some(format!("{}{port}", request.host()).as_bytes()), "{url:?}");
        // Our own server understands it.
        let mut server = Connection::server(&Config::new(), START);
        let (events, _) = receive_accepting(&mut server, START, &head);
        assert!(matches!(&events[..], [Event::Request(seen)] if seen.is_upgrade()), "{url:?}");
        assert_eq!(server.transport(), Transport::Open);
    }
    assert!(sent > 10_000 && refused > 10_000, "{sent} {refused}");
}

#[test]
fn rfc_9110_section_5_5_a_value_with_space_around_it_cannot_be_sent_as_it_is() {
    for value in [" ", "\t", " a", "a ", "\ta\t"] {
        assert!(Accept::new().header("X", value).is_err(), "{value:?}");
    }
    for value in ["", "a", "a b", "a\tb"] {
        assert!(Accept::new().header("X", value).is_ok(), "{value:?}");
    }
}

#[test]
fn rfc_9112_section_3_2_a_target_with_a_fragment_or_with_an_empty_host_is_refused() {
    for target in [
        "/chat#top",
        "/#",
        "/chat?x#",
        "http://example.com/#x",
        "http://example.com#x",
        "http:///x",
        "http://",
        "http://?x",
        "https:///chat",
        "ws:///chat",
        "http://:80/chat",
    ] {
        assert_refused(target, &but("/chat", target), 400);
    }
    assert_eq!(status(&at_every_split(server, but("/chat", "/chat%23top").as_bytes())), 101);
}
