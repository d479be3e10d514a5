//! RFC 7692 §6.2, §7.2.2: compressed messages in, however they are put into frames and wherever the stream is cut.

use sansocket::extension::Negotiated;
use sansocket::{Cause, Config, Connection, Delivery, Event, Kind, Message, Role, Side, State};
use sansocket_tests::compressed::{
    DELIVERIES, PER_MESSAGE, agreed, anew, deflate, deflater, event, frame, frames, next, open,
};
use sansocket_tests::inflate::TAIL;
use sansocket_tests::{ROLES, START, at_every_split, receive, splits, wire};

/// Characters of one to four bytes, and something to refer to.
const TEXT: &str = "aß€😀z, aß€😀z, aß€😀z";

/// §7.2.3.1, and §7.2.3.2 behind it.
const HELLO: &[u8] = b"\xF2\x48\xCD\xC9\xC9\x07\x00";
const HELLO_AGAIN: &[u8] = b"\xF2\x00\x11\x00\x00";

/// What else a payload may look like (§7.2.3.3 to §7.2.3.6, and what the senders of others make).
const SHAPES: &[(&[u8], &[u8])] = &[
    (b"", b""),
    (b"\x00", b""),
    (b"\x02\x00", b""),
    // A stored block; two blocks; one that ends the stream, and what is behind it.
    (b"\x00\x05\x00\xFA\xFFHello\x00", b"Hello"),
    (b"\xF2\x48\x05\x00\x00\x00\xFF\xFF\xCA\xC9\xC9\x07\x00", b"Hello"),
    (b"\xF3\x48\xCD\xC9\xC9\x07\x00\x00", b"Hello"),
    (b"\xF3\x48\xCD\xC9\xC9\x07\x00", b"Hello"),
    (b"\x03\x00", b""),
    (b"\xF3\x48\xCD\xC9\xC9\x07\x00\xF3\x48\xCD\xC9\xC9\x07\x00", b"HelloHello"),
    // With the tail, and with what looks like it.
    (b"\xF2\x48\xCD\xC9\xC9\x07\x00\x00\x00\xFF\xFF", b"Hello"),
    (b"\x00\x00\x00\xFF\xFF", b""),
    (b"\x00\x04\x00\xFB\xFF\x00\x00\xFF\xFF\x00", b"\x00\x00\xFF\xFF"),
    (b"\x01\x04\x00\xFB\xFF\x00\x00\xFF\xFF", b"\x00\x00\xFF\xFF"),
];

fn config(delivery: Delivery) -> Config {
    Config::new().delivery(delivery).auto_pong(false)
}

/// Every way of delivery and agreement, in both roles.
fn ways() -> impl Iterator<Item = (Role, Delivery, Negotiated)> {
    let agreements = [PER_MESSAGE, anew(PER_MESSAGE)];
    ROLES.into_iter().flat_map(move |role| {
        DELIVERIES
            .into_iter()
            .flat_map(move |delivery| agreements.map(|agreement| (role, delivery, agreement)))
    })
}

#[test]
fn section_7_2_3_the_rfcs_examples_are_understood() {
    for role in ROLES {
        for delivery in DELIVERIES {
            let make = || open(role, &config(delivery));
            for cut in 0..=HELLO.len() {
                let (first, second) = HELLO.split_at(cut);
                let stream = [
                    frames(role, Kind::Text, &[first, second]).concat(),
                    frame(role, Kind::Text, HELLO_AGAIN),
                    frame(role, Kind::Text, HELLO),
                ]
                .concat();
                let record = at_every_split(make, &stream);
                assert_eq!(record.events, ["Hello"; 3].map(|text| event(delivery, Kind::Text, text)));
                assert_eq!(record.state, State::Open);
            }
        }
    }
}

