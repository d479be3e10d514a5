//! RFC 7692 §7.1: nothing that is sent refers further back than the window, and nothing on either side to before a reset.

use sansocket::deflate::{Deflater, Inflater, Params, Pool, Strategy};
use sansocket::extension::WindowBits;
use sansocket_tests::inflate::{HELLO, Inflated, Naive, Writer, feed, json, noise, stored, windows};
use sansocket_tests::pair::Dice;

const STRATEGIES: [Strategy; 4] =
    [Strategy::Default, Strategy::Filtered, Strategy::HuffmanOnly, Strategy::Rle];
/// The smallest window, the largest, and one in between.
const WINDOWS: [WindowBits; 3] = [WindowBits::MIN, WindowBits::new(13).unwrap(), WindowBits::MAX];
const MEM_LEVELS: [u8; 3] = [1, 8, 9];

fn size(window: WindowBits) -> usize {
    1 << window.get()
}

/// Each window with each level, some of these with each strategy, and with some memory level.
fn all_params() -> Vec<(WindowBits, Params)> {
    let mut all = Vec::new();
    for window in windows() {
        for level in 0..=9 {
            let strategies = if [1, 4, 6, 9].contains(&level) { &STRATEGIES[..] } else { &STRATEGIES[..1] };
            for strategy in strategies {
                let mem_level = MEM_LEVELS[all.len() % 3];
                let params = Params::new().window(window).level(level);
                all.push((window, params.strategy(*strategy).mem_level(mem_level)));
            }
        }
    }
    all
}

/// A pair of ends, and two witnesses of what is between them.
struct Audit {
    deflater: Deflater,
    inflater: Inflater,
    /// Knows no more than the window.
    limited: Naive,
    window: WindowBits,
}

impl Audit {
    fn new(window: WindowBits, params: &Params) -> Self {
        Self {
            deflater: Deflater::new(params),
            inflater: Inflater::new(window),
            limited: Naive::new(size(window)),
            window,
        }
    }

    /// Sends it in these pieces, and says what was seen.
    #[track_caller]
    fn send(&mut self, pieces: &[&[u8]]) -> (Inflated, usize) {
        let mut payload = Vec::new();
        let (last, others) = pieces.split_last().unwrap();
        others.iter().for_each(|piece| self.deflater.piece(piece, &mut payload));
        self.deflater.finish(last, &mut payload);
        let message = pieces.concat();
        let about = || format!("{:?}, {} bytes", self.deflater, message.len());
        let seen = self.limited.message(&payload).unwrap_or_else(|fault| panic!("{fault:?}: {}", about()));
        assert!(seen.bytes == message, "{}", about());
        assert!(seen.farthest <= size(self.window), "{} back: {}", seen.farthest, about());
        let (read, result) = feed(&mut self.inflater, [&payload[..]]);
        assert!(read == message && result.is_ok(), "{result:?}: {}", about());
        (seen, payload.len())
    }

    /// Begins anew at the sender, and for the witness; the receiver goes on, since it need not be told.
    fn reset(&mut self) {
        self.deflater.reset();
        self.limited.reset();
    }
}

/// Noise that comes again after `period` bytes: there is nothing else to refer to.
fn periodic(dice: &mut Dice, period: usize, len: usize) -> Vec<u8> {
    noise(dice, period).into_iter().cycle().take(len).collect()
}

#[test]
fn no_repetition_is_further_back_than_the_window() {
    let mut dice = Dice::new(1);
    for (window, params) in all_params() {
        let size = size(window);
        let mut audit = Audit::new(window, &params);
        // zlib keeps 262 bytes of its window for what it looks at.
        for period in [size - 1, size, size + 1, size.saturating_sub(261), size.saturating_sub(262), size / 2]
        {
            let period = period.max(3);
            let message = periodic(&mut dice, period, 2 * period + 100);
            audit.send(&[&message]);
            // The same again is further back than what was last, but may be within the window.
            audit.send(&[&message[..100]]);
        }
        audit.send(&[b""]);
        audit.send(&[b"x"]);
        let long = [json(&mut dice, 20_000), noise(&mut dice, 500), vec![b' '; 1000]].concat();
        let (first, second) = long.split_at(dice.below(long.len()));
        audit.send(&[first, b"", second]);
    }
}

