//! RFC 7692 §7.2.2, RFC 6455 §8.1: what cannot be inflated, and what should not have been deflated, fails with 1007.

use sansocket::extension::Negotiated;
use sansocket::{Config, Delivery, Event, Kind, ProtocolError, Role, State};
use sansocket_tests::compressed::{
    DELIVERIES, PER_FRAME, PER_MESSAGE, RSV1, agreed, anew, deflate, deflater, event, frame, frames, next,
    open,
};
use sansocket_tests::inflate::{Naive, Writer};
use sansocket_tests::{ROLES, Record, START, at_every_split, receive, splits, wire};

use ProtocolError::{CorruptDeflate, InvalidUtf8};

/// Before, and behind, a fault.
const TEXT: &str = "aß€😀z, aß€😀z, aß€😀z";

/// Invalid behind something valid, and the first byte that cannot be.
const INVALID: &[(&[u8], usize)] = &[
    (b"\xFF", 0),
    (b"\x80", 0),
    (b"\xC3\x28", 1),
    (b"\xE2\x82\x28", 2),
    (b"\xED\xA0\x80", 1),
    (b"\xF0\x9F\x98A", 3),
    (b"\xF4\x90\x80\x80", 1),
    (b"\xC0\xAF", 0),
];

/// Ends within a character.
const UNFINISHED: &[&[u8]] = &[b"\xC3", b"\xE2\x82", b"\xF0", b"\xF0\x9F\x98"];

fn config(delivery: Delivery) -> Config {
    Config::new().delivery(delivery)
}

/// What is no DEFLATE stream, whatever came before (RFC 1951 §3.2.3 to §3.2.7).
fn corrupt() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        // A block of the fourth kind.
        &b"\x07"[..],
        b"\x06\x00",
        b"\xFF\xFF\xFF\xFF",
        // A stored block whose length is not confirmed.
        b"\x00\x05\x00\x05\x00Hello",
        b"\x00\x05\x00\xFA\x7FHello\x00",
        // One that is not whole, at each of its parts.
        b"\x00\x05",
        b"\x00\x05\x00\xFA",
        b"\x00\x05\x00\xFA\xFF",
        b"\x00\x05\x00\xFA\xFFHell",
        b"\xF2\x48\xCD",
        // Codes that are none.
        b"\x04\x00\x00\x00\x00",
        b"\xFC\xFF\xFF\xFF",
        // Bytes that begin nothing behind a block that ends the stream.
        b"\xF3\x48\xCD\xC9\xC9\x07\x00\x07",
    ]
    .map(<[u8]>::to_vec)
    .into();
    // Too far back, by one and by a lot.
    for back in [4, 32_768] {
        all.push(Writer::new().fixed(false).literals(b"abc").repeat(3, back).end().message());
    }
    all
}

/// Handed out is nothing but the beginning of a message that never ends.
#[track_caller]
fn assert_corrupt(role: Role, mut record: Record, before: usize) {
    for event in record.events.split_off(before) {
        assert!(matches!(event, Event::Data(data) if !data.last), "a message that was never there");
    }
    wire::assert_failed(role, &record, CorruptDeflate, 1007);
}

#[test]
fn section_7_2_2_what_cannot_be_inflated_fails_the_connection() {
    for role in ROLES {
        for agreement in [PER_MESSAGE, anew(PER_MESSAGE), PER_FRAME] {
            for payload in corrupt() {
                for kind in [Kind::Text, Kind::Binary] {
                    for delivery in DELIVERIES {
                        let after = frame(role, Kind::Text, deflate(TEXT));
                        let stream = [frame(role, kind, &payload), after].concat();
                        let make = || agreed(role, &config(delivery), agreement);
                        assert_corrupt(role, at_every_split(make, &stream), 0);
                    }
                }
            }
        }
    }
}

#[test]
fn section_7_2_2_what_cannot_be_inflated_fails_the_connection_behind_messages_and_in_fragments() {
    for role in ROLES {
        for delivery in DELIVERIES {
            for payload in corrupt() {
                for cut in 0..payload.len() {
                    let (first, second) = payload.split_at(cut);
                    // Too far back even for what came before: that was in another context.
                    let stream = [
                        frame(role, Kind::Text, deflate("ab")),
                        frames(role, Kind::Binary, &[first, b"", second]).concat(),
                    ]
                    .concat();
                    let make = || agreed(role, &config(delivery), anew(PER_MESSAGE));
                    let record = splits::run(make(), [&stream[..]]);
                    assert_eq!(splits::run(make(), stream.chunks(1)), record);
                    assert_corrupt(role, record, 1);
                }
            }
        }
    }
}

