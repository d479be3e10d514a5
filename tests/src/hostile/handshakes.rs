//! Requests of hostile clients (RFC 6455 §4.2.1; RFC 9112), and what a server answers.

use sansocket::{Cause, Disconnect, Event, Refusal, Role, Side, State};

use crate::heads::{Answer, GOOD, but, with};
use crate::splits::Record;
use crate::wire::{self, CLOSE, TEXT};

/// The accept value for the key of [`GOOD`] (§1.3).
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A request, and what comes of it.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: &'static str,
    pub request: String,
    pub status: u16,
    /// Why it is refused, if it is.
    pub refusal: Option<Refusal>,
}

pub fn rows() -> [Row; 29] {
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let key_line = &format!("Sec-WebSocket-Key: {key}");
    let body = |length: usize, body: &str| with(&format!("Content-Length: {length}\r\n\r\n{body}"));
    let smuggled = "GET /admin HTTP/1.1\r\nHost: internal\r\n";
    let evil = Refusal::Origin { origin: "http://evil.example".into(), host: "example.com".into() };
    [
        accepted("good", GOOD.to_owned()),
        refused("no key", but(&format!("{key_line}\r\n"), ""), 400, Refusal::Key),
        refused("a key that is not base64", but(key, "dGhlIHNhbXBs!SBub25jZQ=="), 400, Refusal::Key),
        refused("a key of 15 bytes", but(key, "dGhlIHNhbXBsZSBub25j"), 400, Refusal::Key),
        refused("two keys", with(key_line), 400, Refusal::Key),
        // §4.4, where Cowboy has 400.
        refused("no version", but("Sec-WebSocket-Version: 13\r\n", ""), 426, Refusal::Version),
        refused("version 12", but(": 13", ": 12"), 426, Refusal::Version),
        accepted("version 8", but(": 13", ": 8")),
        refused("POST", but("GET", "POST"), 405, Refusal::Method),
        refused("HTTP/1.0", but("HTTP/1.1", "HTTP/1.0"), 505, Refusal::HttpVersion),
        refused("no Host", but("Host: example.com\r\n", ""), 400, Refusal::Host),
        refused("two Hosts", with("Host: example.com"), 400, Refusal::Host),
        refused("no Connection", but("Connection: Upgrade\r\n", ""), 426, Refusal::NoUpgrade),
        accepted("Connection: keep-alive, Upgrade", but(": Upgrade", ": keep-alive, Upgrade")),
        refused("Upgrade: h2c", but(": websocket", ": h2c"), 426, Refusal::NoUpgrade),
        accepted("Upgrade: foo, websocket", but(": websocket", ": foo, websocket")),
        refused("a body of 5 bytes", body(5, "hello"), 400, Refusal::Body),
        refused("a body that is a request", body(smuggled.len() + 2, smuggled), 400, Refusal::Body),
        refused(
            "a chunked body",
            with("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0"),
            400,
            Refusal::Body,
        ),
        refused(
            "a header of 64 KiB",
            with(&format!("X: {}", "x".repeat(64 << 10))),
            431,
            Refusal::HeadTooLong,
        ),
        refused("1000 headers", with(&["X: y"; 1000].join("\r\n")), 431, Refusal::TooManyHeaders),
        refused("a folded line", with("X: a\r\n b"), 400, Refusal::Malformed),
        refused("a space before the colon", with("X : a"), 400, Refusal::Malformed),
        refused("bare LF", GOOD.replace("\r\n", "\n"), 400, Refusal::Malformed),
        refused("NUL in a header", with("X: a\0b"), 400, Refusal::Malformed),
        refused(
            "subprotocols twice, and junk",
            with("Sec-WebSocket-Protocol: a, a, (junk"),
            400,
            Refusal::Subprotocols,
        ),
        refused("an extension of two names", with("Sec-WebSocket-Extensions: junk junk"), 400, EXTENSIONS),
        refused("a quote that is not closed", with("Sec-WebSocket-Extensions: x; y=\"z"), 400, EXTENSIONS),
        refused("a page of another origin", with("Origin: http://evil.example"), 403, evil),
    ]
}

const EXTENSIONS: Refusal = Refusal::Extensions;

fn accepted(name: &'static str, request: String) -> Row {
    Row { name, request, status: 101, refusal: None }
}