#[test]
fn a_hundred_kilobytes_that_repeat_themselves_at_every_distance_stay_within_the_window() {
    for window in windows() {
        for level in [1, 4, 6, 9] {
            let mut dice = Dice::new(2);
            let mut message = noise(&mut dice, 600);
            while message.len() < 100_000 {
                // Mostly around the size of the window.
                let around = size(window) + dice.below(600) - 200;
                let any = 1 + dice.below(message.len());
                let back = dice.pick(&[around, around, around / 3, any]).min(message.len());
                let len = 3 + dice.below(40);
                (0..len).for_each(|_| message.push(message[message.len() - back]));
                message.extend(noise(&mut dice, 3));
            }
            let params = Params::new().window(window).level(level);
            let mut audit = Audit::new(window, &params);
            let (_, whole) = audit.send(&[&message]);
            // Something is found to repeat, or the test would say nothing.
            assert!(whole < message.len(), "{whole} {params:?}");
            // In small messages too.
            let mut audit = Audit::new(window, &params);
            let mut rest = &message[..];
            while !rest.is_empty() {
                let (part, behind) = rest.split_at((1 + dice.below(2000)).min(rest.len()));
                audit.send(&[part]);
                rest = behind;
            }
        }
    }
}

#[test]
fn what_was_said_is_referred_to_within_every_window() {
    let message = json(&mut Dice::new(3), 100);
    for (window, params) in all_params() {
        let mut audit = Audit::new(window, &params);
        let (first, first_len) = audit.send(&[&message]);
        let (second, second_len) = audit.send(&[&message]);
        assert!(!first.looks_back);
        // A level of 0, and these strategies, do not look.
        if params == params.level(0) || STRATEGIES[2..].iter().any(|other| params == params.strategy(*other))
        {
            assert!(!second.looks_back || second.farthest == 1, "{params:?}");
        } else {
            assert!(second.looks_back && second_len < first_len, "{params:?}");
        }
    }
}

#[test]
fn a_third_of_the_window_is_made_use_of_whatever_its_size() {
    let mut dice = Dice::new(4);
    for window in windows() {
        let message = noise(&mut dice, size(window) / 3);
        let mut audit = Audit::new(window, &Params::new().window(window));
        let (_, first) = audit.send(&[&message]);
        let (seen, second) = audit.send(&[&message]);
        assert_eq!(seen.farthest, message.len(), "{window}");
        assert!(second < first / 3, "{window}");
    }
}

#[test]
fn nothing_before_a_reset_is_referred_to() {
    let mut dice = Dice::new(5);
    for (window, params) in all_params() {
        let mut audit = Audit::new(window, &params);
        let mut message = json(&mut dice, 200);
        for len in [0, 1, 200, 3000, 40_000, 200, 200] {
            // Long ones with one level, or it takes too long.
            let len = if params == params.level(6) || len < 1000 { len } else { 300 };
            // What came before begins it, so that a reference would be found at once.
            message.extend(json(&mut dice, 300));
            message.truncate(200.max(len));
            audit.reset();
            let (seen, _) = audit.send(&[&message]);
            assert!(!seen.looks_back, "{params:?}");
            // A receiver that begins anew too reads the same.
            audit.inflater.reset();
            audit.reset();
            audit.send(&[&message[..100], &message[100..]]);
            message.extend(json(&mut dice, len));
            audit.send(&[&message]);
        }
    }
}

