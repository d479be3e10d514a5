//! Attacks by frames: rows T16, T18 and T22 to T29 of `THREATS.md`. What of them is counted in memory or work is in
//! `threats_memory.rs` and `threats_work.rs`.
#![cfg(not(miri))]

use core::iter;

use sansocket::{
    Cause, CloseCode, CloseFrame, Config, Connection, Disconnect, Event, Kind, ProtocolError, Role, Side,
    State, Transport,
};
use sansocket_tests::compressed::{self, DELIVERIES, RSV1};
use sansocket_tests::hostile::During;
use sansocket_tests::hostile::frames::attacks;
use sansocket_tests::pair::Dice;
use sansocket_tests::splits::run;
use sansocket_tests::wire::{self, BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, assert_failed};
use sansocket_tests::{ROLES, START, at_every_split, open, receive, take_output};

use ProtocolError::{
    InvalidCloseCode, InvalidCloseReason, InvalidUtf8, LengthOverflow, Masked, MessageTooBig, ReservedBits,
    Unmasked,
};

const MIB: u64 = 1 << 20;

/// A header of a final frame that declares this length, in its shortest form.
fn declares(receiver: Role, opcode: u8, len: u64) -> Vec<u8> {
    let bytes = len.to_be_bytes();
    match len {
        0..=125 => wire::header(receiver, 0x80 | opcode, bytes[7], &[]),
        126..=65_535 => wire::header(receiver, 0x80 | opcode, 126, &bytes[6..]),
        _ => wire::header(receiver, 0x80 | opcode, 127, &bytes),
    }
}

/// How a connection that got these bytes, and no more, would end.
fn end(mut connection: Connection, bytes: &[u8]) -> (State, usize, Disconnect) {
    let (events, _) = receive(&mut connection, START, bytes);
    let state = connection.state();
    take_output(&mut connection);
    connection.receive_eof();
    let Transport::Close(end) = connection.transport() else { panic!("it goes on without a transport") };
    (state, events.len(), end.clone())
}

#[test]
fn t16_no_length_overflows_alone_or_behind_a_fragment() {
    let around = |bits: u32| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1];
    let mut lengths =
        vec![0, 1, 125, 126, 127, MIB - 1, MIB, MIB + 1, 1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX];
    lengths.extend([16, 31, 32].into_iter().flat_map(around));
    for role in ROLES {
        for (max, delivery) in [MIB, u64::MAX].into_iter().flat_map(|max| DELIVERIES.map(|it| (max, it))) {
            let config = Config::new().max_message(max).delivery(delivery);
            for (len, before) in lengths.iter().flat_map(|len| [(*len, 0), (*len, 1)]) {
                let (begin, opcode) = match before {
                    0 => (vec![], BINARY),
                    _ => (wire::fragment(role, BINARY, "x"), CONTINUATION),
                };
                let header = declares(role, opcode, len);
                let (state, _, end) = end(open(role, &config), &[begin, header].concat());
                let total = len.saturating_add(before);
                let expected = match () {
                    () if len >= 1 << 63 => Cause::Violation(LengthOverflow),
                    () if total > max => Cause::Violation(MessageTooBig { len: total, max }),
                    () => Cause::Lost,
                };
                assert_eq!(end.cause(), &expected, "{len} behind {before}, {max} are allowed");
                assert_eq!(state == State::Open, expected == Cause::Lost);
                if let Cause::Violation(error) = expected {
                    let code = if len >= 1 << 63 { 1002 } else { 1009 };
                    assert_eq!(
                        (error.close_code().get(), end.sent().unwrap().code().unwrap().get()),
                        (code, code)
                    );
                }
            }
        }
    }
}

#[test]
fn t18_a_frame_that_would_be_too_long_fails_with_its_header() {
    for role in ROLES {
        for delivery in DELIVERIES {
            let config = Config::new().delivery(delivery);
            let fails = |stream: &[u8], len| {
                let record = run(open(role, &config), stream.chunks(1));
                assert_failed(role, &record, MessageTooBig { len, max: MIB }, 1009);
            };
            fails(&declares(role, TEXT, MIB + 1), MIB + 1);
            assert_eq!(end(open(role, &config), &declares(role, TEXT, MIB)).0, State::Open);
            // With what is there of the message already.
            for some in [1, 1000, usize::try_from(MIB).unwrap()] {
                let begin = wire::fragment(role, TEXT, vec![b'x'; some]);
                let left = MIB - u64::try_from(some).unwrap();
                let all = |last| [&begin[..], &declares(role, CONTINUATION, last)].concat();
                assert_eq!(end(open(role, &config), &all(left)).0, State::Open);
                let (state, _, end) = end(open(role, &config), &all(left + 1));
                let cause = Cause::Violation(MessageTooBig { len: MIB + 1, max: MIB });
                assert_eq!((state, end.cause()), (State::Closing, &cause));
            }
        }
    }
}

