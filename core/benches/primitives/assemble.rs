//! Messages that a server receives. The limits read one header by hand, unmask the payload where it is or
//! copy it into memory that was reserved once (and not both), and validate text by `simdutf8`.

use core::hint::black_box;

use divan::Bencher;
use divan::counter::BytesCount;
use sansocket::frame::{Header, Input, Opcode, mask};
use sansocket::{Agreed, Config, Connection, Endpoint, Event, Instant, Message};

use crate::header::read_by_hand;
use crate::{Content, NEUTRAL_KEY, Sample, append_frame, length};

const NOW: Instant = Instant::ORIGIN;

const CONTENTS: [Content; 3] = [Content::Binary, Content::Ascii, Content::MultiByte];

/// A long message comes in reads of this length, a shorter one in two.
const READ: usize = 4096;

const FRAGMENTS: usize = 4;

/// In one frame that is all there.
mod lent {
    use super::*;

    #[divan::bench(args = Sample::all(&CONTENTS, &crate::SIZES))]
    fn receive(bencher: Bencher<'_, '_>, sample: Sample) {
        receive_in_reads(bencher, sample, 1, usize::MAX);
    }

    #[divan::bench(name = "limit: unmasked and validated", args = Sample::all(&CONTENTS, &crate::SIZES))]
    fn unmasked(bencher: Bencher<'_, '_>, sample: Sample) {
        let mut stream = frames(sample, 1);
        bencher.counter(BytesCount::new(sample.len)).bench_local(|| {
            let Some((header, end)) = read_by_hand(black_box(&stream)) else { panic!("no header") };
            let payload = &mut stream[end..];
            assert_eq!(header.len, length(payload));
            mask::apply(header.mask.unwrap_or_default(), payload);
            check(sample, payload);
            black_box(payload);
        });
    }
}

/// In one frame that comes in several reads, and in several frames that come in one.
mod owned {
    use super::*;

    #[divan::bench(args = samples())]
    fn from_reads(bencher: Bencher<'_, '_>, sample: Sample) {
        receive_in_reads(bencher, sample, 1, READ);
    }

    #[divan::bench(args = samples())]
    fn from_fragments(bencher: Bencher<'_, '_>, sample: Sample) {
        receive_in_reads(bencher, sample, FRAGMENTS, usize::MAX);
    }

    #[divan::bench(name = "limit: copied and validated", args = samples())]
    fn copied(bencher: Bencher<'_, '_>, sample: Sample) {
        let stream = frames(sample, 1);
        bencher.counter(BytesCount::new(sample.len)).bench_local(|| {
            let mut message = Vec::with_capacity(sample.len);
            copy(sample, black_box(&stream), &mut message);
            black_box(&message);
        });
    }
}

/// In several reads, into memory that a message before has left: `Input::with_memory`.
mod owned_again {
    use super::*;

    /// From where on it is used.
    const LONG: [usize; 3] = [16 << 10, 64 << 10, 1 << 20];

    #[divan::bench(args = Sample::all(&CONTENTS, &LONG))]
    fn from_reads(bencher: Bencher<'_, '_>, sample: Sample) {
        let mut stream = frames(sample, 1);
        let mut server = server();
        let mut memory = Vec::with_capacity(sample.len);
        bencher.counter(BytesCount::new(sample.len)).bench_local(|| {
            for read in black_box(&mut stream).chunks_mut(READ) {
                let mut lender = |_| core::mem::take(&mut memory);
                let mut input = Input::new(read).with_memory(&mut lender);
                if let Some(message) = receive(&mut server, &mut input) {
                    memory = black_box(message).into_bytes();
                    return;
                }
            }
            panic!("no message");
        });
    }

    #[divan::bench(name = "limit: copied and validated", args = Sample::all(&CONTENTS, &LONG))]
    fn copied(bencher: Bencher<'_, '_>, sample: Sample) {
        let stream = frames(sample, 1);
        let mut message = Vec::with_capacity(sample.len);
        bencher.counter(BytesCount::new(sample.len)).bench_local(|| {
            message.clear();
            copy(sample, black_box(&stream), &mut message);
            black_box(&message);
        });
    }
}

fn samples() -> Vec<Sample> {
    Sample::all(&CONTENTS, &crate::SIZES)
}

fn receive_in_reads(bencher: Bencher<'_, '_>, sample: Sample, fragments: usize, read: usize) {
    let mut stream = frames(sample, fragments);
    let read = if read < usize::MAX { read.min(stream.len() / 2 + 1) } else { stream.len() };
    let mut server = server();
    bencher.counter(BytesCount::new(sample.len)).bench_local(|| {
        let mut messages = 0;
        for read in black_box(&mut stream).chunks_mut(read) {
            if let Some(message) = receive(&mut server, &mut Input::new(read)) {
                messages += 1;
                black_box(&message);
            }
        }
        assert_eq!(messages, 1);
    });
}

fn server() -> Connection {
    Connection::established(Endpoint::Server, &Config::new(), Agreed::new(), NOW)
}

fn receive<'b>(server: &mut Connection, input: &mut Input<'b>) -> Option<Message<'b>> {
    match server.receive(NOW, input) {
        Some(Event::Message(message)) => Some(message),
        None => None,
        other => panic!("{other:?}"),
    }
}

/// A message in so many frames.
fn frames(sample: Sample, count: usize) -> Vec<u8> {
    let payload = sample.bytes();
    let mut stream = Vec::new();
    let size = payload.len().div_ceil(count);
    for (n, fragment) in payload.chunks(size).enumerate() {
        let opcode = match n {
            0 if sample.is_text() => Opcode::Text,
            0 => Opcode::Binary,
            _ => Opcode::Continuation,
        };
        let header = Header { fin: (n + 1) * size >= payload.len(), ..Header::new(opcode, 0) };
        append_frame(header, Some(NEUTRAL_KEY), fragment, &mut stream);
    }
    stream
}

fn copy(sample: Sample, stream: &[u8], message: &mut Vec<u8>) {
    let Some((header, end)) = read_by_hand(stream) else { panic!("no header") };
    black_box(&header);
    message.extend_from_slice(&stream[end..]);
    check(sample, message);
}

fn check(sample: Sample, payload: &[u8]) {
    assert!(!sample.is_text() || simdutf8::basic::from_utf8(payload).is_ok());
}
