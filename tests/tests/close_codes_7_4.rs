//! RFC 6455 §5.5.1, §7.4: what may stand in a Close frame, in and out.

use sansocket::{Cause, CloseCode, CloseFrame, Config, Event, ProtocolError, Role, Side, Transport};
use sansocket_tests::pair::peer;
use sansocket_tests::wire::{self, CLOSE, close_payload};
use sansocket_tests::{ROLES, START, at_every_split, open, receive, take_output};

/// The table of §7.4.2 and the IANA registry, written down independently of the library.
fn may_be_sent(code: u16) -> bool {
    let registered = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
    registered.contains(&code) || (3000..=4999).contains(&code)
}

/// Reasons that are not UTF-8: stray, cut, overlong, surrogates, beyond U+10FFFF.
const BAD_REASONS: &[&[u8]] = &[
    b"\x80",
    b"\xff",
    b"\xc3",
    b"abc\xe2\x82",
    b"\xf0\x9f\x98",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"ok\xc3\x28ok",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64",
];

#[test]
fn a_close_code_exists_for_exactly_the_codes_of_section_7_4() {
    for code in 0..=u16::MAX {
        assert_eq!(CloseCode::new(code).map(CloseCode::get), may_be_sent(code).then_some(code), "{code}");
    }
}

#[test]
fn the_named_codes_have_the_numbers_of_section_7_4_1_and_iana() {
    let named = [
        (CloseCode::NORMAL_CLOSURE, 1000),
        (CloseCode::GOING_AWAY, 1001),
        (CloseCode::PROTOCOL_ERROR, 1002),
        (CloseCode::UNSUPPORTED_DATA, 1003),
        (CloseCode::INVALID_PAYLOAD_DATA, 1007),
        (CloseCode::POLICY_VIOLATION, 1008),
        (CloseCode::MESSAGE_TOO_BIG, 1009),
        (CloseCode::MANDATORY_EXTENSION, 1010),
        (CloseCode::INTERNAL_ERROR, 1011),
        (CloseCode::SERVICE_RESTART, 1012),
        (CloseCode::TRY_AGAIN_LATER, 1013),
        (CloseCode::BAD_GATEWAY, 1014),
    ];
    for (code, number) in named {
        assert_eq!(code.get(), number);
        assert_eq!(code.to_string(), number.to_string());
    }
}

/// Exhaustive, both roles.
#[test]
fn every_code_that_comes_in_is_echoed_or_fails_the_connection_with_1002() {
    for role in ROLES {
        for code in 0..=u16::MAX {
            let mut connection = open(role, &Config::new());
            let (events, left) = receive(&mut connection, START, &wire::close(role, code, "why"));
            assert_eq!(left, 0);
            let frames = wire::parse(&take_output(&mut connection));
            assert_eq!(frames.len(), 1, "{code}");
            assert_eq!((frames[0].first, frames[0].masked), (0x80 | CLOSE, role == Role::Client));
            connection.receive_eof();
            let Transport::Close(end) = connection.transport() else { panic!("{code}: not over") };
            if may_be_sent(code) {
                let frame = CloseFrame::new(CloseCode::new(code).unwrap(), "why").unwrap();
                assert_eq!(frames[0].payload, close_payload(code));
                assert_eq!(events, [Event::Close(frame.clone())]);
                assert_eq!(end.cause(), &Cause::Closed(Side::Remote));
                assert_eq!(end.received(), Some(&frame));
                assert!(end.is_clean(), "{code}");
            } else {
                assert_eq!(frames[0].payload, close_payload(1002), "{code}");
                assert_eq!(events, []);
                assert_eq!(end.cause(), &Cause::Violation(ProtocolError::InvalidCloseCode(code)));
                assert_eq!(end.received(), None);
                assert!(!end.is_clean(), "{code}");
            }
        }
    }
}

/// What cannot be sent cannot be built, and the rest arrives as it was meant.
#[test]
fn every_code_that_can_be_built_goes_out_and_is_understood_by_the_peer() {
    for role in ROLES {
        for code in (0..=u16::MAX).filter_map(CloseCode::new) {
            let mut connection = open(role, &Config::new());
            connection.close(START, code).unwrap();
            let output = take_output(&mut connection);
            assert_eq!(wire::parse(&output)[0].payload, close_payload(code.get()));
            let (events, _) = receive(&mut open(peer(role), &Config::new()), START, &output);
            assert_eq!(events, [Event::Close(code.into())]);
        }
    }
}

