//! `x-webkit-deflate-frame` and `deflate-frame` on a connection: each frame is compressed for itself
//! (draft-tyoshino-hybi-websocket-perframe-deflate-06 §5), or each message, as some peers read it.

use DeflateFrameFragments::{Auto, PerFrame, PerMessage};
use sansocket::deflate::Deflater;
use sansocket::extension::{Extension, Negotiated, WindowBits};
use sansocket::{
    Compression, Config, Connection, DeflateFrameFragments, Delivery, Event, Kind, ProtocolError, Role, State,
};
use sansocket_tests::compressed::{
    DELIVERIES, PER_FRAME, Peer, RSV1, agreed, anew, deflate, deflater, event, frame, next,
};
use sansocket_tests::inflate::{json, noise};
use sansocket_tests::pair::Dice;
use sansocket_tests::{ROLES, Record, START, at_every_split, receive, splits, wire};

const EXTENSIONS: [Extension; 2] = [Extension::XWebkitDeflateFrame, Extension::DeflateFrame];
const READINGS: [DeflateFrameFragments; 3] = [Auto, PerFrame, PerMessage];

/// Characters of one to four bytes, and something to refer to.
const TEXT: &str = "aß€😀z, aß€😀z, aß€😀z";

/// A message in two frames as Cowboy's tests have it: one DEFLATE stream in both, and both say so.
const COWBOY: [&[u8]; 2] = [b"\xF2\x48\xCD\xC9", b"\xC9\x07\x00"];

fn config(delivery: Delivery, reading: DeflateFrameFragments) -> Config {
    let compression = Compression::new().min_size(0).deflate_frame_fragments(reading);
    Config::new().delivery(delivery).compression(Some(compression)).auto_pong(false)
}

/// In both roles and ways of delivery, with both names.
fn everywhere(
    readings: &[DeflateFrameFragments],
    mut check: impl FnMut(Role, Delivery, &dyn Fn() -> Connection),
) {
    for role in ROLES {
        for delivery in DELIVERIES {
            for extension in EXTENSIONS {
                for reading in readings {
                    let config = config(delivery, *reading);
                    check(role, delivery, &|| agreed(role, &config, Negotiated::new(extension)));
                }
            }
        }
    }
}

/// A text in these frames, each compressed or not.
fn text(role: Role, frames: &[(bool, &[u8])]) -> Vec<u8> {
    let last = frames.len() - 1;
    let frame = |(i, (compressed, payload)): (usize, &(bool, &[u8]))| {
        let bit = if *compressed { RSV1 } else { 0 };
        let first = bit | if i == 0 { wire::TEXT } else { wire::CONTINUATION };
        match i == last {
            true => wire::frame(role, first, payload),
            false => wire::fragment(role, first, payload),
        }
    };
    frames.iter().enumerate().flat_map(frame).collect()
}

/// A text in frames that are each compressed for themselves, or not; a frame that is takes over from those before it.
fn per_frame(role: Role, deflater: &mut Deflater, frames: &[(bool, &[u8])]) -> Vec<u8> {
    let payload = |(compressed, part): &(bool, &[u8])| match compressed {
        true => next(deflater, part),
        false => part.to_vec(),
    };
    let payloads: Vec<_> = frames.iter().map(payload).collect();
    let frames: Vec<_> =
        frames.iter().zip(&payloads).map(|((bit, _), payload)| (*bit, &payload[..])).collect();
    text(role, &frames)
}

#[track_caller]
fn assert_corrupt(role: Role, mut record: Record, before: usize) {
    for event in record.events.split_off(before) {
        assert!(matches!(event, Event::Data(data) if !data.last), "a message that was never there");
    }
    wire::assert_failed(role, &record, ProtocolError::CorruptDeflate, 1007);
}

#[test]
fn a_message_in_one_frame_is_the_same_whatever_the_reading() {
    everywhere(&READINGS, |role, delivery, make| {
        let mut deflater = deflater();
        let stream: Vec<u8> = ["Hello", TEXT, "", TEXT, "Hello"]
            .iter()
            .flat_map(|text| frame(role, Kind::Text, next(&mut deflater, text)))
            .collect();
        let record = at_every_split(make, &stream);
        let expected = ["Hello", TEXT, "", TEXT, "Hello"].map(|text| event(delivery, Kind::Text, text));
        assert_eq!((record.events, record.state), (expected.into(), State::Open));
    });
}

