//! Traffic like that of the Autobahn testsuite, by its groups of cases, as either role gets it.

use sansocket::{Kind, Role};

use super::{Setup, Stream, Variant};
use crate::compressed::{self, deflater, next};
use crate::splits::Program;
use crate::wire::{self, BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT};
use crate::{ROLES, inflate};

pub(super) fn streams() -> Vec<Stream> {
    let mut streams = Vec::new();
    for role in ROLES {
        let groups = [sizes(role), pings(role), reserved(role), fragments(role), utf8(role), closes(role)];
        for (n, (name, frames)) in groups.into_iter().flatten().enumerate() {
            // The testsuite talks to echo servers and clients.
            let plain = Setup { program: Program::Echoes, ..Setup::new(role) };
            let bytes = frames.concat();
            if bytes.len() < 1000 {
                streams.push(Stream::frames(&name, bytes.clone(), Setup::nth(role, n)));
            }
            streams.push(Stream::frames(name, bytes, plain));
        }
        for n in 0..4 {
            for (name, frames) in compression(role, n) {
                let setup = Setup { program: Program::Echoes, ..Setup::new(role) }.compressing(n);
                let waits = Setup { variant: Variant::OneByteAtMost, ..setup };
                let bytes = frames.concat();
                streams.push(Stream::frames(&name, bytes.clone(), waits));
                streams.push(Stream::frames(name, bytes, setup));
            }
        }
    }
    streams
}

type Case = (String, Vec<Vec<u8>>);

/// 1.1 and 1.2: every form of a length.
fn sizes(role: Role) -> Vec<Case> {
    let mut cases = Vec::new();
    for (opcode, long) in [(TEXT, 65_535), (BINARY, 65_536)] {
        for len in [0, 125, 126, 127, 128, long] {
            let frames = vec![wire::frame(role, opcode, vec![b'*'; len]), wire::close(role, 1000, "")];
            cases.push((format!("1.{opcode}: {len} bytes"), frames));
        }
        let pieces = (0..26).map(|i| match i {
            0 => wire::fragment(role, opcode, "*****"),
            25 => wire::frame(role, CONTINUATION, "*****"),
            _ => wire::fragment(role, CONTINUATION, "*****"),
        });
        cases.push((format!("1.{opcode}: 130 bytes, 5 at a time"), pieces.collect()));
    }
    cases
}

/// 2: Pings and Pongs.
fn pings(role: Role) -> Vec<Case> {
    let ping = |payload: &[u8]| wire::frame(role, PING, payload);
    let pong = |payload: &[u8]| wire::frame(role, PONG, payload);
    let close = wire::close(role, 1000, "");
    let numbered = |i: u8| ping(&[b'p', b'0' + i]);
    [
        ("2.1: empty", vec![ping(b"")]),
        ("2.2: text", vec![ping(b"Hello, world!")]),
        ("2.3: binary", vec![ping(b"\x00\xFF\xFE\xFD\xFC\xFB\x00\xFF")]),
        ("2.4: 125 bytes", vec![ping(&[0xFE; 125])]),
        ("2.5: 126 bytes", vec![ping(&[0xFE; 126])]),
        ("2.7: an empty Pong", vec![pong(b"")]),
        ("2.8: a Pong", vec![pong(b"unsolicited pong payload")]),
        ("2.9: a Pong, then a Ping", vec![pong(b"unsolicited pong payload"), ping(b"ping payload")]),
        ("2.10: ten Pings", (0..10).map(numbered).collect()),
        ("2.10: a hundred Pings", (0..100).map(|i| numbered(i % 10)).collect()),
    ]
    .into_iter()
    .map(|(name, frames)| (name.to_owned(), [frames, vec![close.clone()]].concat()))
    .collect()
}

/// 3 and 4: what is reserved.
fn reserved(role: Role) -> Vec<Case> {
    let hello = wire::frame(role, TEXT, "Hello, world!");
    let ping = wire::frame(role, PING, "");
    let mut cases = Vec::new();
    for bits in 1..8 {
        for opcode in [TEXT, BINARY, PING, CLOSE] {
            let bad = wire::frame(role, bits << 4 | opcode, "Hello, world!");
            cases.push((
                format!("3.{bits}: opcode {opcode}"),
                vec![hello.clone(), bad, hello.clone(), ping.clone()],
            ));
        }
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for payload in ["", "reserved opcode payload"] {
            let bad = wire::frame(role, opcode, payload);
            cases.push((
                format!("4: opcode {opcode}, {} bytes", payload.len()),
                vec![hello.clone(), bad, ping.clone()],
            ));
        }
    }
    cases
}

