//! RFC 6455 §10.2: which pages may connect, and to which hosts.

use sansocket::{Cause, Config, Connection, Origins, Refusal};
use sansocket_tests::heads::{server, status, with};
use sansocket_tests::{START, at_every_split};

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

#[test]
fn section_10_2_a_request_with_two_origins_is_malformed() {
    let policies =
        [Origins::SameHost, Origins::Any, Origins::listed(["http://example.com", "http://other.example"])];
    for config in policies.map(|origins| Config::new().origins(origins)) {
        for (version, name, expected) in [
            ("13", "Origin", 400),
            ("8", "Sec-WebSocket-Origin", 400),
            ("7", "Sec-WebSocket-Origin", 400),
            // One is enough.
            ("13", "X-Origin", 101),
        ] {
            for second in ["http://example.com", "http://other.example", "null", ""] {
                let lines = format!("{name}: http://example.com\r\nX: y\r\n{name}: {second}");
                let request = with(&lines).replacen(": 13", &format!(": {version}"), 1);
                let record = at_every_split(|| Connection::server(&config, START), request.as_bytes());
                assert_eq!(status(&record), expected, "{lines}");
                if expected == 400 {
                    assert_eq!(record.end.cause(), &Cause::Refused(Refusal::Malformed));
                }
            }
        }
    }
}

#[test]
fn section_10_2_an_origin_that_is_no_text_is_not_null_either() {
    let listed = Origins::listed(["https://app.example", "null"]);
    for (policy, expected) in [(Origins::SameHost, 403), (listed, 403), (Origins::Any, 101)] {
        let config = Config::new().origins(policy);
        for bytes in [&b"\xFF"[..], b"null\xFF", b"http://example.com\xFF", b"https://app.example\xC3"] {
            let request = [with("Origin: ").trim_end().as_bytes(), b" ", bytes, b"\r\n\r\n"].concat();
            let record = at_every_split(|| Connection::server(&config, START), &request);
            assert_eq!(status(&record), expected, "{}", bytes.escape_ascii());
        }
    }
}

#[test]
fn a_host_that_is_not_among_those_that_the_server_goes_by_is_refused() {
    let config = Config::new().hosts(["localhost", "app.example:8080", "[::1]"]);
    for (host, status_code) in [
        ("localhost", 101),
        ("LocalHost:9001", 101),
        ("app.example:8080", 101),
        ("[::1]:9001", 101),
        ("[::1]", 101),
        // What a page that is called like this would be let in by, as it is of the same host.
        ("evil.example", 403),
        ("evil.example:9001", 403),
        ("localhost.evil.example", 403),
        ("app.example", 403),
        ("app.example:80", 403),
        ("127.0.0.1", 403),
        ("[::2]", 403),
    ] {
        let request = with(&format!("Origin: http://{host}\r\nX-Forwarded-Host: localhost")).replacen(
            "Host: example.com",
            &format!("Host: {host}"),
            1,
        );
        let record = at_every_split(|| Connection::server(&config, START), request.as_bytes());
        assert_eq!(status(&record), status_code, "{host}");
        if status_code == 403 {
            let refusal = Refusal::ForeignHost { host: host.into() };
            assert_eq!((record.end.cause(), record.events.len()), (&Cause::Refused(refusal), 0));
            let body = String::from_utf8(record.output).unwrap();
            assert!(body.contains(host) && body.contains("Config::hosts"), "{body}");
        }
    }
    // A page or a file of the server is not for others, either.
    let page = with("X: y").replacen("Upgrade: websocket\r\n", "", 1);
    assert_eq!(status(&at_every_split(|| Connection::server(&config, START), page.as_bytes())), 403);
    let nobody = Config::new().hosts([""; 0]);
    assert_eq!(status(&at_every_split(|| Connection::server(&nobody, START), with("X: y").as_bytes())), 403);
}
