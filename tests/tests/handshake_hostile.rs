//! RFC 6455 §4, §10: opening handshakes that are meant to harm, limits, origins, and what an application may not inject.

use sansocket::{
    Accept, Cause, ClientRequest, Config, Connection, Event, Input, Origins, Refusal, Response, Role, State,
    Status, Transport,
};
use sansocket_tests::splits::{Record, run};
use sansocket_tests::{SEED, START, at_every_split, receive, receive_accepting, take_output, wire};

const GOOD: &str = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
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

fn server() -> Connection {
    Connection::server(&Config::new(), START)
}

/// Like `at_every_split`; a stream that is long is cut at every place near its ends and the limit, and at some between.
fn at_many_splits(make: impl Fn() -> Connection, stream: &[u8]) -> Record {
    if stream.len() < 4096 {
        return at_every_split(make, stream);
    }
    let whole = run(make(), [stream]);
    let limit = (16 << 10) - 64..stream.len().min((16 << 10) + 64);
    let cuts =
        (1..400).chain(limit).chain((400..stream.len()).step_by(487)).chain(stream.len() - 300..stream.len());
    for cut in cuts {
        let (first, second) = stream.split_at(cut);
        assert_eq!(run(make(), [first, second]), whole, "cut at {cut}");
    }
    assert_eq!(run(make(), stream.chunks(1)), whole, "byte by byte");
    whole
}

