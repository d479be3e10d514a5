//! Messages that are sent, shown and said to be written. The limit puts a header and a copy of the payload
//! into memory that is there; where a payload goes out of the memory it came in, it is masked there.

use core::hint::black_box;
use core::mem;

use divan::Bencher;
use divan::counter::BytesCount;
use sansocket::frame::{Header, MAX_HEADER, Opcode, mask};
use sansocket::{Agreed, Config, Connection, Endpoint, Instant, Seed};

use crate::header::write_by_hand;
use crate::{Content, KEY, SIZES, length};

/// A payload that is copied.
mod borrowed {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn server(bencher: Bencher<'_, '_>, len: usize) {
        send(bencher, len, Endpoint::Server);
    }

    #[divan::bench(args = SIZES)]
    fn client(bencher: Bencher<'_, '_>, len: usize) {
        send(bencher, len, Endpoint::Client(Seed::new([7; 32])));
    }

    #[divan::bench(name = "limit: server, copied", args = SIZES)]
    fn unmasked(bencher: Bencher<'_, '_>, len: usize) {
        copy(bencher, len, None);
    }

    #[divan::bench(name = "limit: client, copied", args = SIZES)]
    fn masked(bencher: Bencher<'_, '_>, len: usize) {
        copy(bencher, len, Some(KEY));
    }

    fn send(bencher: Bencher<'_, '_>, len: usize, endpoint: Endpoint) {
        let mut connection = connection(endpoint);
        let payload = Content::Binary.bytes(len);
        bencher.counter(BytesCount::new(len)).bench_local(|| {
            assert!(connection.send(black_box(&payload[..])).is_ok());
            let written = show(&connection);
            connection.transmitted(written);
        });
    }

    fn copy(bencher: Bencher<'_, '_>, len: usize, mask: Option<[u8; 4]>) {
        let payload = Content::Binary.bytes(len);
        let header = Header { mask, ..Header::new(Opcode::Binary, length(&payload)) };
        let mut target = Vec::with_capacity(MAX_HEADER + len);
        bencher.counter(BytesCount::new(len)).bench_local(|| {
            target.clear();
            write_by_hand(black_box(&header), &mut target);
            target.extend_from_slice(black_box(&payload));
            black_box(&target);
        });
    }
}

/// A long payload that is given away, and whose memory comes back: to be filled again, in the limits too.
mod owned {
    use super::*;

    const LONG: [usize; 3] = [16 << 10, 64 << 10, 1 << 20];

    #[divan::bench(args = LONG)]
    fn server(bencher: Bencher<'_, '_>, len: usize) {
        send(bencher, len, Endpoint::Server);
    }

    #[divan::bench(args = LONG)]
    fn client(bencher: Bencher<'_, '_>, len: usize) {
        send(bencher, len, Endpoint::Client(Seed::new([7; 32])));
    }

    #[divan::bench(name = "limit: server, filled", args = LONG)]
    fn filled(bencher: Bencher<'_, '_>, len: usize) {
        fill(bencher, len, |_| ());
    }

    #[divan::bench(name = "limit: client, filled and masked", args = LONG)]
    fn masked(bencher: Bencher<'_, '_>, len: usize) {
        fill(bencher, len, |payload| mask::apply(black_box(KEY), payload));
    }

    fn send(bencher: Bencher<'_, '_>, len: usize, endpoint: Endpoint) {
        let mut connection = connection(endpoint);
        let mut memory = Vec::with_capacity(len);
        bencher.counter(BytesCount::new(len)).bench_local(|| {
            let mut payload = mem::take(&mut memory);
            payload.resize(len, 0xA5);
            assert!(connection.send(black_box(payload)).is_ok());
            let written = show(&connection);
            connection.transmitted_with(written, &mut memory);
            assert_eq!(memory.capacity(), len);
        });
    }

    fn fill(bencher: Bencher<'_, '_>, len: usize, mask: impl Fn(&mut [u8])) {
        let mut payload = Vec::with_capacity(len);
        bencher.counter(BytesCount::new(len)).bench_local(|| {
            payload.clear();
            payload.resize(len, 0xA5);
            mask(black_box(&mut payload));
            black_box(&payload);
        });
    }
}

fn connection(endpoint: Endpoint) -> Connection {
    Connection::established(endpoint, &Config::new(), Agreed::new(), Instant::ORIGIN)
}

/// What a write would be given.
fn show(connection: &Connection) -> usize {
    connection.transmit().slices().map(|slice| black_box(slice).len()).sum()
}