#[track_caller]
fn run_rows(names: &[&str]) {
    for role in ROLES {
        let attacks = attacks(role);
        for name in names {
            assert!(attacks.iter().any(|attack| attack.row.name == *name), "{name}: a row of the table");
            for attack in attacks.iter().filter(|attack| attack.row.name == *name) {
                for delivery in DELIVERIES {
                    let _during = During::new(&format!("core, {delivery:?}"), attack);
                    attack.run(delivery);
                }
            }
        }
    }
}

#[test]
fn t22_a_reserved_bit_means_nothing_unless_it_was_agreed_on_and_stands_in_its_place() {
    run_rows(&["RSV1 without an extension", "RSV2", "RSV1 on a continuation", "RSV1 on a Ping"]);
    // All reserved bits with all opcodes, alone and within a message.
    for role in ROLES {
        for (delivery, compression) in DELIVERIES.into_iter().flat_map(|it| [(it, false), (it, true)]) {
            let config = Config::new().delivery(delivery);
            for (bits, opcode) in (1..8).flat_map(|bits| (0..16).map(move |opcode| (bits << 4, opcode))) {
                for within in [false, true] {
                    let connection = if compression { compressed::open } else { open }(role, &config);
                    let begin = if within { wire::fragment(role, TEXT, "x") } else { vec![] };
                    let stream = [begin, wire::frame(role, bits | opcode, b"\x00")].concat();
                    let record = run(connection, [&stream[..]]);
                    let begins = matches!(opcode, TEXT | BINARY) && !within;
                    if compression && bits == RSV1 && begins {
                        assert_eq!(record.state, State::Open);
                    } else if compression && bits == RSV1 && matches!(opcode, TEXT | BINARY) {
                        assert_failed(role, &record, ProtocolError::ExpectedContinuation, 1002);
                    } else if matches!(opcode, 3..=7 | 11..=15) {
                        assert_failed(role, &record, ProtocolError::ReservedOpcode(opcode), 1002);
                    } else {
                        assert_failed(role, &record, ReservedBits, 1002);
                    }
                }
            }
        }
    }
}

#[test]
fn t23_what_is_masked_the_wrong_way_never_reaches_the_application() {
    run_rows(&["masked as the other role is"]);
    for (role, error) in [(Role::Server, Unmasked), (Role::Client, Masked)] {
        let other = sansocket_tests::pair::peer(role);
        for delivery in DELIVERIES {
            for opcode in [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] {
                let begin = if opcode == CONTINUATION { wire::fragment(role, TEXT, "x") } else { vec![] };
                let stream = [
                    begin,
                    // For the other role.
                    wire::frame(other, opcode, "\u{3}\u{e8}secret"),
                    wire::frame(role, TEXT, "behind"),
                ]
                .concat();
                let config = Config::new().delivery(delivery);
                let record = at_every_split(|| open(role, &config), &stream);
                assert_failed(role, &record, error, 1002);
                let handed_out: Vec<_> = record.events.iter().filter(|event| !is_beginning(event)).collect();
                assert!(handed_out.is_empty(), "{handed_out:?}");
            }
        }
    }
}

/// The piece of a message that stands before the offence.
fn is_beginning(event: &Event<'_>) -> bool {
    matches!(event, Event::Data(data) if *data.payload == b"x"[..] && !data.last)
}

/// Something that breaks the protocol in its header, whatever came before.
fn offence(dice: &mut Dice, role: Role) -> Vec<u8> {
    let frame = |first: u8| wire::frame(role, first, "offence");
    match dice.below(6) {
        0 => wire::frame(sansocket_tests::pair::peer(role), TEXT, "offence"),
        1 => frame(dice.pick(&[0x10, 0x20, 0x40, 0x70]) | dice.pick(&[CONTINUATION, TEXT, BINARY, PING])),
        2 => frame(dice.pick(&[3, 4, 5, 6, 7, 11, 12, 13, 14, 15])),
        3 => wire::fragment(role, dice.pick(&[CLOSE, PING, PONG]), "offence"),
        4 => [wire::header(role, 0x80 | PING, 126, &[0, 7]), b"offence".to_vec()].concat(),
        _ => [wire::header(role, 0x80 | BINARY, 127, &[0xFF; 8]), b"offence".to_vec()].concat(),
    }
}