/// The status of a record's one response, behind which nothing else stands.
fn status(record: &Record) -> u16 {
    let text = String::from_utf8_lossy(&record.output);
    let mut lines =
        text.match_indices("HTTP/1.1 ").filter(|(at, _)| text.as_bytes()[at + 9].is_ascii_digit());
    assert_eq!((lines.next().map(|(at, _)| at), lines.next()), (Some(0), None), "{text}");
    text.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap()
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
fn threats_5_2_hostile_handshakes_get_the_status_that_is_our_goal() {
    let huge = with(&format!("X: {}", "x".repeat(64 << 10)));
    let many = with(&["X: y"; 1000].join("\r\n"));
    let body = |length: usize| format!("Content-Length: {length}\r\n\r\n");
    let table: [(&str, String, u16); 29] = [
        ("ok", GOOD.to_owned(), 101),
        ("no key", but(KEY, ""), 400),
        ("bad key (not b64)", but("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBs!SBub25jZQ=="), 400),
        ("key 15 bytes", but("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"), 400),
        ("two keys", with(KEY.trim()), 400),
        ("no version", but("Sec-WebSocket-Version: 13\r\n", ""), 426),
        ("version 12", but(": 13", ": 12"), 426),
        ("version 8", but(": 13", ": 8"), 101),
        ("POST", but("GET", "POST"), 405),
        ("HTTP/1.0", but("HTTP/1.1", "HTTP/1.0"), 505),
        ("no Host", but("Host: example.com\r\n", ""), 400),
        ("two Hosts", with("Host: example.com"), 400),
        ("no Connection", but("Connection: Upgrade\r\n", ""), 426),
        ("Connection: keep-alive, Upgrade", but(": Upgrade", ": keep-alive, Upgrade"), 101),
        ("Upgrade: h2c", but(": websocket", ": h2c"), 426),
        ("Upgrade: foo, websocket", but(": websocket", ": foo, websocket"), 101),
        ("GET CL:5 body", but("13\r\n\r\n", &format!("13\r\n{}hello", body(5))), 400),
        ("GET CL:40 smuggle", but("13\r\n\r\n", &format!("13\r\n{}{SMUGGLED}", body(SMUGGLED.len()))), 400),
        ("GET TE:chunked", with("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0"), 400),
        ("header 64KiB", huge, 431),
        ("1000 headers", many, 431),
        ("obs-fold", with("X: a\r\n b"), 400),
        ("space before colon", with("X : a"), 400),
        ("bare LF", GOOD.replace("\r\n", "\n"), 400),
        ("NUL in header", with("X: a\0b"), 400),
        ("dup subproto + junk", with("Sec-WebSocket-Protocol: a, a, (junk"), 400),
        ("ext junk", with("Sec-WebSocket-Extensions: junk junk"), 400),
        ("ext unclosed quote", with("Sec-WebSocket-Extensions: x; y=\"z"), 400),
        ("Origin evil", with("Origin: http://evil.example"), 403),
    ];
    for (name, request, expected) in table {
        if expected != 101 {
            assert_refused(name, &request, expected);
            continue;
        }
        let frame = wire::frame(Role::Server, wire::TEXT, "Hello");
        let record = at_every_split(server, &[request.as_bytes(), &frame].concat());
        assert_eq!(status(&record), 101, "{name}");
        assert!(matches!(record.events[..], [Event::Request(_), Event::Message(_)]), "{name}");
        assert_eq!(record.state, State::Open, "{name}");
    }
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

#[test]
fn limits_a_head_may_be_as_long_as_the_limit_and_no_longer() {
    for limit in [200, 1000, 16 << 10] {
        let config = Config::new().max_head(limit);
        let fits = with(&format!("X: {}", "x".repeat(limit - GOOD.len() - 5)));
        assert_eq!(fits.len(), limit);
        let record = at_many_splits(|| Connection::server(&config, START), fits.as_bytes());
        assert_eq!((status(&record), record.events.len()), (101, 1));
        let over = fits.replacen("X: ", "X: x", 1);
        let record = at_many_splits(|| Connection::server(&config, START), over.as_bytes());
        assert_eq!((status(&record), record.events.len()), (431, 0));
        assert_eq!(record.end.cause(), &Cause::Refused(Refusal::HeadTooLong));
    }
    // It is not waited for the end of what is too long already, nor for the end of a line.
    for endless in ["x", "\r\n", "GET / HTTP/1.1\r\n", "X: y\r\n"] {
        let mut server = Connection::server(&Config::new().max_headers(usize::MAX - 1), START);
        let mut taken = 0;
        for byte in endless.as_bytes().iter().cycle().take(20 << 20) {
            receive(&mut server, START, &[*byte]);
            taken += 1;
            if server.state() != State::Connecting {
                break;
            }
        }
        assert!(taken <= (16 << 10) + 1, "{endless:?}: {taken}");
        assert!(take_output(&mut server).starts_with(b"HTTP/1.1 4"));
    }
}

#[test]
fn limits_a_head_may_have_as_many_headers_as_the_limit_and_no_more() {
    // The good request has five. What matters is the last, and no header is lost before it is looked at.
    let of = |count: usize| {
        but("Upgrade: websocket\r\n", &["X: y\r\n"; 100_000][..count - 5].concat()).replacen(
            "\r\n\r\n",
            "\r\nUpgrade: websocket\r\n\r\n",
            1,
        )
    };
    for (count, expected) in [(5, 101), (99, 101), (100, 101), (101, 431), (1000, 431), (10_000, 431)] {
        let record = at_many_splits(server, of(count).as_bytes());
        assert_eq!(
            (status(&record), record.events.len()),
            (expected, usize::from(expected == 101)),
            "{count}"
        );
        let refused = record.end.cause() == &Cause::Refused(Refusal::TooManyHeaders);
        assert_eq!(refused, expected == 431, "{count}");
    }
    let config = Config::new().max_headers(10_000).max_head(1 << 20);
    for (count, expected) in [(10_000, 101), (10_001, 431)] {
        let record = run(Connection::server(&config, START), [of(count).as_bytes()]);
        assert_eq!(status(&record), expected, "{count}");
    }
}

#[test]
fn limits_a_head_is_scanned_once_however_it_is_cut() {
    // 16 KiB byte by byte: one call a byte, each takes it, the last one knows that it is over.
    let head = with(&format!("X: {}", "x".repeat((16 << 10) - GOOD.len() - 5)));
    let mut server = Connection::server(&Config::new(), START);
    for (i, byte) in head.bytes().enumerate() {
        let mut byte = [byte];
        let mut input = Input::new(&mut byte);
        let event = server.receive(START, &mut input);
        assert_eq!((event.is_some(), input.remaining()), (i + 1 == head.len(), 0));
    }
    // To look at all of 8 MiB again with every byte would take an hour: the test would not end.
    let mut server = Connection::server(&Config::new().max_head(8 << 20), START);
    receive(&mut server, START, GOOD.trim_end().as_bytes());
    receive(&mut server, START, b"\r\nX: ");
    for _ in 0..7 << 20 {
        let mut byte = [b'x'];
        let mut input = Input::new(&mut byte);
        assert_eq!(server.receive(START, &mut input), None);
    }
    let (events, _) = receive(&mut server, START, b"\r\n\r\n");
    assert!(matches!(events[..], [Event::Request(_)]));
}

#[test]
fn limits_a_long_list_of_subprotocols_is_judged_without_comparing_each_with_each() {
    // 10¹² comparisons would take an hour: the test would not end.
    let mut names: Vec<_> = (0..1_000_000).map(|name| format!("{name:x}")).collect();
    let config = Config::new().max_head(16 << 20);
    let answer = |names: &[String]| {
        let request = with(&format!("Sec-WebSocket-Protocol: {}", names.join(",")));
        receive(&mut Connection::server(&config, START), START, request.as_bytes()).0.len()
    };
    assert_eq!(answer(&names), 1);
    names.push("0".to_owned());
    assert_eq!(answer(&names), 0, "a name that is there twice");
}

#[test]
fn section_10_2_pages_of_other_origins_are_refused_unless_the_policy_lets_them_in() {
    let listed = Origins::listed(["https://app.example", "http://localhost:3000"]);
    let (same, any) = (&Origins::SameHost, &Origins::Any);
    let none = "X: y";
    let forwarded = "X-Forwarded-Host: example.com";
    let table: &[(&Origins, &str, &str, &str, bool)] = &[
        // Host, Origin, another header, whether it may.
        (same, "example.com", "", none, true),
        (same, "example.com", "http://example.com", none, true),
        (same, "example.com", "https://example.com", none, true),
        (same, "EXAMPLE.com", "HTTPS://example.COM", none, true),
        (same, "example.com:80", "http://example.com", none, true),
        (same, "example.com:443", "https://example.com", none, true),
        (same, "example.com", "https://example.com:443", none, true),
        (same, "example.com:8080", "http://example.com:8080", none, true),
        (same, "example.com:80", "https://example.com", none, false),
        (same, "example.com:8080", "http://example.com", none, false),
        (same, "example.com", "http://example.com:8080", none, false),
        (same, "example.com:8080", "http://example.com:8081", none, false),
        (same, "example.com", "http://evil.example", none, false),
        (same, "example.com", "http://www.example.com", none, false),
        (same, "www.example.com", "http://example.com", none, false),
        (same, "example.com", "http://example.com.evil.example", none, false),
        (same, "example.com", "http://evil.example/example.com", none, false),
        (same, "example.com", "http://example.com@evil.example", none, false),
        (same, "example.com", "http://evil-example.com", none, false),
        (same, "example.com", "ftp://example.com", none, false),
        (same, "example.com", "example.com", none, false),
        (same, "example.com", "null", none, false),
        (same, "example.com", "file://", none, false),
        (same, "example.com", "chrome-extension://example.com", none, false),
        (same, "[2001:db8::1]:80", "http://[2001:db8::1]", none, true),
        (same, "[2001:db8::1]", "http://[2001:db8::2]", none, false),
        // Loopback names, whatever the port.
        (same, "localhost:9001", "http://localhost:3000", none, true),
        (same, "127.0.0.1:9001", "http://localhost:3000", none, true),
        (same, "localhost:9001", "http://127.0.0.1", none, true),
        (same, "localhost:9001", "http://127.1.2.3:80", none, true),
        (same, "[::1]:9001", "https://localhost", none, true),
        (same, "LOCALHOST.", "http://app.localhost:3000", none, true),
        (same, "localhost:9001", "http://evil.example", none, false),
        (same, "localhost", "http://localhost.evil.example", none, false),
        (same, "localhost", "http://evillocalhost", none, false),
        (same, "localhost", "http://127.0.0.1.evil.example", none, false),
        (same, "example.com", "http://localhost", none, false),
        (same, "localhost", "null", none, false),
        // Behind a proxy.
        (same, "10.0.0.7:9001", "https://example.com", none, false),
        (same, "10.0.0.7:9001", "https://example.com", forwarded, true),
        (same, "10.0.0.7:9001", "https://example.com", "X-Forwarded-Host: inner, example.com", true),
        (same, "10.0.0.7:9001", "https://evil.example", forwarded, false),
        (
            same,
            "10.0.0.7",
            "https://example.com",
            "Forwarded: for=192.0.2.1;host=example.com;proto=https",
            true,
        ),
        (same, "10.0.0.7", "https://example.com:8443", "Forwarded: for=x, HOST=\"example.com:8443\"", true),
        (same, "10.0.0.7", "https://evil.example", "Forwarded: host=example.com", false),
        (same, "10.0.0.7", "https://example.com", "Forwarded: for=example.com", false),
        // A list, and no limits.
        (&listed, "api.example", "https://app.example", none, true),
        (&listed, "api.example", "HTTPS://App.Example", none, true),
        (&listed, "api.example", "http://localhost:3000", none, true),
        (&listed, "api.example", "", none, true),
        (&listed, "api.example", "http://app.example", none, false),
        (&listed, "api.example", "https://app.example:8443", none, false),
        (&listed, "api.example", "https://api.example", none, false),
        (&listed, "api.example", "null", none, false),
        (any, "example.com", "http://evil.example", none, true),
        (any, "example.com", "null", none, true),
    ];
    for (policy, host, origin, header, is_let_in) in table {
        let config = Config::new().origins((*policy).clone());
        for (version, name) in
            [("13", "Origin"), ("8", "Sec-WebSocket-Origin"), ("7", "Sec-WebSocket-Origin")]
        {
            let origin_line = if origin.is_empty() { "Y: z".to_owned() } else { format!("{name}: {origin}") };
            let request = with(&format!("{origin_line}\r\n{header}"))
                .replacen("Host: example.com", &format!("Host: {host}"), 1)
                .replacen(": 13", &format!(": {version}"), 1);
            let record = at_every_split(|| Connection::server(&config, START), request.as_bytes());
            assert_eq!(status(&record), if *is_let_in { 101 } else { 403 }, "{origin} at {host}, {header}");
            if !is_let_in {
                let body = String::from_utf8(record.output).unwrap();
                let body = body.split_once("\r\n\r\n").unwrap().1;
                assert!([*origin, host, "Config::origins"].iter().all(|part| body.contains(part)), "{body}");
                let refusal = Refusal::Origin { origin: (*origin).into(), host: (*host).into() };
                assert_eq!((record.end.cause(), record.events.len()), (&Cause::Refused(refusal), 0));
            }
        }
    }
}

#[test]
fn section_10_2_an_origin_that_is_no_text_is_none_that_may() {
    let request = [with("Origin: http://").trim_end().as_bytes(), b"\xFF\r\n\r\n"].concat();
    assert_eq!(status(&at_every_split(server, &request)), 403);
    assert_eq!(status(&at_every_split(server, with("Origin:").as_bytes())), 403);
    let any = Config::new().origins(Origins::Any);
    assert_eq!(status(&at_every_split(|| Connection::server(&any, START), &request)), 101);
    // Not a WebSocket of version 8, so what it calls an origin is none; no WebSocket at all, so there is nothing to hijack.
    assert_eq!(
        status(&at_every_split(server, with("Sec-WebSocket-Origin: http://evil.example").as_bytes())),
        101
    );
    let page = with("Origin: http://evil.example").replacen("Upgrade: websocket\r\n", "", 1);
    assert_eq!(status(&at_every_split(server, page.as_bytes())), 426);
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
