//! Masking against the loop of §5.3.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket::frame::mask;
use sansocket_fuzz::Cut;

fuzz_target!(|data: &[u8]| {
    let Some((key, rest)) = data.split_first_chunk::<4>() else { return };
    let Some(cut) = Cut::new(rest) else { return };
    let naive: Vec<_> = cut.stream.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();

    // Behind `n` bytes, for other alignments.
    for n in 0..4 {
        let mut bytes = [&data[..n], cut.stream].concat();
        mask::apply(*key, &mut bytes[n..]);
        assert_eq!((&bytes[..n], &bytes[n..]), (&data[..n], &naive[..]));
    }

    let (mut key, mut applied, mut appended) = (*key, Vec::new(), b"before".to_vec());
    for piece in cut.pieces() {
        let mut piece = piece.to_vec();
        mask::append(key, &piece, &mut appended);
        mask::apply(key, &mut piece);
        key = mask::rotate(key, piece.len());
        applied.extend(piece);
    }
    assert_eq!(applied, naive);
    assert_eq!(appended, [b"before", &naive[..]].concat());
});
