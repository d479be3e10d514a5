//! Messages compressed and inflated (RFC 7692 §7.2), at level 6, with the context of those before. The limit
//! is the backend by its own API, in memory that has room.

use core::fmt::Write;
use core::hint::black_box;

use divan::Bencher;
use divan::counter::BytesCount;
use sansocket::deflate::{Deflater, Inflater, Params};
use sansocket::extension::WindowBits;

const SIZES: [usize; 3] = [512, 4 << 10, 64 << 10];

const LEVEL: u8 = 6;

/// Of all messages of a round: more than a window, so that none refers to itself in the round before.
const TOTAL: usize = 128 * 1024;

/// Behind each message, and not sent (§7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

mod compress {
    use super::*;

    #[divan::bench(args = SIZES, sample_size = 1)]
    fn deflater(bencher: Bencher<'_, '_>, len: usize) {
        let mut deflater = Deflater::new(&Params::new().level(LEVEL));
        let mut payload = Vec::new();
        compress(bencher, len, |message| {
            payload.clear();
            deflater.finish(message, &mut payload);
            black_box(&payload);
        });
    }

    #[divan::bench(name = "limit: raw", args = SIZES, sample_size = 1)]
    fn raw(bencher: Bencher<'_, '_>, len: usize) {
        let mut deflater = raw::Deflater::new();
        let mut payload = vec![0; TOTAL];
        compress(bencher, len, |message| {
            let len = deflater.deflate(message, &mut payload);
            black_box(&payload[..len]);
        });
    }

    fn compress(bencher: Bencher<'_, '_>, len: usize, mut compress: impl FnMut(&[u8])) {
        let messages = messages(len);
        bencher.counter(BytesCount::new(TOTAL)).bench_local(|| {
            for message in black_box(&messages) {
                compress(message);
            }
        });
    }
}

mod inflate {
    use super::*;

    /// Each message in memory of its own.
    #[divan::bench(args = SIZES, sample_size = 1)]
    fn message(bencher: Bencher<'_, '_>, len: usize) {
        let mut inflater = Inflater::new(WindowBits::MAX);
        inflate(bencher, len, |payload| match inflater.message(payload, len) {
            Ok(message) => black_box(message).len(),
            Err(error) => panic!("{error}"),
        });
    }

    /// As they are shown.
    #[divan::bench(args = SIZES, sample_size = 1)]
    fn pieces(bencher: Bencher<'_, '_>, len: usize) {
        let mut inflater = Inflater::new(WindowBits::MAX);
        inflate(bencher, len, |mut payload| {
            let mut len = 0;
            loop {
                match inflater.inflate(&mut payload) {
                    Ok([]) => break,
                    Ok(piece) => len += black_box(piece).len(),
                    Err(error) => panic!("{error}"),
                }
            }
            assert!(inflater.finish().is_ok());
            len
        });
    }

    #[divan::bench(name = "limit: raw", args = SIZES, sample_size = 1)]
    fn raw(bencher: Bencher<'_, '_>, len: usize) {
        let mut inflater = raw::Inflater::new();
        let mut message = vec![0; TOTAL];
        inflate(bencher, len, |payload| {
            let len = inflater.inflate(payload, &mut message);
            black_box(&message[..len]).len()
        });
    }

    /// What costs the most for what it takes to send: 4 KiB, as they come, of blocks that begin with the fixed
    /// codes (RFC 1951 §3.2.6) and end at once, ten bits each.
    #[divan::bench(sample_size = 1)]
    fn nothing(bencher: Bencher<'_, '_>) {
        let mut inflater = Inflater::new(WindowBits::MAX);
        let mut payload = [0x02, 0x08, 0x20, 0x80, 0x00].repeat(4096 / 5);
        payload.push(0x00);
        bencher.counter(BytesCount::of_slice(&payload)).bench_local(|| {
            assert!(matches!(inflater.message(black_box(&payload), 1), Ok(message) if message.is_empty()));
        });
    }

    fn inflate(bencher: Bencher<'_, '_>, len: usize, mut inflate: impl FnMut(&[u8]) -> usize) {
        let payloads = payloads(len);
        bencher.counter(BytesCount::new(TOTAL)).bench_local(|| {
            for payload in black_box(&payloads) {
                assert_eq!(inflate(payload), len);
            }
        });
    }

