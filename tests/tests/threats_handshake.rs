//! Attacks on the opening handshake: rows T1 to T14 and T30 of `THREATS.md`. What of them is counted in memory or work is in
//! `threats_memory.rs` and `threats_work.rs`.
#![cfg(not(miri))]

use sansocket::{
    Cause, Compression, Config, Connection, Event, HandshakeError, Origins, Refusal, Response, Role, State,
    Status, Transport,
};
use sansocket_tests::compressed::DELIVERIES;
use sansocket_tests::heads::{
    Answer, GOOD, answer_to, at_many_splits, but, of_headers, server, status, with,
};
use sansocket_tests::hostile::handshakes::{Row, rows};
use sansocket_tests::hostile::{During, responses};
use sansocket_tests::{Record, START, asking, at_every_split, open, receive, splits, take_output, wire};

const SMUGGLED: &str = "GET /admin HTTP/1.1\r\nHost: internal\r\n\r\n";

fn record(config: &Config, request: &str) -> Record {
    splits::run(Connection::server(config, START), [request.as_bytes()])
}

#[track_caller]
fn assert_refused(record: &Record, refusal: &Refusal) {
    assert_eq!(record.end.cause(), &Cause::Refused(refusal.clone()));
    assert_eq!((status(record), record.events.len()), (refusal.status().get(), 0));
    assert_eq!(Answer::parse(&record.output).header("connection").map(ends_with_close), Some(true));
}

fn ends_with_close(value: &str) -> bool {
    value.ends_with("close")
}

#[test]
fn t1_a_head_of_20_megabytes_byte_by_byte_is_refused_within_16_kib() {
    const HEAD: usize = 20_000_000;
    for (begin, endless) in [("GET / HTTP/1.1\r\nX: ", "x"), ("GET / HTTP/1.1\r\n", "X: 123456789\r\n")] {
        let bytes = || begin.bytes().chain(endless.bytes().cycle()).take(HEAD);
        // Headers are long enough for the limit of the head to be reached before theirs.
        let config = Config::new().max_headers(10_000);
        let mut server = Connection::server(&config, START);
        let mut taken = 0;
        for byte in bytes() {
            assert_eq!(receive(&mut server, START, &[byte]), (vec![], 0));
            taken += 1;
            if server.state() != State::Connecting {
                break;
            }
        }
        assert_eq!(taken, (16 << 10) + 1);
        let answer = Answer::parse(&take_output(&mut server));
        assert_eq!(&answer.status[..13], "HTTP/1.1 431 ");
        assert_eq!(answer.header("connection"), Some("close"));
        // What it did not wait for makes no difference.
        let mut rest: Vec<u8> = bytes().skip(taken).collect();
        assert_eq!(rest.len(), HEAD - taken);
        assert_eq!(receive(&mut server, START, &rest), (vec![], 0));
        assert_eq!(server.transport(), Transport::ShutdownWrite);
        // Nor does a client wait for an answer without end.
        let (mut client, _) = asking(&config);
        rest.splice(..0, format!("HTTP/1.1 101 Switching\r\n{}", &begin[16..]).into_bytes());
        let taken = rest.iter().take_while(|byte| {
            receive(&mut client, START, &[**byte]);
            client.state() == State::Connecting
        });
        assert_eq!(taken.count(), 16 << 10);
        let Transport::Close(end) = client.transport() else { panic!("{:?}", client.transport()) };
        assert_eq!(end.cause(), &Cause::Handshake(HandshakeError::HeadTooLong));
    }
}

#[test]
fn t2_the_headers_beyond_the_limit_are_refused_even_if_the_one_that_matters_is_the_last() {
    for count in [101, 1000, 1_000_000] {
        let request = of_headers(count);
        assert!(request.ends_with("\r\nUpgrade: websocket\r\n\r\n"));
        assert_refused(&record(&Config::new(), &request), &Refusal::TooManyHeaders);
        // Where there is no such limit, it is found.
        let no_limits = Config::new().max_headers(usize::MAX).max_head(usize::MAX);
        assert_eq!(status(&record(&no_limits, &request)), 101, "{count}");
        let without = request.replace("\r\nUpgrade: websocket\r\n\r\n", "\r\n\r\n");
        assert_eq!(record(&no_limits, &without).end.cause(), &Cause::Refused(Refusal::NoUpgrade));
    }
    assert_eq!(status(&record(&Config::new(), &of_headers(100))), 101);
}

