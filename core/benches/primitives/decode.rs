//! A stream of frames walked through. The limit reads each header by hand and unmasks behind it: it has no
//! roles, no order of fragments, and no frame that is not all there.

use core::hint::black_box;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use sansocket::Role;
use sansocket::frame::{Decoder, Header, Input, Opcode, mask};

use crate::header::read_by_hand;
use crate::{Content, NEUTRAL_KEY, SIZES, append_frame};

/// Of one read, unless a frame is longer.
const READ: usize = 64 * 1024;

mod masked {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn decoder(bencher: Bencher<'_, '_>, len: usize) {
        decode(bencher, len, Role::Server);
    }

    #[divan::bench(name = "limit: by hand", args = SIZES)]
    fn by_hand(bencher: Bencher<'_, '_>, len: usize) {
        walk(bencher, len, Role::Server);
    }
}

mod unmasked {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn decoder(bencher: Bencher<'_, '_>, len: usize) {
        decode(bencher, len, Role::Client);
    }

    #[divan::bench(name = "limit: by hand", args = SIZES)]
    fn by_hand(bencher: Bencher<'_, '_>, len: usize) {
        walk(bencher, len, Role::Client);
    }
}

fn decode(bencher: Bencher<'_, '_>, len: usize, role: Role) {
    let (mut stream, frames) = frames_to(role, len);
    bencher.counter(BytesCount::new(len * frames)).counter(ItemsCount::new(frames)).bench_local(|| {
        let mut decoder = Decoder::new(role);
        let mut input = Input::new(black_box(&mut stream));
        while let Ok(Some(header)) = decoder.header(&mut input) {
            black_box(&header);
            black_box(decoder.payload(&mut input, usize::MAX));
        }
        assert!(input.is_empty() && decoder.left() == 0);
    });
}

fn walk(bencher: Bencher<'_, '_>, len: usize, role: Role) {
    let (mut stream, frames) = frames_to(role, len);
    bencher.counter(BytesCount::new(len * frames)).counter(ItemsCount::new(frames)).bench_local(|| {
        let mut rest = black_box(&mut stream[..]);
        while let Some((header, end)) = read_by_hand(rest) {
            black_box(&header);
            let len = usize::try_from(header.len).unwrap_or(usize::MAX);
            let (payload, behind) = rest[end..].split_at_mut(len);
            if let Some(key) = header.mask {
                mask::apply(key, payload);
            }
            black_box(payload);
            rest = behind;
        }
        assert!(rest.is_empty());
    });
}

/// Frames that an endpoint in `role` receives, and how many.
fn frames_to(role: Role, len: usize) -> (Vec<u8>, usize) {
    let key = (role == Role::Server).then_some(NEUTRAL_KEY);
    let payload = Content::Binary.bytes(len);
    let count = (READ / len).max(1);
    let mut stream = Vec::new();
    for _ in 0..count {
        append_frame(Header::new(Opcode::Binary, 0), key, &payload, &mut stream);
    }
    (stream, count)
}
