//! What connections hold in the driver while their peers take their time over long messages. Counted in bytes requested
//! from the allocator.
#![cfg(all(feature = "driver", not(miri)))]

use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::io::{self, IoSlice};

use sansocket::{Agreed, Config, Delivery, Endpoint, Instant, Message, Role};
use sansocket_driver::{Handler, Incoming, Io, Outcome, Reply, Serve, Timer, WebSocket};
use sansocket_tests::meter::{Meter, alone, assert_at_most};
use sansocket_tests::scripted::{Clock, REQUEST, run, stream};
use sansocket_tests::wire::{self, BINARY, CONTINUATION};

sansocket_tests::count_allocations!();

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A peer that says this much and then nothing. It takes no memory.
struct Peer {
    says: [&'static [u8]; 2],
}

impl Io for Peer {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, block: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(says) = self.says.iter_mut().find(|says| !says.is_empty()) else { return Poll::Pending };
        let n = says.len().min(block.len());
        let (said, rest) = says.split_at(n);
        block[..n].copy_from_slice(said);
        *says = rest;
        Poll::Ready(Ok(n))
    }

    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A clock that stands still.
struct Still;

impl Timer for Still {
    fn now(&self) -> Instant {
        Instant::ORIGIN
    }

    fn poll_at(&mut self, _: &mut Context<'_>, _: Instant) -> Poll<()> {
        Poll::Pending
    }
}

struct Echo;

impl Handler for Echo {
    type Info = ();

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send(message)?)
    }
}

/// A connection that has taken in all that its peer says.
fn connection(says: &'static [u8]) -> Serve<Peer, Still, Echo> {
    let peer = Peer { says: [REQUEST, says] };
    let mut serve = Serve::new(peer, Still, Config::new(), Echo);
    let mut cx = Context::from_waker(Waker::noop());
    // Often enough for all of it: a poll reads 1 MiB at most.
    for _ in 0..4 {
        assert!(Pin::new(&mut serve).poll(&mut cx).is_pending());
    }
    serve
}

#[test]
fn a_connection_holds_twice_what_has_come_of_a_message_at_most_however_long_that_is_to_be() {
    const COUNT: usize = 10;
    let _turn = alone(counts);
    let message: &'static [u8] = wire::frame(Role::Server, BINARY, vec![7; MIB]).leak();
    let idle = {
        let mut meter = Meter::new(counts);
        let open: Vec<_> = (0..COUNT).map(|_| connection(b"")).collect();
        meter.during(|| ());
        assert_eq!(open.len(), COUNT);
        meter.now()
    };
    // One block of each kind and length that the thread keeps.
    let kept = 2 * MIB;
    for warm in [false, true] {
        if warm {
            // Now the thread has a block in which a whole message finds room.
            drop(connection(message));
        }
        for came in [1, 10, 100, 10 * KIB, 40 * KIB, 100 * KIB, 300 * KIB, 700 * KIB, MIB] {
            let meter = Meter::new(counts);
            let open: Vec<_> = (0..COUNT).map(|_| connection(&message[..came])).collect();
            let allowed = COUNT * (2 * came).max(64 * KIB + 64) + idle + kept;
            assert_at_most(allowed, meter.now(), &format!("{came} bytes each of a message of 1 MiB, {warm}"));
            drop(open);
        }
    }
}

#[test]
fn a_connection_whose_message_is_through_holds_nothing_of_it() {
    let _turn = alone(counts);
    let message: &'static [u8] = wire::frame(Role::Server, BINARY, vec![7; MIB]).leak();
    let idle = connection(b"");
    drop(connection(message));
    let meter = Meter::new(counts);
    let again: Vec<_> = (0..20).map(|_| connection(message)).collect();
    let one = meter.now() / again.len();
    assert_at_most(4 * KIB, one, "a connection behind an echo of 1 MiB");
    drop(idle);
}