/// A message of which only the beginning came, wherever that ends: by the judgement of a decoder that was written by the
/// letter.
#[test]
fn section_7_2_2_a_message_that_is_not_whole_fails_the_connection_when_it_should_have_ended() {
    let mut payloads = vec![deflate(TEXT), deflate([0; 1000])];
    payloads.push(Writer::new().stored(false, TEXT.as_bytes()).stored(false, b"x").message());
    payloads.push(Writer::new().fixed(true).literals(TEXT.as_bytes()).end().align().bytes());
    let mut faults = 0;
    for payload in &payloads {
        for end in 0..payload.len() {
            let payload = &payload[..end];
            let whole = Naive::new(32_768).message(payload).ok();
            faults += usize::from(whole.is_none());
            for role in ROLES {
                for delivery in DELIVERIES {
                    for parts in
                        [&[payload][..], &[payload, b""], &[&payload[..end / 2], &payload[end / 2..]]]
                    {
                        let stream = frames(role, Kind::Binary, parts).concat();
                        let (begun, last) = stream.split_at(stream.len() - 1);
                        let make = || open(role, &config(delivery));
                        let record = splits::run(make(), [&stream[..]]);
                        if let Some(whole) = &whole {
                            assert_eq!(record.events, [event(delivery, Kind::Binary, &whole.bytes)]);
                            assert_eq!(record.state, State::Open);
                        } else {
                            assert_eq!(splits::run(make(), [begun, last]), record);
                            assert_corrupt(role, record, 0);
                        }
                    }
                }
            }
        }
    }
    assert!(faults > payloads.concat().len() / 2);
}

/// What ends it is within the stored bytes here, and the next message is not their rest.
#[test]
fn section_7_2_2_a_message_that_ends_within_a_stored_block_is_not_whole_whatever_its_last_bytes_are() {
    let cut = b"\x00\x0A\x00\xF5\xFF\x00\x00\xFF\xFF";
    assert!(Naive::new(32_768).message(cut).is_err());
    for role in ROLES {
        for delivery in DELIVERIES {
            for agreement in [PER_MESSAGE, anew(PER_MESSAGE), PER_FRAME] {
                let stream =
                    [frame(role, Kind::Binary, cut), frame(role, Kind::Text, deflate(TEXT))].concat();
                let record = splits::run(agreed(role, &config(delivery), agreement), [&stream[..]]);
                assert_corrupt(role, record, 0);
            }
        }
    }
}

#[test]
fn section_7_1_1_where_nothing_is_taken_over_a_message_may_not_refer_to_another() {
    let mut deflater = deflater();
    let stream =
        |role, payloads: &[Vec<u8>; 2]| payloads.each_ref().map(|p| frame(role, Kind::Text, p)).concat();
    let payloads = [TEXT, TEXT].map(|text| next(&mut deflater, text));
    for role in ROLES {
        for delivery in DELIVERIES {
            let make = |agreement: Negotiated| agreed(role, &config(delivery), agreement);
            let stream = stream(role, &payloads);
            let record = splits::run(make(PER_MESSAGE), [&stream[..]]);
            assert_eq!(record.events, [TEXT; 2].map(|text| event(delivery, Kind::Text, text)));
            for agreement in [PER_MESSAGE, PER_FRAME] {
                let mut of_the_peer = agreement;
                match role {
                    Role::Client => of_the_peer.server_no_context_takeover = true,
                    Role::Server => of_the_peer.client_no_context_takeover = true,
                }
                assert_corrupt(role, at_every_split(|| make(of_the_peer), &stream), 1);
            }
        }
    }
}