fn refused(name: &'static str, request: String, status: u16, refusal: Refusal) -> Row {
    Row { name, request, status, refusal: Some(refusal) }
}

impl Row {
    /// The request, and what a smuggler would like to be taken for frames or another request; behind a good
    /// one, frames.
    pub fn stream(&self) -> Vec<u8> {
        let frames =
            [wire::frame(Role::Server, TEXT, "behind"), wire::close(Role::Server, 1000, "")].concat();
        let another = if self.refusal.is_some() { GOOD } else { "" };
        [self.request.as_bytes(), &frames, another.as_bytes()].concat()
    }

    /// The row with this name.
    pub fn named(name: &str) -> Self {
        rows().into_iter().find(|row| row.name == name).expect("a row of the table")
    }

    /// What the bare state machine shows is as the row has it.
    #[track_caller]
    pub fn check_record(&self, record: &Record) {
        assert_eq!((record.state, record.shutdown), (State::Closing, true));
        let (output, end) = (record.output.clone(), Some(record.end.clone()));
        let mut seen = Seen { output, end, ..Seen::default() };
        for event in &record.events {
            match event {
                Event::Request(request) => seen.requests.push(request.is_upgrade()),
                Event::Message(message) => seen.messages.push(message.as_text().unwrap().to_owned()),
                Event::Close(_) => assert!(self.refusal.is_none()),
                other => panic!("{other:?}"),
            }
        }
        self.check(false, &seen);
    }

    /// All of it is as the row has it; `echoes` if messages are sent back.
    #[track_caller]
    pub fn check(&self, echoes: bool, seen: &Seen) {
        // A request that asks for no WebSocket is the application's to answer: here it accepts.
        let is_shown = matches!(self.refusal, None | Some(Refusal::NoUpgrade));
        let requests = if is_shown { vec![self.refusal.is_none()] } else { vec![] };
        assert_eq!(seen.requests, requests);

        let head = seen.output.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a response") + 4;
        let (head, behind) = seen.output.split_at(head);
        let answer = Answer::parse(head);
        assert_eq!(answer.status[..13], format!("HTTP/1.1 {} ", self.status));
        let field = |name| {
            let mut fields = answer.headers.iter().filter(|(have, _)| have == name);
            fields.next().map(|(_, value)| &value[..])
        };
        let Some(refusal) = &self.refusal else {
            assert_eq!(field("sec-websocket-accept"), Some(ACCEPT));
            assert_eq!(seen.messages, ["behind"]);
            let frame =
                |first, payload: &[u8]| wire::Parsed { first, masked: false, payload: payload.to_vec() };
            let mut frames = vec![frame(0x80 | CLOSE, &wire::close_payload(1000))];
            if echoes {
                frames.insert(0, frame(0x80 | TEXT, b"behind"));
            }
            assert_eq!(wire::parse(behind), frames);
            assert_eq!(seen.end.as_ref().map(Disconnect::cause), Some(&Cause::Closed(Side::Remote)));
            return;
        };
        assert_eq!(seen.messages, [""; 0]);
        // One answer, and nothing behind it.
        assert_eq!(String::from_utf8_lossy(behind), refusal.to_string());
        assert_eq!(field("content-length"), Some(&behind.len().to_string()[..]));
        let is_last = field("connection").is_some_and(|value| value.ends_with("close"));
        assert_eq!((is_last, refusal.status().get()), (true, self.status));
        let allows = (self.status == 405).then_some("GET");
        let versions = (*refusal == Refusal::Version).then_some("13, 8, 7");
        let upgrade = (self.status == 426).then_some("websocket");
        let fields = ["allow", "sec-websocket-version", "upgrade"].map(field);
        assert_eq!(fields, [allows, versions, upgrade]);
        if let Some(end) = &seen.end {
            assert_eq!(end.cause(), &Cause::Refused(refusal.clone()));
            assert_eq!((end.sent(), end.received(), end.is_orderly()), (None, None, false));
        }
    }
}

/// What there was to see of a server.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What its client read, to the end of the stream.
    pub output: Vec<u8>,
    /// The requests that its program was shown: whether they ask for a WebSocket.
    pub requests: Vec<bool>,
    /// The messages that its program was handed, and whatever else.
    pub messages: Vec<String>,
    /// What its program was told. A handler is told of no end if it never opened.
    pub end: Option<Disconnect>,
}
