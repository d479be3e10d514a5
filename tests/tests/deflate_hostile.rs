//! Compressed payloads that no honest peer sends, and what they must not come to.

use std::thread;

use sansocket::deflate::{Deflater, InflateError, Inflater, Params};
use sansocket::extension::WindowBits;
use sansocket_tests::inflate::{
    Fault, HELLO, Naive, TAIL, Writer, dynamic_run, feed, fixed_run, json, noise, own_codes, stored, windows,
};
use sansocket_tests::pair::Dice;

/// The smallest window, the largest, and one in between.
const WINDOWS: [WindowBits; 3] = [WindowBits::MIN, WindowBits::new(13).unwrap(), WindowBits::MAX];

/// For every window.
fn compressed(message: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    Deflater::new(&Params::new().window(WindowBits::MIN)).finish(message, &mut payload);
    payload
}

#[track_caller]
fn assert_in_order(inflater: &mut Inflater) {
    assert_eq!(feed(inflater, [HELLO]), (b"Hello".to_vec(), Ok(())));
}

/// Payloads to be cut and changed.
fn victims() -> Vec<Vec<u8>> {
    let dice = &mut Dice::new(1);
    let tails = [&TAIL[..], b"ab", &TAIL, &TAIL, b"c", &TAIL, b"\x00", &TAIL].concat();
    let mut victims = vec![
        HELLO.to_vec(),
        b"\xF3\x48\xCD\xC9\xC9\x07\x00".to_vec(),
        b"\xF2\x48\x05\x00\x00\x00\xFF\xFF\xCA\xC9\xC9\x07\x00".to_vec(),
        compressed(&json(dice, 1500)),
        stored(&tails),
        [Writer::new().stored(true, &tails).bytes(), stored(&tails)].concat(),
        Writer::new().stored(false, &tails).fixed(false).literals(b"x").repeat(9, 3).end().message(),
        dynamic_run(600),
    ];
    // Codes that come to 00 00 FF FF somewhere within a block.
    let mut codes = vec![0; 258];
    (codes[97], codes[256], codes[257]) = (1, 2, 2);
    for zeros in 32..40 {
        let mut writer = Writer::new();
        writer.dynamic(false, &codes, &[1, 1]).literals(&vec![b'a'; zeros]);
        (0..8).for_each(|_| _ = writer.repeat(3, 2));
        victims.push(writer.literals(b"aa").end().message());
    }
    victims
}

#[test]
fn a_payload_that_is_cut_off_is_no_message_unless_a_block_ends_there() {
    for window in WINDOWS {
        for before in [&b""[..], b"\x00\x05\x00\xFA\xFFHello\x00"] {
            for payload in victims() {
                let whole = Naive::new(1 << 15).message(&payload).unwrap().bytes;
                for cut in 0..payload.len() {
                    let cut = &payload[..cut];
                    let mut inflater = Inflater::new(window);
                    assert_eq!(feed(&mut inflater, [before]).1, Ok(()));
                    let (shown, result) = feed(&mut inflater, [cut]);
                    assert!(whole.starts_with(&shown), "{cut:02x?}");
                    let expected = Naive::new(1 << 15).message(cut);
                    assert_eq!(result.is_ok(), expected.is_ok(), "{cut:02x?}: {expected:?}");
                    if let Ok(expected) = expected {
                        assert_eq!(shown, expected.bytes);
                        assert_in_order(&mut inflater);
                    }
                }
            }
        }
    }
}

