//! Floods: that nothing a peer does without end makes anything grow here without end. Rows T40 to T42 of `THREATS.md`; counted in
//! bytes requested from the allocator.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use core::task::{Context, Poll};
use std::io;
use std::sync::Arc;

use sansocket::{Config, Prepared, Role, SendError, State};
use sansocket_driver::{Io, Serve};
use sansocket_tests::echo::Echo;
use sansocket_tests::meter::{Meter, alone, assert_at_most, drain};
use sansocket_tests::scripted::{Clock, REQUEST, Task};
use sansocket_tests::wire::{self, BINARY, CONTINUATION, PING, PONG, TEXT};
use sansocket_tests::{ROLES, START, open, take_output};

sansocket_tests::count_allocations!();

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What is done with a stream.
#[derive(Default)]
struct Seen {
    /// Bytes that were read.
    read: AtomicUsize,
    /// The writing direction was closed.
    shut: AtomicBool,
}

/// A stream with more to read than anybody should, a request and one frame again and again, and room for so much.
struct Flood {
    frame: Vec<u8>,
    first: Vec<u8>,
    seen: Arc<Seen>,
    room: usize,
}

impl Flood {
    const MOST: usize = 65 << 20;

    /// The byte at this place.
    fn byte(&self, at: usize) -> u8 {
        let first = || self.first.get(at - REQUEST.len()).copied();
        let again = || self.frame[(at - REQUEST.len() - self.first.len()) % self.frame.len()];
        REQUEST.get(at).copied().or_else(first).unwrap_or_else(again)
    }
}

impl Io for Flood {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = self.seen.read.load(Relaxed);
        if read >= Self::MOST {
            return Poll::Pending;
        }
        for (i, byte) in buffer.iter_mut().enumerate() {
            *byte = self.byte(read + i);
        }
        self.seen.read.fetch_add(buffer.len(), Relaxed);
        Poll::Ready(Ok(buffer.len()))
    }

    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let taken = offered.min(self.room);
        self.room -= taken;
        if taken == 0 { Poll::Pending } else { Poll::Ready(Ok(taken)) }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.seen.shut.store(true, Relaxed);
        Poll::Ready(Ok(()))
    }
}

/// What stops a flood.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    /// Nothing: all was read.
    None,
    /// It was read no further.
    Blocked,
    /// The connection was closed, and what came behind that was thrown away.
    Closed,
}

/// What the naive handler does under a flood by default, and how much memory its connection comes to hold.
fn flood(first: Vec<u8>, frame: Vec<u8>) -> (usize, Stop) {
    let seen = Arc::<Seen>::default();
    let (ends, _told) = tokio::sync::mpsc::unbounded_channel();
    let stream = Flood { first, frame, seen: Arc::clone(&seen), room: 100 * KIB };
    let mut meter = Meter::new(counts);
    let mut task = Task::new(Serve::new(stream, Clock::new().alarm(), Config::new(), Echo(ends)));
    loop {
        assert!(task.poll().is_pending(), "the peer is still there");
        meter.peak = meter.peak.max(meter.now());
        if !task.is_woken() {
            let all = seen.read.load(Relaxed) >= Flood::MOST;
            let stop = match (seen.shut.load(Relaxed), all) {
                (true, _) => Stop::Closed,
                (false, false) => Stop::Blocked,
                (false, true) => Stop::None,
            };
            return (meter.peak, stop);
        }
    }
}

