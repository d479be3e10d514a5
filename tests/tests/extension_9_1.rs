//! RFC 6455 §9.1: the grammar of `Sec-WebSocket-Extensions`.

use std::borrow::Cow;

use sansocket::extension::{Malformed, Offer, Param, Settings, offers};
use sansocket::{Config, Connection, Event, Refusal, Transport};
use sansocket_tests::{START, at_every_split, receive};

/// An extension as `name; param; param=value`.
fn written(offer: &Offer<'_>) -> String {
    offer.params().fold(offer.name().to_owned(), |mut out, Param { name, value }| {
        out.push_str("; ");
        out.push_str(name);
        if let Some(value) = value {
            out.push('=');
            out.push_str(&value);
        }
        out
    })
}

fn read(value: &str) -> Result<Vec<String>, Malformed> {
    offers(value.as_bytes()).map(|offer| offer.map(|offer| written(&offer))).collect()
}

fn request(extensions: &str) -> Vec<u8> {
    format!(
        "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Extensions: {extensions}\r\n\r\n"
    )
    .into_bytes()
}

#[test]
fn section_9_1_a_list_has_names_and_parameters() {
    let table: &[(&str, &[&str])] = &[
        ("", &[]),
        ("foo", &["foo"]),
        ("foo, bar", &["foo", "bar"]),
        ("foo,bar", &["foo", "bar"]),
        ("foo; bar; baz=2", &["foo; bar; baz=2"]),
        ("bar; baz=2, foo; q", &["bar; baz=2", "foo; q"]),
        // The RFC's own examples (§9.1).
        ("deflate-stream", &["deflate-stream"]),
        (
            "mux; max-channels=4; flow-control, deflate-stream",
            &["mux; max-channels=4; flow-control", "deflate-stream"],
        ),
        ("private-extension", &["private-extension"]),
        // RFC 7692 §7.1.
        (
            "permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate",
            &["permessage-deflate; client_max_window_bits; server_max_window_bits=10", "permessage-deflate"],
        ),
        // Every character of a token (RFC 9110 §5.6.2).
        (
            "!#$%&'*+-.^_`|~09azAZ; !#$%&'*+-.^_`|~09azAZ=!#$%&'*+-.^_`|~09azAZ",
            &["!#$%&'*+-.^_`|~09azAZ; !#$%&'*+-.^_`|~09azAZ=!#$%&'*+-.^_`|~09azAZ"],
        ),
        // Names that broke implementations in other languages.
        (
            "constructor; __proto__=toString, hasOwnProperty",
            &["constructor; __proto__=toString", "hasOwnProperty"],
        ),
        // The same name twice, the same parameter twice: for the negotiation to judge, not the grammar.
        ("foo; a=1; a=2, foo", &["foo; a=1; a=2", "foo"]),
    ];
    for (value, expected) in table {
        assert_eq!(read(value).unwrap(), *expected, "{value:?}");
    }
}