#[test]
fn a_message_that_is_one_stream_in_several_frames_is_understood_where_messages_are_compressed() {
    // The frames behind the first say that they are compressed, as Cowboy's tests have it, or they do not.
    for bit in [true, false] {
        everywhere(&[Auto, PerMessage], |role, delivery, make| {
            let stream = text(role, &[(true, COWBOY[0]), (bit, COWBOY[1])]);
            let record = at_every_split(make, &stream.repeat(3));
            let hello = event(delivery, Kind::Text, "Hello");
            assert_eq!((record.events, record.state), (vec![hello; 3], State::Open));
        });
    }
    everywhere(&[PerFrame], |role, _, make| {
        let stream = text(role, &[(true, COWBOY[0]), (true, COWBOY[1])]);
        assert_corrupt(role, at_every_split(make, &stream), 0);
    });
}

#[test]
fn a_message_whose_frames_are_compressed_each_for_itself_is_understood_where_frames_are() {
    everywhere(&[Auto, PerFrame], |role, delivery, make| {
        let mut deflater = deflater();
        let frames = [&b"Hel"[..], b"lo, ", b"Hello"].map(|part| (true, part));
        let stream: Vec<u8> = (0..3).flat_map(|_| per_frame(role, &mut deflater, &frames)).collect();
        let record = at_every_split(make, &stream);
        let hello = event(delivery, Kind::Text, "Hello, Hello");
        assert_eq!((record.events, record.state), (vec![hello; 3], State::Open));
    });
    everywhere(&[PerMessage], |role, _, make| {
        let stream = per_frame(role, &mut deflater(), &[(true, b"Hel"), (true, b"lo")]);
        assert_corrupt(role, at_every_split(make, &stream), 0);
    });
}

/// What a peer does once it does always.
#[test]
fn what_is_found_out_holds() {
    everywhere(&[Auto], |role, delivery, make| {
        let cowboys = text(role, &[(true, COWBOY[0]), (true, COWBOY[1])]);
        let webkits = per_frame(role, &mut deflater(), &[(true, b"Hel"), (true, b"lo")]);
        let one = frame(role, Kind::Text, deflate("Hello"));
        for (first, other) in [(&cowboys, &webkits), (&webkits, &cowboys)] {
            let stream = [&one[..], first, &one, first, &one, other, &one].concat();
            let record = at_every_split(make, &stream);
            assert_eq!(record.events[..5], vec![event(delivery, Kind::Text, "Hello"); 5]);
            assert_corrupt(role, record, 5);
        }
    });
}

/// Frames from which nothing can be found out.
#[test]
fn it_is_not_found_out_from_what_is_the_same_in_both_readings() {
    everywhere(&[Auto], |role, delivery, make| {
        for bit in [true, false] {
            // Whole messages, plain ones in fragments, and empty fragments.
            let mut deflater = deflater();
            let before = [
                per_frame(role, &mut deflater, &[(true, TEXT.as_bytes())]),
                text(role, &[(false, b"pla"), (false, b"in")]),
                text(role, &[(true, b""), (true, b""), (true, b"")]),
                text(role, &[(false, b""), (false, b"plain")]),
            ]
            .concat();
            let behind = match bit {
                true => per_frame(role, &mut deflater, &[(true, TEXT.as_bytes()), (true, TEXT.as_bytes())]),
                false => {
                    let twice = next(&mut deflater, TEXT.repeat(2));
                    text(role, &[(true, &twice[..2]), (true, &twice[2..])])
                }
            };
            let record = splits::run(make(), [&before[..], &behind]);
            let texts = [TEXT, "plain", "", "plain", &TEXT.repeat(2)];
            assert_eq!(record.events, texts.map(|text| event(delivery, Kind::Text, text)));
            assert_eq!(splits::run(make(), [before, behind].concat().chunks(1)), record);
        }
    });
}

/// Wherever a peer of either kind makes its frames.
#[test]
fn it_is_found_out_wherever_the_first_message_is_cut() {
    everywhere(&[Auto], |role, delivery, make| {
        let expected = [TEXT, TEXT].map(|text| event(delivery, Kind::Text, text));
        for cut in 1..TEXT.len() {
            let mut deflater = deflater();
            let (begin, end) = TEXT.as_bytes().split_at(cut);
            let stream: Vec<u8> = (0..2)
                .flat_map(|_| per_frame(role, &mut deflater, &[(true, begin), (true, b""), (true, end)]))
                .collect();
            let record = splits::run(make(), [&stream[..]]);
            assert_eq!((&record.events[..], record.state), (&expected[..], State::Open), "cut at {cut}");
            assert_eq!(splits::run(make(), stream.chunks(1)), record);
        }
        let len = deflate(TEXT).len();
        for cut in 1..len {
            let mut deflater = deflater();
            let stream: Vec<u8> = (0..2)
                .flat_map(|_| {
                    let payload = next(&mut deflater, TEXT);
                    let (begin, end) = payload.split_at(cut.min(payload.len() - 1));
                    text(role, &[(true, begin), (true, b""), (true, end)])
                })
                .collect();
            let record = splits::run(make(), [&stream[..]]);
            assert_eq!(
                (&record.events[..], record.state),
                (&expected[..], State::Open),
                "cut at {cut} of {len}"
            );
            assert_eq!(splits::run(make(), stream.chunks(1)), record);
        }
    });
}