#[test]
fn a_reset_before_anything_was_said_and_another_behind_it_change_nothing() {
    let message = json(&mut Dice::new(6), 500);
    for (window, params) in all_params() {
        let mut lens = Vec::new();
        for resets in [0, 1, 2] {
            let mut audit = Audit::new(window, &params);
            for _ in 0..2 {
                (0..resets).for_each(|_| audit.reset());
                audit.inflater.reset();
                if resets == 0 {
                    audit = Audit::new(window, &params);
                }
                lens.push(audit.send(&[&message]).1);
            }
        }
        // A compressor after a reset does as well as a new one.
        assert!(lens.iter().all(|len| *len == lens[0]), "{lens:?} {params:?}");
    }
}

#[test]
fn a_receiver_takes_every_repetition_within_its_window_and_misreads_none_beyond() {
    let mut dice = Dice::new(7);
    let history = noise(&mut dice, 70_000);
    for window in windows() {
        let size = size(window);
        for begun in
            [size - 1, size, size + 1, 2 * size, 4095, 4096, 4097, 8192, 32_767, 32_768, 32_769, 65_536 + 5]
        {
            for back in [1, 2, 255, 256, 257, size - 1, size, size + 1, 2 * size, 4096, 4097, 32_767, 32_768]
            {
                let back = back.min(32_768);
                let mut oracle = Naive::new(32_768);
                let mut inflater = Inflater::new(window);
                let payload = stored(&history[..begun]);
                oracle.message(&payload).unwrap();
                assert!(feed(&mut inflater, [&payload[..]]) == (history[..begun].to_vec(), Ok(())));
                let payload = Writer::new().fixed(false).repeat(258, back).literals(b"!").end().message();
                let (read, result) = feed(&mut inflater, [&payload[..]]);
                match oracle.message(&payload) {
                    Ok(expected) if result.is_ok() => {
                        assert_eq!(read, expected.bytes, "{window} {begun} {back}");
                    }
                    // Some backends hold more than they were asked to, and some do not.
                    Ok(_) => assert!(back > size && read.is_empty(), "{window} {begun} {back}"),
                    Err(_) => assert!(result.is_err() && read.is_empty(), "{window} {begun} {back}"),
                }
            }
        }
    }
}

/// Leaves an inflater at the end of a message that is a secret, or somewhere within.
fn tell(inflater: &mut Inflater, secret: &[u8], how: usize) {
    let mut writer = Writer::new();
    secret.chunks(65_535).for_each(|part| _ = writer.stored(false, part));
    let payload = writer.fixed(false).repeat(258, 1).end().message();
    match how {
        0 => assert!(feed(inflater, [&payload[..]]).1.is_ok()),
        // Within a block, with output that was never shown.
        1 => _ = inflater.inflate(&mut &payload[..payload.len() / 2]),
        // Behind a fault.
        _ => _ = feed(inflater, [&[&payload[..payload.len() - 1], &[0xFF; 9]].concat()[..]]),
    }
}

/// Nothing from before comes out, whatever distance is asked for.
#[track_caller]
fn assert_knows_nothing(inflater: impl Fn() -> Inflater) {
    for begun in [0, 1, 5, 300, 4095, 4096, 8192, 20_000, 32_767] {
        let begin = noise(&mut Dice::new(2), begun);
        for back in [begun + 1, begun + 2, begun + 255, begun + 4096, 32_768] {
            let back = back.min(32_768);
            for filling in [0, 40] {
                let mut inflater = inflater();
                if begun > 0 {
                    assert!(feed(&mut inflater, [&stored(&begin)[..]]) == (begin.clone(), Ok(())));
                }
                let payload = Writer::new()
                    .fixed(false)
                    .repeat(258, back)
                    .literals(&vec![b'!'; filling])
                    .end()
                    .message();
                let (shown, result) = feed(&mut inflater, [&payload[..]]);
                assert!(shown.is_empty() && result.is_err(), "{back} back of {begun}: {shown:02x?}");
            }
        }
        // But what came since can be repeated, and no message has begun.
        let mut inflater = inflater();
        assert_eq!(inflater.message(b"", 0), Ok(vec![]));
        if begun > 0 {
            assert!(feed(&mut inflater, [&stored(&begin)[..]]).1.is_ok());
            let back = begun.min(1 << inflater.window().get());
            let payload = Writer::new().fixed(false).repeat(3, back).end().message();
            let expected: Vec<_> = begin[begun - back..].iter().copied().cycle().take(3).collect();
            assert_eq!(feed(&mut inflater, [&payload[..]]), (expected, Ok(())));
        }
    }
}

