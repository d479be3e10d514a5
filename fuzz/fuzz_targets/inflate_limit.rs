//! A limit that is kept while a message is inflated, from any pieces: what comes is the beginning of what comes at once, with
//! the same verdict, unless the limit is met before.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket::deflate::{InflateError, Inflater};
use sansocket::extension::WindowBits;
use sansocket_fuzz::Cut;
use sansocket_fuzz::settings::scaled;
use sansocket_tests::inflate::{Naive, feed};

/// More is not inflated of one message.
const MAX: usize = 1 << 20;

// The window, the limit, whether more is offered before all is shown, the length of the first message; a [`Cut`] into
// both messages.
fuzz_target!(|data: &[u8]| {
    let Some((&[bits, high, low, eager, first], rest)) = data.split_first_chunk() else { return };
    let Some(cut) = Cut::new(rest) else { return };
    let window = WindowBits::new(8 + bits % 8).unwrap();
    let limit = scaled(u16::from_be_bytes([high, low]));
    let (one, other) = cut.stream.split_at(usize::from(first).min(cut.stream.len()));

    let (mut at_once, mut in_steps) = (Inflater::new(window), Inflater::new(window));
    let mut second_opinion = (bits % 8 == 7).then(|| Naive::new(1 << 15));
    for payload in [one, other] {
        if is_bomb(&mut Inflater::new(window), payload) {
            return;
        }
        let mut limited = Inflater::new(window);
        let (whole, verdict) = feed(&mut Inflater::new(window), [payload]);
        let expected = match verdict {
            _ if whole.len() > limit => Err(InflateError::TooBig),
            Ok(()) => Ok(()),
            Err(_) => Err(InflateError::Corrupt),
        };
        let (shown, stepped) = step(&mut limited, payload, &cut, limit, eager & 1 != 0);
        assert_eq!(stepped, expected, "with a limit of {limit} for {}", whole.len());
        assert!(whole.starts_with(&shown) && shown.len() <= limit);
        let message = Inflater::new(window).message(payload, limit);
        assert_eq!(message.as_deref().map_err(|error| *error), expected.map(|()| &whole[..]));

        // The same with what came before to refer to, and no limit.
        let (whole, verdict) = feed(&mut at_once, [payload]);
        if whole.len() > MAX {
            return;
        }
        let (shown, stepped) = step(&mut in_steps, payload, &cut, MAX, eager & 2 != 0);
        assert_eq!((shown == whole, stepped.is_ok()), (true, verdict.is_ok()));
        if let Some(naive) = &mut second_opinion {
            let naive = naive.message(payload);
            assert_eq!(naive.is_ok(), verdict.is_ok(), "{naive:?}");
            assert!(naive.is_ok_and(|message| message.bytes == whole) || verdict.is_err());
        }
        if verdict.is_err() {
            return;
        }
    }
});

fn is_bomb(inflater: &mut Inflater, payload: &[u8]) -> bool {
    matches!(inflater.message(payload, MAX), Err(InflateError::TooBig))
}

/// As a receiver does it, that counts what is shown before it keeps it. If it is eager, the next piece is behind what is left
/// of one while there still is something to show.
fn step(
    inflater: &mut Inflater,
    payload: &[u8],
    cut: &Cut<'_>,
    limit: usize,
    eager: bool,
) -> (Vec<u8>, Result<(), InflateError>) {
    let mut message = Vec::new();
    let mut sizes = cut.sizes();
    let (mut at, mut end) = (0, 0);
    loop {
        let offered = &payload[at..end];
        let mut left = offered;
        let shown = match inflater.inflate(&mut left) {
            Ok(shown) => shown,
            Err(corrupt) => return (message, Err(corrupt.into())),
        };
        at += offered.len() - left.len();
        if shown.len() > limit - message.len() {
            return (message, Err(InflateError::TooBig));
        }
        message.extend_from_slice(shown);
        if shown.is_empty() && end == payload.len() {
            return (message, inflater.finish().map_err(InflateError::from));
        }
        if shown.is_empty() || eager {
            assert!(!shown.is_empty() || at == end, "neither bytes nor the end");
            end = payload.len().min(end + sizes.next().unwrap());
        }
    }
}