/// WebKit leaves empty frames as they are; others leave what does not get shorter.
#[test]
fn frames_of_one_message_may_be_compressed_or_not() {
    let parts = [&TEXT.as_bytes()[..4], b"", &TEXT.as_bytes()[4..9], &TEXT.as_bytes()[9..]];
    everywhere(&[Auto, PerFrame], |role, delivery, make| {
        let mut deflater = deflater();
        // Auto has found out after the first of these.
        let mut stream = per_frame(role, &mut deflater, &[(true, b"fir"), (true, b"st")]);
        for which in 0..16 {
            let frames = [0, 1, 2, 3].map(|i| (which >> i & 1 == 1, parts[i]));
            stream.extend(per_frame(role, &mut deflater, &frames));
        }
        let mut expected = vec![event(delivery, Kind::Text, "first")];
        expected.extend(vec![event(delivery, Kind::Text, TEXT); 16]);
        let record = splits::run(make(), [&stream[..]]);
        assert_eq!((&record.events, record.state), (&expected, State::Open));
        for chunk in 1..20 {
            assert_eq!(splits::run(make(), stream.chunks(chunk)), record);
        }
    });
}

#[test]
fn the_first_message_may_be_a_mixed_one() {
    let (begin, end) = TEXT.as_bytes().split_at(4);
    everywhere(&[Auto, PerFrame], |role, delivery, make| {
        for frames in [[(true, begin), (false, end)], [(false, begin), (true, end)]] {
            let mut deflater = deflater();
            let stream = [
                per_frame(role, &mut deflater, &frames),
                per_frame(role, &mut deflater, &[(true, TEXT.as_bytes())]),
            ]
            .concat();
            let record = at_every_split(make, &stream);
            assert_eq!(record.events, vec![event(delivery, Kind::Text, TEXT); 2]);
        }
    });
}

#[test]
fn without_contexts_each_frame_stands_for_itself() {
    for role in ROLES {
        for delivery in DELIVERIES {
            for reading in [Auto, PerFrame] {
                let config = config(delivery, reading);
                let make = || agreed(role, &config, anew(PER_FRAME));
                let [first, second] = ["Hello, ", "Hello"].map(deflate);
                let stream = text(role, &[(true, &first), (true, &second)]);
                let record = at_every_split(make, &stream.repeat(2));
                assert_eq!(record.events, vec![event(delivery, Kind::Text, "Hello, Hello"); 2]);
                // Nor may a frame refer to the one before it.
                let referring = per_frame(role, &mut deflater(), &[(true, b"Hello, "), (true, b"Hello")]);
                assert_corrupt(role, at_every_split(make, &[stream, referring].concat()), 1);
            }
            // A message that is one stream may refer to its own beginning.
            let config = config(delivery, PerMessage);
            let stream = text(role, &[(true, COWBOY[0]), (true, COWBOY[1])]);
            let record = at_every_split(|| agreed(role, &config, anew(PER_FRAME)), &stream.repeat(2));
            assert_eq!(record.events, vec![event(delivery, Kind::Text, "Hello"); 2]);
        }
    }
}

/// Cowboy answers without looking at a client's window, and WebKit inflates in the largest.
#[test]
fn what_comes_may_refer_back_32_kib_whatever_was_said() {
    let noise = noise(&mut Dice::new(1), 30_000);
    let message = [&noise[..], &noise].concat();
    let payload = deflate(&message);
    assert!(payload.len() < 32_000);
    let mut small = PER_FRAME;
    (small.server_max_window_bits, small.client_max_window_bits) = (WindowBits::MIN, WindowBits::MIN);
    for role in ROLES {
        for delivery in DELIVERIES {
            for reading in READINGS {
                let config = config(delivery, reading);
                let stream = frame(role, Kind::Binary, &payload);
                let record = splits::run(agreed(role, &config, small), [&stream[..]]);
                assert!(record.events == [event(delivery, Kind::Binary, &message)]);
            }
        }
    }
}