#[test]
fn t23_nothing_is_handed_out_of_an_offending_frame_or_behind_it() {
    let mut dice = Dice::new(23);
    for _ in 0..20_000 {
        let role = dice.pick(&ROLES);
        let config = Config::new().delivery(dice.pick(&DELIVERIES));
        let mut good = Vec::new();
        for _ in 0..dice.below(4) {
            let payload = &"whatever it may be"[..dice.below(18)];
            good.extend(match dice.below(3) {
                0 => wire::frame(role, PING, payload),
                1 => wire::frame(role, TEXT, payload),
                _ => [wire::fragment(role, TEXT, payload), wire::frame(role, CONTINUATION, payload)].concat(),
            });
        }
        let bad = [offence(&mut dice, role), wire::frame(role, TEXT, "behind")].concat();
        let expected = run(open(role, &config), [&good[..]]);
        let read = 1 + dice.below(good.len() + bad.len());
        let record = run(open(role, &config), [good, bad].concat().chunks(read));
        assert_eq!(record.events, expected.events);
        assert_eq!((record.state, record.shutdown), (State::Closing, true));
        assert!(matches!(record.end.cause(), Cause::Violation(error) if error.close_code().get() == 1002));
    }
}

#[test]
fn t24_frames_that_break_a_rule_of_their_form_are_a_close_with_1002() {
    run_rows(&[
        "reserved opcode 3",
        "reserved control opcode 11",
        "a continuation without a beginning",
        "a message within a fragmented one",
        "a fragmented Ping",
        "a Ping of 126 bytes",
        "a length of 5 in 16 bits",
        "a length of 5 in 64 bits",
        "a length of 2^63",
    ]);
    // Whatever the first two bytes are, they are a frame by the letter of §5.2 to §5.5, or fail.
    for role in ROLES {
        for (first, second) in
            (0..=u8::MAX).flat_map(|first| (0..=u8::MAX).map(move |second| (first, second)))
        {
            let (fin, opcode, len) = (first & 0x80 != 0, first & 0x0F, second & 0x7F);
            let control = matches!(opcode, CLOSE | PING | PONG);
            let known = matches!(opcode, TEXT | BINARY) || control && fin && len <= 125;
            let is_masked = second & 0x80 != 0;
            let known = known && !(opcode == CLOSE && len == 1);
            let good = first & 0x70 == 0 && known && is_masked == (role == Role::Server);
            let (state, events, end) = end(open(role, &Config::new()), &[first, second]);
            let is_whole = good && len == 0 && role == Role::Client;
            assert_eq!(events, usize::from(is_whole && fin), "{first:02x} {second:02x}");
            match good {
                true if opcode == CLOSE && is_whole => assert_eq!(end.cause(), &Cause::Closed(Side::Remote)),
                true => {
                    assert_eq!((state, end.cause()), (State::Open, &Cause::Lost), "{first:02x} {second:02x}");
                }
                false => assert_eq!(end.sent().unwrap().code(), Some(CloseCode::PROTOCOL_ERROR)),
            }
        }
    }
}

#[test]
fn t25_each_of_65_536_close_codes_is_echoed_or_a_fault_in_both_roles() {
    for role in ROLES {
        for code in 0..=u16::MAX {
            let is_good = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
            let record = run(open(role, &Config::new()), [&wire::close(role, code, "")[..]]);
            if is_good {
                assert_eq!(record.end.cause(), &Cause::Closed(Side::Remote));
                assert!(record.end.is_clean());
                assert_eq!(wire::payloads(&record.output, CLOSE), [wire::close_payload(code)]);
            } else {
                assert_failed(role, &record, InvalidCloseCode(code), 1002);
            }
        }
    }
    run_rows(&["a Close of one byte", "an empty Close", "a Close whose reason is not UTF-8"]);
    for role in ROLES {
        let reason = [&1000_u16.to_be_bytes()[..], b"\xED\xA0\x80"].concat();
        let record = run(open(role, &Config::new()), [&wire::frame(role, CLOSE, reason)[..]]);
        assert_failed(role, &record, InvalidCloseReason, 1007);
    }
}

