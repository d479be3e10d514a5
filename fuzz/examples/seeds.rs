//! Writes the seeds that can be written by hand: `cargo run --example seeds` in `fuzz/`.
//!
//! Those of `operations`, `pair` and all that act on a connection or a stream are what fuzzing found, cut down with `cargo fuzz cmin`.

use std::fs;
use std::path::Path;

use sansocket::Role;
use sansocket::deflate::{Deflater, Params};
use sansocket_tests::wire::{self, BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT};

/// Sizes of pieces, in front of a stream.
const BYTES: &[u8] = &[0];
const PIECES: &[u8] = &[3, 5, 1, 200];

fn main() {
    for (target, role) in [("server_frames", Role::Server), ("client_frames", Role::Client)] {
        for (i, (name, stream)) in frames(role).into_iter().enumerate() {
            let cut = if i % 2 == 0 { BYTES } else { PIECES };
            // The first byte is the setup: other limits, no Pongs, a Close or a message of this side's before.
            let setup = u8::try_from(i % 32).unwrap();
            write(target, name, &[&[setup], cut, &stream].concat());
        }
    }
    for (i, (name, head)) in requests().into_iter().enumerate() {
        let stream = [head.replace('\n', "\r\n").as_bytes(), &wire::frame(Role::Server, PING, "x")].concat();
        write("request_head", name, &[&[u8::try_from(i % 4).unwrap()], BYTES, &stream].concat());
    }
    for (i, (name, head)) in responses().into_iter().enumerate() {
        let stream = [head.replace('\n', "\r\n").as_bytes(), &wire::frame(Role::Client, PING, "x")].concat();
        write("response_head", name, &[&[u8::try_from(i % 2).unwrap()], BYTES, &stream].concat());
    }
    for (name, text) in [
        ("greek", "κόσμε".as_bytes()),
        ("widths", "aé€😀\u{10FFFF}".as_bytes()),
        (
            "long",
            "plain text, and longer than a vector of the validator is, — twice over, to be sure 😀"
                .as_bytes(),
        ),
        ("surrogate", b"ab\xED\xA0\x80"),
        ("overlong", b"\xF0\x8F\xBF\xBF"),
        ("above", b"\xF4\x90\x80\x80"),
    ] {
        write("utf8", name, &[PIECES, text].concat());
    }
    for (name, bytes) in headers() {
        write("header", name, &bytes);
    }
    for (name, payload) in payloads() {
        // A window of 15 bits.
        write("inflate", name, &[&[7][..], PIECES, &payload].concat());
        // And a limit that most are below; with the same message again, or what is left of a longer one.
        let first = u8::try_from(payload.len()).unwrap_or(u8::MAX);
        let setup = [7, 3, 0x80, 1, first];
        write("inflate_limit", name, &[&setup, PIECES, &payload, &payload].concat());
        for (role, server) in [(Role::Server, 0), (Role::Client, 1)] {
            let compressed = |first: u8, payload: &[u8]| wire::raw(0x40 | first, key(role), payload);
            let (start, end) = payload.split_at(payload.len() / 2);
            let stream = [
                compressed(0x80 | BINARY, &payload),
                compressed(TEXT, start),
                wire::frame(role, PING, "between"),
                wire::frame(role, CONTINUATION, end),
                wire::frame(role, TEXT, "not compressed"),
                wire::raw(0xC0 | TEXT, key(role), &payload),
            ]
            .concat();
            // No parameters, then all of them; permessage-deflate, then its forerunner.
            let codings = [[0, 0, 7, 7, 6, 0, 0, 0, 0], [1, 1, 1, 1, 6, 0, 0, 1, 1]];
            for (coding, kind) in codings.into_iter().zip(["plain", "all"]) {
                let name = format!("{name}_{kind}_{server}");
                write("compressed_frames", &name, &[&[server][..], &coding, PIECES, &stream].concat());
            }
        }
    }
    write("mask", "short", &[&wire::KEY[..], BYTES, b"Hello"].concat());
    write("mask", "long", &[&wire::KEY[..], PIECES, &[0x55; 150]].concat());
    for (name, value) in [
        ("deflate", "permessage-deflate; client_max_window_bits; server_max_window_bits=10"),
        ("quoted", "a; b=\"c\" ; d , e;f=\"g\\h\""),
        ("empty", ", ,\t,a,,b"),
        ("malformed", "a; b=\"c d\", e"),
    ] {
        write("extension_header", name, value.as_bytes());
    }
}

