//! RFC 7692 §7.2: messages to payloads and back, in every shape that a sender may give them and wherever they are cut.

use sansocket::deflate::{Deflater, Inflater, Params};
use sansocket::extension::WindowBits;
use sansocket_tests::inflate::{
    FORGETS, Fault, HELLO, Naive, TAIL, Writer, dynamic_run, feed, json, noise, windows,
};
use sansocket_tests::pair::Dice;

/// A payload and its message.
type Pair = (&'static [u8], &'static [u8]);

/// §7.2.3.1 to §7.2.3.6: messages of one connection.
const EXAMPLES: &[&[Pair]] = &[
    &[(HELLO, b"Hello")],
    &[(HELLO, b"Hello"), (b"\xF2\x00\x11\x00\x00", b"Hello")],
    &[(b"\x00\x05\x00\xFA\xFFHello\x00", b"Hello")],
    &[(b"\xF3\x48\xCD\xC9\xC9\x07\x00\x00", b"Hello")],
    &[(b"\xF2\x48\x05\x00\x00\x00\xFF\xFF\xCA\xC9\xC9\x07\x00", b"Hello")],
    &[(b"\x00", b"")],
];

/// What else there is.
const SHAPES: &[Pair] = &[
    // Nothing.
    (b"", b""),
    (b"\x02\x00", b""),
    // With the tail.
    (b"\x00\x00\x00\xFF\xFF", b""),
    (b"\x00\x00\x00\xFF\xFF\x00", b""),
    (b"\xF2\x48\xCD\xC9\xC9\x07\x00\x00\x00\xFF\xFF", b"Hello"),
    // A final block, with nothing behind it, with a header, and with a tail too.
    (b"\xF3\x48\xCD\xC9\xC9\x07\x00", b"Hello"),
    (b"\xF3\x48\xCD\xC9\xC9\x07\x00\x00\x00\x00\xFF\xFF", b"Hello"),
    (b"\x01\x05\x00\xFA\xFFHello", b"Hello"),
    (b"\x01\x05\x00\xFA\xFFHello\x00", b"Hello"),
    (b"\x03\x00", b""),
    (b"\x03\x00\x00", b""),
    (b"\x03\x80", b""),
    (b"\x01\x00\x00\xFF\xFF", b""),
    (b"\x01\x00\x00\xFF\xFF\x00", b""),
    // The block whose end is left to the receiver is the final one.
    (b"\x01", b""),
    (b"\xF2\x48\xCD\xC9\xC9\x07\x04", b"Hello"),
    // Several of them, and others.
    (b"\xF3\x48\xCD\xC9\xC9\x07\x00\xF3\x48\xCD\xC9\xC9\x07\x00", b"HelloHello"),
    (b"\x03\x00\xF3\x48\xCD\xC9\xC9\x07\x00\x03\x00\x01\x00\x00\xFF\xFF\x00", b"Hello"),
    (b"\xF3\x48\xCD\xC9\xC9\x07\x00\xF2\x48\xCD\xC9\xC9\x07\x00", b"HelloHello"),
    (b"\x00\x03\x00\xFC\xFFHel\x00\x02\x00\xFD\xFFlo\x00", b"Hello"),
    // What looks like a tail and is none.
    (b"\x00\x04\x00\xFB\xFF\x00\x00\xFF\xFF\x00", b"\x00\x00\xFF\xFF"),
    (b"\x01\x04\x00\xFB\xFF\x00\x00\xFF\xFF", b"\x00\x00\xFF\xFF"),
    (b"\x00\x06\x00\xF9\xFF\x00\x00\xFF\xFFab\x00", b"\x00\x00\xFF\xFFab"),
];

/// Takes the message, cut in two at `cut`.
#[track_caller]
fn assert_reads(inflater: &mut Inflater, payload: &[u8], cut: usize, message: &[u8]) {
    let (first, second) = payload.split_at(cut);
    let read = feed(inflater, [first, second]);
    assert_eq!(read, (message.to_vec(), Ok(())), "{payload:02x?} cut at {cut}");
}

fn all_shapes() -> impl Iterator<Item = &'static Pair> {
    EXAMPLES.iter().flat_map(|messages| &messages[..1]).chain(SHAPES)
}

/// Every window with every level.
fn all_params() -> impl Iterator<Item = (WindowBits, Params)> {
    windows().flat_map(|window| (0..=9).map(move |level| (window, Params::new().window(window).level(level))))
}

