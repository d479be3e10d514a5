//! Limits of an opening handshake: exact, and reached without much work.

use sansocket::{Cause, Config, Connection, Event, HandshakeError, Input, Refusal, State, Status};
use sansocket_tests::heads::{GOOD, at_many_splits, but, of_headers, server, status, with};
use sansocket_tests::splits::run;
use sansocket_tests::{START, asking, at_every_split, receive, take_output};

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
    for (count, expected) in [(5, 101), (99, 101), (100, 101), (101, 431), (1000, 431), (10_000, 431)] {
        let record = at_many_splits(server, of_headers(count).as_bytes());
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
        let record = run(Connection::server(&config, START), [of_headers(count).as_bytes()]);
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
    let names: Vec<_> = (0..1_000_000).map(|name| format!("{name:x}")).collect();
    let config = Config::new().max_head(16 << 20);
    let answer = |names: &[String]| {
        let request = with(&format!("Sec-WebSocket-Protocol: {}", names.join(",")));
        receive(&mut Connection::server(&config, START), START, request.as_bytes()).0.len()
    };
    assert_eq!(answer(&names), 0, "more than there may be");
    assert_eq!(answer(&[&names[..], &names[..1]].concat()), 0, "and a name that is there twice");
    // However long those are that there may be, the last of them in the head's last bytes.
    let mut long: Vec<_> = names[..64].iter().map(|name| format!("{name:x<60000}")).collect();
    assert_eq!(answer(&long), 1);
    long[63] = long[0].clone();
    assert_eq!(answer(&long), 0, "a name that is there twice");
}

#[test]
fn limits_on_headers_can_be_lifted() {
    let config = Config::new().max_headers(usize::MAX).max_head(usize::MAX);
    let many = "X: y\r\n".repeat(20_000);
    let request = but("Upgrade: websocket\r\n", &format!("{many}Upgrade: websocket\r\n"));
    for pieces in [request.len(), 1000, 1] {
        let record = run(Connection::server(&config, START), request.as_bytes().chunks(pieces));
        assert_eq!((status(&record), record.events.len()), (101, 1));
    }
    let response = format!("HTTP/1.1 404 Not Found\r\n{many}Content-Length: 0\r\n\r\n");
    for pieces in [response.len(), 1000, 1] {
        let record = run(asking(&config).0, response.as_bytes().chunks(pieces));
        assert_eq!(record.end.cause(), &Cause::Rejected(Status::NOT_FOUND));
    }
    // Not the default for either.
    let record = run(asking(&Config::new()).0, [response.as_bytes()]);
    assert_eq!(record.end.cause(), &Cause::Handshake(HandshakeError::TooManyHeaders));
}

/// RFC 9112 §2.2 asks for "at least one empty line" to be ignored.
#[test]
fn limits_one_empty_line_before_a_request_is_ignored_and_no_more() {
    for before in ["", "\r\n"] {
        let record = at_every_split(server, format!("{before}{GOOD}").as_bytes());
        assert_eq!((status(&record), record.events.len()), (101, 1), "{before:?}");
    }
    for before in ["\r\n\r\n", "\r\n\r\n\r\n", "\n", "\r\n\n", "\r\r\n", " \r\n"] {
        let record = at_every_split(server, format!("{before}{GOOD}").as_bytes());
        assert_eq!((status(&record), record.events.len()), (400, 0), "{before:?}");
        assert_eq!(record.end.cause(), &Cause::Refused(Refusal::Malformed), "{before:?}");
    }
    // It is not waited for more.
    let mut server = server();
    receive(&mut server, START, b"\r\n");
    assert_eq!(server.state(), State::Connecting);
    receive(&mut server, START, b"\r\n");
    assert_eq!(server.state(), State::Closing);
}