/// What breaks a rule of RFC 1951, behind or within a block that says "Hello" if anything.
fn malformed() -> Vec<(&'static str, Writer)> {
    let nine_and_one = [vec![9; 256], vec![1]].concat();
    let dynamic = |literals: &[usize], distances: &[usize]| {
        let mut writer = Writer::new();
        writer.fixed(false).literals(b"Hello").end().dynamic(false, literals, distances);
        writer
    };
    // The beginning of a block of whose codes nothing is known yet, but that there are 257 literals and a distance.
    let header = |lengths: [usize; 19]| {
        let mut writer = Writer::new();
        writer.bits(2 << 1, 3).bits(0, 5).bits(0, 5).bits(15, 4);
        lengths.iter().for_each(|length| _ = writer.bits(*length, 3));
        writer
    };
    let only = |first, third| {
        let mut lengths = [0; 19];
        (lengths[0], lengths[2]) = (first, third);
        header(lengths)
    };
    let hello = || Writer::new().fixed(false).literals(b"Hello").clone();
    vec![
        ("a reserved type", Writer::new().bits(3 << 1, 3).clone()),
        ("another one behind a block", hello().end().bits(3 << 1, 3).clone()),
        ("a length without its complement", hello().end().bits(0, 3).align().bits(0xFFFA_0004, 32).clone()),
        ("length 286", hello().symbol(286).distance(0).clone()),
        ("length 287", hello().symbol(287).distance(0).clone()),
        ("distance 30", hello().symbol(257).distance(30).clone()),
        ("distance 31", hello().symbol(257).distance(31).clone()),
        ("287 literals", dynamic(&[&nine_and_one[..], &[0; 30]].concat(), &[1, 1])),
        ("288 literals", dynamic(&[&nine_and_one[..], &[0; 31]].concat(), &[1, 1])),
        ("31 distances", dynamic(&nine_and_one, &[&[1, 1][..], &[0; 29]].concat())),
        ("32 distances", dynamic(&nine_and_one, &[&[1, 1][..], &[0; 30]].concat())),
        ("too many codes for literals", dynamic(&[8; 257], &[1, 1])),
        ("too few codes for literals", dynamic(&[9; 257], &[1, 1])),
        ("too many codes for distances", dynamic(&nine_and_one, &[1, 1, 1])),
        ("too few codes for distances", dynamic(&nine_and_one, &[2, 2])),
        ("no code for a distance", dynamic(&own_codes(), &[0]).symbol(257).clone()),
        ("half a code for a distance", dynamic(&own_codes(), &[1]).symbol(257).bits(1, 1).clone()),
        ("too many codes for lengths", header([1; 19])),
        ("too few codes for lengths", only(2, 2)),
        ("no code for lengths", header([0; 19])),
        ("a repetition of no length", only(1, 1).bits(0, 1).clone()),
        ("more lengths than there are", only(1, 1).bits(0xFF, 8).bits(0xFF, 8).clone()),
    ]
}

#[test]
fn malformed_blocks_are_refused_wherever_they_are_cut() {
    for window in WINDOWS {
        for (what, writer) in malformed() {
            // Backends look at long inputs in another way than at short ones.
            for filling in [0, 3, 400] {
                for fill in [0x00, 0xFF, 0x55] {
                    let payload = [writer.bytes(), vec![fill; filling]].concat();
                    let expected = Naive::new(1 << 15).message(&payload);
                    // What is cut off may not have come to the fault.
                    assert!(matches!(expected, Err(Fault::Malformed | Fault::Cut)), "{what}: {expected:?}");
                    let mut shown_before = None;
                    for chunk in [1, 2, payload.len()] {
                        let mut inflater = Inflater::new(window);
                        assert_in_order(&mut inflater);
                        let (shown, result) = feed(&mut inflater, payload.chunks(chunk));
                        assert!(result.is_err(), "{what}, {filling} times {fill:#x}: {shown:02x?}");
                        assert!(b"Hello".starts_with(&shown[..shown.len().min(5)]), "{what}: {shown:02x?}");
                        // What comes before the fault is shown, and always the same.
                        assert_eq!(
                            *shown_before.get_or_insert_with(|| shown.clone()),
                            shown,
                            "{what} {chunk}"
                        );
                        // It is of no use now, and does no harm.
                        _ = feed(&mut inflater, [HELLO, &payload]);
                    }
                }
            }
        }
    }
}

#[test]
fn a_fault_is_told_with_the_byte_that_makes_it_one() {
    for payload in [&[3 << 1][..], &[0x00, 0x05, 0x00, 0xFA, 0xFE]] {
        for chunk in [1, payload.len()] {
            let mut inflater = Inflater::new(WindowBits::MAX);
            let results: Vec<_> =
                payload.chunks(chunk).map(|mut part| inflater.inflate(&mut part).map(<[u8]>::len)).collect();
            let (last, before) = results.split_last().unwrap();
            assert!(last.is_err() && before.iter().all(|result| *result == Ok(0)), "{results:?}");
        }
    }
}

#[test]
fn a_fault_is_told_behind_what_came_before_it_without_more_input() {
    let payload = Writer::new().fixed(false).literals(b"Hello").symbol(286).bytes();
    let mut inflater = Inflater::new(WindowBits::MAX);
    let mut rest = &payload[..];
    assert_eq!(inflater.inflate(&mut rest).unwrap(), b"Hello");
    assert!(rest.is_empty(), "{rest:02x?}");
    assert!(inflater.inflate(&mut rest).is_err());
}