#[test]
fn section_7_2_3_the_oracle_reads_the_examples_and_sees_how_far_back_they_reach() {
    for messages in EXAMPLES {
        let mut oracle = Naive::new(256);
        for (payload, message) in *messages {
            assert_eq!(oracle.message(payload).unwrap().bytes, *message);
        }
    }
    let mut oracle = Naive::new(5);
    let first = oracle.message(HELLO).unwrap();
    assert_eq!((first.farthest, first.looks_back, first.blocks), (0, false, [1, 1, 0]));
    let second = oracle.message(b"\xF2\x00\x11\x00\x00").unwrap();
    assert_eq!((second.farthest, second.looks_back, second.blocks), (5, true, [1, 1, 0]));
    // The same is too far for a smaller window, for a beginning in between, and for a first message.
    for mut oracle in [Naive::new(4), Naive::new(256)] {
        oracle.message(HELLO).unwrap();
        oracle.message(b"\x00\x01\x00\xFE\xFF!\x00").unwrap();
        oracle.reset();
        assert_eq!(oracle.message(b"\xF2\x00\x11\x00\x00"), Err(Fault::TooFar));
        assert_eq!(oracle.message(HELLO).unwrap().bytes, b"Hello");
    }
    assert_eq!(Naive::new(256).message(b"\xF2\x00\x11\x00\x00"), Err(Fault::TooFar));
    // Cut anywhere an example is not whole, unless a block ends there.
    for messages in EXAMPLES {
        let (payload, _) = messages[0];
        for cut in 1..payload.len() {
            let read = Naive::new(256).message(&payload[..cut]).map(|read| read.bytes);
            match (payload[0], cut) {
                (0x00, 1) => assert_eq!(read.unwrap(), b""),
                (0xF2, 4 | 8) if payload.len() > 8 => assert_eq!(read.unwrap(), b"He"),
                (0xF3, 7) => assert_eq!(read.unwrap(), b"Hello"),
                _ => assert!(read.is_err(), "{payload:02x?} cut at {cut}"),
            }
        }
    }
}

#[test]
fn the_oracle_reads_what_is_written_by_hand() {
    let text = b"abcabcabcabc, and 0xFF: \xFF".repeat(3);
    // Nine bits for each byte, and one for the end.
    let literals = [vec![9; 256], vec![1]].concat();
    let own = Writer::new().dynamic(false, &literals, &[1, 1]).literals(&text).end().clone();
    for (mut written, blocks) in [
        (Writer::new().stored(false, &text).clone(), [2, 0, 0]),
        (Writer::new().fixed(false).literals(&text).end().clone(), [1, 1, 0]),
        (own, [1, 0, 1]),
    ] {
        let read = Naive::new(256).message(&written.message()).unwrap();
        assert_eq!((&read.bytes, read.farthest, read.blocks), (&text, 0, blocks));
    }
    // Every length, and the distances at the ends of their symbols.
    let history = noise(&mut Dice::new(1), 32_768);
    let mut oracle = Naive::new(32_768);
    oracle.message(&Writer::new().stored(false, &history).message()).unwrap();
    let mut output = history;
    for (length, back) in (3..=258).map(|length| (length, length * 127)).chain((0..15).flat_map(|bits| {
        let last = [1 << bits, (1 << bits) + 1, 3 << bits >> 1, (3 << bits >> 1) + 1, 2 << bits];
        last.map(|back| (4, back))
    })) {
        let back = back.min(32_768);
        (0..length).for_each(|_| output.push(output[output.len() - back]));
        let read = oracle.message(&Writer::new().fixed(false).repeat(length, back).end().message()).unwrap();
        assert_eq!((&read.bytes[..], read.farthest), (&output[output.len() - length..], back));
    }
}

#[test]
fn section_7_2_3_the_examples_are_read_wherever_they_are_cut() {
    for window in windows() {
        for messages in EXAMPLES {
            for cut in 0..=messages[0].0.len() {
                let mut inflater = Inflater::new(window);
                for (payload, message) in *messages {
                    assert_reads(&mut inflater, payload, cut.min(payload.len()), message);
                }
            }
        }
    }
}

