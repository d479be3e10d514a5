//! Masking (RFC 6455 §5.3). The limit is the copy of as many bytes from one place to another.

use core::hint::black_box;

use divan::Bencher;
use divan::counter::BytesCount;
use sansocket::frame::{Header, Opcode, mask};

use crate::{KEY, SIZES};

/// A cache line.
const LINE: usize = 64;

/// Short payloads are masked so many bytes at a time, one behind the other: a processor that masks the same
/// one over and over waits for its own stores.
const BATCH: usize = 4096;

mod in_place {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn apply(bencher: Bencher<'_, '_>, len: usize) {
        apply_at(bencher, len, 0);
    }

    #[divan::bench(args = SIZES)]
    fn apply_behind_header(bencher: Bencher<'_, '_>, len: usize) {
        apply_at(bencher, len, header_len(len));
    }

    #[divan::bench(name = "limit: copy", args = SIZES)]
    fn copy(bencher: Bencher<'_, '_>, len: usize) {
        copy_at(bencher, len, 0);
    }

    #[divan::bench(name = "limit: copy_behind_header", args = SIZES)]
    fn copy_behind_header(bencher: Bencher<'_, '_>, len: usize) {
        copy_at(bencher, len, header_len(len));
    }

    fn apply_at(bencher: Bencher<'_, '_>, len: usize, offset: usize) {
        let mut payloads = Payloads::new(len, offset);
        bencher.counter(payloads.total()).bench_local(|| {
            for payload in payloads.iter_mut() {
                mask::apply(black_box(KEY), black_box(payload));
            }
        });
    }

    fn copy_at(bencher: Bencher<'_, '_>, len: usize, offset: usize) {
        let source = Payloads::elsewhere(len, offset);
        let mut target = Payloads::new(len, offset);
        bencher.counter(target.total()).bench_local(|| {
            for (target, source) in target.iter_mut().zip(source.iter()) {
                black_box(target).copy_from_slice(black_box(source));
            }
        });
    }
}

mod appended {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn append(bencher: Bencher<'_, '_>, len: usize) {
        append_at(bencher, len, 0, |source, target| mask::append(black_box(KEY), source, target));
    }

    #[divan::bench(args = SIZES)]
    fn append_behind_header(bencher: Bencher<'_, '_>, len: usize) {
        append_at(bencher, len, header_len(len), |source, target| {
            mask::append(black_box(KEY), source, target);
        });
    }

    #[divan::bench(name = "limit: copy", args = SIZES)]
    fn copy(bencher: Bencher<'_, '_>, len: usize) {
        append_at(bencher, len, 0, |source, target| target.extend_from_slice(source));
    }

    #[divan::bench(name = "limit: copy_behind_header", args = SIZES)]
    fn copy_behind_header(bencher: Bencher<'_, '_>, len: usize) {
        append_at(bencher, len, header_len(len), |source, target| target.extend_from_slice(source));
    }

    fn append_at(bencher: Bencher<'_, '_>, len: usize, offset: usize, append: impl Fn(&[u8], &mut Vec<u8>)) {
        let source = Payloads::elsewhere(len, offset);
        let mut target = Vec::with_capacity(len);
        bencher.counter(source.total()).bench_local(|| {
            for payload in source.iter() {
                target.clear();
                append(black_box(payload), black_box(&mut target));
            }
        });
    }
}

/// How far behind a header of its own a payload begins.
fn header_len(len: usize) -> usize {
    let len = u64::try_from(len).unwrap_or(u64::MAX);
    Header { mask: Some(KEY), ..Header::new(Opcode::Binary, len) }.encode().len()
}

/// Payloads of one length, each of which begins `offset` bytes behind the beginning of a cache line.
struct Payloads {
    memory: Vec<u8>,
    /// Where the first of those lines is.
    start: usize,
    len: usize,
    offset: usize,
}

impl Payloads {
    fn new(len: usize, offset: usize) -> Self {
        Self::placed(len, offset, 0)
    }

    /// Half a page further on than [`new`](Self::new) puts them: some processors copy badly between the same
    /// places of two pages.
    fn elsewhere(len: usize, offset: usize) -> Self {
        Self::placed(len, offset, 2048)
    }

    fn placed(len: usize, offset: usize, shift: usize) -> Self {
        const PAGE: usize = 4096;
        let lines = stride(len, offset) * (BATCH / len).max(1);
        let memory = vec![0xA5; PAGE + shift + lines];
        let start = memory.as_ptr().align_offset(PAGE) + shift;
        Self { memory, start, len, offset }
    }

    fn total(&self) -> BytesCount {
        BytesCount::new(self.iter().map(<[u8]>::len).sum::<usize>())
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let Self { memory, start, len, offset } = self;
        memory[*start..].chunks_exact(stride(*len, *offset)).map(|lines| &lines[*offset..][..*len])
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let Self { memory, start, len, offset } = self;
        memory[*start..].chunks_exact_mut(stride(*len, *offset)).map(|lines| &mut lines[*offset..][..*len])
    }
}

fn stride(len: usize, offset: usize) -> usize {
    (offset + len).next_multiple_of(LINE)
}