#[test]
fn an_inflater_is_as_good_as_new_after_a_fault_and_a_reset() {
    let too_far = Writer::new().fixed(false).repeat(3, 9).end().message();
    let faults = malformed().into_iter().map(|(_, writer)| [writer.bytes(), vec![0xFF; 40]].concat());
    for payload in faults.chain([too_far, HELLO[..4].to_vec()]) {
        for chunk in [1, payload.len()] {
            for says_hello in [false, true] {
                let mut inflater = Inflater::new(WindowBits::MIN);
                if says_hello {
                    assert_in_order(&mut inflater);
                }
                assert!(feed(&mut inflater, payload.chunks(chunk)).1.is_err());
                inflater.reset();
                assert_in_order(&mut inflater);
            }
        }
    }
}

#[test]
fn a_message_at_the_limit_is_whole_and_one_beyond_it_is_too_big() {
    for limit in [1, 2, 255, 4096, 65_535, 65_536, 1 << 20] {
        for len in limit - 1..=limit + 2 {
            let message = vec![b'a'; len];
            let payloads = [stored(&message), fixed_run(len), dynamic_run(len), compressed(&message)];
            for (payload, kind) in payloads.iter().zip([0, 1, 2, 0]) {
                let blocks = Naive::new(1 << 15).message(payload).unwrap().blocks;
                assert!(len == 0 || blocks[kind] > 0);
                for window in [WindowBits::MIN, WindowBits::MAX] {
                    let mut inflater = Inflater::new(window);
                    let read = inflater.message(payload, limit);
                    if len <= limit {
                        assert!(read == Ok(message.clone()), "{len} of {limit}");
                    } else {
                        assert!(read == Err(InflateError::TooBig), "{len} of {limit}");
                        inflater.reset();
                    }
                    assert_in_order(&mut inflater);
                }
            }
        }
    }
    let mut inflater = Inflater::new(WindowBits::MAX);
    assert_eq!(inflater.message(b"\x00", 0), Ok(vec![]));
    assert_eq!(inflater.message(HELLO, usize::MAX), Ok(b"Hello".to_vec()));
    assert_eq!(inflater.message(HELLO, 0), Err(InflateError::TooBig));
}

#[test]
fn a_gigabyte_of_zeros_is_shown_in_small_parts_and_given_up_at_the_limit() {
    let zeros = vec![0; 1 << 20];
    let mut deflater = Deflater::new(&Params::new());
    let [mut payload, mut again] = [Vec::new(), Vec::new()];
    deflater.piece(&zeros, &mut payload);
    deflater.piece(&zeros, &mut again);
    // Another MiB is another repetition of the same.
    (1..1024).for_each(|_| payload.extend_from_slice(&again));
    assert!(payload.len() < 2 << 20);

    for fragments in [1, 2, 1000] {
        let mut inflater = Inflater::new(WindowBits::MAX);
        let (mut shown, mut taken) = (0, 0);
        let mut fragments = payload.chunks(payload.len().div_ceil(fragments));
        let mut rest = &[][..];
        // Far enough.
        while shown < 64 << 20 {
            let before = rest.len();
            let part = inflater.inflate(&mut rest).unwrap();
            assert!(part.len() <= 32 << 10 && part.iter().all(|byte| *byte == 0));
            shown += part.len();
            taken += before - rest.len();
            // No more is taken than what the output needs.
            assert!(taken <= again.len() * (2 + (shown >> 20)), "{taken} for {shown}");
            if part.is_empty() {
                rest = fragments.next().unwrap();
            }
        }
    }
    // It never comes to the block that is no block.
    payload.extend_from_slice(b"\x07");
    for max in [0, 1, 65_536, 1 << 20] {
        let read = Inflater::new(WindowBits::MAX).message(&payload, max);
        assert_eq!(read, Err(InflateError::TooBig));
    }
}

#[test]
fn a_megabyte_of_blocks_with_nothing_in_them_is_taken_at_once() {
    // An empty stored block, and others, which a backend may take much longer over.
    for (block, len) in [
        (&b"\x00\x00\x00\xFF\xFF"[..], 1 << 20),
        (b"\x01\x00\x00\xFF\xFF", 1 << 18),
        (b"\x03\x00", 1 << 13),
        // Four blocks of ten bits.
        (b"\x02\x08\x20\x80\x00", 1 << 13),
        (b"\x00\x00\x00\xFF\xFF\x02\x00\x00\x00\xFF\xFF\x03\x00", 1 << 16),
    ] {
        let payload = [&block.repeat(len / block.len())[..], b"\x00"].concat();
        for window in [WindowBits::MIN, WindowBits::MAX] {
            let mut inflater = Inflater::new(window);
            // In as many calls as there are pieces.
            for chunk in [payload.len(), 1000, 1] {
                for mut piece in payload.chunks(chunk) {
                    assert_eq!(inflater.inflate(&mut piece), Ok(&[][..]), "{block:02x?}");
                    assert!(piece.is_empty());
                }
                assert_eq!(inflater.finish(), Ok(()), "{block:02x?}");
            }
            assert_in_order(&mut inflater);
        }
    }
}