#[test]
fn every_shape_of_a_message_is_read_and_the_next_message_after_it() {
    let stands_alone = HELLO;
    let repeats = Writer::new().fixed(false).repeat(5, 5).end().message();
    for window in [WindowBits::MIN, WindowBits::MAX] {
        for ((payload, message), next) in
            all_shapes().flat_map(|shape| [(shape, stands_alone), (shape, &repeats)])
        {
            for cut in 0..=payload.len() {
                for resets in [false, true] {
                    let mut oracle = Naive::new(256);
                    let mut inflater = Inflater::new(window);
                    assert_eq!(oracle.message(payload).unwrap().bytes, *message);
                    assert_reads(&mut inflater, payload, cut, message);
                    if resets {
                        oracle.reset();
                        inflater.reset();
                    }
                    match oracle.message(next) {
                        Ok(next_message) => assert_reads(&mut inflater, next, 1, &next_message.bytes),
                        Err(_) => {
                            let read = feed(&mut inflater, [next]);
                            assert!(read.0.is_empty() && read.1.is_err(), "{payload:02x?} {resets}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn history_behind_a_final_block_is_what_the_backend_says() {
    let mut inflater = Inflater::new(WindowBits::MAX);
    assert_reads(&mut inflater, b"\xF3\x48\xCD\xC9\xC9\x07\x00", 0, b"Hello");
    // An H, and then what was behind the last one.
    let (shown, result) = feed(&mut inflater, [&b"\xF2\x00\x11\x00\x00"[..]]);
    assert_eq!(result.is_err(), FORGETS);
    assert_eq!(shown, if FORGETS { &b"H"[..] } else { b"Hello" });
}

#[test]
fn whatever_stands_behind_a_final_block_comes_to_an_end() {
    let finals: [&[u8]; 4] =
        [b"\x03\x00", b"\x03\x80", b"\xF3\x48\xCD\xC9\xC9\x07\x00", b"\x01\x00\x00\xFF\xFF"];
    for before in finals {
        for (a, b) in (0..=255).flat_map(|a| (0..=255).step_by(5).map(move |b| (a, b))) {
            let payload = [before, &[a, b]].concat();
            let expected = Naive::new(1 << 15).message(&payload);
            // `feed` counts its calls.
            let (output, result) = feed(&mut Inflater::new(WindowBits::MIN), payload.chunks(7));
            assert_eq!(result.is_ok(), expected.is_ok(), "{payload:02x?}");
            if let Ok(expected) = expected {
                assert_eq!(output, expected.bytes, "{payload:02x?}");
            }
        }
    }
}

#[test]
fn section_7_2_1_a_payload_is_never_empty_and_never_ends_with_the_tail() {
    let mut dice = Dice::new(2);
    let messages =
        [vec![], b"x".to_vec(), TAIL.to_vec(), json(&mut dice, 3000), noise(&mut dice, 3000), vec![]];
    for (window, params) in all_params() {
        let mut deflater = Deflater::new(&params);
        let mut inflater = Inflater::new(window);
        let mut oracle = Naive::new(1 << window.get());
        for message in &messages {
            let mut payload = Vec::new();
            deflater.finish(message, &mut payload);
            assert!(!payload.is_empty() && !payload.ends_with(&TAIL), "{params:?}");
            assert_eq!(oracle.message(&payload).unwrap().bytes, *message, "{params:?}");
            assert_eq!(inflater.message(&payload, message.len()).as_ref(), Ok(message), "{params:?}");
        }
        // §7.2.3.6.
        let mut payload = Vec::new();
        deflater.finish(b"", &mut payload);
        assert_eq!(payload, [0x00]);
    }
}

#[test]
fn what_is_there_before_a_payload_stays_as_it_is() {
    for (_, params) in all_params() {
        let mut deflater = Deflater::new(&params);
        for message in [&b""[..], b"Hello"] {
            let [mut alone, mut behind] = [Vec::new(), TAIL.to_vec()];
            deflater.reset();
            deflater.finish(message, &mut alone);
            deflater.reset();
            deflater.finish(message, &mut behind);
            assert_eq!(behind, [&TAIL, &alone[..]].concat(), "{params:?}");
        }
    }
}

#[test]
fn section_7_2_1_a_receiver_has_all_of_a_piece_before_the_next_one_comes() {
    let mut dice = Dice::new(3);
    let pieces =
        [json(&mut dice, 700), vec![], noise(&mut dice, 9000), json(&mut dice, 70_000), b"x".to_vec()];
    for (window, params) in all_params() {
        let mut deflater = Deflater::new(&params);
        let mut inflater = Inflater::new(window);
        let mut oracle = Naive::new(1 << window.get());
        for last in [&b"the end"[..], b""] {
            let mut payload = Vec::new();
            for piece in &pieces {
                let start = payload.len();
                deflater.piece(piece, &mut payload);
                let mut rest = &payload[start..];
                let mut read = Vec::new();
                loop {
                    match inflater.inflate(&mut rest).unwrap() {
                        [] => break,
                        shown => read.extend_from_slice(shown),
                    }
                }
                assert!(read == *piece, "{params:?} {} bytes", piece.len());
            }
            let start = payload.len();
            deflater.finish(last, &mut payload);
            assert_eq!(feed(&mut inflater, [&payload[start..]]), (last.to_vec(), Ok(())), "{params:?}");
            assert!(
                oracle.message(&payload).unwrap().bytes == [&pieces.concat(), last].concat(),
                "{params:?}"
            );
        }
    }
}

#[test]
fn a_payload_is_read_the_same_wherever_it_is_cut() {
    let mut dice = Dice::new(4);
    for (window, params) in all_params() {
        let mut deflater = Deflater::new(&params);
        let [first, second] = [json(&mut dice, 300), [json(&mut dice, 900), noise(&mut dice, 20)].concat()];
        let [mut before, mut payload] = [Vec::new(), Vec::new()];
        deflater.finish(&first, &mut before);
        deflater.finish(&second, &mut payload);
        let mut inflater = Inflater::new(window);
        for cut in 0..=payload.len() {
            inflater.reset();
            assert_reads(&mut inflater, &before, 0, &first);
            assert_reads(&mut inflater, &payload, cut, &second);
        }
        assert_reads(&mut inflater, HELLO, 0, b"Hello");
    }
}

#[test]
fn long_payloads_are_read_the_same_in_chunks_of_any_size() {
    let mut dice = Dice::new(5);
    let message =
        [json(&mut dice, 60_000), vec![0; 70_000], noise(&mut dice, 40_000), json(&mut dice, 10_000)]
            .concat();
    for window in windows() {
        for level in [0, 1, 6, 9] {
            let mut deflater = Deflater::new(&Params::new().window(window).level(level));
            let mut inflater = Inflater::new(window);
            for most in [1, 2, 30, 5000, 100_000] {
                let mut payload = Vec::new();
                deflater.finish(&message, &mut payload);
                let mut chunks = Vec::new();
                let mut rest = &payload[..];
                while !rest.is_empty() {
                    let (chunk, behind) = rest.split_at((1 + dice.below(most)).min(rest.len()));
                    chunks.push(chunk);
                    rest = behind;
                }
                let (read, result) = feed(&mut inflater, chunks);
                assert!(read == message && result.is_ok(), "{window} {level} {most}");
            }
        }
    }
}

#[test]
fn what_more_there_is_when_all_of_the_payload_is_taken_is_shown() {
    // The last repetition goes beyond what is shown at a time.
    for shown in [8, 32, 40, 64, 72] {
        for len in (shown * 1024..).take(259) {
            let (read, result) = feed(&mut Inflater::new(WindowBits::MAX), [&dynamic_run(len)[..]]);
            assert!(read == vec![b'a'; len] && result.is_ok(), "{len}: {} {result:?}", read.len());
        }
    }
}

#[test]
fn two_thousand_messages_come_out_as_they_went_in() {
    for (seed, window) in windows().enumerate() {
        let mut dice = Dice::new(100 + u64::try_from(seed).unwrap());
        let params = Params::new().window(window).level(dice.pick(&[1, 6, 9]));
        let mut deflater = Deflater::new(&params);
        let mut inflater = Inflater::new(window);
        let mut said: Vec<Vec<u8>> = vec![b"Hello".to_vec()];
        for number in 0..2000 {
            let len = dice.pick(&[0, 1, 30, 30, 300, 300, 3000]);
            let len = dice.below(len + 1);
            // What was said before, or half of it, so that there is something to refer to.
            let old = said[dice.below(said.len())].clone();
            let message = match dice.below(5) {
                0 => noise(&mut dice, len),
                1 | 2 => json(&mut dice, len),
                3 => old,
                _ => [&old[old.len() / 2..], &json(&mut dice, len / 2)].concat(),
            };
            // A sender may begin anew alone; a receiver only with it.
            let begins = dice.below(20);
            if begins < 2 {
                deflater.reset();
            }
            if begins == 0 {
                inflater.reset();
            }
            let mut payload = Vec::new();
            let cut = dice.below(message.len() + 1);
            match dice.below(3) {
                0 => deflater.finish(&message, &mut payload),
                1 => {
                    deflater.piece(&message[..cut], &mut payload);
                    deflater.finish(&message[cut..], &mut payload);
                }
                _ => {
                    deflater.piece(&message, &mut payload);
                    deflater.finish(b"", &mut payload);
                }
            }
            match dice.below(2) {
                0 => assert_eq!(inflater.message(&payload, message.len()).as_ref(), Ok(&message), "{number}"),
                _ => {
                    let chunk = 1 + dice.below(40);
                    let read = feed(&mut inflater, payload.chunks(chunk));
                    assert!(read.0 == message && read.1.is_ok(), "{number} in {window}");
                }
            }
            said.push(message);
            said.drain(..said.len().saturating_sub(8));
        }
    }
}
