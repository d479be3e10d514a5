//! RFC 6455 §4.1: answers to a client that are no WebSocket, and their bodies (RFC 9112 §6, §7.1).

use core::time::Duration;

use sansocket::{
    Cause, ClientRequest, Config, Connection, Event, HandshakeError, Response, State, Status, Transport,
};
use sansocket_tests::{Record, SEED, START, asking, at_every_split, receive, splits};

fn client() -> Connection {
    asking(&Config::new()).0
}

#[test]
fn section_4_1_limits_on_the_head_are_exact() {
    let (line, end) = ("HTTP/1.1 404 Not Found\r\n", "\r\nContent-Length: 0\r\n\r\n");
    let fill = (16 << 10) - line.len() - "X: ".len() - end.len();
    for (extra, is_ok) in [(0, true), (1, false)] {
        let stream = format!("{line}X: {}{end}", "x".repeat(fill + extra));
        for pieces in [16 << 10, 1, 1000] {
            let record = splits::run(client(), stream.as_bytes().chunks(pieces));
            assert_eq!(matches!(record.events[..], [Event::Rejected(_)]), is_ok);
            assert_eq!(record.end.cause() == &Cause::Handshake(HandshakeError::HeadTooLong), !is_ok);
        }
    }
    for (count, is_ok) in [(99, true), (100, false)] {
        let stream = format!("{line}{}Content-Length: 0\r\n\r\n", "X: y\r\n".repeat(count));
        let record = at_every_split(client, stream.as_bytes());
        assert_eq!(matches!(record.events[..], [Event::Rejected(_)]), is_ok);
        assert_eq!(record.end.cause() == &Cause::Handshake(HandshakeError::TooManyHeaders), !is_ok);
    }
}

/// The response in a record of nothing but a refusal.
fn refused(record: &Record) -> &Response {
    let [Event::Rejected(response)] = &record.events[..] else { panic!("{:?}", record.events) };
    assert_eq!(record.end.cause(), &Cause::Rejected(response.status()));
    assert!(record.end.is_orderly() && record.output.is_empty());
    response
}

