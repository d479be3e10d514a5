//! RFC 6455 §5.1, §5.2, §5.7: headers and lengths, and whatever a peer may get wrong in them.

use sansocket::{
    Cause, CloseCode, Config, Connection, Event, Kind, Message, ProtocolError, Role, State, Transport,
};
use sansocket_tests::{ROLES, Record, START, at_every_split, open, receive, splits, take_output, wire};

use wire::header;

use ProtocolError::{
    ControlTooLong, ExpectedContinuation, FragmentedControl, FrameTooBig, LengthOverflow, Masked,
    NonMinimalLength, ReservedBits, ReservedOpcode, UnexpectedContinuation, Unmasked,
};

/// Cuts for streams that are too long for [`at_every_split`]: around both ends and around every boundary of a length form.
fn at_cuts(make: impl Fn() -> Connection, stream: &[u8]) -> Record {
    let whole = splits::run(make(), [stream]);
    let len = stream.len();
    let near = [0, 125, 4096, 16_384, 65_536].into_iter().flat_map(|at: usize| at.saturating_sub(4)..at + 20);
    for cut in near.chain(len - 20..len).filter(|cut| (1..len).contains(cut)) {
        let (first, second) = stream.split_at(cut);
        assert_eq!(splits::run(make(), [first, second]), whole, "cut at {cut}");
    }
    assert_eq!(splits::run(make(), stream.chunks(1000)), whole, "in chunks");
    whole
}

fn message(kind: Kind, len: usize) -> Message<'static> {
    match kind {
        Kind::Text => Message::text("é".repeat(len / 2) + &"x".repeat(len % 2)),
        Kind::Binary => Message::binary((0..=250).cycle().take(len).collect::<Vec<u8>>()),
    }
}