#[test]
fn section_7_2_2_payloads_of_any_shape_are_understood_and_so_is_what_follows() {
    for (role, delivery, agreement) in ways() {
        for (payload, message) in SHAPES {
            let stream = [
                frame(role, Kind::Text, deflate(TEXT)),
                frame(role, Kind::Binary, payload),
                frame(role, Kind::Binary, deflate(TEXT)),
            ]
            .concat();
            let record = at_every_split(|| agreed(role, &config(delivery), agreement), &stream);
            let expected = [
                event(delivery, Kind::Text, TEXT),
                event(delivery, Kind::Binary, message),
                event(delivery, Kind::Binary, TEXT),
            ];
            assert_eq!(record.events, expected, "{payload:02x?}");
            assert_eq!((record.output, record.state), (vec![], State::Open));
        }
    }
}

#[test]
fn section_7_2_2_payloads_of_any_shape_may_be_cut_into_frames_anywhere() {
    for (role, delivery, agreement) in ways() {
        for (payload, message) in SHAPES {
            for cut in 0..=payload.len() {
                let (first, second) = payload.split_at(cut);
                for parts in [&[first, second][..], &[first, b"", second], &[b"", first, b"", second, b""]] {
                    let mut stream = frames(role, Kind::Binary, parts).concat();
                    stream.extend(frame(role, Kind::Text, deflate(TEXT)));
                    let make = || agreed(role, &config(delivery), agreement);
                    let record = splits::run(make(), [&stream[..]]);
                    let expected =
                        [event(delivery, Kind::Binary, message), event(delivery, Kind::Text, TEXT)];
                    assert_eq!(record.events, expected, "{payload:02x?} cut at {cut}");
                    assert_eq!(splits::run(make(), stream.chunks(1)), record);
                }
            }
        }
    }
}

#[test]
fn a_compressed_message_is_whole_again_wherever_it_is_cut_into_two_frames() {
    let payload = deflate(TEXT);
    for (role, delivery, agreement) in ways() {
        for cut in 0..=payload.len() {
            let (first, second) = payload.split_at(cut);
            let stream = frames(role, Kind::Text, &[first, second]).concat();
            let record = at_every_split(|| agreed(role, &config(delivery), agreement), &stream);
            assert_eq!(record.events, [event(delivery, Kind::Text, TEXT)], "cut at {cut}");
        }
    }
}

#[test]
fn a_compressed_message_is_whole_again_in_as_many_frames_as_it_has_bytes() {
    let payload = deflate(TEXT);
    let parts: Vec<_> = payload.chunks(1).collect();
    for (role, delivery, agreement) in ways() {
        let stream = frames(role, Kind::Text, &parts).concat();
        let record = at_every_split(|| agreed(role, &config(delivery), agreement), &stream);
        assert_eq!(record.events, [event(delivery, Kind::Text, TEXT)]);
    }
}

#[test]
fn empty_fragments_of_a_compressed_message_change_nothing() {
    let payload = deflate(TEXT);
    let (begin, end) = payload.split_at(payload.len() / 2);
    for (role, delivery, agreement) in ways() {
        for parts in [
            &[b"", begin, end][..],
            &[begin, b"", end],
            &[begin, end, b""],
            &[b"", b"", begin, b"", b"", end, b"", b""],
            &[b"", &payload],
            &[&payload, b""],
        ] {
            let stream = frames(role, Kind::Text, parts).concat();
            let record = at_every_split(|| agreed(role, &config(delivery), agreement), &stream);
            assert_eq!(record.events, [event(delivery, Kind::Text, TEXT)]);
        }
        // And nothing else.
        let stream = frames(role, Kind::Binary, &[b"", b"", b""]).concat();
        let record = at_every_split(|| agreed(role, &config(delivery), agreement), &stream);
        assert_eq!(record.events, [event(delivery, Kind::Binary, "")]);
    }
}