#[test]
fn law_of_floods_the_naive_echo_grows_by_no_more_than_300_kilobytes() {
    let _turn = alone(counts);
    let ping = wire::frame(Role::Server, PING, [7; 125]);
    let begin = wire::fragment(Role::Server, TEXT, "x");
    let fragment = |payload| wire::fragment(Role::Server, CONTINUATION, payload);
    let message = |len| wire::frame(Role::Server, BINARY, vec![7; len]);
    for (what, first, frame, expected) in [
        // Only the newest of those is answered that come while answers wait: they may go on.
        ("Pings", vec![], ping, Stop::None),
        ("fragments of 1 byte", begin.clone(), fragment("x"), Stop::Closed),
        ("empty fragments", begin, fragment(""), Stop::Closed),
        ("messages of 1 KiB", vec![], message(KIB), Stop::Blocked),
        ("messages of 1 byte", vec![], message(1), Stop::Blocked),
        ("empty messages", vec![], message(0), Stop::Blocked),
    ] {
        let (peak, stop) = flood(first, frame);
        assert_at_most(300_000, peak, what);
        assert_eq!(stop, expected, "{what}");
    }
}

#[test]
fn t40_a_million_pings_that_nobody_reads_the_answers_to_hold_128_kib() {
    let _turn = alone(counts);
    for role in ROLES {
        // With a key that changes nothing.
        let mut ping = wire::raw(0x80 | PING, (role == Role::Server).then_some([0; 4]), &[0; 125]);
        let payload = ping.len() - 125;
        let mut scratch = [0; 200];
        let mut meter = Meter::new(counts);
        let mut connection = open(role, &Config::new());
        for number in 1..=1_000_000_u64 {
            ping[payload..payload + 8].copy_from_slice(&number.to_be_bytes());
            meter.receive(&mut connection, &ping, &mut scratch);
        }
        assert_at_most(128 * KIB, meter.peak, "a million Pings");
        let pongs = wire::payloads(&take_output(&mut connection), PONG);
        assert_eq!(pongs.last().unwrap()[..8], 1_000_000_u64.to_be_bytes(), "the newest is answered");
        assert!(pongs.len() < 100 && connection.state() == State::Open, "{}", pongs.len());
    }
}

#[test]
fn t41_a_million_pongs_that_nobody_asked_for_hold_nothing_and_measure_nothing() {
    let _turn = alone(counts);
    for role in ROLES {
        let pong = wire::frame(role, PONG, [7; 125]);
        let mut scratch = [0; 200];
        let mut connection = open(role, &Config::new());
        // One that is waited for is none of them.
        connection.probe(START).unwrap();
        drain(&mut connection);
        drop(connection.reclaim_output());
        let mut meter = Meter::new(counts);
        for _ in 0..1_000_000 {
            meter.receive(&mut connection, &pong, &mut scratch);
        }
        assert_eq!((meter.now(), connection.latency(), connection.state()), (0, None, State::Open));
        assert_at_most(KIB, meter.peak, "a million Pongs");
        assert!(connection.transmit().is_empty());
    }
}

#[test]
fn t42_one_of_a_thousand_that_does_not_read_keeps_no_other_waiting() {
    let _turn = alone(counts);
    const LEN: usize = 10_000;
    let mut connections: Vec<_> = (0..1000).map(|_| open(Role::Server, &Config::new())).collect();
    let (mut received, mut refused) = ([0_usize; 1000], 0);
    let mut meter = Meter::new(counts);
    for _ in 0..150 {
        let message = Prepared::binary(vec![7; LEN]);
        for (i, connection) in connections.iter_mut().enumerate() {
            match connection.send_prepared(&message) {
                Ok(()) if i == 500 => {}
                Ok(()) => {
                    received[i] += connection.transmit().len();
                    drain(connection);
                    drop(connection.reclaim_output());
                }
                Err(error) => {
                    assert_eq!((i, error), (500, SendError::Full));
                    refused += 1;
                }
            }
        }
        drop(message);
        meter.peak = meter.peak.max(meter.now());
    }
    received[500] = received[0];
    assert_eq!(received, [150 * (LEN + 4); 1000]);
    assert!(refused > 40, "{refused}");
    assert!(connections[500].buffered() <= MIB + LEN + 4);
    assert_at_most(2 * MIB, meter.peak, "what waits for the one");
}