#[test]
fn section_5_7_examples_are_received() {
    let hello = || Event::Message(Message::from("Hello"));
    let mut bytes_256 = vec![0x82, 0x7E, 0x01, 0x00];
    bytes_256.extend([0xAB; 256]);
    let examples: [(Role, &[u8], Event<'_>); 6] = [
        (Role::Client, b"\x81\x05Hello", hello()),
        (Role::Server, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", hello()),
        (Role::Client, b"\x01\x03Hel\x80\x02lo", hello()),
        (Role::Client, b"\x89\x05Hello", Event::Ping(b"Hello".into())),
        (Role::Server, b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", Event::Pong(b"Hello".into())),
        (Role::Client, &bytes_256, Event::Message(Message::from(vec![0xAB; 256]))),
    ];
    for (role, stream, event) in examples {
        let record = at_every_split(|| open(role, &Config::new()), stream);
        assert_eq!(record.events, [event]);
        assert_eq!(record.state, State::Open);
    }

    let mut bytes_64k = vec![0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0];
    bytes_64k.extend([0xAB; 65_536]);
    let record = at_cuts(|| open(Role::Client, &Config::new()), &bytes_64k);
    assert_eq!(record.events, [Event::Message(Message::from(vec![0xAB; 65_536]))]);
}

#[test]
fn section_5_7_examples_are_sent() {
    let mut server = open(Role::Server, &Config::new());
    server.send("Hello").unwrap();
    assert_eq!(take_output(&mut server), b"\x81\x05Hello");
    server.begin(Kind::Text).unwrap();
    server.push(b"Hel").unwrap();
    server.finish(b"lo").unwrap();
    assert_eq!(take_output(&mut server), b"\x01\x03Hel\x80\x02lo");
    server.ping(b"Hello").unwrap();
    assert_eq!(take_output(&mut server), b"\x89\x05Hello");
    server.pong(b"Hello").unwrap();
    assert_eq!(take_output(&mut server), b"\x8a\x05Hello");
    server.send(vec![1; 256]).unwrap();
    assert_eq!(take_output(&mut server)[..5], [0x82, 0x7E, 0x01, 0x00, 1]);
    server.send(vec![1; 65_536]).unwrap();
    assert_eq!(take_output(&mut server)[..11], [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0, 1]);
}

#[test]
fn section_5_2_payloads_of_every_length_form_are_received() {
    for role in ROLES {
        for kind in [Kind::Text, Kind::Binary] {
            for len in [0, 1, 2, 125, 126, 127, 65_535, 65_536] {
                let expected = message(kind, len);
                let opcode = if kind == Kind::Text { wire::TEXT } else { wire::BINARY };
                let stream = wire::frame(role, opcode, expected.as_bytes());
                let make = || open(role, &Config::new());
                let record = if len < 1000 { at_every_split(make, &stream) } else { at_cuts(make, &stream) };
                assert_eq!(record.events, [Event::Message(expected)], "{role:?} {len}");
                assert_eq!((record.output.len(), record.state), (0, State::Open));
            }
        }
    }
}

#[test]
fn section_5_2_lengths_are_sent_in_their_shortest_form() {
    let forms: [(usize, &[u8]); 7] = [
        (0, &[0]),
        (1, &[1]),
        (125, &[125]),
        (126, &[126, 0, 126]),
        (127, &[126, 0, 127]),
        (65_535, &[126, 255, 255]),
        (65_536, &[127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ];
    for role in ROLES {
        for kind in [Kind::Text, Kind::Binary] {
            for (len, form) in forms {
                let sent = message(kind, len);
                let mut connection = open(role, &Config::new());
                connection.send(sent.borrow()).unwrap();
                let output = take_output(&mut connection);
                let mut length = output[1..=form.len()].to_vec();
                length[0] &= 0x7F;
                assert_eq!(length, form);
                let first = if kind == Kind::Text { 0x81 } else { 0x82 };
                let masked = role == Role::Client;
                let payload = sent.into_bytes();
                assert_eq!(wire::parse(&output), [wire::Parsed { first, masked, payload }]);
            }
        }
    }
}

/// A header that must not be: first byte, second byte without the mask bit, length, the fault, and the code.
type Fault = (u8, u8, &'static [u8], ProtocolError, u16);

/// What is wrong whatever came before.
fn faults() -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    for bits in 1..8_u8 {
        for opcode in [wire::BINARY, wire::CLOSE, wire::PING, wire::PONG] {
            faults.push((0x80 | bits << 4 | opcode, 2, b"", ReservedBits, 1002));
        }
        faults.push((bits << 4 | wire::BINARY, 2, b"", ReservedBits, 1002));
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for fin in [0, 0x80] {
            faults.push((fin | opcode, 2, b"", ReservedOpcode(opcode), 1002));
        }
    }
    for opcode in [wire::CLOSE, wire::PING, wire::PONG] {
        faults.push((opcode, 2, b"", FragmentedControl, 1002));
        faults.push((0x80 | opcode, 126, &[0, 126], ControlTooLong, 1002));
        faults.push((0x80 | opcode, 127, &[0, 0, 0, 0, 0, 1, 0, 0], ControlTooLong, 1002));
    }
    let (max, whole) = (1 << 20, 0x80 | wire::BINARY);
    for (length, len) in [
        (&[0, 0, 0, 0, 0, 0x10, 0, 1], (1 << 20) + 1),
        (&[0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF], (1 << 31) - 1),
        (&[0, 0, 0, 0, 0x80, 0, 0, 0], 1 << 31),
        (&[0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF], (1 << 32) - 1),
        (&[0, 0, 0, 1, 0, 0, 0, 0], 1 << 32),
        (&[0x40, 0, 0, 0, 0, 0, 0, 0], 1 << 62),
        (&[0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], i64::MAX.unsigned_abs()),
    ] {
        faults.push((whole, 127, length, FrameTooBig { len, max }, 1009));
    }
    faults
}

/// What is wrong in the length of a data frame.
const LENGTH_FAULTS: [Fault; 8] = [
    (0x82, 126, &[0, 0], NonMinimalLength, 1002),
    (0x82, 126, &[0, 5], NonMinimalLength, 1002),
    (0x82, 126, &[0, 125], NonMinimalLength, 1002),
    (0x82, 127, &[0, 0, 0, 0, 0, 0, 0, 5], NonMinimalLength, 1002),
    (0x82, 127, &[0, 0, 0, 0, 0, 0, 0, 126], NonMinimalLength, 1002),
    (0x82, 127, &[0, 0, 0, 0, 0, 0, 0xFF, 0xFF], NonMinimalLength, 1002),
    (0x82, 127, &[0x80, 0, 0, 0, 0, 0, 0, 0], LengthOverflow, 1002),
    (0x82, 127, &[0xFF; 8], LengthOverflow, 1002),
];

/// Fails wherever it is cut, with nothing of the faulty frame, or of what follows, handed out.
fn check_fault(
    role: Role,
    before: &[u8],
    events: &[Event<'_>],
    faulty: &[u8],
    error: ProtocolError,
    code: u16,
) {
    let after = wire::frame(role, wire::TEXT, "after");
    let stream = [before, faulty, b"payload", &after].concat();
    let config = Config::new().max_frame(1 << 20);
    let record = at_every_split(|| open(role, &config), &stream);
    assert_eq!(record.events, events, "{faulty:02x?}");
    wire::assert_failed(role, &record, error, code);
}

#[test]
fn section_5_2_every_faulty_header_fails_the_connection_and_hands_nothing_out() {
    for role in ROLES {
        let before = wire::frame(role, wire::TEXT, "before");
        let events = [Event::Message(Message::from("before"))];
        for (first, second, length, error, code) in faults().into_iter().chain(LENGTH_FAULTS) {
            check_fault(role, &before, &events, &header(role, first, second, length), error, code);
        }
    }
}

#[test]
fn section_5_2_every_faulty_header_fails_the_connection_within_a_fragmented_message_too() {
    for role in ROLES {
        let before = wire::fragment(role, wire::TEXT, "x");
        for (first, second, length, error, code) in faults() {
            // A data frame must be a continuation here; a frame of another opcode is as wrong as before.
            let first = if first & 0x0F == wire::BINARY { first & 0xF0 } else { first };
            check_fault(role, &before, &[], &header(role, first, second, length), error, code);
        }
        for (_, second, length, error, code) in LENGTH_FAULTS {
            check_fault(role, &before, &[], &header(role, 0x80, second, length), error, code);
        }
    }
}

#[test]
fn section_5_1_a_frame_masked_the_wrong_way_fails_the_connection() {
    for (role, mask_bit, error) in [(Role::Server, 0, Unmasked), (Role::Client, 0x80, Masked)] {
        for first in [0x81, 0x82, 0x01, 0x02, 0x88, 0x89, 0x8A] {
            for second in [0, 2, 5] {
                let faulty = [&[first, second | mask_bit][..], &wire::KEY].concat();
                check_fault(role, b"", &[], &faulty, error, 1002);
            }
        }
        let fragment = wire::fragment(role, wire::BINARY, [1]);
        check_fault(role, &fragment, &[], &[0x80, 1 | mask_bit, 0, 0, 0, 0], error, 1002);
    }
}

#[test]
fn section_5_4_a_continuation_with_nothing_to_continue_fails_the_connection() {
    for role in ROLES {
        let whole = wire::frame(role, wire::BINARY, [1]);
        let fragmented = [wire::fragment(role, wire::BINARY, [1]), wire::frame(role, 0, [])].concat();
        let got = [Event::Message(Message::from(vec![1]))];
        for first in [0x00, 0x80] {
            let stray = header(role, first, 3, b"");
            check_fault(role, b"", &[], &stray, UnexpectedContinuation, 1002);
            check_fault(role, &whole, &got, &stray, UnexpectedContinuation, 1002);
            check_fault(role, &fragmented, &got, &stray, UnexpectedContinuation, 1002);
        }
    }
}

#[test]
fn section_5_4_a_new_message_within_a_fragmented_one_fails_the_connection() {
    for role in ROLES {
        for open in [&wire::fragment(role, wire::TEXT, "x"), &wire::fragment(role, wire::BINARY, "")] {
            let longer = [&open[..], &wire::fragment(role, 0, ""), &wire::fragment(role, 0, "y")].concat();
            for first in [0x01, 0x02, 0x81, 0x82] {
                let new = header(role, first, 3, b"");
                check_fault(role, open, &[], &new, ExpectedContinuation, 1002);
                check_fault(role, &longer, &[], &new, ExpectedContinuation, 1002);
            }
        }
    }
}

#[test]
fn when_several_things_are_wrong_the_first_wrong_byte_decides() {
    let wrong_mask = |role| if role == Role::Server { 0 } else { 0x80 };
    for role in ROLES {
        let masking = if role == Role::Server { Unmasked } else { Masked };
        let right_mask = 0x80 - wrong_mask(role);
        let rows: [(&[u8], ProtocolError); 9] = [
            (&[0x83, wrong_mask(role) | 126, 0, 5], ReservedOpcode(3)),
            (&[0xC2, wrong_mask(role) | 126, 0, 5], ReservedBits),
            (&[0xA9, right_mask | 126, 0, 5], ReservedBits),
            (&[0x09, wrong_mask(role) | 127, 0xFF, 0, 0, 0, 0, 0, 0, 0], FragmentedControl),
            (&[0x80, wrong_mask(role) | 2], UnexpectedContinuation),
            (&[0x80, right_mask | 127, 0x40, 0, 0, 0, 0, 0, 0, 0], UnexpectedContinuation),
            (&[0x82, wrong_mask(role) | 126, 0, 5], masking),
            (&[0x82, wrong_mask(role) | 127, 0x40, 0, 0, 0, 0, 0, 0, 0], masking),
            (&[0x89, right_mask | 126, 0, 5], ControlTooLong),
        ];
        for (faulty, error) in rows {
            check_fault(role, b"", &[], faulty, error, 1002);
        }
        // Text before is valid or not before the next header is looked at.
        let invalid = wire::fragment(role, wire::TEXT, [0xFF]);
        check_fault(role, &invalid, &[], &[0x83, 0], ProtocolError::InvalidUtf8, 1007);
    }
}

/// Whether the connection fails when it has these bytes and no more.
fn fails_with(role: Role, bytes: &[u8]) -> bool {
    let mut connection = open(role, &Config::new());
    assert_eq!(receive(&mut connection, START, bytes), (vec![], 0));
    connection.state() != State::Open
}

#[test]
fn a_fault_in_the_first_or_second_byte_needs_no_further_byte() {
    for role in ROLES {
        for (first, second, length, error, _) in faults() {
            let header = header(role, first, second, length);
            let end = match error {
                ControlTooLong => 2,
                FrameTooBig { .. } => header.len(),
                _ => 1,
            };
            assert!(fails_with(role, &header[..end]), "{header:02x?}");
            assert!(end == 1 || !fails_with(role, &header[..end - 1]), "{header:02x?}");
        }
        let mask_bit = if role == Role::Server { 0 } else { 0x80 };
        assert!(fails_with(role, &[0x81, mask_bit]));
        assert!(!fails_with(role, &[0x81]));
    }
}

/// "The first wrong byte decides, however few bytes follow it" (`frame::Header::decode`).
#[test]
fn section_5_2_a_wrong_length_is_known_at_its_first_impossible_byte() {
    for role in ROLES {
        for (first, second, length, error, _) in LENGTH_FAULTS {
            let header = header(role, first, second, length);
            let end = match (error, second) {
                (LengthOverflow, _) => 3,
                (_, 126) => 4,
                // Six zeros: whatever the last two are, they had fitted two bytes.
                _ => 8,
            };
            assert!(!fails_with(role, &header[..end - 1]), "{header:02x?}");
            assert!(fails_with(role, &header[..end]), "{role:?} {:02x?}", &header[..end]);
        }
    }
}

#[test]
fn section_5_2_a_header_means_the_same_between_messages_and_at_once_as_byte_by_byte() {
    const LENGTHS: &[(u8, &[u8], usize)] = &[
        (0, &[], 0),
        (2, &[], 2),
        (125, &[], 125),
        (126, &[0, 0], 0),
        (126, &[0, 125], 125),
        (126, &[0, 126], 126),
        (126, &[0, 127], 127),
        (126, &[3, 232], 999),
        (127, &[0, 0, 0, 0, 0, 0, 0, 127], 127),
        (127, &[0, 0, 0, 0, 0, 1, 0, 0], 20),
        (127, &[0x80, 0, 0, 0, 0, 0, 0, 0], 20),
    ];
    for (role, config) in ROLES.into_iter().flat_map(|role| {
        [Config::new(), Config::new().max_message(126), Config::new().max_frame(126)]
            .map(|config| (role, config))
    }) {
        let message = wire::frame(role, wire::TEXT, "between");
        for (first, masked, (second, length, payload)) in (0..=u8::MAX)
            .flat_map(|first| [false, true].map(|masked| (first, masked)))
            .flat_map(|(first, masked)| LENGTHS.iter().map(move |length| (first, masked, *length)))
        {
            let second = if masked { second | 0x80 } else { second };
            let key: &[u8] = if masked { &wire::KEY } else { &[] };
            let payload: Vec<_> =
                (0..payload).map(|i| if masked { b'x' ^ wire::KEY[i % 4] } else { b'x' }).collect();
            let stream = [&message, &[first, second][..], length, key, &payload, &message].concat();
            let at_once = splits::run(open(role, &config), [&stream[..]]);
            let by_bytes = splits::run(open(role, &config), stream.chunks(1));
            assert_eq!(at_once, by_bytes, "{role:?}, {first:#x} {second:#x} {length:?}");
        }
    }
}

#[test]
fn section_5_2_a_header_that_is_cut_does_not_begin_anew_even_if_the_rest_of_it_looks_like_one() {
    let rest = [0x82; 5];
    let stream = [&wire::frame(Role::Server, wire::TEXT, "one")[..], &[0x82], &rest, b"23", &rest].concat();
    let record = at_every_split(|| open(Role::Server, &Config::new()), &stream);
    assert_eq!(
        record.events,
        [
            Event::Message(Message::from("one")),
            Event::Message(Message::binary(b"23".map(|byte| byte ^ 0x82).to_vec())),
        ]
    );
}

#[test]
fn section_7_1_7_after_a_fault_input_is_discarded_and_the_transport_ends_step_by_step() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        let (events, left) = receive(&mut connection, START, &[0x83, 0x00, 1, 2, 3]);
        assert_eq!((events, left), (vec![], 0));
        assert_eq!(connection.transport(), Transport::Open, "a Close is to be written first");
        assert_eq!(connection.state(), State::Closing);

        let close = connection.transmit().to_vec();
        connection.transmitted(close.len() - 1);
        assert_eq!(connection.transport(), Transport::Open);
        connection.transmitted(1);
        assert_eq!(connection.transport(), Transport::ShutdownWrite);

        let more = [wire::frame(role, wire::TEXT, "x"), wire::frame(role, wire::PING, "x")].concat();
        assert_eq!(receive(&mut connection, START, &more), (vec![], 0));
        assert_eq!(receive(&mut connection, START, &wire::close(role, 1000, "")), (vec![], 0));
        assert!(connection.transmit().is_empty());
        assert_eq!(connection.transport(), Transport::ShutdownWrite);

        assert_eq!(connection.receive_eof(), None);
        let Transport::Close(end) = connection.transport() else { panic!("not closed") };
        assert_eq!(end.cause(), &Cause::Violation(ReservedOpcode(3)));
        assert!(!end.is_clean() && !end.is_orderly());
        assert_eq!(connection.state(), State::Closed);
    }
}

#[test]
fn section_5_5_1_a_fault_after_our_close_brings_no_second_close() {
    for role in ROLES {
        let make = || {
            let mut connection = open(role, &Config::new());
            connection.close(START, CloseCode::GOING_AWAY).unwrap();
            connection
        };
        let stream = [wire::frame(role, wire::TEXT, "x"), vec![0x83, 0, 0]].concat();
        let record = at_every_split(make, &stream);
        assert_eq!(record.events, [Event::Message(Message::from("x"))]);
        assert_eq!(wire::parse(&record.output).len(), 1);
        assert_eq!(record.end.cause(), &Cause::Violation(ReservedOpcode(3)));
        assert_eq!(record.end.sent().and_then(|frame| frame.code()), Some(CloseCode::GOING_AWAY));
        assert!(record.shutdown);
    }
}