/// Of each length and kind; and fields to be written: the first byte, the mask bit, a shift, key and length.
fn headers() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("short", b"\x81\x05Hello".to_vec()),
        ("masked", b"\x81\x857\xFA!=\x7F\x9FMQX".to_vec()),
        ("wide", vec![0x82, 0xFE, 0x01, 0x00, 1, 2, 3, 4, 5]),
        ("widest", vec![0x02, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4, 5, 6]),
        ("wasteful", vec![0x82, 0x7E, 0, 125]),
        ("wasteful_64", vec![0x82, 0x7F, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]),
        ("least_16", vec![0x82, 0x7E, 0, 126]),
        ("most_16", vec![0x82, 0x7E, 0xFF, 0xFF]),
        ("least_64", vec![0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0]),
        ("most_64", vec![0x82, 0x7F, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        ("overflow", vec![0x82, 0x7F, 0x80]),
        ("reserved", vec![0xB3, 0x00]),
        ("fragmented_control", vec![0x09, 0x00]),
        ("close_of_one", vec![0x88, 0x01, 0x03]),
        ("long_control", vec![0x8A, 0x7E, 0, 126]),
        ("written", vec![0xC1, 1, 40, 1, 2, 3, 4, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
    ]
}

fn key(receiver: Role) -> Option<[u8; 4]> {
    (receiver == Role::Server).then_some(wire::KEY)
}

/// Those of RFC 7692 §7.2.3, and others.
fn payloads() -> Vec<(&'static str, Vec<u8>)> {
    let compressed = |message: &[u8]| {
        let mut payload = Vec::new();
        Deflater::new(&Params::new()).finish(message, &mut payload);
        payload
    };
    vec![
        ("hello", vec![0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]),
        ("stored", vec![0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00]),
        ("final", vec![0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]),
        ("two_blocks", vec![0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00]),
        ("untrimmed", vec![0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff]),
        ("empty", vec![0x00]),
        ("behind_final", vec![0x03, 0x80]),
        ("dynamic", compressed(&"the quick brown fox jumps over the lazy dog ".repeat(9).into_bytes())),
        ("bomb", compressed(&[0; 100_000])),
    ]
}

fn frames(role: Role) -> Vec<(&'static str, Vec<u8>)> {
    let frame = |opcode, payload: &[u8]| wire::frame(role, opcode, payload);
    let fragment = |opcode, payload: &[u8]| wire::fragment(role, opcode, payload);
    let key = (role == Role::Server).then_some(wire::KEY);
    vec![
        ("text", frame(TEXT, "héllo wörld".as_bytes())),
        ("two", [frame(BINARY, b"\0\xFF"), frame(TEXT, b"")].concat()),
        (
            "fragments",
            [
                fragment(TEXT, b"in \xE2\x82"),
                frame(PING, b"between"),
                fragment(CONTINUATION, b""),
                frame(CONTINUATION, b"\xAC pieces"),
                frame(CLOSE, b"\x03\xE8bye"),
            ]
            .concat(),
        ),
        ("long", frame(BINARY, &[7; 300])),
        ("pings", [frame(PING, b"1"), frame(PING, b""), frame(PONG, b"2"), frame(PING, b"3")].concat()),
        ("bad_text", [frame(TEXT, b"fine"), frame(TEXT, b"not \xC0 fine"), frame(TEXT, b"no more")].concat()),
        ("unfinished_text", [fragment(TEXT, b"a\xF0\x9F"), frame(CONTINUATION, b"")].concat()),
        ("close_empty", [frame(CLOSE, b""), frame(TEXT, b"behind")].concat()),
        ("close_1005", wire::close(role, 1005, "")),
        ("close_reason", frame(CLOSE, b"\x0B\xB8\xFF")),
        ("reserved_bit", wire::raw(0xC1, key, b"x")),
        ("reserved_opcode", wire::raw(0x83, key, b"x")),
        ("continuation", frame(CONTINUATION, b"x")),
        ("within", [fragment(BINARY, b"x"), frame(BINARY, b"y")].concat()),
        ("fragmented_ping", fragment(PING, b"x")),
        ("long_ping", frame(PING, &[0; 126])),
        (
            "wide",
            [&frame(BINARY, &[0; 5])[..1], &[if key.is_some() { 0xFF } else { 0x7F }], &[0x3F; 14]].concat(),
        ),
        ("sending", [frame(TEXT, b"x"), frame(PING, b"p"), frame(TEXT, b"")].concat()),
        ("wrong_mask", wire::raw(0x81, if key.is_some() { None } else { Some(wire::KEY) }, b"x")),
        ("fragment_count", [fragment(BINARY, b""), fragment(CONTINUATION, b"").repeat(3)].concat()),
    ]
}

fn requests() -> Vec<(&'static str, String)> {
    let start = "GET /chat?x=1 HTTP/1.1\nHost: example.com\n";
    let upgrade = "Upgrade: websocket\nConnection: keep-alive, Upgrade\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n";
    let extra =
        "Sec-WebSocket-Protocol: chat, superchat\nSec-WebSocket-Extensions: permessage-deflate; a=\"b\"\n";
    vec![
        ("plain", format!("{start}{upgrade}{key}Sec-WebSocket-Version: 13\n\n")),
        ("origin", format!("{start}{upgrade}{key}Origin: http://example.com\nSec-WebSocket-Version: 13\n\n")),
        (
            "foreign",
            format!("{start}{upgrade}{key}Origin: http://evil.example\nSec-WebSocket-Version: 13\n\n"),
        ),
        ("offers", format!("\n{start}{upgrade}{key}{extra}Sec-WebSocket-Version: 13\n\n")),
        ("draft", format!("{start}{upgrade}{key}Sec-WebSocket-Origin: null\nSec-WebSocket-Version: 8\n\n")),
        ("page", format!("{start}\n")),
        ("head", "HEAD / HTTP/1.1\nHost: a\n\n".into()),
        ("head_behind_empty_line", "\nHEAD / HTTP/1.1\n\n".into()),
        ("no_key", format!("{start}{upgrade}Sec-WebSocket-Version: 13\n\n")),
        ("old", "GET / HTTP/1.0\nHost: a\n\n".into()),
        ("body", format!("{start}{upgrade}{key}Content-Length: 5\nSec-WebSocket-Version: 13\n\n")),
        ("many", format!("{start}{}\n", "a: b\n".repeat(12))),
    ]
}

fn responses() -> Vec<(&'static str, String)> {
    let start = "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\n";
    vec![
        ("plain", format!("{start}Sec-WebSocket-Accept: $A\n\n")),
        ("subprotocol", format!("{start}Sec-WebSocket-Accept: $A\nSec-WebSocket-Protocol: chat\n\n")),
        ("wrong_key", format!("{start}Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n\n")),
        (
            "extension",
            format!("{start}Sec-WebSocket-Accept: $A\nSec-WebSocket-Extensions: permessage-deflate\n\n"),
        ),
        ("interim", format!("HTTP/1.1 103 Early Hints\nLink: x\n\n{start}Sec-WebSocket-Accept: $A\n\n")),
        ("length", "HTTP/1.1 404 Not Found\nContent-Length: 4\n\ngone".into()),
        ("chunked", "HTTP/1.1 503 Busy\nTransfer-Encoding: chunked\n\n5\nHello\n0\n\n".into()),
        ("until_end", "HTTP/1.1 302 Found\nLocation: /\n\nelsewhere".into()),
        ("empty", "HTTP/1.1 204 No Content\n\n".into()),
        ("nonsense", "SSH-2.0-OpenSSH_9.2\n\n".into()),
    ]
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}