#[test]
fn a_close_of_one_byte_fails_with_1002_section_5_5_1() {
    for role in ROLES {
        for byte in 0..=u8::MAX {
            let record = at_every_split(|| open(role, &Config::new()), &wire::frame(role, CLOSE, [byte]));
            assert_eq!(record.events, []);
            assert_eq!(wire::parse(&record.output)[0].payload, close_payload(1002));
            assert_eq!(record.end.cause(), &Cause::Violation(ProtocolError::CloseOfOneByte));
            assert!(record.shutdown && !record.end.is_clean());
        }
    }
}

#[test]
fn reasons_of_0_to_123_bytes_come_in_and_go_out() {
    for role in ROLES {
        for len in 0..=123 {
            let reason = "r".repeat(len);
            let frame = CloseFrame::new(CloseCode::NORMAL_CLOSURE, &reason[..]).unwrap();
            let stream = wire::close(role, 1000, &reason);
            let record = at_every_split(|| open(role, &Config::new()), &stream);
            assert_eq!(record.events, [Event::Close(frame.clone().into_owned())]);
            assert_eq!(wire::parse(&record.output)[0].payload, close_payload(1000), "echo without reason");

            let mut connection = open(role, &Config::new());
            connection.close(START, frame).unwrap();
            let sent = wire::parse(&take_output(&mut connection));
            assert_eq!(sent[0].payload, [&1000u16.to_be_bytes()[..], reason.as_bytes()].concat());
        }
    }
}

#[test]
fn a_reason_of_124_bytes_cannot_come_in_section_5_5() {
    for role in ROLES {
        let stream = wire::close(role, 1000, &"r".repeat(124));
        let record = at_every_split(|| open(role, &Config::new()), &stream);
        assert_eq!(record.events, []);
        assert_eq!(wire::parse(&record.output)[0].payload, close_payload(1002));
        assert_eq!(record.end.cause(), &Cause::Violation(ProtocolError::ControlTooLong));
    }
}

#[test]
fn a_reason_that_is_not_utf_8_fails_with_1007_section_8_1() {
    for role in ROLES {
        for reason in BAD_REASONS {
            let payload = [&1000u16.to_be_bytes()[..], reason].concat();
            let record = at_every_split(|| open(role, &Config::new()), &wire::frame(role, CLOSE, payload));
            assert_eq!(record.events, [], "{reason:02x?}");
            assert_eq!(wire::parse(&record.output)[0].payload, close_payload(1007), "{reason:02x?}");
            assert_eq!(record.end.cause(), &Cause::Violation(ProtocolError::InvalidCloseReason));
            assert_eq!(record.end.received(), None);
        }
    }
}

#[test]
fn a_bad_code_with_a_bad_reason_is_one_failure_for_the_code() {
    for role in ROLES {
        let record =
            at_every_split(|| open(role, &Config::new()), &wire::frame(role, CLOSE, [0x03, 0xED, 0xFF]));
        assert_eq!(record.end.cause(), &Cause::Violation(ProtocolError::InvalidCloseCode(1005)));
        let frames = wire::parse(&record.output);
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].payload, close_payload(1002));
    }
}

#[test]
fn a_reason_in_any_script_comes_through() {
    let reasons = ["κόσμε", "über", "日本語", "\u{10FFFF}\u{0}\u{FEFF}", "😀😀", "\u{D7FF}\u{E000}"];
    for role in ROLES {
        for reason in reasons {
            let record = at_every_split(|| open(role, &Config::new()), &wire::close(role, 4999, reason));
            let Some(Event::Close(frame)) = record.events.first() else { panic!("no Close") };
            assert_eq!((frame.code().map(CloseCode::get), frame.reason()), (Some(4999), reason));
            assert!(record.end.is_clean());
        }
    }
}

#[test]
fn a_close_frame_is_built_with_at_most_123_bytes_of_reason() {
    for (character, len) in [("a", 1), ("é", 2), ("€", 3), ("😀", 4)] {
        for count in 0..=130 {
            let reason = character.repeat(count);
            let built = CloseFrame::new(CloseCode::GOING_AWAY, reason.clone());
            assert_eq!(built.is_ok(), count * len <= CloseFrame::MAX_REASON, "{count} times {character}");
            if let Ok(frame) = built {
                assert_eq!(frame.reason(), reason);
                assert_eq!(frame.code(), Some(CloseCode::GOING_AWAY));
            }
        }
    }
    assert_eq!(CloseFrame::MAX_REASON, 123);
}