#[test]
fn section_4_1_another_answer_is_handed_to_the_application_with_its_body() {
    // Whether the end of the body is known before the connection's.
    let table: &[(u16, &str, &str, &str, bool)] = &[
        (401, "WWW-Authenticate: Basic\r\nContent-Length: 5\r\n", "Hello", "Hello", true),
        (302, "Location: wss://other.example/\r\nContent-Length: 0\r\n", "", "", true),
        (404, "Content-Length: 5\r\n", "Hello, and what does not belong to it", "Hello", true),
        (200, "", "a page until the end", "a page until the end", false),
        (200, "", "", "", false),
        (204, "", "", "", true),
        (204, "Content-Length: 5\r\n", "", "", true),
        (304, "Content-Length: 5\r\n", "", "", true),
        (
            503,
            "Transfer-Encoding: chunked\r\n",
            "5\r\nHello\r\n8;x=y\r\n, world!\r\n0\r\n\r\n",
            "Hello, world!",
            true,
        ),
        (
            503,
            "transfer-encoding: gzip, Chunked\r\nContent-Length: 3\r\n",
            "a\r\n0123456789\r\n0\r\n\r\n",
            "0123456789",
            true,
        ),
        (500, "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "", true),
        (599, "Content-Length: nonsense\r\n", "body", "body", false),
        (
            426,
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\nContent-Length: 0\r\n",
            "",
            "",
            true,
        ),
    ];
    for (status, fields, body, payload, is_known) in table {
        let stream = format!("HTTP/1.1 {status} Some Reason\r\n{fields}\r\n{body}");
        let record = at_every_split(client, stream.as_bytes());
        let response = refused(&record);
        assert_eq!(response.status().get(), *status);
        assert_eq!(core::str::from_utf8(response.body()), Ok(*payload), "{stream}");
        let expected: Vec<_> = fields.lines().map(|line| line.split_once(": ").unwrap()).collect();
        let headers = response.headers().map(|(name, value)| (name, core::str::from_utf8(value).unwrap()));
        assert_eq!(headers.collect::<Vec<_>>(), expected);
        let expected = if *is_known { (State::Closed, false) } else { (State::Connecting, false) };
        assert_eq!((record.state, record.shutdown), expected, "{stream}");
    }
}

#[test]
fn rfc_9112_a_chunked_body_ends_with_its_last_chunk_and_nowhere_else() {
    for body in [
        // What looks like a last chunk is data.
        "9\r\nAB0\r\n\r\nCD\r\n0\r\n\r\n",
        "10\r\n\r\n34567890123456\r\n0\r\n\r\n",
        // Trailers, an extension, more zeros.
        "1\r\nx\r\n0\r\nX: y\r\nZ: 0\r\n\r\n",
        "1\r\nx\r\n0;last\r\n\r\n",
        "1\r\nx\r\n000\r\n\r\n",
        // Something behind it.
        "1\r\nx\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        let stream = format!("HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let record = at_every_split(client, stream.as_bytes());
        let payload = match body.as_bytes()[0] {
            b'9' => "AB0\r\n\r\nCD",
            b'1' if body.starts_with("10") => "\r\n34567890123456",
            _ => "x",
        };
        assert_eq!(refused(&record).body(), payload.as_bytes(), "{body:?}");
        assert_eq!((record.state, record.shutdown), (State::Closed, false), "{body:?}");
    }
}

#[test]
fn a_long_refusal_is_cut_at_64_kib() {
    let body = "x".repeat(100_000);
    let chunks = body.as_bytes().chunks(50_000);
    let chunks: String =
        chunks.map(|chunk| format!("c350\r\n{}\r\n", core::str::from_utf8(chunk).unwrap())).collect();
    for (field, body) in [
        ("Content-Length: 100000", &body),
        ("Content-Length: 18446744073709551615", &body),
        ("Connection: close", &body),
        ("Transfer-Encoding: chunked", &chunks),
    ] {
        let stream = format!("HTTP/1.1 500 \r\n{field}\r\n\r\n{body}");
        for pieces in [1 << 20, 65_536, 4096, 1] {
            let record = splits::run(client(), stream.as_bytes().chunks(pieces));
            let kept = refused(&record).body();
            // Of chunks, their framing counts.
            assert!((65_500..=65_536).contains(&kept.len()), "{field}: {}", kept.len());
            assert!(kept.iter().all(|byte| *byte == b'x'));
            assert_eq!((record.state, record.shutdown), (State::Closed, false), "{field}");
        }
    }
}

#[test]
fn rfc_9112_section_6_3_where_a_body_ends_is_believed_only_if_it_is_told_clearly() {
    let chunks = "5\r\nHello\r\n0\r\n\r\n";
    let all = "Hello, and what may not belong to it";
    for (fields, body, payload, is_known) in [
        ("Content-Length: 5", all, "Hello", true),
        ("Content-Length: 5\r\nContent-Length: 5", all, "Hello", true),
        ("Content-Length: 5, 5 ,5", all, "Hello", true),
        ("Content-Length: 5\r\nContent-Length: 6", all, all, false),
        ("Content-Length: 6\r\nX: y\r\nContent-Length: 5", all, all, false),
        ("Content-Length: 5, 6", all, all, false),
        ("Content-Length: 5, 5, +5", all, all, false),
        ("Content-Length: +5", all, all, false),
        ("Content-Length: -5", all, all, false),
        ("Content-Length: 0x5", all, all, false),
        ("Content-Length: 5 5", all, all, false),
        ("Content-Length:", all, all, false),
        ("Content-Length: 18446744073709551616", all, all, false),
        ("Transfer-Encoding: chunked", chunks, "Hello", true),
        ("Transfer-Encoding: gzip, chunked", chunks, "Hello", true),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: CHUNKED", chunks, "Hello", true),
        ("Transfer-Encoding: chunked, gzip", chunks, chunks, false),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip", chunks, chunks, false),
        ("Transfer-Encoding: gzip\r\nContent-Length: 5", all, all, false),
        ("Transfer-Encoding: xchunked", chunks, chunks, false),
    ] {
        let stream = format!("HTTP/1.1 403 Forbidden\r\n{fields}\r\n\r\n{body}");
        let record = at_every_split(client, stream.as_bytes());
        assert_eq!(core::str::from_utf8(refused(&record).body()), Ok(payload), "{fields}");
        assert_eq!(record.state == State::Closed, is_known, "{fields}");
    }
}

#[test]
fn a_rejection_whose_body_never_ends_is_told_with_what_came_when_the_time_for_the_handshake_is_over() {
    for (fields, body) in [
        ("Content-Length: 100\r\n", "Go away"),
        ("Content-Length: 100\r\n", ""),
        ("", "Go away"),
        ("Transfer-Encoding: chunked\r\n", "7\r\nGo away\r\n"),
        ("Transfer-Encoding: chunked\r\n", "7\r\nGo away\r\n0\r\nTrailer: wit"),
    ] {
        let (mut client, _) = asking(&Config::new().handshake_timeout(Some(Duration::from_secs(3))));
        let deadline = client.poll_timeout().unwrap();
        let head = format!("HTTP/1.1 401 Unauthorized\r\nX-Reason: none\r\n{fields}\r\n");
        for (i, byte) in (1..).zip(head.bytes().chain(body.bytes())) {
            assert_eq!(receive(&mut client, START + Duration::from_millis(i), &[byte]), (vec![], 0));
        }
        assert_eq!((client.poll_timeout(), client.state()), (Some(deadline), State::Connecting));
        client.handle_timeout(deadline.at);
        let Transport::Close(end) = client.transport() else { panic!("{fields}: not over") };
        assert_eq!((end.cause(), end.is_orderly()), (&Cause::Rejected(Status::UNAUTHORIZED), true));
        let response = end.response().expect("what came is not lost");
        assert_eq!((response.status(), response.header("x-reason")), (Status::UNAUTHORIZED, Some("none")));
        let payload: &[u8] = if body.is_empty() { b"" } else { b"Go away" };
        assert_eq!(response.body(), payload, "{fields}");
        assert_eq!(client.receive_eof(), None, "told once");
    }
    // Where there was an event, the response was in that.
    let mut client = client();
    let (events, _) = receive(&mut client, START, b"HTTP/1.1 401 \r\nContent-Length: 2\r\n\r\nNo");
    assert!(matches!(&events[..], [Event::Rejected(response)] if response.body() == b"No"));
    let Transport::Close(end) = client.transport() else { panic!("not over") };
    assert_eq!(end.response(), None);
}

/// §4.1: what comes next is the application's to decide, and a server that does not close must not hold it up.
#[test]
fn section_4_1_a_client_is_closed_at_once_when_its_handshake_has_failed_or_was_rejected() {
    let many = format!("HTTP/1.1 101 \r\n{}\r\n", "X: y\r\n".repeat(101));
    for (answer, is_rejected) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello and more", true),
        ("HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true),
        ("HTTP/1.1 204 \r\n\r\n", true),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", false),
        ("SSH-2.0-OpenSSH_9.2\r\n", false),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", false),
        (&many, false),
    ] {
        // Whether its request has been written or not.
        let request = ClientRequest::new("ws://example.com/").unwrap();
        for mut client in [client(), Connection::client(&Config::new(), &request, SEED, START)] {
            let (events, left) = receive(&mut client, START, answer.as_bytes());
            if answer == "SSH-2.0-OpenSSH_9.2\r\n" {
                // A head has an end.
                assert_eq!((events, left, client.state()), (vec![], 0, State::Connecting));
                continue;
            }
            assert_eq!((events.len(), left), (usize::from(is_rejected), 0), "{answer}");
            let Transport::Close(end) = client.transport() else { panic!("{answer}: not over") };
            assert_eq!(matches!(end.cause(), Cause::Rejected(_)), is_rejected, "{answer}");
            assert_eq!(matches!(end.cause(), Cause::Handshake(_)), !is_rejected, "{answer}");
            assert_eq!((client.state(), client.poll_timeout()), (State::Closed, None), "{answer}");
            assert!(client.transmit().is_empty() && !client.wants_read(), "{answer}");
        }
    }
}