#[test]
fn section_7_2_2_a_message_may_refer_to_any_before_it_however_they_are_cut_into_frames() {
    let mut deflater = deflater();
    let payloads = [TEXT, "z, aß", TEXT, "", TEXT].map(|text| next(&mut deflater, text));
    assert!(payloads[4].len() < payloads[0].len() / 2);
    for role in ROLES {
        for delivery in DELIVERIES {
            for cut in 0..=payloads[0].len() {
                let cut = |payload: &[u8]| {
                    let (first, second) = payload.split_at(cut.min(payload.len()));
                    frames(role, Kind::Text, &[first, b"", second]).concat()
                };
                let stream = payloads.each_ref().map(|payload| cut(payload)).concat();
                let expected = [TEXT, "z, aß", TEXT, "", TEXT].map(|text| event(delivery, Kind::Text, text));
                let record = splits::run(open(role, &config(delivery)), [&stream[..]]);
                assert_eq!(record.events, expected);
                for chunk in [1, 2, 3, 5, 8, 13] {
                    assert_eq!(splits::run(open(role, &config(delivery)), stream.chunks(chunk)), record);
                }
            }
        }
    }
}

/// Wherever control frames stand, they are as they were sent, and the message is as if there were none.
#[test]
fn section_6_2_control_frames_pass_between_the_frames_of_a_compressed_message() {
    let payload = deflate(TEXT);
    let parts = [&payload[..1], &payload[1..9], b"", &payload[9..]];
    for (role, delivery, agreement) in ways() {
        for (opcode, control) in [(wire::PING, HELLO), (wire::PONG, HELLO), (wire::PING, &[])] {
            for position in 0..=parts.len() {
                let mut all = frames(role, Kind::Text, &parts);
                all.insert(position, wire::frame(role, opcode, control));
                let config = config(delivery).auto_pong(true);
                let record = at_every_split(|| agreed(role, &config, agreement), &all.concat());
                let mut events = record.events;
                let is_control = |event: &Event<'_>| matches!(event, Event::Ping(_) | Event::Pong(_));
                let at = events.iter().position(is_control).unwrap();
                let expected = if opcode == wire::PING { Event::Ping } else { Event::Pong };
                assert_eq!(events.remove(at), expected(control.to_vec().into()), "at {position}");
                assert_eq!(events, [event(delivery, Kind::Text, TEXT)], "at {position}");
                if delivery == Delivery::Whole {
                    assert_eq!(at, usize::from(position == parts.len()));
                }
                let pongs = wire::payloads(&record.output, wire::PONG);
                assert_eq!(pongs, vec![control.to_vec(); usize::from(opcode == wire::PING)]);
            }
        }
    }
}

#[test]
fn control_frames_may_stand_between_all_bytes_of_a_compressed_message() {
    let payload = deflate(TEXT);
    let parts: Vec<_> = payload.chunks(1).collect();
    for (role, delivery, agreement) in ways() {
        let ping = wire::frame(role, wire::PING, HELLO);
        let stream: Vec<u8> =
            frames(role, Kind::Text, &parts).iter().flat_map(|frame| [&ping[..], frame].concat()).collect();
        let record = at_every_split(|| agreed(role, &config(delivery), agreement), &stream);
        let (pings, rest): (Vec<_>, Vec<_>) =
            record.events.into_iter().partition(|event| *event == Event::Ping(HELLO.into()));
        assert_eq!((pings.len(), rest), (parts.len(), vec![event(delivery, Kind::Text, TEXT)]));
    }
}

#[test]
fn a_close_between_the_frames_of_a_compressed_message_ends_it_unfinished() {
    let payload = deflate(TEXT);
    // Within a character, too.
    for cut in 0..payload.len() {
        let (begin, end) = payload.split_at(cut);
        for (role, delivery, agreement) in ways() {
            let mut all = frames(role, Kind::Text, &[begin, end]);
            all.insert(1, wire::close(role, 1000, "bye"));
            let make = || agreed(role, &config(delivery), agreement);
            let record = splits::run(make(), [&all.concat()[..]]);
            assert_eq!(splits::run(make(), all.concat().chunks(1)), record);
            let Some((Event::Close(close), before)) = record.events.split_last() else {
                panic!("{record:?}")
            };
            assert_eq!(close.reason(), "bye");
            assert!(before.iter().all(|event| matches!(event, Event::Data(data) if !data.last)));
            assert_eq!(record.end.cause(), &Cause::Closed(Side::Remote));
            assert!(record.end.is_clean());
        }
    }
}