#[test]
fn nothing_before_the_beginning_or_a_reset_can_be_repeated() {
    let mut dice = Dice::new(3);
    for window in WINDOWS {
        assert_knows_nothing(|| Inflater::new(window));
        for len in [1, 3000, 4096, 33_000, 70_000] {
            let secret = noise(&mut dice, len);
            for how in 0..3 {
                assert_knows_nothing(|| {
                    let mut inflater = Inflater::new(window);
                    tell(&mut inflater, &secret, how);
                    inflater.reset();
                    inflater
                });
            }
        }
    }
}

#[test]
fn what_comes_from_a_pool_knows_nothing() {
    let secret = noise(&mut Dice::new(4), 33_000);
    for window in WINDOWS {
        for how in 0..3 {
            assert_knows_nothing(|| {
                let mut pool = Pool::new();
                // More than it keeps, so that one of them is used again however it chooses.
                let mut inflaters: Vec<_> = (0..6).map(|_| pool.inflater(window)).collect();
                inflaters.iter_mut().for_each(|inflater| tell(inflater, &secret, how));
                inflaters.into_iter().for_each(|inflater| pool.put_inflater(inflater));
                pool.inflater(window)
            });
        }
        for level in 0..=9 {
            let params = Params::new().window(window).level(level);
            let mut pool = Pool::new();
            let mut deflaters: Vec<_> = (0..6).map(|_| pool.deflater(&params)).collect();
            for deflater in &mut deflaters {
                // The end is left to do.
                deflater.piece(&secret[..200], &mut Vec::new());
            }
            deflaters.into_iter().for_each(|deflater| pool.put_deflater(deflater));
            for _ in 0..6 {
                let mut payload = Vec::new();
                pool.deflater(&params).finish(&secret[..200], &mut payload);
                assert_eq!(Naive::new(1 << 15).message(&payload).unwrap().bytes, secret[..200], "{params:?}");
            }
        }
    }
}

#[test]
fn a_pool_gives_what_it_is_asked_for() {
    let mut pool = Pool::new();
    for _ in 0..3 {
        let all: Vec<_> = windows().map(|window| (window, Params::new().window(window))).collect();
        let codecs: Vec<_> =
            all.iter().map(|(window, params)| (pool.inflater(*window), pool.deflater(params))).collect();
        for ((window, params), (mut inflater, mut deflater)) in all.iter().zip(codecs) {
            assert_eq!((inflater.window(), deflater.params()), (*window, params));
            assert_eq!(inflater.message(HELLO, 5).as_deref(), Ok(&b"Hello"[..]));
            deflater.finish(b"Hello", &mut Vec::new());
            pool.put_inflater(inflater);
            pool.put_deflater(deflater);
        }
    }
}

#[test]
fn numbers_beyond_their_range_are_taken_as_the_nearest() {
    for level in 9..=255 {
        assert_eq!(Params::new().level(level), Params::new().level(9));
        assert_eq!(Params::new().mem_level(level), Params::new().mem_level(9));
    }
    assert_eq!(Params::new().mem_level(0), Params::new().mem_level(1));
    assert_eq!(Params::new(), Params::new().level(6).mem_level(8).window(WindowBits::MAX));
    assert_eq!(WindowBits::new(7).or(WindowBits::new(16)), None);
}