#[test]
fn t3_lists_that_a_regular_expression_would_choke_on_are_refused() {
    let fields = [("Extensions", Refusal::Extensions), ("Protocol", Refusal::Subprotocols)];
    for (field, refusal) in fields {
        // As much as fits into a head.
        let spaces = " ".repeat((16 << 10) - with("Sec-WebSocket-Extensions: bx").len());
        for list in [format!("b{spaces}x"), format!("a; b=\"{}", r"\x".repeat(8000))] {
            let request = with(&format!("Sec-WebSocket-{field}: {list}"));
            assert_refused(&at_many_splits(server, request.as_bytes()), &refusal);
        }
        // Names that are something in other languages are names like any other here: declined.
        for name in ["constructor", "__proto__", "toString", "hasOwnProperty"] {
            let request = with(&format!("Sec-WebSocket-{field}: {name}"));
            let record = record(&Config::new().compression(Some(Compression::new())), &request);
            assert_eq!(status(&record), 101, "{name}");
            let answer = Answer::parse(&record.output);
            assert_eq!(answer.header(&format!("sec-websocket-{field}").to_lowercase()), None);
        }
    }
    for lists in ["permessage-deflate; constructor", "permessage-deflate; __proto__=15"] {
        let request = with(&format!("Sec-WebSocket-Extensions: {lists}"));
        let record = record(&Config::new().compression(Some(Compression::new())), &request);
        assert_eq!(Answer::parse(&record.output).header("sec-websocket-extensions"), None, "{lists}");
    }
}

/// The three of the table, and whatever else is a body.
#[test]
fn t5_an_upgrade_with_a_body_is_refused_and_no_byte_behind_the_head_is_read() {
    for name in ["a body of 5 bytes", "a body that is a request", "a chunked body"] {
        let row = Row::named(name);
        let _during = During::new("core", name);
        assert_eq!(row.refusal, Some(Refusal::Body));
        // With frames and another request behind it.
        row.check_record(&at_many_splits(server, &row.stream()));
    }
    for lines in [
        "Content-Length: 1",
        "content-length: 18446744073709551616",
        "Transfer-Encoding: identity",
        "Transfer-Encoding:",
        "TRANSFER-ENCODING: gzip, chunked",
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
    ] {
        let stream = format!("{}{GOOD}", with(lines));
        let record = at_many_splits(server, stream.as_bytes());
        assert_eq!((status(&record), record.events.len()), (400, 0), "{lines}");
    }
    // That there is none may be said.
    assert_eq!(status(&record(&Config::new(), &with("Content-Length: 0"))), 101);
}

#[test]
fn t6_what_follows_a_head_is_frames_once_it_is_accepted_and_nothing_if_it_is_rejected() {
    // Text, as a server has it: a fragment, not masked.
    let record = at_every_split(server, [GOOD, SMUGGLED].concat().as_bytes());
    assert!(matches!(record.events[..], [Event::Request(_)]));
    assert!(matches!(record.end.cause(), Cause::Violation(_)));
    let head = record.output.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let frames = wire::parse(&record.output[head..]);
    assert_eq!((frames.len(), &frames[0].payload), (1, &wire::close_payload(1002)));

    let message = wire::frame(Role::Server, wire::TEXT, "early");
    let record = at_every_split(server, &[GOOD.as_bytes(), &message].concat());
    assert!(matches!(&record.events[..], [Event::Request(_), Event::Message(_)]), "{:?}", record.events);

    for behind in [SMUGGLED.as_bytes(), GOOD.as_bytes(), &message] {
        for cut in 0..behind.len() {
            let mut server = server();
            let (first, second) = behind.split_at(cut);
            let (events, left) = receive(&mut server, START, &[GOOD.as_bytes(), first].concat());
            assert_eq!((events.len(), left), (1, first.len()), "it waits for the answer");
            server.reject(START, Response::new(Status::NOT_FOUND));
            assert_eq!(receive(&mut server, START, &[first, second].concat()), (vec![], 0));
            let output = take_output(&mut server);
            assert_eq!(output.windows(5).filter(|bytes| *bytes == b"HTTP/").count(), 1);
            assert_eq!(server.transport(), Transport::ShutdownWrite);
        }
    }
}