#[test]
fn what_comes_behind_a_request_waits_in_memory_of_its_own() {
    const COUNT: usize = 20;
    let _turn = alone(counts);
    let held = |behind: usize| {
        let ends: Vec<_> = (0..COUNT)
            .map(|_| {
                let ((end, grip), clock) = (stream(), Clock::new());
                grip.give(REQUEST);
                grip.give(vec![0x81; behind]);
                (end, clock.alarm(), grip)
            })
            .collect();
        let meter = Meter::new(counts);
        let (mut waiting, mut grips) = (Vec::with_capacity(COUNT), Vec::with_capacity(COUNT));
        for (end, alarm, grip) in ends {
            waiting.push(run(Incoming::read(end, alarm, &Config::new())).unwrap());
            grips.push(grip);
        }
        meter.now() / COUNT
    };
    // The thread's own.
    let _ = held(0);
    for behind in [0, 1, 1000, 10 * KIB, 60 * KIB] {
        let allowed = 4 * KIB + 2 * behind.min(8 * KIB);
        assert_at_most(allowed, held(behind), &format!("{behind} bytes behind"));
    }
}

#[test]
fn a_message_that_comes_byte_by_byte_is_not_copied_for_each() {
    let _turn = alone(counts);
    for len in [1000, 8 * KIB, 31 * KIB] {
        let ((end, grip), clock) = (stream(), Clock::new());
        grip.give(REQUEST);
        let mut serve = Serve::new(end, clock.alarm(), Config::new(), Echo);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut serve).poll(&mut cx).is_pending());
        grip.clear();
        let bytes = wire::frame(Role::Server, BINARY, vec![7; len]);
        let mut moved = 0;
        for byte in &bytes {
            grip.give([*byte]);
            let [before, _] = counts();
            assert!(Pin::new(&mut serve).poll(&mut cx).is_pending());
            moved += counts()[0] - before;
        }
        assert!(grip.take().ends_with(&[7; 1000]));
        // Half as much again each time, and what the scripted stream notes of each byte.
        assert_at_most(64 * len + 64 * KIB, moved, &format!("{len} bytes, one by one"));
    }
}

#[test]
fn pieces_that_recv_joins_take_twice_what_has_come_at_most_and_never_more_than_their_message_may_have() {
    const COUNT: usize = 10;
    let _turn = alone(counts);
    // Twice as much again and again comes to a little less than the limit.
    const FIRST: usize = 65_535;
    let first = wire::fragment(Role::Server, BINARY, vec![7; FIRST]);
    let rest = wire::frame(Role::Server, CONTINUATION, vec![7; MIB - FIRST]);
    let [begun, both] = [first.len() - FIRST, first.len() + rest.len() - MIB];
    let stream: &'static [u8] = [first, rest].concat().leak();
    let config = Config::new().delivery(Delivery::Streaming);
    let receiving = |says| {
        let peer = Peer { says: [says, b""] };
        let mut socket = WebSocket::established(peer, Still, Endpoint::Server, &config, Agreed::new(), b"");
        let mut cx = Context::from_waker(Waker::noop());
        // Often enough for all of it: a poll reads 1 MiB at most.
        for _ in 0..4 {
            assert!(socket.poll_recv(&mut cx).is_pending());
        }
        socket
    };
    // The thread keeps a block to read into from now on.
    drop(receiving(&stream[..1]));
    let meter = Meter::new(counts);
    let open: Vec<_> = (0..COUNT).map(|_| receiving(b"")).collect();
    let idle = meter.now();
    drop(open);
    for came in [10, 100, 10 * KIB, FIRST, FIRST + 1, 300 * KIB, 700 * KIB, MIB - 16, MIB - 1] {
        let meter = Meter::new(counts);
        let headers = if came <= FIRST { begun } else { both };
        let open: Vec<_> = (0..COUNT).map(|_| receiving(&stream[..headers + came])).collect();
        let allowed = idle + COUNT * (2 * came).min(MIB);
        assert_at_most(allowed, meter.now(), &format!("{came} bytes each of a message of 1 MiB in pieces"));
        drop(open);
    }
}

/// A server has one for each connection. One allocation has it: a few bytes more are 128 on tokio, which aligns tasks
/// to lines of the cache.
#[cfg(target_pointer_width = "64")]
#[test]
fn a_connection_with_a_handler_has_472_bytes_beside_its_stream_and_timer() {
    assert_eq!(size_of::<Serve<(), (), Echo>>(), 472);
}
