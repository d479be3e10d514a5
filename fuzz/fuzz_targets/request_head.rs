//! A server's opening handshake, and what comes behind it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket::{Cause, Config, Connection, Delivery, Event, Origins, Request, Role, State};
use sansocket_fuzz::http::{Head, accept, is_key};
use sansocket_fuzz::reference::{Limits, decode};
use sansocket_fuzz::{Cut, Output, frames};
use sansocket_tests::START;
use sansocket_tests::splits::{Record, run};

const MAX_HEAD: usize = 600;

fuzz_target!(|data: &[u8]| {
    let Some((setup, rest)) = data.split_first() else { return };
    let Some(cut) = Cut::new(rest) else { return };
    let mut config = Config::new();
    if setup & 1 != 0 {
        config = config.max_head(MAX_HEAD).max_headers(10);
    }
    if setup & 2 != 0 {
        config = config.origins(Origins::Any);
    }
    let make = || Connection::server(&config, START);
    let whole = run(make(), [cut.stream]);
    assert_eq!(run(make(), cut.pieces()), whole, "cut, then whole");
    check(&whole, cut.stream);
});

fn check(record: &Record, stream: &[u8]) {
    let head = Head::parse(stream);
    match record.events.first() {
        Some(Event::Request(request)) if request.is_upgrade() => {
            let head = head.expect("a head");
            check_upgrade(request, &head);
            let key = head.only("sec-websocket-key").unwrap();
            let response = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {}\r\n\r\n",
                accept(key)
            );
            let output = record.output.strip_prefix(response.as_bytes()).expect("the right 101");
            let expected = decode(Role::Server, Limits::DEFAULT, Delivery::Whole, head.rest);
            assert_eq!(record.events[1..], expected.events);
            frames::check_answers(&Output::read(Role::Server, output), &expected, true);
            frames::check_end(Role::Server, record, &expected, false);
        }
        Some(Event::Request(request)) => {
            assert_eq!(record.events.len(), 1);
            let code = if request.method() == "GET" { 426 } else { 405 };
            assert_eq!(check_response(&record.output, Some(request.method() == "HEAD")), code);
            check_refusal(record, code);
        }
        Some(event) => panic!("{event:?} before a request"),
        None if record.output.is_empty() => {
            assert_eq!(record.end.cause(), &Cause::Lost);
            assert_eq!(record.state, State::Connecting);
            assert!(head.is_none(), "a whole head was not answered");
        }
        None => {
            let code = check_response(&record.output, asks_for_head(head.as_ref(), stream));
            assert!((400..600).contains(&code));
            check_refusal(record, code);
            assert!(!head.is_some_and(|head| is_plain_upgrade(&head, stream)), "refused, and for what?");
        }
    }
}

fn check_refusal(record: &Record, code: u16) {
    let Cause::Refused(refusal) = record.end.cause() else { panic!("{:?}", record.end) };
    assert_eq!(refusal.status().get(), code);
    assert_eq!((record.state, record.shutdown), (State::Closing, true));
}

/// §4.2.1, point by point.
fn check_upgrade(request: &Request, head: &Head<'_>) {
    assert!(is_upgrade(head), "{head:?}");
    assert_eq!((request.method(), request.target()), (head.words()[0], head.words()[1]));
    let offered: Vec<_> = request.subprotocols().map(str::as_bytes).collect();
    let listed = head.all("sec-websocket-protocol").flat_map(|value| value.split(|byte| *byte == b','));
    assert!(listed.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty()).eq(offered.iter().copied()));
    assert!((1..offered.len()).all(|i| !offered[..i].contains(&offered[i])), "offered twice");
}

fn is_upgrade(head: &Head<'_>) -> bool {
    let has = |name, token: &str| head.list(name).iter().any(|element| element == token.as_bytes());
    matches!(head.words()[..], ["GET", _, "HTTP/1.1"])
        && head.only("host").is_some()
        && has("connection", "upgrade")
        && has("upgrade", "websocket")
        && matches!(head.only("sec-websocket-version"), Some(b"13" | b"8" | b"7"))
        && head.only("sec-websocket-key").is_some_and(is_key)
        && head.all("transfer-encoding").next().is_none()
        && head.all("content-length").all(|length| length == b"0")
}

/// Whether this is an upgrade beyond doubt, with nothing in it that is judged any further.
fn is_plain_upgrade(head: &Head<'_>, stream: &[u8]) -> bool {
    let judged = ["origin", "sec-websocket-origin", "sec-websocket-protocol", "sec-websocket-extensions"];
    let target = head.words().get(1).is_some_and(|target| {
        target.starts_with('/')
            && target.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/?=&".contains(&byte))
    });
    let host = head.only("host").unwrap_or_default();
    is_upgrade(head)
        && target
        && is_read_to_its_end(head, stream)
        && !host.is_empty()
        && host.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'.')
        && head.is_plain()
        && stream.starts_with(b"GET")
        && judged.iter().all(|name| head.all(name).next().is_none())
}

/// Whether nothing about the lines makes the server stop before the last of them.
fn is_read_to_its_end(head: &Head<'_>, stream: &[u8]) -> bool {
    let bytes = &stream[..stream.len() - head.rest.len()];
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    // One empty line before the request is let pass, a second one is not.
    !bytes.starts_with(b"\r\n\r\n")
        && bytes.len() < MAX_HEAD
        && lines.clone().count() < 10
        && lines.all(|line| line.ends_with(b"\r\n"))
}

/// Whether a request is for a head without a body; unknown if it was refused before its end.
fn asks_for_head(head: Option<&Head<'_>>, stream: &[u8]) -> Option<bool> {
    let head = head.filter(|head| is_read_to_its_end(head, stream))?;
    Some(matches!(head.words()[..], ["HEAD", _, ..]))
}

/// The status of a response that is all there, behind which the connection ends.
fn check_response(output: &[u8], to_head: Option<bool>) -> u16 {
    let head = Head::parse(output).expect("a head");
    assert!(head.words()[0] == "HTTP/1.1" && head.words().len() == 3 && head.is_plain(), "{head:?}");
    let length: usize = std::str::from_utf8(head.only("content-length").unwrap()).unwrap().parse().unwrap();
    match to_head {
        Some(to_head) => assert_eq!(head.rest.len(), if to_head { 0 } else { length }),
        None => assert!(head.rest.is_empty() || head.rest.len() == length),
    }
    assert!(head.list("connection").contains(&b"close".to_vec()));
    let code = head.words()[1].parse().unwrap();
    if code == 426 {
        assert_eq!(head.only("upgrade"), Some(&b"websocket"[..]));
    }
    code
}
