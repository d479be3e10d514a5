//! The frame decoder by itself, as a program uses it that has its own idea of a connection: RFC 6455 §5.2–§5.5.

use sansocket::frame::{Decoder, Header, Rsv1};
use sansocket::{Input, Opcode, ProtocolError, Role};
use sansocket_tests::ROLES;
use sansocket_tests::wire::{BINARY, CONTINUATION, KEY, PING, TEXT, fragment, frame, raw};

/// What a decoder tells of one frame: its header, its payload, and whether a fragmented message is open from there on.
type Found = (Header, Vec<u8>, bool);

/// Shows the decoder `bytes`, and takes payloads in parts of `most` bytes.
fn decode(
    decoder: &mut Decoder,
    bytes: &[u8],
    most: usize,
    found: &mut Vec<Found>,
) -> Result<usize, ProtocolError> {
    let mut bytes = bytes.to_vec();
    let mut input = Input::new(&mut bytes);
    loop {
        while decoder.left() > 0 && !input.is_empty() {
            let before = decoder.left();
            let part = decoder.payload(&mut input, most);
            assert!(part.len() <= most && !part.is_empty());
            found.last_mut().unwrap().1.extend_from_slice(part);
            assert_eq!(decoder.left(), before - part.len() as u64);
        }
        if decoder.left() > 0 {
            return Ok(input.remaining());
        }
        let Some(header) = decoder.header(&mut input)? else { return Ok(input.remaining()) };
        assert_eq!(decoder.left(), header.len);
        found.push((header, Vec::new(), decoder.is_fragmented()));
    }
}

fn header(role: Role, opcode: Opcode, fin: bool, len: usize) -> Header {
    let mut header = Header::new(opcode, len as u64);
    header.fin = fin;
    header.mask = (role == Role::Server).then_some(KEY);
    header
}

#[test]
fn it_finds_the_frames_wherever_the_stream_is_cut_and_however_payloads_are_taken() {
    for role in ROLES {
        let (long, longer) = (vec![0xA5; 126], vec![0x5A; 300]);
        let stream = [
            fragment(role, TEXT, "Hel"),
            frame(role, PING, "alive?"),
            fragment(role, CONTINUATION, ""),
            frame(role, CONTINUATION, "lo"),
            frame(role, BINARY, ""),
            frame(role, BINARY, &long),
            fragment(role, BINARY, &longer),
            frame(role, CONTINUATION, "!"),
        ]
        .concat();
        let expected: Vec<Found> = [
            (Opcode::Text, false, &b"Hel"[..], true),
            (Opcode::Ping, true, b"alive?", true),
            (Opcode::Continuation, false, b"", true),
            (Opcode::Continuation, true, b"lo", false),
            (Opcode::Binary, true, b"", false),
            (Opcode::Binary, true, &long, false),
            (Opcode::Binary, false, &longer, true),
            (Opcode::Continuation, true, b"!", false),
        ]
        .map(|(opcode, fin, payload, open)| {
            (header(role, opcode, fin, payload.len()), payload.to_vec(), open)
        })
        .into();
        for cut in 0..=stream.len() {
            for most in [1, 3, 64, usize::MAX] {
                let (mut decoder, mut found) = (Decoder::new(role), Vec::new());
                assert!(!decoder.is_fragmented());
                for part in [&stream[..cut], &stream[cut..]] {
                    assert_eq!(decode(&mut decoder, part, most, &mut found), Ok(0));
                }
                assert_eq!(found, expected, "{role:?}, cut at {cut}, by {most}");
            }
        }
    }
}

#[test]
fn a_payload_goes_where_the_caller_wants_it_with_what_was_there_before() {
    for role in ROLES {
        let stream = frame(role, BINARY, [7; 500]);
        for cut in 0..=stream.len() {
            let (mut decoder, mut target) = (Decoder::new(role), b"before".to_vec());
            for part in [&stream[..cut], &stream[cut..]] {
                let mut part = part.to_vec();
                let mut input = Input::new(&mut part);
                if decoder.left() == 0 && target.len() == 6 && decoder.header(&mut input).unwrap().is_none() {
                    continue;
                }
                decoder.payload_into(&mut input, &mut target);
            }
            assert_eq!(target, [&b"before"[..], &[7; 500]].concat());
            assert_eq!(decoder.left(), 0);
        }
    }
}

#[test]
fn reserved_bit_1_may_be_where_it_was_allowed_and_the_others_nowhere() {
    const RSV1: u8 = 0x40;
    for role in ROLES {
        let key = (role == Role::Server).then_some(KEY);
        let judge = |allowed, frames: &[u8]| {
            let mut decoder = Decoder::new(role);
            decoder.allow_rsv1(allowed);
            let stream: Vec<u8> = frames.iter().flat_map(|first| raw(*first, key, b"x")).collect();
            decode(&mut decoder, &stream, usize::MAX, &mut Vec::new()).map(|_| ())
        };
        let refused = Err(ProtocolError::ReservedBits);
        for (allowed, on_first, on_next) in [
            (Rsv1::Never, refused, refused),
            (Rsv1::FirstFrame, Ok(()), refused),
            (Rsv1::AnyFrame, Ok(()), Ok(())),
        ] {
            assert_eq!(judge(allowed, &[0x80 | BINARY | RSV1]), on_first, "{allowed:?}");
            assert_eq!(judge(allowed, &[BINARY, 0x80 | CONTINUATION | RSV1]), on_next, "{allowed:?}");
            assert_eq!(judge(allowed, &[0x80 | PING | RSV1]), refused, "{allowed:?}");
            for other in [0x20, 0x10, 0x30] {
                assert_eq!(judge(allowed, &[0x80 | BINARY | other]), refused, "{allowed:?}, {other:x}");
                assert_eq!(
                    judge(allowed, &[0x80 | BINARY | RSV1 | other]),
                    refused,
                    "{allowed:?}, {other:x}"
                );
            }
            assert_eq!(judge(allowed, &[BINARY, 0x80 | CONTINUATION]), Ok(()), "{allowed:?}");
        }
    }
}

