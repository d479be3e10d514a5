//! The decompressor is indifferent to cuts, shows little at a time, keeps to limits, and forgets when it is told to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket::deflate::{Corrupt, InflateError, Inflater};
use sansocket::extension::WindowBits;
use sansocket_fuzz::Cut;

/// More is not inflated of one input.
const MAX: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((bits, rest)) = data.split_first() else { return };
    let Some(cut) = Cut::new(rest) else { return };
    let window = WindowBits::new(8 + bits % 8).unwrap();
    let mut inflater = Inflater::new(window);
    let expected = feed(&mut inflater, [cut.stream]);
    assert_eq!(feed(&mut Inflater::new(window), cut.pieces()), expected);

    // Whatever it was told before, after a reset it is as new: nothing of that comes out.
    let mut used = Inflater::new(window);
    let _ = feed(&mut used, [&NOISE[..]]);
    used.reset();
    assert_eq!(feed(&mut used, [cut.stream]), expected);

    let Ok(message) = expected else { return };
    if message.len() > MAX {
        return;
    }
    let all = Inflater::new(window).message(cut.stream, message.len());
    assert_eq!(all.as_deref(), Ok(&message[..]));
    if let Some(less) = message.len().checked_sub(1) {
        assert_eq!(Inflater::new(window).message(cut.stream, less), Err(InflateError::TooBig));
    }
});

/// A stored block of something.
const NOISE: [u8; 14] = [0x00, 0x08, 0x00, 0xf7, 0xff, b's', b'e', b'c', b'r', b'e', b't', b'!', b'!', 0x00];

fn feed<'d>(inflater: &mut Inflater, pieces: impl IntoIterator<Item = &'d [u8]>) -> Result<Vec<u8>, Corrupt> {
    let mut message = Vec::new();
    for mut piece in pieces {
        loop {
            let output = inflater.inflate(&mut piece)?;
            if output.is_empty() {
                break;
            }
            assert!(output.len() <= 32 << 10);
            message.extend_from_slice(output);
            if message.len() > MAX {
                message.truncate(MAX + 1);
                return Ok(message);
            }
        }
    }
    inflater.finish()?;
    Ok(message)
}