#[test]
fn t26_a_close_of_our_own_has_a_code_that_may_be_sent_and_a_reason_that_fits() {
    let sendable = (0..=u16::MAX).filter(|code| CloseCode::new(*code).is_some());
    assert!(sendable.eq([1000..=1003, 1007..=1014, 3000..=4999].into_iter().flatten()));
    let mut dice = Dice::new(26);
    let mut cut = 0;
    for _ in 0..20_000 {
        let len = dice.below(140);
        let mut reason = String::new();
        while reason.len() < len {
            reason.push(dice.pick(&['a', '\0', 'é', '€', '😀', '\u{10FFFF}']));
        }
        let frame = CloseFrame::new(CloseCode::NORMAL_CLOSURE, &reason);
        assert_eq!(frame.is_err(), reason.len() > 123, "{}", reason.len());
        let frame = CloseFrame::truncated(CloseCode::NORMAL_CLOSURE, &reason);
        let kept = frame.reason();
        assert!(reason.starts_with(kept) && kept.len() <= 123);
        // One character more would not have fitted.
        let next = reason[kept.len()..].chars().next();
        assert!(next.is_none_or(|next| kept.len() + next.len_utf8() > 123));
        cut += usize::from(next.is_some());
        let role = dice.pick(&ROLES);
        let mut connection = open(role, &Config::new());
        connection.close(START, frame.clone()).unwrap();
        let payload = [&1000_u16.to_be_bytes(), kept.as_bytes()].concat();
        assert_eq!(wire::payloads(&take_output(&mut connection), CLOSE), [payload]);
    }
    assert!(cut > 1000);
}

/// What becomes of text in one frame.
#[track_caller]
fn assert_as_the_standard_library_has_it(connection: &mut Connection, text: &[u8]) -> bool {
    let valid = core::str::from_utf8(text).is_ok();
    // Masked with a key that changes nothing.
    let mut frame = [0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0, 0, 0, 0, 0];
    frame[6..6 + text.len()].copy_from_slice(text);
    let mut input = sansocket::Input::new(&mut frame[..6 + text.len()]);
    let event = connection.receive(START, &mut input);
    assert_eq!(matches!(event, Some(Event::Message(_))), valid, "{text:02x?}");
    assert_eq!(connection.state() == State::Open, valid, "{text:02x?}");
    valid
}

/// All there are of up to three bytes; of four, all that differ in what UTF-8 has to say about a byte.
#[test]
fn t27_all_short_texts_are_taken_or_not_as_the_standard_library_has_it() {
    // Ends of ranges that RFC 3629 §4 distinguishes.
    let edges = [
        0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED,
        0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF,
    ];
    let mut connection = open(Role::Server, &Config::new());
    let (mut valid, mut all) = (0, 0);
    let mut check = |text: &[u8]| {
        let is_valid = assert_as_the_standard_library_has_it(&mut connection, text);
        if !is_valid {
            connection = open(Role::Server, &Config::new());
        }
        (valid, all) = (valid + usize::from(is_valid), all + 1);
    };
    for first in 0..=u8::MAX {
        check(&[first]);
        for second in 0..=u8::MAX {
            check(&[first, second]);
            for third in 0..=u8::MAX {
                check(&[first, second, third]);
            }
        }
        for (second, third) in edges.into_iter().flat_map(|second| edges.map(|third| (second, third))) {
            edges.into_iter().for_each(|fourth| check(&[first, second, third, fourth]));
        }
    }
    assert_eq!(all, 256 + 256 * 256 + 256 * 256 * 256 + 256 * edges.len().pow(3));
    assert!(valid > 1_000_000, "{valid}");
}

