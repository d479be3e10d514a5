//! Memory measured, by an allocator that counts: it is in the test, since a library must not choose one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sansocket::deflate::{Deflater, Inflater, Params};
use sansocket::extension::WindowBits;
use sansocket::{Connection, Event, Input};

use crate::START;

/// The laws that do not hold.
#[derive(Debug, Default)]
pub struct Broken(pub Vec<String>);

impl Broken {
    /// Notes the law, whose words take memory too, only if it does not hold.
    pub fn at_most(&mut self, limit: usize, measured: usize, law: impl FnOnce() -> String) {
        if measured > limit {
            self.0.push(format!("{}: {measured} bytes, {limit} are allowed", law()));
        }
    }
}

/// Asserts that this much is allowed.
#[track_caller]
pub fn assert_at_most(limit: usize, measured: usize, what: &str) {
    assert!(measured <= limit, "{what}: {measured} bytes, {limit} are allowed");
}

/// Has the program's allocator count, and defines `counts`: the bytes that were allocated, and those that were freed.
#[macro_export]
macro_rules! count_allocations {
    () => {
        #[global_allocator]
        static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

        fn counts() -> [usize; 2] {
            let stats = ALLOCATOR.stats();
            [stats.bytes_allocated, stats.bytes_deallocated]
        }
    };
}

/// What is allocated on top of what was when the meter was made.
#[derive(Debug)]
pub struct Meter {
    /// Bytes that were allocated, and that were freed. With 32 bits they wrap, their difference does not.
    counts: fn() -> [usize; 2],
    base: usize,
    pub peak: usize,
}

impl Meter {
    pub fn new(counts: fn() -> [usize; 2]) -> Self {
        let [allocated, freed] = counts();
        Self { counts, base: allocated.wrapping_sub(freed), peak: 0 }
    }

    pub fn now(&self) -> usize {
        let [allocated, freed] = (self.counts)();
        allocated.wrapping_sub(freed).saturating_sub(self.base)
    }

    /// Runs `call`; everything that it allocates counts into the peak, even what it frees again.
    pub fn during<R>(&mut self, call: impl FnOnce() -> R) -> R {
        let [_, freed] = (self.counts)();
        let result = call();
        let [after, _] = (self.counts)();
        self.peak = self.peak.max(after.wrapping_sub(freed).saturating_sub(self.base));
        result
    }

    /// Hands over a copy of `bytes`, which lies in `scratch`; returns how many bytes of messages came.
    pub fn receive(&mut self, connection: &mut Connection, bytes: &[u8], scratch: &mut [u8]) -> usize {
        let scratch = &mut scratch[..bytes.len()];
        scratch.copy_from_slice(bytes);
        let mut input = Input::new(scratch);
        let mut received = 0;
        while let Some(event) = self.during(|| connection.receive(START, &mut input)) {
            received += match event {
                Event::Message(message) => message.len(),
                Event::Data(data) => data.payload.len(),
                _ => 0,
            };
        }
        received
    }
}

/// Writes all output, without looking at it.
pub fn drain(connection: &mut Connection) {
    while !connection.transmit().is_empty() {
        connection.transmitted(connection.transmit().len());
    }
}

/// Waits until nobody else allocates: the harness does when it starts, in a thread of its own.
pub fn settle(counts: fn() -> [usize; 2]) {
    loop {
        let before = counts();
        std::thread::sleep(core::time::Duration::from_millis(100));
        if counts() == before {
            return;
        }
    }
}

/// Waits until no other test of this program runs, and nobody allocates. All of its tests must be in turn like this.
pub fn alone(counts: fn() -> [usize; 2]) -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    settle(counts);
    turn
}

/// What is held by what `make` makes.
pub fn size_of<T>(counts: fn() -> [usize; 2], make: impl FnOnce() -> T) -> usize {
    let meter = Meter::new(counts);
    let made = make();
    let size = meter.now();
    drop(made);
    size
}

/// What a decompressor holds, for any window.
pub fn inflater(counts: fn() -> [usize; 2]) -> usize {
    size_of(counts, || Inflater::new(WindowBits::MAX))
}

/// What a compressor of the default parameters holds.
pub fn compressor(counts: fn() -> [usize; 2]) -> usize {
    size_of(counts, || Deflater::new(&Params::new()))
}