/// Never inside a character.
#[test]
fn a_truncated_reason_is_the_longest_prefix_of_whole_characters_that_fits() {
    for character in ["a", "é", "€", "😀"] {
        for lead in 0..8 {
            for count in 0..=130 {
                let reason = format!("{}{}", "x".repeat(lead), character.repeat(count));
                let frame = CloseFrame::truncated(CloseCode::POLICY_VIOLATION, &reason);
                let longest = reason
                    .char_indices()
                    .map(|(at, c)| at + c.len_utf8())
                    .take_while(|end| *end <= 123)
                    .last()
                    .unwrap_or(0);
                assert_eq!(frame.reason(), &reason[..longest]);
                let mut connection = open(Role::Server, &Config::new());
                connection.close(START, frame).unwrap();
                let (events, _) =
                    receive(&mut open(Role::Client, &Config::new()), START, &take_output(&mut connection));
                assert!(matches!(&events[..], [Event::Close(got)] if got.reason() == &reason[..longest]));
            }
        }
    }
}

#[test]
fn a_close_frame_is_read_from_a_payload_and_says_what_it_is() {
    assert_eq!(CloseFrame::decode(b""), Ok(CloseFrame::empty()));
    assert_eq!(CloseFrame::decode(b"\x03"), Err(ProtocolError::CloseOfOneByte));
    assert_eq!(CloseFrame::decode(b"\x03\xe8"), Ok(CloseCode::NORMAL_CLOSURE.into()));
    assert_eq!(CloseFrame::decode(b"\x03\xed"), Err(ProtocolError::InvalidCloseCode(1005)));
    assert_eq!(CloseFrame::decode(b"\x03\xe8\xff"), Err(ProtocolError::InvalidCloseReason));
    let frame = CloseFrame::decode(b"\x03\xe9bye\n").unwrap();
    assert_eq!((frame.code(), frame.reason()), (Some(CloseCode::GOING_AWAY), "bye\n"));
    assert_eq!(frame.to_string(), "1001 (bye\\n)", "a log line stays one line");
    assert_eq!(CloseFrame::from(CloseCode::GOING_AWAY).to_string(), "1001");
    assert_eq!(CloseFrame::empty().to_string(), "no code");
    assert_eq!((CloseFrame::empty().code(), CloseFrame::empty().reason()), (None, ""));
}

/// Of what no Close frame can have, none is made that [`Connection::close`](sansocket::Connection::close) could not send.
#[test]
fn a_close_frame_is_read_from_at_most_125_bytes_and_can_be_sent() {
    for (len, expected) in [(123, Ok(121)), (124, Ok(122)), (125, Ok(123))]
        .into_iter()
        .chain([126, 127, 1000, 1 << 16].map(|len| (len, Err(ProtocolError::ControlTooLong))))
    {
        let payload = [&b"\x03\xe8"[..], &vec![b'x'; len - 2]].concat();
        let frame = CloseFrame::decode(&payload);
        assert_eq!(
            frame.as_ref().map(|frame| frame.reason().len()),
            expected.as_ref().copied(),
            "{len} bytes"
        );
        let Ok(frame) = frame else { continue };
        for role in ROLES {
            let mut connection = open(role, &Config::new());
            connection.close(START, frame.clone()).unwrap();
            assert_eq!(wire::payloads(&take_output(&mut connection), CLOSE), [&payload[..]]);
        }
    }
}

#[test]
fn every_violation_is_told_in_words_of_its_own_with_its_numbers() {
    let (len, max) = (1234, 567);
    let errors = [
        ProtocolError::ReservedBits,
        ProtocolError::ReservedOpcode(11),
        ProtocolError::Unmasked,
        ProtocolError::Masked,
        ProtocolError::NonMinimalLength,
        ProtocolError::LengthOverflow,
        ProtocolError::FragmentedControl,
        ProtocolError::ControlTooLong,
        ProtocolError::UnexpectedContinuation,
        ProtocolError::ExpectedContinuation,
        ProtocolError::InvalidUtf8,
        ProtocolError::CorruptDeflate,
        ProtocolError::CloseOfOneByte,
        ProtocolError::InvalidCloseCode(1005),
        ProtocolError::InvalidCloseReason,
        ProtocolError::FrameTooBig { len, max },
        ProtocolError::MessageTooBig { len, max },
        ProtocolError::TooManyFragments { max: 89 },
    ];
    let mut texts = errors.map(|error| error.to_string());
    for (error, text) in errors.iter().zip(&texts) {
        for number in [11, 1005, 1234, 567, 89].map(|number| number.to_string()) {
            assert_eq!(text.contains(&number), format!("{error:?}").contains(&number), "{text}");
        }
    }
    texts.sort_unstable();
    assert!(texts.windows(2).all(|pair| pair[0] != pair[1]), "{texts:#?}");
}
