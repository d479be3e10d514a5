//! A client's opening handshake, and what comes behind it. `$A` in the input stands for the right `Sec-WebSocket-Accept`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket::{Cause, ClientRequest, Config, Connection, Delivery, Event, Response, Role, State, Status};
use sansocket_fuzz::http::{Head, accept};
use sansocket_fuzz::reference::{Limits, decode};
use sansocket_fuzz::{Cut, Output, frames};
use sansocket_tests::splits::{Record, run};
use sansocket_tests::{SEED, START};

fuzz_target!(|data: &[u8]| {
    let Some((setup, rest)) = data.split_first() else { return };
    let mut config = Config::new();
    if setup & 1 != 0 {
        config = config.max_head(300).max_headers(8);
    }
    let request = ClientRequest::new("ws://example.com/chat?x").unwrap().subprotocol("chat").unwrap();
    let make = || Connection::client(&config, &request, SEED, START);

    let asked = make().transmit().to_vec();
    let asked = Head::parse(&asked).expect("a request");
    let accept = accept(asked.only("sec-websocket-key").unwrap());
    let data = replace(rest, b"$A", accept.as_bytes());
    let Some(cut) = Cut::new(&data) else { return };

    let whole = run(make(), [cut.stream]);
    assert_eq!(run(make(), cut.pieces()), whole, "cut, then whole");
    check(&whole, cut.stream, accept.as_bytes());
});

fn replace(bytes: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    match bytes.windows(what.len()).position(|window| window == what) {
        Some(at) => [&bytes[..at], by, &bytes[at + what.len()..]].concat(),
        None => bytes.to_vec(),
    }
}

fn check(record: &Record, stream: &[u8], accept: &[u8]) {
    // An answer that ends it at once may come before the request is written.
    let Some(request) = Head::parse(&record.output) else {
        assert!(record.state == State::Closed && record.output.is_empty());
        return;
    };
    match record.events.first() {
        Some(Event::Open(response)) => {
            let head = answer(stream).expect("a head");
            check_upgrade(response, &head, accept);
            let expected = decode(Role::Client, Limits::DEFAULT, Delivery::Whole, head.rest);
            assert_eq!(record.events[1..], expected.events);
            frames::check_answers(&Output::read(Role::Client, request.rest), &expected, true);
            frames::check_end(Role::Client, record, &expected, false);
        }
        Some(Event::Rejected(response)) => {
            assert_eq!(record.events.len(), 1);
            let head = answer(stream).expect("a head");
            assert_eq!(head.words()[1].parse(), Ok(response.status().get()));
            assert!(response.status().get() >= 200 && response.body().len() <= 64 * 1024);
            assert!(response.body().len() <= head.rest.len());
            assert_eq!(record.end.cause(), &Cause::Rejected(response.status()));
        }
        Some(event) => panic!("{event:?} before an answer"),
        None if record.state == State::Connecting => {
            assert_eq!(record.end.cause(), &Cause::Lost);
            assert!(answer(stream).is_none(), "a whole answer was not heard");
        }
        None => {
            assert!(matches!(record.end.cause(), Cause::Handshake(_)), "{:?}", record.end);
            assert_eq!((record.state, record.shutdown), (State::Closing, true));
        }
    }
    if !matches!(record.events.first(), Some(Event::Open(_))) {
        assert!(request.rest.is_empty(), "frames before the connection is open");
    }
}

/// The head behind the interim responses.
fn answer(mut stream: &[u8]) -> Option<Head<'_>> {
    loop {
        let head = Head::parse(stream)?;
        let is_interim = head.words().get(1).is_some_and(|code| code.starts_with('1') && *code != "101");
        if !is_interim {
            return Some(head);
        }
        stream = head.rest;
    }
}

/// §4.1, "the client MUST validate the server's response as follows".
fn check_upgrade(response: &Response, head: &Head<'_>, accept: &[u8]) {
    assert_eq!(response.status(), Status::SWITCHING_PROTOCOLS);
    assert!(matches!(head.words()[..], ["HTTP/1.1", "101", ..]), "{head:?}");
    assert_eq!(head.list("upgrade"), [b"websocket"]);
    assert!(head.list("connection").contains(&b"upgrade".to_vec()));
    assert_eq!(head.only("sec-websocket-accept"), Some(accept));
    assert!(head.list("sec-websocket-extensions").is_empty());
    let chosen: Vec<_> = head.all("sec-websocket-protocol").collect();
    assert!(matches!(chosen[..], [] | [b"chat"]), "{chosen:?}");
}