#[test]
fn t27_the_first_impossible_byte_is_the_last_wherever_it_is_cut_or_compressed() {
    run_rows(&["text that is not UTF-8", "text that is not UTF-8 in a fragment"]);
    run_rows(&["text that is not UTF-8, compressed"]);
    let sequences: [&[u8]; 10] = [
        b"\x80",
        b"\xC1\xBF",
        b"\xE0\x9F\xBF",
        b"\xED\xA0\x80",
        b"\xF0\x8F\xBF\xBF",
        b"\xF4\x90\x80\x80",
        b"\xF5\x80\x80\x80",
        b"\xFF",
        b"\xE2\x82A",
        b"\xF0\x9F\x98\xC0",
    ];
    for (role, bad) in ROLES.into_iter().flat_map(|role| sequences.map(|bad| (role, bad))) {
        let text = ["a€😀".as_bytes(), bad].concat();
        let fatal = core::str::from_utf8(&text).unwrap_err().valid_up_to();
        let fatal = (fatal..text.len())
            .find(|end| core::str::from_utf8(&text[..=*end]).is_err_and(|error| error.error_len().is_some()))
            .unwrap();
        // In two fragments that are not the last, of every length: it fails with that byte and not with the next.
        for cut in 0..=fatal {
            let stream = [
                wire::fragment(role, TEXT, &text[..cut]),
                wire::fragment(role, CONTINUATION, [&text[cut..=fatal], b"more"].concat()),
            ]
            .concat();
            let enough = stream.len() - b"more".len();
            let mut connection = open(role, &Config::new());
            for (i, byte) in stream[..enough].iter().enumerate() {
                assert_eq!(connection.state(), State::Open, "byte {i} of {stream:02x?}");
                assert_eq!(receive(&mut connection, START, &[*byte]), (vec![], 0));
            }
            assert_eq!(connection.state(), State::Closing);
            for delivery in DELIVERIES {
                let config = Config::new().delivery(delivery);
                let record = at_every_split(|| open(role, &config), &stream);
                assert_failed(role, &record, InvalidUtf8, 1007);
            }
        }
        // A text may not end within a character.
        let record = at_every_split(|| open(role, &Config::new()), &wire::frame(role, TEXT, b"\xF0\x9F\x98"));
        assert_failed(role, &record, InvalidUtf8, 1007);
    }
    // In a compressed message, with whole blocks behind it that never come.
    for role in ROLES {
        let bad = [b"a".repeat(1000), b"\xFF".to_vec()].concat();
        let mut payload = Vec::new();
        compressed::deflater().piece(&bad, &mut payload);
        let stream = compressed::frames(role, Kind::Text, &[&payload[..], b"more"])[0].clone();
        let record = run(compressed::open(role, &Config::new()), stream.chunks(1));
        assert_failed(role, &record, InvalidUtf8, 1007);
    }
}

/// The masking keys of a client's frames, which are empty.
fn keys(connection: &mut Connection, frames: usize) -> Vec<[u8; 4]> {
    let mut keys = Vec::with_capacity(frames);
    while keys.len() < frames {
        iter::repeat_n((), 1000).for_each(|()| connection.send("").unwrap());
        let output = take_output(connection);
        assert_eq!(output.len(), 6000);
        keys.extend(output.as_chunks::<6>().0.iter().map(|[_, _, key @ ..]| *key));
    }
    keys
}

#[test]
fn t29_the_keys_of_a_million_frames_are_as_chance_has_it() {
    const N: usize = 1_000_000;
    let mut keys = keys(&mut open(Role::Client, &Config::new()), N);
    for position in 0..4 {
        let mut counts = [0_u32; 256];
        keys.iter().for_each(|key| counts[usize::from(key[position])] += 1);
        let expected = 1e6 / 256.0;
        let chi_squared: f64 =
            counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
        // 255 degrees of freedom, five standard deviations of √510 either way.
        assert!((142.0..=368.0).contains(&chi_squared), "{position}: {chi_squared}");
    }
    keys.sort_unstable();
    let collisions = keys.windows(2).filter(|pair| pair[0] == pair[1]).count();
    // n²/2³³ ≈ 116, five standard deviations of its root either way.
    assert!((62..=170).contains(&collisions), "{collisions}");
}

#[test]
fn t29_no_two_connections_have_keys_in_common_and_none_is_made_without_randomness() {
    use sansocket::{Agreed, ClientRequest, Endpoint, Instant, Seed};
    let of = |seed: u8| {
        let seed = Seed::new(core::array::from_fn(|i| if i == 31 { seed } else { 0 }));
        keys(&mut Connection::established(Endpoint::Client(seed), &Config::new(), Agreed::new(), START), 1000)
    };
    let streams: Vec<_> = (0..=u8::MAX).map(of).collect();
    for (i, one) in streams.iter().enumerate() {
        for other in &streams[..i] {
            // By chance two of 32 bits are the same at the same place once in 32,640,000 / 2³².
            let same = one.iter().zip(other).filter(|(one, other)| one == other).count();
            assert!(same <= 1, "{same}");
        }
    }
    // There is no other way to a client than with a seed, and no feature that brings one.
    let _: fn(&Config, &ClientRequest, Seed, Instant) -> Connection = Connection::client;
    let _: fn(Seed) -> Endpoint = Endpoint::Client;
    let features: Vec<_> = include_str!("../../core/Cargo.toml")
        .lines()
        .skip_while(|line| *line != "[features]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name))
        .collect();
    assert_eq!(features, ["default", "std", "deflate", "zlib-rs"]);
}