#[test]
fn section_9_1_a_quoted_value_is_what_stands_between_the_quotes() {
    for (value, expected) in [
        (r#"foo; bar="1""#, "foo; bar=1"),
        (r#"foo; bar="token-7"; baz"#, "foo; bar=token-7; baz"),
        (r#"foo; bar = "x" ; baz"#, "foo; bar=x; baz"),
    ] {
        assert_eq!(read(value).unwrap(), [expected], "{value}");
    }
}

#[test]
fn section_9_1_a_quoted_value_with_an_escape_is_legal_if_it_is_a_token_without() {
    // "the value after quoted-string unescaping MUST conform to the 'token' ABNF": 1\0 is 10.
    for value in [r#"foo; bar="1\0""#, r#"foo; bar="\1\0""#, r#"foo; bar="a\b", baz"#] {
        assert!(offers(value.as_bytes()).all(|offer| offer.is_ok()), "{value}");
    }
    for (value, expected) in [
        (r#"foo; bar="1\0""#, "foo; bar=10"),
        (r#"foo; bar="\1\0"; baz"#, "foo; bar=10; baz"),
        (r#"foo; bar="a\bc\d" ; baz="e""#, "foo; bar=abcd; baz=e"),
    ] {
        assert_eq!(read(value).unwrap(), [expected], "{value}");
    }
    for len in [1, 2, 3, 100, 10_000] {
        let value = format!("foo; bar=\"{}x\"; baz", r"\y".repeat(len));
        assert_eq!(read(&value).unwrap(), [format!("foo; bar={}x; baz", "y".repeat(len))]);
    }
}

#[test]
fn a_value_is_copied_if_it_has_escapes_and_not_otherwise() {
    for (value, is_copied) in
        [("foo; bar=token", false), (r#"foo; bar="token""#, false), (r#"foo; bar="t\oken""#, true)]
    {
        let offer = offers(value.as_bytes()).next().unwrap().unwrap();
        let param = offer.params().next().unwrap();
        assert_eq!(param.value.as_deref(), Some("token"), "{value}");
        assert_eq!(matches!(param.value, Some(Cow::Owned(_))), is_copied, "{value}");
    }
}

/// Also where a known extension is judged, which looks at no value that is longer than its own.
#[test]
fn section_9_1_an_escape_in_a_parameter_of_permessage_deflate_means_nothing() {
    let answer = |value: &str| {
        let offer = format!("permessage-deflate; server_max_window_bits=\"{value}\"");
        Some(Settings::new().answer([offer.as_bytes()])?.0.server_max_window_bits.get())
    };
    for (value, bits) in [("10", 10), (r"1\0", 10), (r"\1\0", 10), (r"\8", 8), ("8", 8)] {
        assert_eq!(answer(value), Some(bits), "{value}");
    }
    for value in [r"\1\0\0", r"\0\8", r"\1\6", r"\x", &r"\1".repeat(1000)] {
        assert_eq!(answer(value), None, "{value}");
    }
}

#[test]
fn section_9_1_space_and_empty_elements_mean_nothing() {
    for value in [
        "foo;bar=1,baz",
        "foo; bar=1, baz",
        " foo ; bar = 1 , baz ",
        "\tfoo\t;\tbar\t=\t1\t,\tbaz\t",
        ",foo; bar=1, baz",
        ",,,foo;bar=1,,,baz,,,",
        " , , foo; bar=1, , ,baz , ",
        "foo \t \t; bar=1,\t ,\t baz",
    ] {
        assert_eq!(read(value).unwrap(), ["foo; bar=1", "baz"], "{value:?}");
    }
    for empty in ["", " ", "\t", ",", ",,,", " , \t, "] {
        assert_eq!(read(empty).unwrap(), [""; 0], "{empty:?}");
    }
}

#[test]
fn section_9_1_what_does_not_follow_the_grammar_is_an_error() {
    for value in [
        ";",
        "=",
        "\"",
        "\"foo\"",
        ";foo",
        "=1",
        "foo;",
        "foo; ",
        "foo;;bar",
        "foo; ;bar",
        "foo;,bar",
        "foo;=1",
        "foo=1",
        "foo bar",
        "foo; bar baz",
        "foo; bar=",
        "foo; bar= ",
        "foo; bar=,baz",
        "foo; bar=;baz",
        "foo; bar==1",
        "foo; bar=1=2",
        "foo; bar=1 2",
        "foo; bar=(",
        "foo; bar=\"",
        "foo; bar=\"\"",
        "foo; bar=\"1",
        "foo; bar=\"1\\\"",
        "foo; bar=\"1\\",
        "foo; bar=\"1\"2",
        "foo; bar=\"1\" 2",
        "foo; bar=\"1\"\"2\"",
        "foo; bar=\"1 2\"",
        "foo; bar=\" 1\"",
        "foo; bar=\"1 \"",
        "foo; bar=\"1,2\"",
        "foo; bar=\"1\\ 2\"",
        "foo; bar=1\"",
        "foo; \"bar\"=1",
        "foo/1",
        "foo@bar",
        "foo; bar=a:b",
        "f\u{f6}\u{f6}",
        "foo; b\u{e4}r",
        "foo; bar=\u{fc}",
        "foo\u{0}",
        "foo\u{7f}",
        "foo\u{b}; bar",
        "foo;\r\n bar",
    ] {
        assert!(read(value).is_err(), "{value:?}");
    }
    assert_eq!(read("foo;").unwrap_err().to_string(), "Sec-WebSocket-Extensions is malformed");
}

#[test]
fn section_9_1_what_stands_before_an_error_is_read_and_nothing_behind_it() {
    let mut list = offers(b"good; a=1, bad;, good");
    assert_eq!(written(&list.next().unwrap().unwrap()), "good; a=1");
    assert!(list.next().unwrap().is_err());
    assert!(list.next().is_none());
    assert!(list.next().is_none());
}

#[test]
fn section_9_1_every_byte_is_in_a_token_or_it_is_not() {
    for byte in 0..=u8::MAX {
        let is_token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        // As the middle of a name, where space and separators are errors too.
        let value = [b"a", &[byte][..], b"b"].concat();
        let outcome: Result<Vec<_>, _> = offers(&value).collect();
        let fits = is_token || matches!(byte, b',' | b';');
        assert_eq!(outcome.is_ok(), fits, "name {byte:#04x}");
        // In a quoted value, where nothing separates. The escape has its own test.
        if byte == b'\\' {
            continue;
        }
        let value = [b"a; b=\"x", &[byte][..], b"y\""].concat();
        let outcome: Result<Vec<_>, _> = offers(&value).collect();
        assert_eq!(outcome.is_ok(), is_token, "quoted {byte:#04x}");
    }
}

#[test]
fn section_9_1_hostile_shapes_are_errors_and_take_linear_time() {
    // A quadratic parser needs hours for these, an exponential one for ever: the test would not end.
    let long = 1 << 20;
    for n in [8000, 16 << 10, long] {
        for value in [
            format!("b{}x", " ".repeat(n)),
            format!("b;{}", " ".repeat(n)),
            format!("b{};", "\t ".repeat(n / 2)),
            format!("b; x=\"{}", "\\".repeat(n)),
            format!("b; x=\"{}", "\\x".repeat(n)),
            format!("b; x=\"{}", "a".repeat(n)),
            format!("{}\"", "a".repeat(n)),
            format!("b{}=", "; x".repeat(n / 3)),
            format!("b{}", "; x=\"".repeat(n / 5)),
            format!("{}(", "b; x=1, ".repeat(n / 8)),
            format!("{};", ",".repeat(n)),
            format!("{}b b", ", ".repeat(n / 2)),
        ] {
            assert!(offers(value.as_bytes()).any(|offer| offer.is_err()), "{:?}…", &value[..16]);
        }
    }
    let many = "b; x=1, ".repeat(long / 8);
    assert_eq!(offers(many.as_bytes()).filter(|offer| offer.is_ok()).count(), long / 8);
    let empty = ", ".repeat(long);
    assert_eq!(offers(empty.as_bytes()).count(), 0);
}

#[test]
fn section_9_1_whatever_the_bytes_the_parser_ends_and_what_it_reads_reads_the_same_again() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let (mut good, mut bad) = (0, 0);
    for _ in 0..200_000 {
        // Mostly what the grammar is made of, so that many are legal.
        let alphabet = b"ab1;;,,==  \"\"\t\\\\(\x00\xff\n";
        let common = if next(2) == 0 { 12 } else { alphabet.len() };
        let value: Vec<u8> = (0..next(16)).map(|_| alphabet[next(common)]).collect();
        let mut count = 0;
        for offer in offers(&value) {
            count += 1;
            assert!(count <= value.len(), "goes on without reading: {value:?}");
            let Ok(offer) = offer else {
                bad += 1;
                continue;
            };
            good += 1;
            // A value with an escape is written as a quoted string.
            let text = written(&offer);
            if !text.contains('\\') {
                assert_eq!(read(&text).unwrap(), [text.as_str()], "{value:?}");
            }
        }
    }
    assert!(good > 10_000 && bad > 10_000, "{good} {bad}");
}

#[test]
fn section_9_1_a_request_with_a_malformed_list_is_refused_and_with_a_good_one_is_not() {
    let server = || Connection::server(&Config::new(), START);
    for bad in ["junk junk", "foo; bar=\"1", "foo;", ", =", "foo, bar\r\nSec-WebSocket-Extensions: baz;"] {
        let record = at_every_split(server, &request(bad));
        assert_eq!(record.events, [], "{bad:?}");
        assert_eq!(record.end.cause(), &sansocket::Cause::Refused(Refusal::Extensions), "{bad:?}");
    }
    for good in
        ["unknown; x=1", "a, b; c=\"d\"", "deflate-stream\r\nSec-WebSocket-Extensions: x; y", ", ,", ""]
    {
        let record = at_every_split(server, &request(good));
        assert!(matches!(record.events[..], [Event::Request(_)]), "{good:?}");
        assert!(record.output.starts_with(b"HTTP/1.1 101 "), "{good:?}");
        // Nothing was chosen, so nothing is said.
        let output = String::from_utf8(record.output).unwrap().to_ascii_lowercase();
        assert!(!output.contains("sec-websocket-extensions"), "{good:?}");
    }
}

#[test]
fn section_9_1_hostile_lists_are_refused_in_a_request_too() {
    for hostile in [
        format!("b{}x", " ".repeat(15 << 10)),
        format!("b; x=\"{}", "\\".repeat(8000)),
        format!("b; x=\"{}", "\\x".repeat(7000)),
    ] {
        let mut server = Connection::server(&Config::new(), START);
        let (events, rest) = receive(&mut server, START, &request(&hostile));
        assert_eq!((events, rest), (vec![], 0));
        assert!(server.transmit().to_vec().starts_with(b"HTTP/1.1 400 "));
        server.transmitted(server.transmit().len());
        assert_eq!(server.transport(), Transport::ShutdownWrite);
    }
}