#[test]
fn t8_none_of_29_hostile_requests_is_read_leniently() {
    let rows = rows();
    assert_eq!(rows.len(), 29);
    for row in rows {
        let _during = During::new("core", row.name);
        row.check_record(&at_many_splits(server, &row.stream()));
    }
    // The rows that the threat names, so that none is lost from the table.
    for (name, status) in [
        ("bare LF", 400),
        ("a folded line", 400),
        ("a space before the colon", 400),
        ("NUL in a header", 400),
        ("two Hosts", 400),
        ("no Host", 400),
        ("HTTP/1.0", 505),
        ("POST", 405),
    ] {
        assert_eq!(Row::named(name).status, status, "{name}");
    }
}

#[test]
fn t9_a_key_that_is_not_one_of_16_bytes_is_refused() {
    for name in ["no key", "a key that is not base64", "a key of 15 bytes", "two keys"] {
        let row = Row::named(name);
        assert_eq!(row.refusal, Some(Refusal::Key));
        row.check_record(&at_many_splits(server, &row.stream()));
    }
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    for bad in ["", "====", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZXp6", "dGhl IHNhbXBsZSBub25ZQ=="]
    {
        assert_refused(&at_every_split(server, but(key, bad).as_bytes()), &Refusal::Key);
    }
}

#[test]
fn t10_a_client_goes_on_with_no_answer_that_is_not_the_one_to_its_request() {
    for (i, row) in responses::rows().into_iter().enumerate() {
        let _during = During::new("core, client", format_args!("response {i}, {:?}", row.error));
        row.run();
    }
    let faults: Vec<_> = responses::rows().iter().map(|row| row.error).collect();
    for error in [
        HandshakeError::Accept,
        HandshakeError::Upgrade,
        HandshakeError::Connection,
        HandshakeError::Subprotocol,
        HandshakeError::Extension,
        HandshakeError::TooManyInterim,
        HandshakeError::TooManyHeaders,
        HandshakeError::HeadTooLong,
        HandshakeError::Malformed,
    ] {
        assert!(faults.contains(&error), "{error:?}");
    }
    // Eight interim answers, of any kind but 101, are let pass; a flood of them ends with the ninth.
    for interim in ["100 Continue", "102 Processing", "103 Early Hints", "199 "] {
        let interim = format!("HTTP/1.1 {interim}\r\nX: y\r\n\r\n");
        let (client, request) = asking(&Config::new());
        let stream = [interim.repeat(8), answer_to(&request, &Config::new())].concat();
        let record = splits::run(client, [stream.as_bytes()]);
        assert!(matches!(record.events[..], [Event::Open(_)]), "{:?}", record.events);
        let flood = interim.repeat(10_000);
        let record = splits::run(asking(&Config::new()).0, flood.as_bytes().chunks(1000));
        assert_eq!(record.end.cause(), &Cause::Handshake(HandshakeError::TooManyInterim));
    }
}

/// All of up to three characters that mean something there.
fn short_values() -> Vec<String> {
    const ALPHABET: &str = "0123456789\" =;a";
    let mut all = vec![String::new()];
    let mut from = 0;
    for _ in 0..3 {
        let longer: Vec<_> = all[from..]
            .iter()
            .flat_map(|value| ALPHABET.chars().map(move |character| format!("{value}{character}")))
            .collect();
        from = all.len();
        all.extend(longer);
    }
    all
}

#[test]
fn t11_window_bits_are_a_number_from_8_to_15_or_there_is_no_agreement() {
    let values = short_values();
    assert_eq!(values.len(), 1 + 15 + 225 + 3375);
    let config = Config::new().compression(Some(Compression::new()));
    let mut agreed = [0; 2];
    for value in values.iter().map(|value| &value[..]).chain(["999", "99999999999999999999", "08", "-8"]) {
        // With what may stand around a value (RFC 6455 §9.1).
        let bare = value.trim_matches(' ');
        let bare = bare.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(bare);
        let is_number = matches!(bare, "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15");
        for name in ["server_max_window_bits", "client_max_window_bits"] {
            let list = format!("Sec-WebSocket-Extensions: permessage-deflate; {name}={value}");
            // A server's answer to the client.
            let (client, request) = asking(&config);
            let answer = responses::with(&answer_to(&request, &Config::new()), &list);
            let record = splits::run(client, [answer.as_bytes()]);
            let opens = !record.events.is_empty();
            assert_eq!(opens, is_number, "{list:?}: {:?}", record.end);
            assert!(opens || record.end.cause() == &Cause::Handshake(HandshakeError::Extension), "{list:?}");
            // A client's offer to the server.
            let record = record_with(&config, &list);
            let is_agreed = String::from_utf8_lossy(&record.output).contains("permessage-deflate");
            assert_eq!(is_agreed, is_number, "{list:?}");
            assert!(matches!(status(&record), 101 | 400), "{list:?}");
            agreed[0] += usize::from(opens);
            agreed[1] += usize::from(is_agreed);
        }
    }
    assert!(agreed[0] >= 16 && agreed[0] == agreed[1], "{agreed:?}");
}

fn record_with(config: &Config, line: &str) -> Record {
    record(config, &with(line))
}

#[test]
fn t13_a_page_is_let_in_if_its_origin_is_the_host_that_it_asks_for() {
    let hosts = ["example.com", "EXAMPLE.com", "evil.example", "example.com.evil.example", "xample.com"];
    let ports: [Option<u16>; 4] = [None, Some(80), Some(443), Some(8080)];
    let with_port =
        |host: &str, port: Option<u16>| port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut let_in = 0;
    for (scheme, own) in [("http", 80), ("https", 443), ("HTTPS", 443)] {
        for (host, port) in pairs(&hosts, &ports) {
            for (page, page_port) in pairs(&hosts, &ports) {
                let request = with(&format!("Origin: {scheme}://{}", with_port(page, page_port))).replacen(
                    "example.com",
                    &with_port(host, port),
                    1,
                );
                // What the page's port is if it is not written, is the host's port too.
                let same_port = page_port.unwrap_or(own) == port.unwrap_or(own);
                let is_same = page.eq_ignore_ascii_case(host) && same_port;
                let record = record(&Config::new(), &request);
                assert_eq!(status(&record), if is_same { 101 } else { 403 }, "{request}");
                assert_eq!(record.events.len(), usize::from(is_same), "the application decides after us");
                let_in += usize::from(is_same);
            }
        }
    }
    assert!(let_in > 50);
}

fn pairs<'a, A: Copy, B: Copy>(these: &'a [A], those: &'a [B]) -> impl Iterator<Item = (A, B)> + 'a {
    these.iter().flat_map(move |this| those.iter().map(move |that| (*this, *that)))
}

#[test]
fn t13_no_path_leads_around_the_check_of_the_origin() {
    for target in
        ["/api", "/%61pi", "/api/", "//api", "/API", "/x/../api", "/api?x=%00", "http://example.com/api"]
    {
        for (origin, expected) in [("http://evil.example", 403), ("null", 403), ("http://example.com", 101)] {
            let request = with(&format!("Origin: {origin}")).replacen("/chat?room=1&x=?/", target, 1);
            let record = record(&Config::new(), &request);
            assert_eq!((status(&record), record.events.len()), (expected, usize::from(expected == 101)));
        }
    }
}

#[test]
fn t14_a_name_that_leads_here_is_not_a_name_of_ours() {
    let rebound = with("Origin: http://evil.example:9001").replacen("example.com", "evil.example:9001", 1);
    assert_eq!(status(&record(&Config::new(), &rebound)), 101, "it is of the same host");
    for config in [Config::new(), Config::new().origins(Origins::Any)] {
        let config = config.hosts(["localhost", "127.0.0.1", "[::1]"]);
        let refusal = Refusal::ForeignHost { host: "evil.example:9001".into() };
        assert_refused(&record(&config, &rebound), &refusal);
        // Whatever a page may say besides.
        let forwarded = rebound.replacen("Origin", "X-Forwarded-Host: localhost\r\nOrigin", 1);
        assert_refused(&record(&config, &forwarded), &refusal);
        for host in ["localhost:9001", "127.0.0.1:9001", "[::1]:9001"] {
            let request = with("Origin: http://localhost:3000").replacen("example.com", host, 1);
            assert_eq!(status(&record(&config, &request)), 101, "{host}");
        }
    }
}

#[test]
fn t30_versions_below_7_are_refused_and_their_lengths_are_never_read() {
    for version in 0..=20 {
        let record = record(&Config::new(), &but("Version: 13", &format!("Version: {version}")));
        assert_eq!(status(&record), if [7, 8, 13].contains(&version) { 101 } else { 426 }, "{version}");
    }
    // hixie-75 has no version and no key, hixie-76 two keys and bytes behind the head.
    let hixie = but("Sec-WebSocket-Version: 13\r\n", "").replacen(
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "WebSocket-Protocol: x\r\n",
        1,
    );
    assert_eq!(record(&Config::new(), &hixie).end.cause(), &Cause::Refused(Refusal::Version));
    let hixie =
        hixie.replacen("WebSocket-Protocol: x", "Sec-WebSocket-Key1: 1 2\r\nSec-WebSocket-Key2: 3 4", 1);
    assert_eq!(record(&Config::new(), &hixie).end.cause(), &Cause::Refused(Refusal::Hixie76));
    // A length of theirs that never ends is the beginning of a broken frame, at once.
    for delivery in DELIVERIES {
        let mut server = open(Role::Server, &Config::new().delivery(delivery));
        let endless = [0x80; 100_000];
        assert_eq!(receive(&mut server, START, &endless[..1]), (vec![], 0));
        assert_eq!(wire::payloads(&take_output(&mut server), wire::CLOSE), [wire::close_payload(1002)]);
        assert_eq!(receive(&mut server, START, &endless), (vec![], 0));
        assert!(server.transmit().is_empty());
    }
}

#[cfg(feature = "driver")]
mod on_a_stream {
    use core::task::Poll;

    use sansocket::{Accept, ClientRequest, Config, Status};
    use sansocket_driver::{Connector, Error};
    use sansocket_tests::heads::{Answer, but};
    use sansocket_tests::lab::{self, Lab};
    use sansocket_tests::scripted::{REQUEST, Task};
    use sansocket_tests::stage::{Stage, idle};

    use super::SMUGGLED;

    #[test]
    fn t7_a_false_upgrade_is_the_last_request_on_its_stream() {
        for version in ["1337", "0", "99999999999999999999"] {
            let mut stage = Stage::new(Config::new(), Accept::new(), idle);
            assert!(stage.task.settle().is_pending());
            let false_upgrade = but("Version: 13", &format!("Version: {version}"));
            stage.grip.give([false_upgrade.as_bytes(), SMUGGLED.as_bytes(), REQUEST].concat());
            assert!(stage.task.settle().is_pending());
            let output = stage.grip.take();
            let answer = Answer::parse(&output);
            assert_eq!(answer.status, "HTTP/1.1 426 Upgrade Required");
            assert_eq!(answer.header("sec-websocket-version"), Some("13, 8, 7"));
            assert_eq!(answer.header("connection"), Some("Upgrade, close"));
            assert_eq!(answer.header("content-length"), Some(&answer.body.len().to_string()[..]));
            assert!(stage.grip.log().shut);
            // Nor what comes later.
            stage.grip.give(REQUEST);
            stage.grip.end();
            assert!(stage.task.settle().is_ready());
            assert_eq!(
                (stage.grip.take(), stage.notes.get()),
                (vec![], vec![]),
                "no request reached the handler"
            );
        }
    }

    #[test]
    fn t10_a_redirection_that_leads_to_itself_comes_to_an_end() {
        for most in [0, 1, 5, u8::MAX] {
            let world = lab::begin();
            let connector = Connector::<Lab>::new().redirects(most);
            let mut task = Task::new(async move {
                connector.connect(&ClientRequest::new("ws://a.example/loop").unwrap()).await
            });
            let mut asked = 0;
            let error = loop {
                match task.settle() {
                    Poll::Ready(result) => break result.unwrap_err(),
                    Poll::Pending => {
                        world.call().answer(302, &["Location: /loop"]);
                        asked += 1;
                    }
                }
            };
            assert!(
                matches!(&error, Error::Rejected(response) if response.status() == Status::FOUND),
                "{error:?}"
            );
            assert_eq!(asked, usize::from(most) + 1);
        }
    }
}
