//! How much memory a connection holds before it is open, whatever its peer does: counted in bytes requested from the
//! allocator.
//!
//! One test, so that nothing else allocates meanwhile; it goes through all laws and names all that are broken.

use sansocket::{Accept, Compression, Config, Connection, Request, State};
use sansocket_tests::heads::{GOOD, answer_to, with};
use sansocket_tests::meter::{Broken, Meter, drain, settle};
use sansocket_tests::{START, asking};

sansocket_tests::count_allocations!();

const KIB: usize = 1024;

#[test]
fn the_memory_laws_of_the_opening_handshake_hold() {
    settle(counts);
    let broken = &mut Broken::default();
    a_server_holds_the_head_and_where_its_fields_are(broken);
    a_client_holds_the_head_of_its_answer_and_where_its_fields_are(broken);
    a_client_holds_the_head_of_a_rejection_and_64_kib_of_its_body(broken);
    assert!(broken.0.is_empty(), "broken laws:\n{}", broken.0.join("\n"));
}

/// A head of 16 KiB in this many header lines, all of the same length or so.
fn full(lines: usize) -> String {
    let left = 16 * KIB - GOOD.len();
    let (each, rest) = (left / lines, left % lines);
    let line = |len: usize| format!("X: {}", "x".repeat(len - 5));
    let mut fields = vec![line(each); lines - 1];
    fields.push(line(each + rest));
    let head = with(&fields.join("\r\n"));
    assert_eq!(head.len(), 16 * KIB);
    head
}

/// A head of 16 KiB with one more field, which has as many of these as there is room for.
fn filled(field: &str, again: impl Fn(usize) -> String) -> String {
    let (mut value, room) = (String::new(), 16 * KIB - with(field).len());
    let parts = (0..).map(again).take_while(|part| {
        value.push_str(part);
        value.len() <= room
    });
    let head = with(&format!("{field}{}", parts.collect::<String>()));
    assert!((16 * KIB - 8..=16 * KIB).contains(&head.len()), "{}", head.len());
    head
}

/// A head of 16 KiB with an offer of which this parameter is a quoted string of escapes.
fn escaped(offer: &str) -> String {
    let begin = format!("Sec-WebSocket-Extensions: {offer}=\"");
    with(&format!("{begin}{}\"", r"\1".repeat((16 * KIB - with(&begin).len() - 1) / 2)))
}

/// A head with so many subprotocols, as long as they fit.
fn subprotocols(count: usize) -> String {
    let len = (16 * KIB - with("Sec-WebSocket-Protocol: ").len()) / count - 1;
    let names: Vec<_> = (0..count).map(|i| format!("{i:x<len$}")).collect();
    with(&format!("Sec-WebSocket-Protocol: {}", names.join(",")))
}

fn a_server_holds_the_head_and_where_its_fields_are(broken: &mut Broken) {
    for (name, stream, is_request) in [
        ("a head of 16 KiB", full(1), true),
        ("a head of 16 KiB and 100 headers", full(95), true),
        ("a head with 100 headers", with(&["X: y"; 95].join("\r\n")), true),
        (
            "a head that does not end",
            format!("{}X: {}", &GOOD[..GOOD.len() - 2], "x".repeat(64 * KIB)),
            false,
        ),
        ("one subprotocol again and again", filled("Sec-WebSocket-Protocol: ", |_| "a,".into()), false),
        ("subprotocols", filled("Sec-WebSocket-Protocol: ", |i| format!("{i:x},")), false),
        ("as many subprotocols as may be", subprotocols(Request::MAX_SUBPROTOCOLS), true),
        ("an origin that is escaped", filled("Origin: ", |_| "\u{300}".into()), false),
        ("an origin of 16 KiB", filled("Origin: http://", |_| "x".into()), false),
        ("an offer that is escaped", escaped("permessage-deflate; server_max_window_bits"), true),
        ("an offer that nobody knows and is escaped", escaped("foo; bar"), true),
        (
            "a quote that is not closed",
            filled("Sec-WebSocket-Extensions: foo; bar=\"", |_| r"\x".into()),
            false,
        ),
        ("offers of extensions", filled("Sec-WebSocket-Extensions: ", |_| "a;b=c,".into()), true),
        ("a line that does not end", "x".repeat(64 * KIB), false),
        ("headers that do not end", format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(10_000)), false),
        ("8,000 empty lines", "\r\n".repeat(8000), false),
        ("8,000 line feeds", "\n".repeat(8000), false),
    ] {
        for read in [1, 3, 100, 1000, 4096, stream.len()] {
            let mut scratch = vec![0; read];
            let mut meter = Meter::new(counts);
            let config = Config::new().compression(Some(Compression::new()));
            let mut connection = Connection::server(&config, START);
            let mut most = meter.now();
            for part in stream.as_bytes().chunks(read) {
                meter.receive(&mut connection, part, &mut scratch);
                if connection.state() != State::Connecting {
                    break;
                }
                most = most.max(meter.now());
            }
            if is_request {
                meter.during(|| connection.accept(START, Accept::new())).unwrap();
            }
            let (state, expected) =
                (connection.state(), if is_request { State::Open } else { State::Closing });
            drain(&mut connection);
            drop(connection.reclaim_output());
            let after = meter.now();
            broken.at_most(20 * KIB, most, || format!("{name}, read in {read}"));
            // While it is taken apart there are the parser's places for the fields too.
            broken.at_most(24 * KIB, meter.peak, || format!("{name}, read in {read}, taken apart"));
            broken.at_most(KIB, after, || format!("behind {name}, read in {read}"));
            assert_eq!(state, expected, "{name}");
        }
    }
}