#[test]
fn fragments_come_in_order_and_from_the_right_side() {
    use ProtocolError::{ExpectedContinuation, Masked, UnexpectedContinuation, Unmasked};
    for role in ROLES {
        let key = (role == Role::Server).then_some(KEY);
        for (frames, expected) in [
            (&[TEXT, 0x80 | TEXT][..], ExpectedContinuation),
            (&[BINARY, 0x80 | CONTINUATION, 0x80 | CONTINUATION], UnexpectedContinuation),
            (&[CONTINUATION], UnexpectedContinuation),
        ] {
            let stream: Vec<u8> = frames.iter().flat_map(|first| raw(*first, key, b"x")).collect();
            let mut found = Vec::new();
            assert_eq!(decode(&mut Decoder::new(role), &stream, 1, &mut found), Err(expected));
            assert_eq!(found.len(), frames.len() - 1);
        }
        let (key, error) = if role == Role::Server { (None, Unmasked) } else { (Some(KEY), Masked) };
        let stream = raw(0x80 | TEXT, key, b"x");
        assert_eq!(decode(&mut Decoder::new(role), &stream, 1, &mut Vec::new()), Err(error));
    }
}

/// Shorter texts are never left.
const LONG_TEXT: usize = 16 * 1024;

/// Also when the error is in a header spread over reads, of which the beginning was taken.
#[test]
fn a_wrong_byte_stays_in_the_input_and_whoever_asks_again_gets_the_same_error() {
    let cases: [(&[u8], u8, ProtocolError); 4] = [
        (b"", 0x83, ProtocolError::ReservedOpcode(3)),
        (b"\x81", 0x01, ProtocolError::Unmasked),
        (b"\x82\xFE\x00", 0x01, ProtocolError::NonMinimalLength),
        (b"\x82\xFF", 0x80, ProtocolError::LengthOverflow),
    ];
    for (begin, wrong, error) in cases {
        let mut decoder = Decoder::new(Role::Server);
        for byte in begin {
            assert_eq!(decoder.header(&mut Input::new(&mut [*byte])), Ok(None));
        }
        for more in 0..100 {
            let mut bytes = [vec![wrong], vec![0x81; more]].concat();
            let mut input = Input::new(&mut bytes);
            assert_eq!(decoder.header(&mut input), Err(error), "asked {more} times, behind {begin:?}");
            assert_eq!(decoder.header(&mut input), Err(error));
            assert_eq!(input.remaining(), 1 + more);
            assert_eq!(decoder.header(&mut Input::new(&mut [])), Ok(None));
        }
    }
}

#[test]
fn a_patient_input_keeps_a_message_until_it_is_whole_and_tells_what_is_missing() {
    for role in ROLES {
        for (opcode, len, patience, is_left) in [
            (BINARY, 100, 100, true),
            (BINARY, 100, 99, false),
            (BINARY, 1000, 1000, true),
            (BINARY, 70_000, 70_000, true),
            (BINARY, 70_000, 69_999, false),
            (TEXT, LONG_TEXT, LONG_TEXT, true),
            (TEXT, LONG_TEXT - 1, LONG_TEXT, false),
        ] {
            let stream = frame(role, opcode, vec![b'a'; len]);
            let head = stream.len() - len;
            for there in (0..=head + 3).chain(stream.len() - 3..=stream.len()) {
                let mut part = stream[..there].to_vec();
                let mut input = Input::new(&mut part).with_patience(patience);
                let mut decoder = Decoder::new(role);
                let header = decoder.header(&mut input).unwrap();
                let what = format!("{role:?}, {opcode}, {len} with {patience}, {there} there");
                if there < head {
                    assert_eq!(header, None, "{what}");
                    assert_eq!(
                        (input.remaining(), input.missing()),
                        (there, usize::from(there > 0)),
                        "{what}"
                    );
                } else if is_left && there < stream.len() {
                    assert_eq!(header, None, "{what}");
                    assert_eq!((input.remaining(), input.missing()), (there, stream.len() - there), "{what}");
                } else {
                    assert_eq!(header.map(|header| header.len), Some(len as u64), "{what}");
                    assert_eq!((input.remaining(), input.missing()), (there - head, 0), "{what}");
                }
            }
        }
    }
}

#[test]
fn no_patience_is_had_with_fragments_and_control_frames() {
    for role in ROLES {
        for (before, begun) in [
            (vec![], fragment(role, BINARY, [1; 50])),
            (fragment(role, BINARY, "x"), frame(role, CONTINUATION, [1; 50])),
            (vec![], frame(role, PING, [1; 50])),
        ] {
            let mut decoder = Decoder::new(role);
            decode(&mut decoder, &before, usize::MAX, &mut Vec::new()).unwrap();
            let mut part = begun[..begun.len() - 1].to_vec();
            let mut input = Input::new(&mut part).with_patience(1000);
            assert!(decoder.header(&mut input).unwrap().is_some());
            assert_eq!((input.remaining(), input.missing()), (49, 0));
        }
    }
}
