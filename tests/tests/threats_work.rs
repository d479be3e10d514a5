//! Attacks on the processor: law C, that work is in proportion to the bytes that come, and the rows T1, T3, T20, T21 and T34 of
//! `THREATS.md` that are about it.
//!
//! Time is not asserted. What is counted: how often a byte is handed over, calls, and what is asked of the allocator. To look
//! at bytes again that were taken asks nothing of anybody; that shows at 4 MiB byte by byte, as the square of that has no end.
#![cfg(not(miri))]

use std::alloc::System;

use sansocket::deflate::Inflater;
use sansocket::extension::WindowBits;
use sansocket::{Config, Connection, Delivery, Event, Kind, Message, Role, State};
use sansocket_tests::compressed::{self, DELIVERIES};
use sansocket_tests::heads::{GOOD, with};
use sansocket_tests::hostile::During;
use sansocket_tests::hostile::streams::{EMPTY_BLOCKS_OF_FIXED_CODES, On, STREAMS, Stream};
use sansocket_tests::inflate::HELLO;
use sansocket_tests::meter::alone;
use sansocket_tests::wire::{self, BINARY, CONTINUATION, TEXT};
use sansocket_tests::work::Work;
use sansocket_tests::{ROLES, START, open, receive};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Nothing ends it before the bytes do.
const NO_LIMITS: Config =
    Config::new().max_head(usize::MAX).max_headers(usize::MAX).max_message(u64::MAX).max_fragments(u32::MAX);

/// How often memory was asked for, or to grow, and how much.
fn counts() -> [usize; 2] {
    let stats = ALLOCATOR.stats();
    [stats.allocations + stats.reallocations, stats.bytes_allocated]
}

/// What holds for this stream in each role and delivery, in reads of several sizes.
fn assert_linear(stream: &Stream, least: usize) {
    let deliveries = if stream.on == On::Opening { &DELIVERIES[..1] } else { &DELIVERIES };
    for (role, delivery) in pairs(stream.receivers(), deliveries) {
        for read in [1, 1000] {
            let _during = During::new(&format!("{role:?}, {delivery:?}, {read} at a time"), stream.name);
            let work = |len| {
                let bytes = (stream.make)(role, len);
                assert!((len / 2..6 * len).contains(&bytes.len()), "{} is not about {len}", bytes.len());
                let mut connection = stream.connection(role, &NO_LIMITS, delivery);
                let work = Work::of(counts, &mut connection, &bytes, read);
                assert_taken_once(stream, &work, bytes.len());
                work
            };
            let [one, two, four] = [least, 2 * least, 4 * least].map(work);
            two.assert_at_most_twice(&one, stream.name);
            four.assert_at_most_twice(&two, stream.name);
        }
    }
}

fn pairs<'a, A: Copy, B: Copy>(these: &'a [A], those: &'a [B]) -> impl Iterator<Item = (A, B)> + 'a {
    these.iter().flat_map(move |this| those.iter().map(move |that| (*this, *that)))
}

/// Each byte is handed over once, but for those that wait until output is written, or pieces were taken.
fn assert_taken_once(stream: &Stream, work: &Work, bytes: usize) {
    let again = if stream.on == On::Opening { 0 } else { bytes / 10 };
    assert!((bytes..=bytes + again).contains(&work.offered), "{} for {bytes}", work.offered);
}

#[test]
fn law_c_twice_the_bytes_are_at_most_twice_the_work() {
    let _turn = alone(counts);
    STREAMS.iter().for_each(|stream| assert_linear(stream, 128 * KIB));
}

#[test]
fn law_c_four_mebibytes_byte_by_byte_come_to_an_end() {
    let _turn = alone(counts);
    for stream in STREAMS.iter().filter(|stream| stream.on != On::Compressed) {
        let _during = During::new("byte by byte", stream.name);
        let bytes = (stream.make)(Role::Server, 4 * MIB);
        let mut connection = stream.connection(Role::Server, &NO_LIMITS, Delivery::Whole);
        let work = Work::of(counts, &mut connection, &bytes, 1);
        assert_taken_once(stream, &work, bytes.len());
    }
}

