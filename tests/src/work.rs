//! Work that is counted, since time is never the same twice: what a stream makes a connection do.

use sansocket::{Accept, Connection, Event, Input};

use crate::START;
use crate::meter::drain;

/// What there is to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Bytes that were handed over; those that were left count again, as they are handed over again.
    pub offered: usize,
    /// Calls that took them, those that made events included.
    pub calls: usize,
    /// How often memory was asked for, or to grow: what grows may be copied each time.
    pub allocations: usize,
    /// Bytes of memory that were asked for.
    pub allocated: usize,
}

impl Work {
    /// Hands `stream` over in reads of so many bytes, accepts the request if there is one, and writes what there is to
    /// write at once. `counts` is of allocations, and of their bytes.
    ///
    /// # Panics
    /// Input waits for something else than output.
    pub fn of(counts: fn() -> [usize; 2], connection: &mut Connection, stream: &[u8], read: usize) -> Self {
        let mut work = Self::default();
        let mut left = Vec::with_capacity(2 * read.min(stream.len()));
        let before = counts();
        for chunk in stream.chunks(read) {
            assert!(left.len() + chunk.len() <= left.capacity(), "it leaves more than it takes");
            left.extend_from_slice(chunk);
            while !left.is_empty() {
                work.offered += left.len();
                let mut input = Input::new(&mut left);
                loop {
                    work.calls += 1;
                    match connection.receive(START, &mut input) {
                        Some(Event::Request(_)) => {
                            connection.accept(START, Accept::new()).expect("a request");
                        }
                        Some(_) => {}
                        None => break,
                    }
                }
                let rest = input.remaining();
                assert!(rest < left.len() || !connection.transmit().is_empty(), "it waits for nothing");
                left.drain(..left.len() - rest);
                drain(connection);
            }
        }
        let after = counts();
        [work.allocations, work.allocated] = [after[0] - before[0], after[1] - before[1]];
        work
    }

    /// What doubles with what comes, within a tenth of it and what is there from the beginning.
    #[track_caller]
    pub fn assert_at_most_twice(&self, half: &Self, what: &str) {
        let (twice, few, some) = (|n: usize| n * 22 / 10, 32, 128 << 10);
        assert!(self.offered <= twice(half.offered), "{what}: handed over {half:?}, then {self:?}");
        assert!(self.calls <= twice(half.calls) + few, "{what}: calls: {half:?}, then {self:?}");
        assert!(self.allocations <= twice(half.allocations) + few, "{what}: {half:?}, then {self:?}");
        assert!(self.allocated <= twice(half.allocated) + some, "{what}: {half:?}, then {self:?}");
    }
}
