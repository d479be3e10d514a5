//! What a compressed message may come to: the limit is for what it inflates to, and holds before anything is kept. What
//! memory that takes is in `memory_laws_compression.rs`.

use sansocket::deflate::{Deflater, Params, Strategy};
use sansocket::{Cause, Config, Connection, Delivery, Event, Kind, ProtocolError, Role, State};
use sansocket_tests::compressed::{
    DELIVERIES, PER_FRAME, PER_MESSAGE, RSV1, agreed, anew, deflate, deflater, event, frame, frames, next,
    open,
};
use sansocket_tests::inflate::{TAIL, Writer, noise};
use sansocket_tests::pair::{Dice, peer};
use sansocket_tests::{ROLES, Record, START, receive, splits, take_output, wire};

use ProtocolError::{FrameTooBig, MessageTooBig, TooManyFragments};

/// An empty stored block.
const NOTHING: [u8; 5] = [0x00, 0x00, 0x00, 0xFF, 0xFF];

fn limited(delivery: Delivery, limit: u64) -> Config {
    Config::new().delivery(delivery).max_message(limit)
}

/// A message of this many bytes, and its payload in blocks of different kinds.
fn of_every_kind(len: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let zeros = vec![0; len];
    let noise = noise(&mut Dice::new(1), len.min(70_000));
    let with = |params: Params, message: &[u8]| next(&mut Deflater::new(&params), message);
    let mut all = vec![(zeros.clone(), deflate(&zeros))];
    if noise.len() == len {
        all.push((noise.clone(), with(Params::new().level(0), &noise)));
        all.push((zeros.clone(), with(Params::new().strategy(Strategy::HuffmanOnly), &zeros)));
    }
    if len <= 5000 {
        all.push((noise.clone(), Writer::new().stored(false, &noise).message()));
        all.push((noise.clone(), Writer::new().stored(true, &noise).bytes()));
        all.push((noise.clone(), Writer::new().fixed(false).literals(&noise).end().message()));
    }
    all
}

/// One frame, two, and many; what is long is not taken apart byte by byte.
fn in_frames(role: Role, payload: &[u8]) -> Vec<Vec<u8>> {
    let (begin, end) = payload.split_at(payload.len() / 2);
    let mut streams = vec![frame(role, Kind::Binary, payload)];
    streams.push(frames(role, Kind::Binary, &[begin, end, b""]).concat());
    if (1..5000).contains(&payload.len()) {
        streams.push(frames(role, Kind::Binary, &payload.chunks(1).collect::<Vec<_>>()).concat());
    }
    streams
}

/// In reads of several sizes, which make no difference.
fn read(make: impl Fn() -> Connection, stream: &[u8]) -> Record {
    let whole = splits::run(make(), [stream]);
    for size in if stream.len() < 10_000 { [1, 100] } else { [1000, 1024] } {
        assert!(splits::run(make(), stream.chunks(size)) == whole, "in reads of {size}");
    }
    whole
}