#[test]
fn t1_a_head_of_16_kib_byte_by_byte_is_looked_at_once() {
    let _turn = alone(counts);
    let head = with(&format!("X: {}", "x".repeat(16 * KIB - GOOD.len() - 5)));
    assert_eq!(head.len(), 16 * KIB);
    let mut server = Connection::server(&Config::new(), START);
    let work = Work::of(counts, &mut server, head.as_bytes(), 1);
    assert_eq!((server.state(), work.offered), (State::Open, head.len()));
    // The bytes themselves in steps that double, where the fields are, the response.
    assert!(work.allocations <= 32 && work.allocated <= 48 * KIB, "{work:?}");
}

#[test]
fn t3_lists_that_a_regular_expression_would_choke_on_take_linear_work() {
    let _turn = alone(counts);
    let names = ["spaces in an extension", "a quote that is not closed", "spaces in a subprotocol"];
    for name in names {
        let stream = STREAMS.iter().find(|stream| stream.name == name).expect("a stream of this name");
        // The square of this has no end.
        assert_linear(stream, MIB);
    }
}

/// A mebibyte, in one frame or in fragments of so many bytes.
fn a_mebibyte(role: Role, opcode: u8, fragment: usize) -> Vec<u8> {
    let payload = vec![b'x'; MIB];
    let parts = payload.chunks(fragment);
    let last = parts.len() - 1;
    let frame = |(i, part)| {
        let opcode = if i == 0 { opcode } else { CONTINUATION };
        if i == last { wire::frame(role, opcode, part) } else { wire::fragment(role, opcode, part) }
    };
    parts.enumerate().flat_map(frame).collect()
}

/// What it takes to receive a mebibyte: its memory in steps that double, and that is all of it.
fn assert_a_mebibyte_is_cheap(fragment: usize, read: usize) {
    for (role, opcode) in ROLES.into_iter().flat_map(|role| [(role, TEXT), (role, BINARY)]) {
        let stream = a_mebibyte(role, opcode, fragment);
        let mut connection = open(role, &Config::new().max_fragments(u32::MAX).stats(true));
        let work = Work::of(counts, &mut connection, &stream, read);
        let received = connection.stats().expect("they were asked for");
        assert_eq!(received.messages_received, 1);
        assert_eq!((work.offered, connection.state()), (stream.len(), State::Open));
        let case = format!("{role:?}, {opcode}, fragments of {fragment} in reads of {read}: {work:?}");
        assert!(work.calls <= stream.len().div_ceil(read) + 2, "{case}");
        // All that was ever asked for, so that there was never more of it.
        assert!(work.allocations <= 32 && work.allocated <= MIB + 64 * KIB, "{case}");
    }
}

#[test]
fn t20_a_frame_of_a_mebibyte_byte_by_byte_takes_its_memory_and_no_more() {
    let _turn = alone(counts);
    assert_a_mebibyte_is_cheap(MIB, 1);
}

#[test]
fn t21_a_mebibyte_in_small_fragments_is_put_together_in_few_steps() {
    let _turn = alone(counts);
    for fragment in [1, 16, 256, 100_000] {
        // Bytes, fragments that are cut, and all at once.
        for read in [1, 7, 1000, 16 * MIB] {
            assert_a_mebibyte_is_cheap(fragment, read);
        }
    }
}

#[test]
fn t34_a_mebibyte_of_empty_blocks_takes_linear_work_and_no_memory() {
    let _turn = alone(counts);
    let blocks = STREAMS.iter().find(|stream| stream.name == "empty blocks").expect("a stream of this name");
    assert_linear(blocks, 256 * KIB);
    assert_linear(&EMPTY_BLOCKS_OF_FIXED_CODES, 8 * KIB);
    let inflater = inflater_size();
    for read in [1, 4096, 2 * MIB] {
        let stream = (blocks.make)(Role::Server, MIB);
        let mut connection = blocks.connection(Role::Server, &Config::new(), Delivery::Whole);
        let work = Work::of(counts, &mut connection, &stream, read);
        assert_eq!((work.offered, connection.state()), (stream.len(), State::Open));
        assert!(work.allocated <= inflater + KIB && work.allocations <= 8, "{work:?}");
        let (events, _) =
            receive(&mut connection, START, &compressed::frame(Role::Server, Kind::Text, HELLO));
        assert_eq!(events, [Event::Message(Message::text("Hello"))], "the next message");
    }
}

/// What a decompressor asks for.
fn inflater_size() -> usize {
    let before = counts();
    drop(Inflater::new(WindowBits::MAX));
    counts()[1] - before[1]
}
