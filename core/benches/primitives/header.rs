//! Headers (RFC 6455 §5.2), read and written. The limits are the same fields read and the same bytes written
//! by hand, without a look at whether they may be so.

use core::fmt;
use core::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use sansocket::frame::{Header, MAX_HEADER, Opcode};

use crate::KEY;

/// In one round.
const COUNT: u64 = 64;

const FORMS: [Form; 6] = [
    Form { len: 16, masked: false },
    Form { len: 16, masked: true },
    Form { len: 1024, masked: false },
    Form { len: 1024, masked: true },
    Form { len: 1 << 20, masked: false },
    Form { len: 1 << 20, masked: true },
];

/// What a header looks like.
#[derive(Clone, Copy)]
struct Form {
    len: u64,
    masked: bool,
}

impl Form {
    fn headers(self) -> Vec<Header> {
        let header = |n| {
            let mask = self.masked.then_some(KEY);
            Header { mask, ..Header::new(Opcode::Binary, self.len + n) }
        };
        (0..COUNT).map(header).collect()
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.headers()[0].encode().len();
        write!(f, "{bytes} bytes{}", if self.masked { ", masked" } else { "" })
    }
}

mod read {
    use super::*;

    #[divan::bench(args = FORMS)]
    fn decode(bencher: Bencher<'_, '_>, form: Form) {
        read(bencher, form, |bytes| Header::decode(bytes).ok().flatten());
    }

    #[divan::bench(name = "limit: by hand", args = FORMS)]
    fn by_hand(bencher: Bencher<'_, '_>, form: Form) {
        read(bencher, form, read_by_hand);
    }

    fn read(bencher: Bencher<'_, '_>, form: Form, decode: impl Fn(&[u8]) -> Option<(Header, usize)>) {
        let stream: Vec<u8> = form.headers().iter().flat_map(|header| header.encode().to_vec()).collect();
        bencher.counter(ItemsCount::new(COUNT)).bench_local(|| {
            let mut rest = black_box(&stream[..]);
            while let Some((header, len)) = decode(rest) {
                black_box(&header);
                rest = &rest[len..];
            }
            assert!(rest.is_empty());
        });
    }
}

mod written {
    use super::*;

    #[divan::bench(args = FORMS)]
    fn encode(bencher: Bencher<'_, '_>, form: Form) {
        write(bencher, form, |header, target| target.extend_from_slice(&header.encode()));
    }

    #[divan::bench(name = "limit: by hand", args = FORMS)]
    fn by_hand(bencher: Bencher<'_, '_>, form: Form) {
        write(bencher, form, write_by_hand);
    }

    fn write(bencher: Bencher<'_, '_>, form: Form, encode: impl Fn(&Header, &mut Vec<u8>)) {
        let headers = form.headers();
        let mut target = Vec::with_capacity(headers.len() * MAX_HEADER);
        bencher.counter(ItemsCount::new(COUNT)).bench_local(|| {
            target.clear();
            for header in black_box(&headers) {
                encode(header, &mut target);
            }
            black_box(&target);
        });
    }
}

/// A final, binary frame's header and its length.
#[inline]
pub(crate) fn read_by_hand(bytes: &[u8]) -> Option<(Header, usize)> {
    let &[_, b1, ..] = bytes else { return None };
    let (len, end) = match b1 & 0x7F {
        126 => (u64::from(u16::from_be_bytes(*bytes[2..].first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*bytes[2..].first_chunk()?), 10),
        short => (u64::from(short), 2),
    };
    let header = Header::new(Opcode::Binary, len);
    if b1 & 0x80 == 0 {
        return Some((header, end));
    }
    Some((Header { mask: Some(*bytes[end..].first_chunk()?), ..header }, end + 4))
}

/// Of a final, binary frame.
#[inline]
pub(crate) fn write_by_hand(header: &Header, target: &mut Vec<u8>) {
    const FIRST: u8 = 0x82;
    let [_, _, _, _, _, _, a, b] = header.len.to_be_bytes();
    match (header.len, header.mask) {
        (0..126, None) => target.extend_from_slice(&[FIRST, b]),
        (0..126, Some([k, l, m, n])) => target.extend_from_slice(&[FIRST, b | 0x80, k, l, m, n]),
        (126..0x1_0000, None) => target.extend_from_slice(&[FIRST, 126, a, b]),
        (126..0x1_0000, Some([k, l, m, n])) => target.extend_from_slice(&[FIRST, 254, a, b, k, l, m, n]),
        (len, mask) => {
            let mut bytes = [FIRST, 127, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            bytes[2..10].copy_from_slice(&len.to_be_bytes());
            let Some(key) = mask else { return target.extend_from_slice(&bytes[..10]) };
            bytes[1] = 255;
            bytes[10..].copy_from_slice(&key);
            target.extend_from_slice(&bytes);
        }
    }
}