fn a_client_holds_the_head_of_its_answer_and_where_its_fields_are(broken: &mut Broken) {
    let (_, request) = asking(&Config::new());
    let accepted = answer_to(&request, &Config::new());
    let rejected = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned();
    for (name, answer, expected) in [("a 101", accepted, State::Open), ("a 404", rejected, State::Closed)] {
        for lines in [1, 96] {
            // As much as fits.
            let begin = answer.strip_suffix("\r\n").unwrap();
            let len = (16 * KIB - answer.len()) / lines - "X: \r\n".len();
            let stream = format!("{begin}{}\r\n", format!("X: {}\r\n", "x".repeat(len)).repeat(lines));
            assert!((16 * KIB - 200..=16 * KIB).contains(&stream.len()), "{}", stream.len());
            // What stands behind it in the same read makes no difference.
            let pongs = if expected == State::Open { b"\x8A\0".repeat(10 * KIB) } else { Vec::new() };
            let stream = [stream.as_bytes(), &pongs].concat();
            for read in [1, 3, 100, 1000, 4096, 16 * KIB - 200, stream.len()] {
                let mut scratch = vec![0; read];
                let mut meter = Meter::new(counts);
                let (mut connection, request) = meter.during(|| asking(&Config::new()));
                drop((request, connection.reclaim_output()));
                meter.peak = 0;
                for part in stream.chunks(read) {
                    meter.receive(&mut connection, part, &mut scratch);
                    if connection.state() != State::Connecting {
                        break;
                    }
                }
                let (peak, after) = (meter.peak, meter.now());
                assert_eq!(connection.state(), expected, "{name}");
                let law = format!("{name} of 16 KiB and {lines} headers, read in {read}");
                broken.at_most(24 * KIB, peak, || law.clone());
                broken.at_most(KIB, after, || format!("behind {law}"));
            }
        }
    }
}

fn a_client_holds_the_head_of_a_rejection_and_64_kib_of_its_body(broken: &mut Broken) {
    for (how, body) in [
        ("", "x".repeat(200 * KIB)),
        ("Content-Length: 18446744073709551615", "x".repeat(200 * KIB)),
        ("Transfer-Encoding: chunked", format!("FFFFFF\r\n{}", "x".repeat(200 * KIB))),
        ("Transfer-Encoding: chunked", "1\r\nx\r\n".repeat(100 * KIB)),
        ("Transfer-Encoding: chunked", format!("1;{}", "x".repeat(200 * KIB))),
        ("Transfer-Encoding: chunked", format!("1\r\nx\r\n0\r\n{}", "X: y\r\n".repeat(30 * KIB))),
    ] {
        for lines in [1, 99] {
            let mut head =
                format!("HTTP/1.1 503 Not now\r\n{how}{}", if how.is_empty() { "" } else { "\r\n" });
            let each = (16 * KIB - 2 - head.len()) / lines;
            for _ in 0..lines {
                head += &format!("X: {}\r\n", "x".repeat(each - 5));
            }
            head += "\r\n";
            assert!((16 * KIB - 100..=16 * KIB).contains(&head.len()), "{}", head.len());
            let stream = head + &body;
            for read in [1, 1000, 4096, 64 * KIB, stream.len()] {
                let mut scratch = vec![0; read];
                let mut meter = Meter::new(counts);
                let (mut connection, request) = meter.during(|| asking(&Config::new()));
                drop((request, connection.reclaim_output()));
                meter.peak = 0;
                let mut most = meter.now();
                for part in stream.as_bytes().chunks(read) {
                    meter.receive(&mut connection, part, &mut scratch);
                    most = most.max(meter.now());
                }
                let after = meter.now();
                let law = format!("a rejection of {lines} headers, {how:?}, read in {read}");
                broken.at_most((64 + 20) * KIB, most, || law.clone());
                // What it takes to take the head apart is gone before the body comes, but the meter does not see that
                // within a read.
                broken.at_most((64 + 24) * KIB, meter.peak, || format!("{law}, within a read"));
                if connection.state() == State::Closed {
                    broken.at_most(2 * KIB, after, || format!("behind {law}"));
                }
            }
        }
    }
}
