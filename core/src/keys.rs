//! Masking keys from a seed (RFC 6455 §10.3): unpredictable to whoever does not know the seed, the same for
//! the same seed.

use core::fmt;

/// 32 random bytes from which a client draws its handshake key and its masking keys.
///
/// They must come from the operating system or another strong source and be used for one connection only: a
/// page that can predict masking keys can make a client put chosen bytes on the wire (§10.3). The core has no
/// source of its own, so a client without a seed cannot be made.
pub struct Seed([u8; 32]);

impl Seed {
    /// A seed of these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<[u8; 32]> for Seed {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// The keystream: ChaCha with 8 rounds, nonce 0, one 32-bit word a masking key.
pub(crate) struct Keys {
    state: [u32; 16],
    block: [u32; 16],
    used: usize,
}

impl Keys {
    pub(crate) fn new(seed: &Seed) -> Self {
        let mut state = [0; 16];
        state[..4].copy_from_slice(&[0x6170_7865, 0x3320_646E, 0x7962_2D32, 0x6B20_6574]);
        for (word, bytes) in state[4..12].iter_mut().zip(seed.0.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Self { state, block: [0; 16], used: 16 }
    }

    /// A fresh masking key.
    #[inline]
    pub(crate) fn next(&mut self) -> [u8; 4] {
        if self.used == self.block.len() {
            self.refill();
        }
        let word = self.block[self.used];
        self.used += 1;
        word.to_le_bytes()
    }

    fn refill(&mut self) {
        self.block = chacha8(&self.state);
        self.used = 0;
        let (low, carry) = self.state[12].overflowing_add(1);
        self.state[12] = low;
        self.state[13] = self.state[13].wrapping_add(u32::from(carry));
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

fn chacha8(state: &[u32; 16]) -> [u32; 16] {
    let mut x = *state;
    for _ in 0..4 {
        for [a, b, c, d] in [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]] {
            quarter_round(&mut x, a, b, c, d);
        }
        for [a, b, c, d] in [[0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]] {
            quarter_round(&mut x, a, b, c, d);
        }
    }
    core::array::from_fn(|i| x[i].wrapping_add(state[i]))
}

fn quarter_round(x: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    for (left, right) in [(16, 12), (8, 7)] {
        x[a] = x[a].wrapping_add(x[b]);
        x[d] = (x[d] ^ x[a]).rotate_left(left);
        x[c] = x[c].wrapping_add(x[d]);
        x[b] = (x[b] ^ x[c]).rotate_left(right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn the_keystream_is_chacha8() {
        // ECRYPT test vector: ChaCha8, 256-bit key of zeros, IV of zeros.
        let mut keys = Keys::new(&Seed::new([0; 32]));
        let stream: Vec<u8> = (0..4).flat_map(|_| keys.next()).collect();
        assert_eq!(
            stream,
            [0x3E, 0x00, 0xEF, 0x2F, 0x89, 0x5F, 0x40, 0xD6, 0x7F, 0x5B, 0xB8, 0xE8, 0x1F, 0x09, 0xA5, 0xA1]
        );
    }

    #[test]
    fn the_counter_goes_on_behind_32_bits() {
        let mut keys = Keys::new(&Seed::new([7; 32]));
        keys.state[12] = u32::MAX;
        keys.refill();
        assert_eq!(keys.state[12..14], [0, 1]);
    }

    #[test]
    fn a_million_keys_collide_as_often_as_chance_has_it() {
        let mut keys = Keys::new(&Seed::new([42; 32]));
        let mut drawn: Vec<_> = (0..1_000_000).map(|_| keys.next()).collect();
        drawn.sort_unstable();
        let collisions = drawn.windows(2).filter(|pair| pair[0] == pair[1]).count();
        // n²/2³³ ≈ 116, five standard deviations either way.
        assert!((62..=170).contains(&collisions), "{collisions}");
    }
}