/// How many bytes were handed out, and whether a message ended.
fn handed_out(events: &[Event<'_>]) -> (usize, bool) {
    match events {
        [] => (0, false),
        [Event::Message(message)] => (message.len(), true),
        [Event::Data(data)] => (data.payload.len(), data.last),
        other => panic!("{other:?}"),
    }
}

/// The connection failed with 1009, and no more was handed out than the limit allows.
#[track_caller]
fn assert_too_big(role: Role, record: &Record, limit: u64) {
    wire::assert_failed(role, record, MessageTooBig { len: limit + 1, max: limit }, 1009);
    let (bytes, ended) = handed_out(&record.events);
    assert!(!ended && u64::try_from(bytes).unwrap() <= limit, "{bytes} of {limit}");
}

#[test]
fn a_message_may_inflate_to_exactly_the_limit_and_not_to_a_byte_more() {
    for limit in [0_usize, 1, 2, 255, 4096, 65_535, 65_536, 1 << 20] {
        let max = u64::try_from(limit).unwrap();
        for len in [limit.saturating_sub(1), limit, limit + 1, limit + 2] {
            for (message, payload) in of_every_kind(len) {
                for role in ROLES {
                    for delivery in DELIVERIES {
                        for stream in in_frames(role, &payload) {
                            // What follows must not make up for it.
                            let stream = [stream, frame(role, Kind::Binary, deflate("x"))].concat();
                            let mut record = read(|| open(role, &limited(delivery, max)), &stream);
                            if len > limit {
                                assert_too_big(role, &record, max);
                                continue;
                            }
                            assert!(record.events[0] == event(delivery, Kind::Binary, &message));
                            if limit == 0 {
                                record.events.remove(0);
                                assert_too_big(role, &record, max);
                            } else {
                                assert_eq!(record.events[1..], [event(delivery, Kind::Binary, "x")]);
                                assert_eq!(record.state, State::Open);
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_limit_is_the_same_for_text_whatever_its_characters() {
    for role in ROLES {
        for delivery in DELIVERIES {
            for text in ["ab€", "€ab", "😀é", "éé€"] {
                let limit = u64::try_from(text.len()).unwrap();
                let stream = frame(role, Kind::Text, deflate(text));
                let record = splits::run(open(role, &limited(delivery, limit)), stream.chunks(1));
                assert_eq!(record.events, [event(delivery, Kind::Text, text)]);
                for limit in 0..limit {
                    let record = splits::run(open(role, &limited(delivery, limit)), stream.chunks(1));
                    assert_too_big(role, &record, limit);
                }
            }
        }
    }
}

/// Each message has the whole limit for itself, whatever those before it were and whatever it refers to.
#[test]
fn the_limit_begins_anew_with_each_message() {
    for role in ROLES {
        for delivery in DELIVERIES {
            let mut deflater = deflater();
            let stream: Vec<u8> =
                (0..20).flat_map(|_| frame(role, Kind::Binary, next(&mut deflater, [7; 1000]))).collect();
            let record = splits::run(open(role, &limited(delivery, 1000)), [&stream[..]]);
            assert_eq!(record.events, vec![event(delivery, Kind::Binary, [7; 1000]); 20]);
            let one_more = frame(role, Kind::Binary, next(&mut deflater, [7; 1001]));
            let mut record = splits::run(open(role, &limited(delivery, 1000)), [&stream[..], &one_more]);
            record.events.drain(..20);
            assert_too_big(role, &record, 1000);
        }
    }
}

#[test]
fn a_bomb_ends_at_the_limit_however_its_frames_are_cut_and_read() {
    // Each piece of 1 MiB stands for itself, so that it can be sent again and again.
    let mut piece = Vec::new();
    deflater().piece(&vec![0; 1 << 20], &mut piece);
    assert!(piece.len() < 1100);
    let payload = piece.repeat(64);
    for role in ROLES {
        for delivery in DELIVERIES {
            for limit in [100, 65_536, 1 << 20] {
                for fragment in [1, 1000, payload.len() / 2, payload.len()] {
                    let parts: Vec<_> =
                        payload[..payload.len().min(fragment * 10_000)].chunks(fragment).collect();
                    let stream = frames(role, Kind::Binary, &parts).concat();
                    for read in [1, 1000, stream.len()] {
                        let mut connection = open(role, &limited(delivery, limit));
                        let mut handed = 0;
                        for chunk in stream.chunks(read) {
                            let (events, left) = receive(&mut connection, START, chunk);
                            for event in events {
                                let Event::Data(data) = event else { panic!("{event:?}") };
                                handed += data.payload.len();
                            }
                            assert_eq!(left, 0);
                            if connection.state() != State::Open {
                                break;
                            }
                        }
                        // All that it may come to, and no more; nothing, if the first frame is too long.
                        let is_read = u64::try_from(fragment).unwrap() <= 2 * limit + 1024;
                        let is_streamed = delivery == Delivery::Streaming;
                        let expected = if is_streamed && is_read { limit } else { 0 };
                        assert_eq!(u64::try_from(handed), Ok(expected));
                        let close = wire::parse(&take_output(&mut connection)).remove(0);
                        assert_eq!((close.first, close.payload), (0x88, wire::close_payload(1009)));
                    }
                }
            }
        }
    }
}

/// What a header declares is judged before the payload is there.
#[track_caller]
fn assert_fails_at_header(
    mut connection: Connection,
    before: &[u8],
    frame: &[u8],
    payload: usize,
    error: ProtocolError,
) {
    receive(&mut connection, START, before);
    assert_eq!(connection.state(), State::Open);
    receive(&mut connection, START, &frame[..frame.len() - payload]);
    assert_eq!(connection.state(), State::Closing);
    connection.transmitted(usize::MAX);
    connection.receive_eof();
    let sansocket::Transport::Close(end) = connection.transport() else { panic!("not over") };
    assert_eq!(end.cause(), &Cause::Violation(error));
}

/// A lot may come to nothing, and yet there is an end to it.
#[test]
fn the_wire_bytes_of_a_compressed_message_are_limited_too() {
    for role in ROLES {
        for delivery in DELIVERIES {
            for limit in [3, 103, 5003] {
                let config = limited(delivery, limit);
                let most = 2 * limit + 1024;
                let fits = NOTHING.repeat(usize::try_from(most).unwrap() / NOTHING.len());
                let begin = NOTHING.len() * 20;
                assert_eq!(u64::try_from(fits.len()), Ok(most));
                // A fragment may be longer by what it takes to flush it.
                let last = [&fits[begin..], &NOTHING, &NOTHING].concat();
                for parts in [&[&fits[..]][..], &[&fits[..begin], b"", &last]] {
                    // Counted anew for each message.
                    let stream = frames(role, Kind::Binary, parts).concat().repeat(3);
                    let record = splits::run(open(role, &config), stream.chunks(500));
                    assert_eq!(record.events, vec![event(delivery, Kind::Binary, ""); 3], "{limit}");
                }

                let over = [&fits[..], &[0]].concat();
                let error = MessageTooBig { len: most + 1, max: limit };
                let whole = frame(role, Kind::Binary, &over);
                assert_fails_at_header(open(role, &config), b"", &whole, over.len(), error);
                let last = [&last[..], &[0]].concat();
                let parts = frames(role, Kind::Binary, &[&fits[..begin], b"", &last]);
                let make = || open(role, &config);
                assert_fails_at_header(make(), &parts[..2].concat(), &parts[2], last.len(), error);
            }
        }
    }
}

/// Each of them takes several times its length on the wire.
#[test]
fn a_message_that_was_sent_in_pieces_of_a_byte_may_be_as_long_as_any() {
    for role in ROLES {
        for delivery in DELIVERIES {
            for [len, limit] in [[1000, 1000], [1001, 1000]] {
                let mut sender = open(peer(role), &Config::new());
                sender.begin(Kind::Binary).unwrap();
                for _ in 1..len {
                    sender.push(b"x").unwrap();
                }
                sender.finish(b"x").unwrap();
                let stream = take_output(&mut sender);
                assert!(stream.len() > 5 * len, "{}", stream.len());
                let record =
                    splits::run(open(role, &limited(delivery, limit.try_into().unwrap())), [&stream[..]]);
                match len <= limit {
                    true => assert_eq!(record.events, [event(delivery, Kind::Binary, vec![b'x'; len])]),
                    false => assert_too_big(role, &record, 1000),
                }
            }
        }
    }
}

#[test]
fn what_is_not_compressed_has_no_other_limit_than_its_message() {
    for role in ROLES {
        for delivery in DELIVERIES {
            let make = || open(role, &limited(delivery, 5000));
            let stream = wire::frame(role, wire::BINARY, [7; 5000]);
            assert_eq!(splits::run(make(), [&stream[..]]).events, [event(delivery, Kind::Binary, [7; 5000])]);
            let over = wire::frame(role, wire::BINARY, [7; 5001]);
            let error = MessageTooBig { len: 5001, max: 5000 };
            assert_fails_at_header(make(), &stream, &over, 5001, error);
        }
    }
}

#[test]
fn a_length_that_no_message_has_fails_with_its_header() {
    for role in ROLES {
        for delivery in DELIVERIES {
            for limit in [100, 1 << 20, u64::MAX / 2, u64::MAX] {
                for len in [1 << 32, 1 << 62, i64::MAX.unsigned_abs()] {
                    let key = if role == Role::Server { &wire::KEY[..] } else { b"" };
                    let second = if role == Role::Server { 0xFF } else { 0x7F };
                    let header = [&[0xC2, second], &u64::to_be_bytes(len)[..], key].concat();
                    let mut connection = open(role, &limited(delivery, limit));
                    receive(&mut connection, START, &header);
                    let is_too_big = limit < 1 << 21;
                    assert_eq!(connection.state() == State::Closing, is_too_big, "{len} {limit}");

                    // It does not overflow behind another frame either.
                    let begun = wire::fragment(role, RSV1 | wire::BINARY, NOTHING);
                    let header = [&[0x80], &header[1..]].concat();
                    let mut connection = open(role, &limited(delivery, limit));
                    receive(&mut connection, START, &[begun, header].concat());
                    assert_eq!(connection.state() == State::Closing, is_too_big, "{len} {limit}");
                }
            }
        }
    }
}

/// What does not get shorter is longer on the wire than it is.
#[test]
fn noise_of_exactly_the_limit_is_received() {
    for limit in [1, 10, 100, 10_000, 100_000] {
        let message = noise(&mut Dice::new(7), limit);
        for role in ROLES {
            for delivery in DELIVERIES {
                let config = limited(delivery, u64::try_from(limit).unwrap());
                let stream = frame(role, Kind::Binary, deflate(&message));
                let record = splits::run(open(role, &config), [&stream[..]]);
                assert!(record.events == [event(delivery, Kind::Binary, &message)]);
            }
        }
    }
}

#[test]
fn the_limit_for_frames_is_for_what_is_on_the_wire() {
    let payload = deflate([7; 5000]);
    let len = u64::try_from(payload.len()).unwrap();
    for role in ROLES {
        for delivery in DELIVERIES {
            let stream = frame(role, Kind::Binary, &payload);
            let record = splits::run(open(role, &limited(delivery, 5000).max_frame(len)), [&stream[..]]);
            assert_eq!(record.events, [event(delivery, Kind::Binary, [7; 5000])]);

            let config = limited(delivery, 5000).max_frame(len - 1);
            let error = FrameTooBig { len, max: len - 1 };
            assert_fails_at_header(open(role, &config), b"", &stream, payload.len(), error);
            let parts = frames(role, Kind::Binary, &[b"", &payload[..]]);
            assert_fails_at_header(open(role, &config), &parts[0], &parts[1], payload.len(), error);
            let halves = frames(role, Kind::Binary, &[&payload[..9], &payload[9..]]).concat();
            let record = splits::run(open(role, &config), [&halves[..]]);
            assert_eq!(record.events, [event(delivery, Kind::Binary, [7; 5000])]);
        }
    }
}

#[test]
fn fragments_of_a_compressed_message_are_counted_empty_ones_too() {
    let payload = deflate("Hello");
    for role in ROLES {
        for delivery in DELIVERIES {
            let config = Config::new().delivery(delivery).max_fragments(3);
            for (parts, fits) in [
                (&[&payload[..2], b"", &payload[2..]][..], true),
                (&[b"", b"", &payload], true),
                (&[b"", &payload[..2], b"", &payload[2..]], false),
                (&[b"", b"", b"", b""], false),
            ] {
                let stream = frames(role, Kind::Text, parts).concat();
                let mut record = read(|| open(role, &config), &stream);
                if fits {
                    assert_eq!(record.events, [event(delivery, Kind::Text, "Hello")]);
                } else {
                    assert!(!handed_out(&record.events).1);
                    record.events.clear();
                    wire::assert_failed(role, &record, TooManyFragments { max: 3 }, 1008);
                }
            }
            // By default as many as of any message.
            let empty = wire::fragment(role, 0, b"").repeat(16_383);
            let stream = [wire::fragment(role, RSV1 | wire::TEXT, b""), empty].concat();
            let mut connection = open(role, &Config::new().delivery(delivery));
            receive(&mut connection, START, &stream);
            assert_eq!(connection.state(), State::Open);
            let error = TooManyFragments { max: 16_384 };
            assert_fails_at_header(connection, b"", &wire::frame(role, 0, b""), 0, error);
        }
    }
}

/// Compressed frames count with what they inflate to, others with what they declare.
#[test]
fn under_deflate_frame_the_limit_counts_frames_of_both_kinds() {
    let five = deflate("five5");
    for role in ROLES {
        for delivery in DELIVERIES {
            let config = limited(delivery, 10);
            let make = || agreed(role, &config, anew(PER_FRAME));
            for first in
                [wire::fragment(role, RSV1 | wire::TEXT, &five), wire::fragment(role, wire::TEXT, "five5")]
            {
                for (last, fits) in [
                    (wire::frame(role, 0, "five5"), true),
                    (wire::frame(role, RSV1, &five), true),
                    (wire::frame(role, 0, "five56"), false),
                    (wire::frame(role, RSV1, deflate("five56")), false),
                ] {
                    let stream = [&first[..], &last].concat();
                    let record = read(make, &stream);
                    if fits {
                        assert_eq!(record.events, [event(delivery, Kind::Text, "five5five5")]);
                    } else {
                        assert_too_big(role, &record, 10);
                    }
                }
            }
        }
    }
}

/// Limits are for what comes next: the rest of a message, too.
#[test]
fn a_limit_may_change_while_a_message_is_received() {
    let mut deflater = deflater();
    let mut first = Vec::new();
    deflater.piece(&[7; 1000], &mut first);
    let last = next(&mut deflater, [7; 1000]);
    for role in ROLES {
        for delivery in DELIVERIES {
            let parts = frames(role, Kind::Binary, &[&first, &last]);
            for (limit, fits) in [(2000, true), (1999, false), (500, false)] {
                let mut connection = open(role, &limited(delivery, 1000));
                let (mut events, _) = receive(&mut connection, START, &parts[0]);
                connection.set_options(START, &limited(delivery, limit));
                events.extend(receive(&mut connection, START, &parts[1]).0);
                let ended = events.last().is_some_and(|event| match event {
                    Event::Message(message) => message.len() == 2000,
                    Event::Data(data) => data.last,
                    _ => false,
                });
                assert_eq!((ended, connection.state() == State::Open), (fits, fits));
            }
        }
    }
}

#[test]
fn a_tail_that_is_left_on_does_not_count_as_a_part_of_the_message() {
    for role in ROLES {
        for delivery in DELIVERIES {
            for agreement in [PER_MESSAGE, PER_FRAME] {
                let stream = frame(role, Kind::Text, [&deflate("Hello")[..], &TAIL].concat());
                let record = read(|| agreed(role, &limited(delivery, 5), agreement), &stream);
                assert_eq!(record.events, [event(delivery, Kind::Text, "Hello")]);
            }
        }
    }
}