/// The messages around a fault: those before it were handed out, of itself nothing but its valid beginning.
fn assert_invalid(role: Role, delivery: Delivery, record: &Record, valid: &[u8]) {
    wire::assert_failed(role, record, InvalidUtf8, 1007);
    match (delivery, &record.events[..]) {
        (Delivery::Whole, []) => {}
        (Delivery::Streaming, []) => assert_eq!(valid, b""),
        (Delivery::Streaming, [Event::Data(data)]) => {
            assert_eq!((&data.payload[..], data.last), (valid, false));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn section_8_1_text_that_is_not_utf_8_fails_the_connection_wherever_it_is_cut() {
    for role in ROLES {
        for delivery in DELIVERIES {
            for prefix in ["", TEXT] {
                for (invalid, at) in INVALID {
                    let text = [prefix.as_bytes(), invalid, b"and on"].concat();
                    let payload = deflate(&text);
                    let after = frame(role, Kind::Text, deflate("after"));
                    for parts in [&[&payload[..]][..], &[&payload[..3], &payload[3..]], &[b"", &payload, b""]]
                    {
                        let stream = [frames(role, Kind::Text, parts).concat(), after.clone()].concat();
                        let record = at_every_split(|| open(role, &config(delivery)), &stream);
                        assert_invalid(role, delivery, &record, &text[..prefix.len() + at]);
                    }
                    let stream = frame(role, Kind::Binary, &payload);
                    let record = splits::run(open(role, &config(delivery)), [&stream[..]]);
                    assert_eq!(record.events, [event(delivery, Kind::Binary, &text)]);
                }
            }
        }
    }
}

#[test]
fn section_8_1_text_that_ends_within_a_character_fails_the_connection_with_its_last_frame() {
    for role in ROLES {
        for delivery in DELIVERIES {
            for prefix in ["", TEXT] {
                for unfinished in UNFINISHED {
                    let text = [prefix.as_bytes(), unfinished].concat();
                    let payload = deflate(&text);
                    let parts = frames(role, Kind::Text, &[&payload[..], b""]);
                    let begun = splits::run(open(role, &config(delivery)), [&parts[0][..]]);
                    assert_eq!(begun.state, State::Open);
                    for stream in [frame(role, Kind::Text, &payload), parts.concat()] {
                        let record = at_every_split(|| open(role, &config(delivery)), &stream);
                        assert_invalid(role, delivery, &record, &text);
                    }
                }
            }
        }
    }
}

/// Each byte comes in a frame of its own, flushed; and in one frame, as it is.
#[test]
fn section_8_1_the_first_impossible_byte_fails_the_connection_while_more_is_to_come() {
    for role in ROLES {
        for delivery in DELIVERIES {
            for prefix in ["", TEXT] {
                for (invalid, at) in INVALID {
                    let text = [prefix.as_bytes(), invalid, b"and on"].concat();
                    let at = prefix.len() + at;
                    let mut connection = open(role, &config(delivery));
                    let mut deflater = deflater();
                    for (i, byte) in text[..=at].iter().enumerate() {
                        assert_eq!(connection.state(), State::Open);
                        let mut payload = Vec::new();
                        deflater.piece(&[*byte], &mut payload);
                        let first = if i == 0 { RSV1 | wire::TEXT } else { wire::CONTINUATION };
                        receive(&mut connection, START, &wire::fragment(role, first, &payload));
                    }
                    assert_eq!(connection.state(), State::Closing, "{invalid:02x?}");

                    let stored = Writer::new().stored(false, &text).message();
                    let stream = wire::fragment(role, RSV1 | wire::TEXT, &stored);
                    let header = stream.len() - stored.len() + 5;
                    let mut connection = open(role, &config(delivery));
                    receive(&mut connection, START, &stream[..header + at]);
                    assert_eq!(connection.state(), State::Open);
                    receive(&mut connection, START, &stream[header + at..=header + at]);
                    assert_eq!(connection.state(), State::Closing, "{invalid:02x?}");
                }
            }
        }
    }
}

/// What would have been a fault has not come if something before it was wrong; and where the stream is cut makes no
/// difference.
fn assert_first_fault(
    delivery: Delivery,
    max: u64,
    kind: Kind,
    payload: &[u8],
    is_it: fn(ProtocolError) -> bool,
) {
    for role in ROLES {
        let config = config(delivery).max_message(max);
        for parts in [&[payload][..], &[payload, b""], &[&payload[..3], &payload[3..]]] {
            let stream = frames(role, kind, parts).concat();
            let record = at_every_split(|| open(role, &config), &stream);
            let sansocket::Cause::Violation(error) = *record.end.cause() else { panic!("{record:?}") };
            assert!(is_it(error), "{error:?}");
        }
    }
}

/// A payload that is corrupt behind this text.
fn corrupt_behind(text: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    deflater().piece(text, &mut payload);
    payload.push(0x07);
    payload
}

const BIG: fn(ProtocolError) -> bool = |error| matches!(error, ProtocolError::MessageTooBig { max: 10, .. });

#[test]
fn the_first_fault_decides_when_text_is_invalid_before_it_is_corrupt() {
    for delivery in DELIVERIES {
        let payload = corrupt_behind(b"Hel\xFFlo");
        assert_first_fault(delivery, 1000, Kind::Text, &payload, |error| error == InvalidUtf8);
    }
}

#[test]
fn the_first_fault_decides_when_text_is_invalid_before_it_is_too_long() {
    for delivery in DELIVERIES {
        let payload = deflate(b"Hello\xFF, hello, hello");
        assert_first_fault(delivery, 10, Kind::Text, &payload, |error| error == InvalidUtf8);
    }
}

#[test]
fn the_first_fault_decides_when_a_message_is_too_long_before_it_is_corrupt() {
    for delivery in DELIVERIES {
        assert_first_fault(delivery, 10, Kind::Binary, &corrupt_behind(b"Hello, hello"), BIG);
    }
}

#[test]
fn a_message_that_is_too_long_has_one_verdict_wherever_it_is_cut() {
    for delivery in DELIVERIES {
        assert_first_fault(delivery, 10, Kind::Binary, &deflate("Hello, hello, hello"), BIG);
    }
}

#[test]
fn what_is_handed_out_of_a_corrupt_message_is_the_same_wherever_it_is_cut() {
    for delivery in DELIVERIES {
        let payload = corrupt_behind(b"Hello");
        assert_first_fault(delivery, 1000, Kind::Binary, &payload, |error| error == CorruptDeflate);
    }
}