#[test]
fn blocks_of_one_byte_are_read_in_no_more_calls_than_they_have_bytes() {
    for block in [
        &b"\x00\x01\x00\xFE\xFFa"[..],
        b"\x01\x01\x00\xFE\xFFa",
        b"\x4A\x04\x00\x00\x00\xFF\xFF",
        b"\x4B\x04\x00",
    ] {
        let times = 10_000;
        // `feed` counts.
        let (shown, result) = feed(&mut Inflater::new(WindowBits::MAX), [&block.repeat(times)[..], b"\x00"]);
        assert!(shown == vec![b'a'; times] && result.is_ok(), "{block:02x?}: {} {result:?}", shown.len());
    }
}

#[test]
fn garbage_is_read_as_the_oracle_reads_it_or_not_at_all() {
    let mut dice = Dice::new(5);
    let victims = victims();
    let (mut accepted, mut refused) = (0, 0);
    let mut inflater = Inflater::new(WindowBits::MAX);
    let mut oracle = Naive::new(1 << 15);
    for _ in 0..20_000 {
        let len = 1 + dice.below(40);
        let mut payload = match dice.below(3) {
            0 => noise(&mut dice, len),
            _ => victims[dice.below(victims.len())].clone(),
        };
        for _ in 0..dice.below(4) {
            let at = dice.below(payload.len());
            match dice.below(4) {
                0 => payload.truncate(at + 1),
                1 => payload[at] = u8::try_from(dice.below(256)).unwrap(),
                2 => payload.extend_from_within(at..),
                _ => payload[at] ^= 1 << dice.below(8),
            }
        }
        let chunk = 1 + dice.below(2 * payload.len());
        let expected = oracle.message(&payload);
        let (shown, result) = feed(&mut inflater, payload.chunks(chunk));
        assert_eq!(result.is_ok(), expected.is_ok(), "{payload:02x?}: {expected:?}");
        match expected {
            Ok(expected) => {
                assert_eq!(shown, expected.bytes, "{payload:02x?}");
                accepted += 1;
            }
            Err(_) => {
                inflater = Inflater::new(WindowBits::MAX);
                oracle = Naive::new(1 << 15);
                refused += 1;
            }
        }
    }
    assert!(accepted > 2000 && refused > 2000, "{accepted} {refused}");
}

#[test]
fn a_small_stack_is_enough() {
    let mut dice = Dice::new(6);
    let message = json(&mut dice, 50_000);
    let payloads = [vec![compressed(&message), dynamic_run(100_000)], victims()].concat();
    let inflating = move || {
        for window in windows() {
            for payload in &payloads {
                let mut inflater = Inflater::new(window);
                for chunk in [payload.len(), 100] {
                    assert!(feed(&mut inflater, payload.chunks(chunk)).1.is_ok());
                }
            }
            for (_, writer) in malformed() {
                assert!(feed(&mut Inflater::new(window), [&writer.bytes()[..], &[0xFF; 40]]).1.is_err());
            }
        }
    };
    let deflating = move || {
        for window in windows() {
            for level in 0..=9 {
                let mut deflater = Deflater::new(&Params::new().window(window).level(level));
                deflater.finish(&message, &mut Vec::new());
                deflater.reset();
                deflater.finish(&message, &mut Vec::new());
            }
        }
    };
    thread::Builder::new().stack_size(64 << 10).spawn(inflating).unwrap().join().unwrap();
    // A compressor is made on the stack before it is moved to where it lives.
    thread::Builder::new().stack_size(256 << 10).spawn(deflating).unwrap().join().unwrap();
}

#[test]
fn a_message_that_cannot_be_had_says_why() {
    let mut inflater = Inflater::new(WindowBits::MAX);
    let corrupt = inflater.message(&[0xFF; 100], usize::MAX).unwrap_err();
    assert_eq!((corrupt, &corrupt.to_string()[..]), (InflateError::Corrupt, "corrupt compressed data"));
    assert_eq!(
        Inflater::new(WindowBits::MAX).inflate(&mut &[0xFF; 100][..]).unwrap_err().to_string(),
        corrupt.to_string()
    );
    assert_eq!(InflateError::TooBig.to_string(), "the message is longer than it may be");
}