#[test]
fn a_message_is_not_handed_out_before_its_last_frame() {
    let payload = deflate(TEXT);
    for role in ROLES {
        let mut all = frames(role, Kind::Text, &[&payload[..], b""]);
        let last = all.pop().unwrap();
        let mut connection = open(role, &Config::new());
        assert_eq!(receive(&mut connection, START, &all.concat()).0, []);
        assert_eq!(receive(&mut connection, START, &last[..last.len() - 1]).0, []);
        let (events, _) = receive(&mut connection, START, &last[last.len() - 1..]);
        assert_eq!(events, [Event::Message(Message::from(TEXT))]);
    }
}

/// A message of some hundred kilobytes, that is neither all the same nor all noise.
fn long() -> String {
    (0_u32..20_000).map(|i| format!("{},", i.wrapping_mul(2_654_435_761) >> 12)).collect()
}

#[test]
fn long_messages_are_the_same_in_reads_and_frames_of_any_size() {
    let text = long();
    let payload = deflate(&text);
    assert!((30_000..text.len()).contains(&payload.len()), "{} {}", text.len(), payload.len());
    for role in ROLES {
        for delivery in DELIVERIES {
            for fragment in [1000, 1023, 1024, 1025, 16_384, usize::MAX] {
                let parts: Vec<_> = payload.chunks(fragment.min(payload.len())).collect();
                let stream = frames(role, Kind::Text, &parts).concat();
                for read in [1, 3, 1023, 1024, 1025, 4096, 65_536, usize::MAX] {
                    let make: Connection = open(role, &config(delivery));
                    let record = splits::run(make, stream.chunks(read.min(stream.len())));
                    assert!(record.events == [event(delivery, Kind::Text, &text)], "{fragment} {read}");
                }
            }
        }
    }
}

/// What is behind a payload that still has its tail may refer to it as ever.
#[test]
fn section_7_2_2_a_tail_that_is_left_on_is_taken_for_what_it_is() {
    for role in ROLES {
        for delivery in DELIVERIES {
            let mut deflater = deflater();
            let payloads = [TEXT, TEXT, TEXT].map(|text| next(&mut deflater, text));
            let stream: Vec<u8> = payloads
                .iter()
                .flat_map(|payload| frame(role, Kind::Text, [&payload[..], &TAIL].concat()))
                .collect();
            let record = at_every_split(|| open(role, &config(delivery)), &stream);
            assert_eq!(record.events, [TEXT; 3].map(|text| event(delivery, Kind::Text, text)));
        }
    }
}

#[test]
fn a_change_of_delivery_within_a_compressed_message_is_for_the_next_one() {
    let payload = deflate(TEXT);
    for role in ROLES {
        for [before, after] in [DELIVERIES, [Delivery::Streaming, Delivery::Whole]] {
            let stream = frames(role, Kind::Text, &[&payload[..9], &payload[9..]]).concat();
            let next = frame(role, Kind::Text, deflate("next"));
            for cut in 1..stream.len() {
                let mut connection = open(role, &config(before));
                let (mut events, _) = receive(&mut connection, START, &stream[..cut]);
                connection.set_options(START, &config(after));
                events.extend(receive(&mut connection, START, &stream[cut..]).0);
                let mut got = Vec::new();
                for event in &events {
                    match event {
                        Event::Message(message) => got.extend_from_slice(message.as_bytes()),
                        Event::Data(data) => got.extend_from_slice(&data.payload),
                        other => panic!("{other:?}"),
                    }
                }
                // All that is needed of the first frame's header is its first two bytes.
                let has_begun = cut >= if role == Role::Server { 6 } else { 2 };
                let was_whole = events.iter().any(|event| matches!(event, Event::Message(_)));
                let is_whole = if has_begun { before } else { after } == Delivery::Whole;
                assert_eq!((was_whole, got), (is_whole, TEXT.as_bytes().to_vec()), "cut at {cut}");
                let (events, _) = receive(&mut connection, START, &next);
                assert_eq!(matches!(events[..], [Event::Message(_)]), after == Delivery::Whole);
            }
        }
    }
}
