//! RFC 6455 §4: opening handshakes that are meant to harm. The table that all surfaces are tested by is
//! `hostile_handshakes.rs`'s; what an application may not inject is in `threats_injection.rs`.

use sansocket::{Accept, Cause, Refusal, Role, State};
use sansocket_tests::heads::{at_many_splits, server, status};
use sansocket_tests::splits::Record;
use sansocket_tests::{at_every_split, wire};

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