/// 5: fragments, with what may stand between them and what may not.
fn fragments(role: Role) -> Vec<Case> {
    let frame = |opcode, payload| wire::frame(role, opcode, payload);
    let fragment = |opcode, payload| wire::fragment(role, opcode, payload);
    let ping = || frame(PING, "ping payload");
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("5.1: a Ping", vec![fragment(PING, "fragment1"), frame(CONTINUATION, "fragment2")]),
        ("5.2: a Pong", vec![fragment(PONG, "fragment1"), frame(CONTINUATION, "fragment2")]),
        ("5.3: two", vec![fragment(TEXT, "fragment1"), frame(CONTINUATION, "fragment2")]),
        ("5.6: a Ping between", vec![fragment(TEXT, "fragment1"), ping(), frame(CONTINUATION, "fragment2")]),
        (
            "5.9: nothing to continue",
            vec![frame(CONTINUATION, "non-continuation payload"), frame(TEXT, "Hello")],
        ),
        (
            "5.12: nothing to continue, not the last",
            vec![fragment(CONTINUATION, "payload"), frame(TEXT, "Hello")],
        ),
        (
            "5.15: a continuation behind the last",
            vec![
                fragment(TEXT, "fragment1"),
                frame(CONTINUATION, "fragment2"),
                fragment(CONTINUATION, "fragment3"),
                frame(TEXT, "fragment4"),
            ],
        ),
        (
            "5.16: not in this order, twice",
            vec![
                fragment(CONTINUATION, "fragment1"),
                fragment(TEXT, "fragment2"),
                frame(CONTINUATION, "fragment3"),
                fragment(CONTINUATION, "fragment1"),
                fragment(TEXT, "fragment2"),
                frame(CONTINUATION, "fragment3"),
            ],
        ),
        ("5.18: a text within", vec![fragment(TEXT, "fragment1"), frame(TEXT, "fragment2")]),
        (
            "5.19: Pings between",
            vec![
                fragment(TEXT, "fragment1"),
                fragment(CONTINUATION, "fragment2"),
                ping(),
                fragment(CONTINUATION, "fragment3"),
                ping(),
                fragment(CONTINUATION, ""),
                frame(CONTINUATION, "fragment5"),
            ],
        ),
        (
            "5: empty fragments",
            vec![
                fragment(BINARY, ""),
                fragment(CONTINUATION, ""),
                ping(),
                frame(CONTINUATION, ""),
                frame(TEXT, ""),
            ],
        ),
        (
            "5: a Close between",
            vec![fragment(TEXT, "a"), wire::close(role, 1000, ""), frame(CONTINUATION, "b")],
        ),
    ];
    cases.into_iter().map(|(name, frames)| (name.to_owned(), frames)).collect()
}

/// 6: text, whole, by character, by byte, and its bytes beyond the first that is wrong.
fn utf8(role: Role) -> Vec<Case> {
    const GOOD: [&[u8]; 18] = [
        "Hello-µ@ßöäüàá-UTF-8!!".as_bytes(),
        "κόσμε".as_bytes(),
        b"\x00",
        b"\xC2\x80",
        b"\xE0\xA0\x80",
        b"\xF0\x90\x80\x80",
        b"\x7F",
        b"\xDF\xBF",
        b"\xEF\xBF\xBF",
        b"\xF4\x8F\xBF\xBF",
        b"\xED\x9F\xBF",
        b"\xEE\x80\x80",
        b"\xEF\xBF\xBD",
        b"\xEF\xBF\xBE",
        b"\xF0\x9F\xBF\xBE",
        b"\xF3\xBF\xBF\xBF",
        b"\xEF\xB7\x90",
        b"plain \xF0\x9F\x98\x80 plain",
    ];
    const BAD: [&[u8]; 36] = [
        b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80\x65\x64\x69\x74\x65\x64",
        b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xF4\x90\x80\x80\x65\x64\x69\x74\x65\x64",
        b"\xF8\x88\x80\x80\x80",
        b"\xFC\x84\x80\x80\x80\x80",
        b"\xF7\xBF\xBF\xBF",
        b"\xFB\xBF\xBF\xBF\xBF",
        b"\xFD\xBF\xBF\xBF\xBF\xBF",
        b"\xF4\x90\x80\x80",
        b"\x80",
        b"\xBF",
        b"\x80\xBF",
        b"\x80\xBF\x80\xBF\x80",
        b"\xC0 \xC1 \xC2 \xDF ",
        b"\xE0 \xE1 \xEF ",
        b"\xF0 \xF4 \xF7 ",
        b"\xF8 \xFB ",
        b"\xC0",
        b"\xE0\x80",
        b"\xF0\x80\x80",
        b"\xC2",
        b"\xDF",
        b"\xEF\xBF",
        b"\xF0\x90\x80",
        b"\xF4\x8F\xBF",
        b"\xFE",
        b"\xFF",
        b"\xFE\xFE\xFF\xFF",
        b"\xC0\xAF",
        b"\xE0\x80\xAF",
        b"\xF0\x80\x80\xAF",
        b"\xC1\xBF",
        b"\xE0\x9F\xBF",
        b"\xF0\x8F\xBF\xBF",
        b"\xED\xA0\x80",
        b"\xED\xBF\xBF",
        b"\xED\xA0\x80\xED\xB0\x80",
    ];
    let mut cases = Vec::new();
    for (i, text) in GOOD.into_iter().chain(BAD).enumerate() {
        let valid = if i < GOOD.len() { "valid" } else { "not valid" };
        let behind = [wire::frame(role, PING, "behind"), wire::close(role, 1000, "")];
        let by_byte = (0..=text.len()).map(|i| match i {
            _ if i == text.len() => wire::frame(role, CONTINUATION, ""),
            0 => wire::fragment(role, TEXT, &text[..1]),
            _ => wire::fragment(role, CONTINUATION, &text[i..=i]),
        });
        let (first, last) = text.split_at(text.len() / 2);
        let halves = [
            wire::fragment(role, TEXT, first),
            wire::frame(role, PING, "between"),
            wire::frame(role, CONTINUATION, last),
        ];
        for (how, frames) in [
            ("whole", vec![wire::frame(role, TEXT, text)]),
            ("by byte", by_byte.collect()),
            ("in halves", halves.to_vec()),
        ] {
            cases.push((format!("6: {valid} {i}, {how}"), [&frames[..], &behind].concat()));
        }
    }
    cases
}

