//! Random messages, of the sorts that compressors meet; the same for the same seed.

use sansocket_tokio::Message;

/// So many messages, one in 500 of 1 MiB.
pub(crate) struct Messages {
    random: Random,
    next: usize,
    count: usize,
}

const MEBIBYTE: usize = 1 << 20;
const LONG: usize = 100_000;
const WORDS: [&str; 8] = ["temperature", "naïve", "日本語", "🦀", "null", "0.25", "north", "…"];

impl Messages {
    pub(crate) fn new(count: usize, seed: u64) -> Self {
        Self { random: Random(seed), next: 0, count }
    }
}

impl Iterator for Messages {
    type Item = Message<'static>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { random, next, count } = self;
        if next == count {
            return None;
        }
        *next += 1;
        if *next % 500 == 250 {
            return Some(match random.below(2) {
                0 => text(random.repetitive(MEBIBYTE)),
                _ => Message::from(random.collage(MEBIBYTE)),
            });
        }
        Some(match random.below(100) {
            0..2 => Message::from(Vec::new()),
            2..4 => Message::from(String::new()),
            4..14 => Message::from(random.noise(64)),
            14..25 => text(random.repetitive(30)),
            25..60 => Message::from(random.json()),
            60..65 => Message::from(random.json().into_bytes()),
            65..73 => text(random.up_to(8_000, Random::repetitive)),
            73..80 => Message::from(random.up_to(8_000, Random::repetitive)),
            80..95 => Message::from(random.noise(4_000)),
            95..96 => Message::from(random.noise(LONG)),
            _ => Message::from(random.up_to(LONG, Random::collage)),
        })
    }
}

/// What [`Random::repetitive`] makes is ASCII.
fn text(bytes: Vec<u8>) -> Message<'static> {
    Message::from(String::from_utf8_lossy(&bytes).into_owned())
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(((self.next() >> 32) * bound as u64) >> 32).unwrap_or(0)
    }

    fn up_to(&mut self, most: usize, make: impl FnOnce(&mut Self, usize) -> Vec<u8>) -> Vec<u8> {
        let len = self.below(most);
        make(self, len)
    }

    /// Up to so many bytes that no compressor makes shorter.
    fn noise(&mut self, most: usize) -> Vec<u8> {
        let len = self.below(most);
        (0..len).map(|_| (self.next() >> 56) as u8).collect()
    }

    /// A few letters over and over.
    fn repetitive(&mut self, len: usize) -> Vec<u8> {
        let mut period = self.noise(40);
        period.push(b'.');
        period.iter_mut().for_each(|byte| *byte = b' ' + *byte % 95);
        period.into_iter().cycle().take(len).collect()
    }

    fn json(&mut self) -> String {
        let records = (0..=self.below(20)).map(|_| {
            let (id, word) = (self.below(10_000), WORDS[self.below(WORDS.len())]);
            format!(r#"{{"id": {id}, "name": "{word}", "value": 0.{}}}"#, self.below(1000))
        });
        format!("[{}]", records.collect::<Vec<_>>().join(", "))
    }

    /// Some bytes of noise, then some from further up, and so on: matches of every length and distance.
    fn collage(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            bytes.extend(self.noise(30));
            // Up to twice the largest window, mostly near.
            let farthest = 1 << self.below(17);
            let start = bytes.len().saturating_sub(1 + self.below(farthest));
            let end = bytes.len().min(start + self.below(300));
            bytes.extend_from_within(start..end);
        }
        bytes.truncate(len);
        bytes
    }
}