#[test]
fn control_frames_pass_between_frames_of_either_kind() {
    let parts = [&TEXT.as_bytes()[..2], &TEXT.as_bytes()[2..5], &TEXT.as_bytes()[5..]];
    everywhere(&[Auto, PerFrame], |role, delivery, make| {
        for which in 0..8 {
            let frames = [0, 1, 2].map(|i| (which >> i & 1 == 1, parts[i]));
            let mut deflater = deflater();
            let mut stream = Vec::new();
            let mut rest = &per_frame(role, &mut deflater, &frames)[..];
            while let [_, len, ..] = *rest {
                stream.extend(wire::frame(role, wire::PING, COWBOY[0]));
                let header = if role == Role::Server { 6 } else { 2 };
                let (frame, behind) = rest.split_at(header + usize::from(len & 0x7F));
                stream.extend(frame);
                rest = behind;
            }
            let record = at_every_split(make, &stream);
            let (pings, others): (Vec<_>, Vec<_>) =
                record.events.into_iter().partition(|event| *event == Event::Ping(COWBOY[0].into()));
            assert_eq!((pings.len(), others), (3, vec![event(delivery, Kind::Text, TEXT)]));
        }
    });
}

#[test]
fn text_that_is_not_utf_8_fails_in_frames_of_either_kind() {
    everywhere(&[Auto, PerFrame], |role, delivery, make| {
        for which in 0..8 {
            // The second frame's first byte cannot follow; the third has not come.
            let frames = [(which & 1 == 1, &b"a\xE2"[..]), (which & 2 == 2, b"b"), (which & 4 == 4, b"c")];
            let stream = per_frame(role, &mut deflater(), &frames);
            let mut record = at_every_split(make, &stream);
            let events = core::mem::take(&mut record.events);
            wire::assert_failed(role, &record, ProtocolError::InvalidUtf8, 1007);
            match (delivery, &events[..]) {
                (Delivery::Whole, []) => {}
                (Delivery::Streaming, [Event::Data(data)]) => {
                    assert_eq!((&data.payload[..], data.last), (&b"a\xE2"[..], false));
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn long_messages_in_frames_of_any_size_are_the_same() {
    let message = json(&mut Dice::new(1), 200_000);
    everywhere(&[Auto, PerFrame], |role, delivery, make| {
        for part in [1000, 16_384, 150_000] {
            let frames: Vec<_> = message.chunks(part).map(|part| (true, part)).collect();
            let stream = per_frame(role, &mut deflater(), &frames);
            for read in [1000, 4096, stream.len()] {
                let record = splits::run(make(), stream.chunks(read));
                assert!(record.events == [event(delivery, Kind::Text, &message)]);
            }
        }
    });
}

/// Only the receiver knows how it reads fragments, so there are no compressed ones.
#[test]
fn messages_are_sent_compressed_in_one_frame_and_in_pieces_they_are_plain() {
    for role in ROLES {
        for extension in EXTENSIONS {
            for reading in READINGS {
                let config = config(Delivery::Whole, reading).auto_fragment(Some(10));
                let mut connection = agreed(role, &config, Negotiated::new(extension));
                let mut peer = Peer::new(role);
                for i in 0..3 {
                    connection.send(TEXT).unwrap();
                    let whole = peer.one(&mut connection);
                    assert_eq!((whole.frames, whole.payload.is_some()), (1, true));
                    assert_eq!((whole.inflated.bytes, whole.inflated.looks_back), (TEXT.into(), i > 0));
                    connection.begin(Kind::Text).unwrap();
                    connection.push(&TEXT.as_bytes()[..3]).unwrap();
                    connection.push(b"").unwrap();
                    connection.finish(&TEXT.as_bytes()[3..11]).unwrap();
                    let pieces = peer.one(&mut connection);
                    assert_eq!((pieces.frames, pieces.payload), (3, None));
                    assert_eq!(pieces.inflated.bytes, TEXT.as_bytes()[..11]);
                    connection.send("").unwrap();
                    assert_eq!(peer.one(&mut connection).payload, Some(vec![0x00]));
                }
            }
        }
    }
}

#[test]
fn each_of_the_two_readings_is_understood_when_what_is_received_is_sent_back() {
    everywhere(&[Auto], |role, delivery, make| {
        let mut connection = make();
        let mut peer = Peer::new(role);
        let stream = per_frame(role, &mut deflater(), &[(true, b"Hel"), (true, b"lo")]);
        for event in receive(&mut connection, START, &stream).0 {
            match event {
                Event::Message(message) => connection.send(message).unwrap(),
                Event::Data(data) => {
                    if data.first {
                        connection.begin(data.kind).unwrap();
                    }
                    if data.last { connection.finish(&data.payload) } else { connection.push(&data.payload) }
                        .unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(peer.reads(&mut connection, "Hello"), delivery == Delivery::Whole);
    });
}