/// 7: Closes of all kinds, and what comes behind them.
fn closes(role: Role) -> Vec<Case> {
    let hello = wire::frame(role, TEXT, "Hello, world!");
    let ping = wire::frame(role, PING, "");
    let frame = |payload: &[u8]| wire::frame(role, CLOSE, payload);
    let mut cases = vec![
        ("7.1.1: behind a text".to_owned(), vec![hello.clone(), frame(b"\x03\xE8")]),
        ("7.1.2: twice".to_owned(), vec![frame(b"\x03\xE8"), frame(b"\x03\xE8")]),
        ("7.1.3: a Ping behind".to_owned(), vec![frame(b"\x03\xE8"), ping.clone()]),
        ("7.1.4: a text behind".to_owned(), vec![frame(b"\x03\xE8"), hello.clone()]),
        (
            "7.1.5: within a message".to_owned(),
            vec![wire::fragment(role, TEXT, "1"), frame(b"\x03\xE8"), wire::frame(role, CONTINUATION, "2")],
        ),
        ("7.3.1: empty".to_owned(), vec![frame(b"")]),
        ("7.3.2: a byte".to_owned(), vec![frame(b"a")]),
        ("7.3.4: a reason".to_owned(), vec![frame(b"\x03\xE8Hello World!")]),
        ("7.3.5: a long reason".to_owned(), vec![frame(&[&b"\x03\xE8"[..], &[b'*'; 123]].concat())]),
        ("7.3.6: too long a reason".to_owned(), vec![frame(&[&b"\x03\xE8"[..], &[b'*'; 124]].concat())]),
        ("7.5.1: a reason of no text".to_owned(), vec![frame(b"\x03\xE8\xCE\xBA\xED\xA0\x80edited")]),
    ];
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999, 0, 999, 1004, 1005,
        1006, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        cases.push((format!("7: code {code}"), vec![wire::close(role, code, ""), ping.clone()]));
        cases.push((format!("7: code {code}, a reason"), vec![hello.clone(), wire::close(role, code, "κ")]));
    }
    cases
}

/// 12 and 13: compressed messages of many sizes, whole and in fragments.
fn compression(role: Role, n: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, name) in [(Kind::Text, "text"), (Kind::Binary, "binary")] {
        for len in [16, 64, 256, 1024, 8192] {
            for fragments in [1, 3] {
                let mut dice = crate::pair::Dice::new(u64::try_from(len).unwrap());
                let mut deflater = deflater();
                let mut frames = Vec::new();
                for _ in 0..if len < 1000 { 3 } else { 1 } {
                    if n > 0 {
                        deflater.reset();
                    }
                    let payload = next(&mut deflater, inflate::json(&mut dice, len));
                    let parts: Vec<_> = payload.chunks(payload.len().div_ceil(fragments)).collect();
                    frames.extend(compressed::frames(role, kind, &parts));
                }
                frames.push(wire::close(role, 1000, ""));
                cases.push((format!("12, 13: {name}, {len} bytes in {fragments}"), frames));
            }
        }
    }
    cases
}
