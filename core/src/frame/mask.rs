//! Masking (RFC 6455 §5.3): every octet is XORed with one of the four octets of the key, in turn.

use alloc::vec::Vec;

#[cfg(feature = "std")]
use fearless_simd::{Bytes as _, Level, Simd, SimdBase as _};

/// Masks or unmasks `data` in place; its first byte goes with the first byte of the key.
#[inline]
pub fn apply(key: [u8; 4], data: &mut [u8]) {
    #[cfg(feature = "std")]
    if data.len() >= WIDE {
        return wide(key, data);
    }
    arrays::<32>(key, data);
}

/// From here on it pays to ask for wider registers than every processor of the target has (measured: no difference at
/// 512 bytes, a quarter less at 1 KiB, a third from 4 KiB on).
#[cfg(feature = "std")]
const WIDE: usize = 1024;

/// From here on it pays to let no store lie across two lines of the cache (measured: a tenth less at 16 KiB, which the
/// first level holds, a third at 64 KiB).
#[cfg(feature = "std")]
const ALIGNED: usize = 8 * 1024;

#[cfg(feature = "std")]
#[inline(never)]
fn wide(mut key: [u8; 4], mut data: &mut [u8]) {
    const LINE: usize = 64;
    if data.len() >= ALIGNED {
        let (head, lines) = data.split_at_mut(data.as_ptr().align_offset(LINE).min(LINE));
        arrays::<16>(key, head);
        key = rotate(key, head.len());
        data = lines;
    }
    fearless_simd::dispatch!(Level::new(), simd => {
        simd.vectorize(#[inline(always)] || registers(simd, key, data));
    });
}

/// By the registers' own operations: of long [`arrays`], the compiler makes gathering and scattering where the processor
/// can (AVX-512), which takes twenty times as long.
#[cfg(feature = "std")]
#[inline(always)]
fn registers<S: Simd>(simd: S, key: [u8; 4], data: &mut [u8]) {
    let word = S::u32s::splat(simd, u32::from_ne_bytes(key)).bitcast::<S::u8s>();
    let mut chunks = data.chunks_exact_mut(S::u8s::LEN);
    for chunk in &mut chunks {
        (S::u8s::from_slice(simd, chunk) ^ word).store_slice(chunk);
    }
    arrays::<16>(key, chunks.into_remainder());
}

#[inline(always)]
fn arrays<const N: usize>(key: [u8; 4], data: &mut [u8]) {
    let word = u32::from_ne_bytes(key);
    let (chunks, rest) = data.as_chunks_mut::<N>();
    for chunk in chunks {
        array(word, chunk);
    }
    let rest = first::<16>(word, rest);
    let rest = first::<8>(word, rest);
    let rest = first::<4>(word, rest);
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// Masks the first `N` bytes, a multiple of four, if there are so many; those behind them.
#[inline(always)]
fn first<const N: usize>(word: u32, data: &mut [u8]) -> &mut [u8] {
    if data.len() < N {
        return data;
    }
    let (head, rest) = data.split_at_mut(N);
    if let Some(chunk) = head.first_chunk_mut::<N>() {
        array(word, chunk);
    }
    rest
}

/// An array of a fixed size becomes vector code on every target.
#[inline(always)]
fn array<const N: usize>(word: u32, data: &mut [u8; N]) {
    for four in data.as_chunks_mut::<4>().0 {
        *four = (u32::from_ne_bytes(*four) ^ word).to_ne_bytes();
    }
}

/// Appends the masked `data` to `target`.
#[inline]
pub fn append(key: [u8; 4], data: &[u8], target: &mut Vec<u8>) {
    #[cfg(feature = "std")]
    if data.len() >= WIDE {
        target.reserve(data.len());
        for block in data.chunks(COPIED) {
            let start = target.len();
            target.extend_from_slice(block);
            wide(key, &mut target[start..]);
        }
        return;
    }
    let start = target.len();
    target.extend_from_slice(data);
    arrays::<32>(key, &mut target[start..]);
}

/// Appends `data` as it is.
#[inline]
pub(crate) fn copy(data: &[u8], target: &mut Vec<u8>) {
    if data.len() <= COPIED {
        return target.extend_from_slice(data);
    }
    target.reserve(data.len());
    data.chunks(COPIED).for_each(|block| target.extend_from_slice(block));
}

/// So much is copied at a time: a multiple of four, so little that what is done next finds it in the first-level cache,
/// and that it is copied by vectors. The C library copies longer blocks by `rep movsb`, which takes some processors eight
/// times as long where both have nearly the same place in their pages (measured from 3 KiB on).
pub(crate) const COPIED: usize = 2048;

/// The key for the byte `n` bytes further on.
#[inline]
pub fn rotate(mut key: [u8; 4], n: usize) -> [u8; 4] {
    key.rotate_left(n % 4);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(key: [u8; 4], data: &[u8]) -> Vec<u8> {
        data.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect()
    }

    fn sample(len: usize) -> Vec<u8> {
        (0..len).map(|i| u8::try_from((i * 31 + 7) % 251).unwrap()).collect()
    }

    #[test]
    fn every_length_and_alignment_equals_the_naive_loop() {
        let key = [0x37, 0xFA, 0x21, 0x3D];
        for len in (0..200).chain(1000..1300).chain(8190..8260) {
            for offset in 0..33 {
                let mut data = sample(offset + len);
                let expected = naive(key, &data[offset..]);
                let mut appended = sample(3);
                append(key, &data[offset..], &mut appended);
                apply(key, &mut data[offset..]);
                assert_eq!(data[offset..], expected);
                assert_eq!(appended[3..], expected);
            }
        }
    }

    #[test]
    fn a_payload_masked_in_two_parts_equals_one_masked_at_once() {
        let key = [1, 2, 3, 4];
        let whole = naive(key, &sample(9000));
        for cut in (0..100).chain(4090..4100) {
            let mut data = sample(9000);
            let (first, second) = data.split_at_mut(cut);
            apply(key, first);
            apply(rotate(key, cut), second);
            assert_eq!(data, whole);
            let mut appended = Vec::new();
            append(key, &sample(9000)[..cut], &mut appended);
            append(rotate(key, cut), &sample(9000)[cut..], &mut appended);
            assert_eq!(appended, whole);
        }
    }

    #[test]
    fn section_5_7_masked_hello() {
        let mut hello = *b"Hello";
        apply([0x37, 0xFA, 0x21, 0x3D], &mut hello);
        assert_eq!(hello, [0x7F, 0x9F, 0x4D, 0x51, 0x58]);
    }
}