    fn payloads(len: usize) -> Vec<Vec<u8>> {
        let mut deflater = Deflater::new(&Params::new().level(LEVEL));
        let compress = |message: Vec<u8>| {
            let mut payload = Vec::new();
            deflater.finish(&message, &mut payload);
            payload
        };
        messages(len).into_iter().map(compress).collect()
    }
}

/// Records in JSON, no two alike.
fn messages(len: usize) -> Vec<Vec<u8>> {
    const WORDS: [&str; 8] =
        ["order", "shipped", "pending", "harbour", "violet", "copper", "invoice", "northern"];
    let mut dice: u32 = 1;
    let mut roll = |below: u32| {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (dice >> 16) % below
    };
    let mut text = String::new();
    while text.len() < TOTAL {
        let mut word = || usize::try_from(roll(8)).map_or("", |n| WORDS[n]);
        let [a, b, c] = [word(), word(), word()];
        let [id, score, token] = [roll(100_000), roll(1000), roll(1 << 16)];
        let _ = write!(
            text,
            r#"{{"id":{id},"state":"{a}","tags":["{b}","{c}"],"score":{score},"token":"{token:04x}"}},"#
        );
    }
    text.as_bytes()[..TOTAL].chunks(len).map(Vec::from).collect()
}

#[cfg(not(feature = "zlib-rs"))]
mod raw {
    use miniz_oxide::deflate::core::{
        CompressionStrategy, CompressorOxide, TDEFLFlush, TDEFLStatus, compress,
    };
    use miniz_oxide::inflate::stream::{InflateState, inflate};
    use miniz_oxide::{DataFormat, MZFlush};

    use super::{LEVEL, TAIL};

    pub(super) struct Deflater(Box<CompressorOxide>);

    impl Deflater {
        pub(super) fn new() -> Self {
            let strategy = CompressionStrategy::Default;
            Self(Box::new(CompressorOxide::with_params(DataFormat::Raw, LEVEL, strategy, 15)))
        }

        pub(super) fn deflate(&mut self, message: &[u8], payload: &mut [u8]) -> usize {
            let (status, taken, given) = compress(&mut self.0, message, payload, TDEFLFlush::Sync);
            assert!(status == TDEFLStatus::Okay && taken == message.len());
            given - TAIL.len()
        }
    }

    pub(super) struct Inflater(Box<InflateState>);

    impl Inflater {
        pub(super) fn new() -> Self {
            Self(InflateState::new_boxed(DataFormat::Raw))
        }

        pub(super) fn inflate(&mut self, payload: &[u8], message: &mut [u8]) -> usize {
            let mut given = 0;
            for mut part in [payload, &TAIL[..]] {
                // It hands out no more than its window at a time.
                while !part.is_empty() {
                    let result = inflate(&mut self.0, part, &mut message[given..], MZFlush::Sync);
                    assert!(result.status.is_ok());
                    part = &part[result.bytes_consumed..];
                    given += result.bytes_written;
                }
            }
            given
        }
    }
}

#[cfg(feature = "zlib-rs")]
mod raw {
    use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush};

    use super::{LEVEL, TAIL};

    pub(super) struct Deflater(Deflate);

    impl Deflater {
        pub(super) fn new() -> Self {
            Self(Deflate::new(LEVEL.into(), false, 15))
        }

        pub(super) fn deflate(&mut self, message: &[u8], payload: &mut [u8]) -> usize {
            let before = self.0.total_out();
            assert!(self.0.compress(message, payload, DeflateFlush::SyncFlush).is_ok());
            since(before, self.0.total_out()) - TAIL.len()
        }
    }

    pub(super) struct Inflater(Inflate);

    impl Inflater {
        pub(super) fn new() -> Self {
            Self(Inflate::new(false, 15))
        }

        pub(super) fn inflate(&mut self, payload: &[u8], message: &mut [u8]) -> usize {
            let mut given = 0;
            for part in [payload, &TAIL[..]] {
                let before = self.0.total_out();
                assert!(self.0.decompress(part, &mut message[given..], InflateFlush::SyncFlush).is_ok());
                given += since(before, self.0.total_out());
            }
            given
        }
    }

    fn since(before: u64, after: u64) -> usize {
        usize::try_from(after - before).unwrap_or(usize::MAX)
    }
}
