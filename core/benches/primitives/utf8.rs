//! Validation of text (RFC 6455 §8.1). The limits are what validates a whole text at once: `simdutf8` and the
//! standard library; where it is appended too, the copy behind that.

use core::hint::black_box;

use divan::Bencher;
use divan::counter::BytesCount;
use sansocket::message::utf8::{Validator, validate};

use crate::{Content, SIZES, Sample};

/// What one segment of TCP brings over Ethernet.
const SEGMENT: usize = 1448;

mod whole {
    use super::*;

    #[divan::bench(name = "validate", args = texts())]
    fn ours(bencher: Bencher<'_, '_>, sample: Sample) {
        whole(bencher, sample, |text| validate(text).is_some());
    }

    #[divan::bench(name = "limit: simdutf8", args = texts())]
    fn simdutf8(bencher: Bencher<'_, '_>, sample: Sample) {
        whole(bencher, sample, |text| simdutf8::basic::from_utf8(text).is_ok());
    }

    #[divan::bench(name = "limit: std", args = texts())]
    fn std(bencher: Bencher<'_, '_>, sample: Sample) {
        whole(bencher, sample, |text| core::str::from_utf8(text).is_ok());
    }
}

/// In segments, or two parts if it is shorter, of an odd length: most of them end within a character.
mod in_pieces {
    use super::*;

    #[divan::bench(args = texts())]
    fn feed(bencher: Bencher<'_, '_>, sample: Sample) {
        let text = sample.bytes();
        bencher.counter(BytesCount::of_slice(&text)).bench_local(|| {
            let mut validator = Validator::new();
            for piece in pieces(black_box(&text)) {
                assert!(validator.feed(piece).is_ok());
            }
            assert!(validator.is_complete());
        });
    }

    #[divan::bench(args = texts())]
    fn feed_into(bencher: Bencher<'_, '_>, sample: Sample) {
        let text = sample.bytes();
        let mut target = String::with_capacity(text.len());
        bencher.counter(BytesCount::of_slice(&text)).bench_local(|| {
            target.clear();
            let mut validator = Validator::new();
            for piece in pieces(black_box(&text)) {
                assert!(validator.feed_into(piece, black_box(&mut target)).is_ok());
            }
            assert!(validator.is_complete());
        });
    }

    #[divan::bench(name = "limit: simdutf8", args = texts())]
    fn simdutf8(bencher: Bencher<'_, '_>, sample: Sample) {
        whole(bencher, sample, |text| simdutf8::basic::from_utf8(text).is_ok());
    }

    #[divan::bench(name = "limit: simdutf8, copied", args = texts())]
    fn copied(bencher: Bencher<'_, '_>, sample: Sample) {
        let text = sample.bytes();
        let mut target = String::with_capacity(text.len());
        bencher.counter(BytesCount::of_slice(&text)).bench_local(|| {
            target.clear();
            match simdutf8::basic::from_utf8(black_box(&text)) {
                Ok(text) => black_box(&mut target).push_str(text),
                Err(error) => panic!("{error}"),
            }
        });
    }

    fn pieces(text: &[u8]) -> impl Iterator<Item = &[u8]> {
        text.chunks((text.len() / 2).min(SEGMENT) | 1)
    }
}

fn whole(bencher: Bencher<'_, '_>, sample: Sample, validate: impl Fn(&[u8]) -> bool) {
    let text = sample.bytes();
    bencher.counter(BytesCount::of_slice(&text)).bench_local(|| assert!(validate(black_box(&text))));
}

fn texts() -> Vec<Sample> {
    Sample::all(&[Content::Ascii, Content::MultiByte], &SIZES)
}
