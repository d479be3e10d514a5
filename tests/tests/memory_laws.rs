//! How much memory an open connection holds, whatever its peer does: counted in bytes requested from the allocator.
//!
//! One test, so that nothing else allocates meanwhile; it goes through all laws and names all that are broken.

use sansocket::{Config, Connection, Delivery, Event, Input, Kind, Message, Prepared, Role, State};
use sansocket_tests::meter::{Broken, Meter, settle};
use sansocket_tests::{START, open, wire};

sansocket_tests::count_allocations!();

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const STREAMING: Config = Config::new().delivery(Delivery::Streaming);

/// Hands over a copy of `bytes`, which lies in `scratch`; returns how many messages came and how much input was left.
fn receive(
    meter: &mut Meter,
    connection: &mut Connection,
    bytes: &[u8],
    scratch: &mut [u8],
) -> (usize, usize) {
    let scratch = &mut scratch[..bytes.len()];
    scratch.copy_from_slice(bytes);
    let mut input = Input::new(scratch);
    let mut messages = 0;
    while let Some(event) = meter.during(|| connection.receive(START, &mut input)) {
        messages += usize::from(matches!(event, Event::Message(_)));
    }
    (messages, input.remaining())
}

/// The same with every message sent back.
fn echo(
    meter: &mut Meter,
    connection: &mut Connection,
    bytes: &[u8],
    scratch: &mut [u8],
    owned: bool,
) -> usize {
    let scratch = &mut scratch[..bytes.len()];
    scratch.copy_from_slice(bytes);
    let mut input = Input::new(scratch);
    while let Some(event) = meter.during(|| connection.receive(START, &mut input)) {
        let Event::Message(message) = event else { continue };
        meter
            .during(|| match owned {
                true => connection.send(message),
                false => connection.send(message.borrow()),
            })
            .unwrap();
    }
    input.remaining()
}

fn server(config: &Config) -> Connection {
    open(Role::Server, config)
}

/// Writes all output in steps, without looking at it.
fn drain(connection: &mut Connection, step: usize) {
    while !connection.transmit().is_empty() {
        let n = connection.transmit().len().min(step);
        connection.transmitted(n);
    }
}

#[test]
fn the_memory_laws_hold() {
    settle(counts);
    let broken = &mut Broken::default();
    assert!(size_of::<Connection>() <= 384, "a Connection has {} bytes", size_of::<Connection>());
    a_declared_length_reserves_nothing(broken);
    memory_follows_what_has_come(broken);
    fragments_cost_their_bytes(broken);
    a_character_across_frames_does_not_double_the_buffer(broken);
    control_frames_that_nobody_reads_are_bounded(broken);
    echo_that_nobody_reads_blocks(broken);
    small_echo_behind_fragments_that_wait_is_bounded(broken);
    an_idle_connection_holds_nothing(broken);
    of_output_what_waits_is_kept_when_memory_is_released(broken);
    a_block_that_is_never_empty_stays_small(broken);
    big_payloads_are_held_once(broken);
    memory_that_is_lent_goes_round(broken);
    memory_that_is_lent_is_not_wasted(broken);
    a_failed_connection_gives_its_message_up(broken);
    assert!(broken.0.is_empty(), "broken laws:\n{}", broken.0.join("\n"));
}

fn a_declared_length_reserves_nothing(broken: &mut Broken) {
    for opcode in [wire::TEXT, wire::BINARY] {
        for first in [opcode, 0x80 | opcode] {
            let frame = wire::raw(first, Some(wire::KEY), &vec![b'x'; MIB]);
            let mut scratch = [0; 100];
            let mut meter = Meter::new(counts);
            let mut connection = server(&Config::new());
            receive(&mut meter, &mut connection, &frame[..14], &mut scratch);
            broken.at_most(0, meter.now(), || "a header that declares 1 MiB".into());
            receive(&mut meter, &mut connection, &frame[14..15], &mut scratch);
            broken.at_most(70 * KIB, meter.peak, || "a header that declares 1 MiB and one byte".into());
        }
    }
}

fn memory_follows_what_has_come(broken: &mut Broken) {
    for opcode in [wire::TEXT, wire::BINARY] {
        for (read, fragment) in [(1, MIB), (1000, MIB), (60_000, MIB), (300, 300), (5000, 1000), (64, 64)] {
            let payload = vec![b'x'; MIB];
            let mut stream = Vec::with_capacity(2 * MIB);
            for (i, part) in payload.chunks(fragment).enumerate() {
                let opcode = if i == 0 { opcode } else { 0 };
                let fin = if (i + 1) * fragment >= MIB { 0x80 } else { 0 };
                stream.extend(wire::raw(fin | opcode, Some(wire::KEY), part));
            }
            let mut scratch = vec![0; read];
            let mut meter = Meter::new(counts);
            let mut connection = server(&Config::new().max_fragments(20_000));
            let (mut received, mut messages) = (0, 0);
            for part in stream.chunks(read) {
                received += part.len();
                messages += receive(&mut meter, &mut connection, part, &mut scratch).0;
                let allowed = (2 * received).max(64 * KIB) + KIB;
                if meter.now() > allowed {
                    broken.at_most(allowed, meter.now(), || {
                        format!("{received} bytes in {read} of {fragment}")
                    });
                    break;
                }
            }
            assert_eq!(messages, 1);
            let left = meter.now();
            broken.at_most(MIB + 64 * KIB, meter.peak, || format!("1 MiB in {read} of {fragment}"));
            broken.at_most(0, left, || format!("behind 1 MiB in {read} of {fragment}"));
        }
    }
}

fn fragments_cost_their_bytes(broken: &mut Broken) {
    for config in [Config::new(), STREAMING] {
        for (first, payload) in [(wire::TEXT, &b"x"[..]), (wire::BINARY, b"x"), (wire::BINARY, b"")] {
            let begin = wire::raw(first, Some(wire::KEY), payload);
            let next = wire::raw(0, Some(wire::KEY), payload);
            let mut scratch = [0; 100];
            let mut meter = Meter::new(counts);
            let mut connection = server(&config);
            receive(&mut meter, &mut connection, &begin, &mut scratch);
            for i in 2..=1_000_000 {
                assert_eq!(connection.state(), if i <= 16_385 { State::Open } else { State::Closing });
                assert_eq!(receive(&mut meter, &mut connection, &next, &mut scratch), (0, 0));
            }
            broken.at_most(70 * KIB, meter.peak, || "a million fragments of one byte".into());
            broken.at_most(KIB, meter.now(), || "behind a million fragments of one byte".into());
        }
    }
}

fn a_character_across_frames_does_not_double_the_buffer(broken: &mut Broken) {
    // A first frame that fills its reservation but for an unfinished character, and then the rest of that, alone.
    let mut text = vec![b'x'; 700 * KIB - 3];
    text.extend(b"\xF0\x9F\x98");
    let begin = wire::raw(wire::TEXT, Some(wire::KEY), &text);
    let end = wire::raw(0x80, Some(wire::KEY), b"\x80");
    for read in [50 * KIB, 100 * KIB, 300 * KIB] {
        let mut scratch = vec![0; read];
        let mut meter = Meter::new(counts);
        let mut connection = server(&Config::new());
        for part in begin.chunks(read) {
            receive(&mut meter, &mut connection, part, &mut scratch);
        }
        assert_eq!(receive(&mut meter, &mut connection, &end, &mut scratch).0, 1);
        broken.at_most(MIB + 64 * KIB, meter.peak, || format!("a character across frames, read in {read}"));
    }
}

fn control_frames_that_nobody_reads_are_bounded(broken: &mut Broken) {
    for (opcode, name) in [(wire::PING, "pings"), (wire::PONG, "pongs")] {
        let frame = wire::raw(0x80 | opcode, Some(wire::KEY), &[7; 125]);
        let mut scratch = [0; 200];
        let mut meter = Meter::new(counts);
        let mut connection = server(&Config::new());
        for _ in 0..1000 {
            assert_eq!(receive(&mut meter, &mut connection, &frame, &mut scratch), (0, 0));
        }
        let early = meter.now();
        for _ in 1000..1_000_000 {
            assert_eq!(receive(&mut meter, &mut connection, &frame, &mut scratch), (0, 0));
        }
        let late = meter.now();
        broken.at_most(128 * KIB, meter.peak, || format!("a million {name}"));
        broken.at_most(early, late, || format!("a million {name} after a thousand"));
        assert_eq!(connection.state(), State::Open);
    }
}

fn echo_that_nobody_reads_blocks(broken: &mut Broken) {
    for (len, owned) in [(0, false), (1, false), (1000, false), (1000, true), (30_000, false), (30_000, true)]
    {
        let frame = wire::raw(0x82, Some(wire::KEY), &vec![7; len]);
        let mut scratch = vec![0; frame.len()];
        let mut meter = Meter::new(counts);
        let mut connection = server(&Config::new());
        let mut taken = 0;
        while echo(&mut meter, &mut connection, &frame, &mut scratch, owned) == 0 {
            taken += 1;
            assert!(taken < 100_000, "it never blocks");
        }
        assert!(!connection.wants_read());
        for _ in 0..1000 {
            assert_eq!(echo(&mut meter, &mut connection, &frame, &mut scratch, owned), frame.len());
        }
        broken.at_most(300_000, meter.peak, || format!("unread echo of {len} bytes"));
    }
}

/// Not by default: only where `auto_fragment` is on does anything wait but in the block.
fn small_echo_behind_fragments_that_wait_is_bounded(broken: &mut Broken) {
    for len in [0, 1, 10] {
        let big = wire::raw(0x82, Some(wire::KEY), &vec![7; 40_000]);
        let small = wire::raw(0x82, Some(wire::KEY), &vec![7; len]);
        let mut scratch = vec![0; big.len()];
        let mut meter = Meter::new(counts);
        let mut connection = server(&Config::new().auto_fragment(Some(1000)));
        assert_eq!(echo(&mut meter, &mut connection, &big, &mut scratch, false), 0);
        let mut taken = 0;
        while taken < 200_000 && echo(&mut meter, &mut connection, &small, &mut scratch, false) == 0 {
            taken += 1;
        }
        let law = format!("unread echo of {taken} messages of {len} bytes behind fragments that wait");
        broken.at_most(300_000, meter.peak, || law.clone());
    }
}

fn an_idle_connection_holds_nothing(broken: &mut Broken) {
    let bytes = vec![b'x'; 64 * KIB];
    let one = |opcode| wire::raw(0x80 | opcode, Some(wire::KEY), &bytes);
    let two = [
        wire::raw(wire::TEXT, Some(wire::KEY), &bytes[..100]),
        wire::raw(0x80 | wire::PING, Some(wire::KEY), &[1; 125]),
        wire::raw(0x80, Some(wire::KEY), &bytes[100..]),
    ]
    .concat();
    for (stream, name) in [(one(wire::TEXT), "text"), (one(wire::BINARY), "binary"), (two, "fragments")] {
        for read in [stream.len(), 16 * KIB, 100] {
            for owned in [false, true] {
                for fragment in [None, Some(1000), Some(20_000)] {
                    let config = Config::new().auto_fragment(fragment);
                    let mut scratch = vec![0; read];
                    let mut meter = Meter::new(counts);
                    let mut connection = server(&config);
                    for _ in 0..2 {
                        for part in stream.chunks(read) {
                            assert_eq!(echo(&mut meter, &mut connection, part, &mut scratch, owned), 0);
                        }
                        assert!(connection.buffered() >= 64 * KIB);
                        drain(&mut connection, 1500);
                    }
                    drop(connection.reclaim_output());
                    let reclaimed = meter.now();
                    connection.send("more").unwrap();
                    drain(&mut connection, 1);
                    connection.release_memory();
                    let released = meter.now();
                    // Names are made when everything is measured: they take memory too.
                    let case =
                        format!("echo of {name} in reads of {read}, owned {owned}, fragments {fragment:?}");
                    broken.at_most(0, reclaimed, || format!("reclaimed after {case}"));
                    broken.at_most(0, released, || format!("released after {case}"));
                }
            }
        }
    }
}

fn of_output_what_waits_is_kept_when_memory_is_released(broken: &mut Broken) {
    let message = vec![b'x'; 1000];
    for left in [1, 100, 1000] {
        let mut meter = Meter::new(counts);
        let mut connection = server(&Config::new());
        for _ in 0..50 {
            meter.during(|| connection.send(&message[..])).unwrap();
        }
        connection.transmitted(connection.transmit().len() - left);
        connection.release_memory();
        let released = meter.now();
        broken.at_most(left, released, || format!("released, {left} bytes wait"));
    }
}

fn a_block_that_is_never_empty_stays_small(broken: &mut Broken) {
    let prepared = Prepared::binary(vec![7; 20_000]);
    let payload = vec![7; 20_000];
    for role in [Role::Server, Role::Client] {
        for (how, len) in [("borrowed", 20_000), ("borrowed", 1000), ("owned", 20_000), ("shared", 20_000)] {
            let mut meter = Meter::new(counts);
            let mut connection = open(role, &Config::new());
            for _ in 0..2000 {
                let message = match how {
                    "owned" => Message::from(payload[..len].to_vec()),
                    _ => Message::from(&payload[..len]),
                };
                meter
                    .during(|| match how {
                        "shared" => connection.send_prepared(&prepared),
                        _ => connection.send(message),
                    })
                    .unwrap();
                // One byte always stays.
                connection.transmitted(connection.transmit().len() - 1);
            }
            broken.at_most(300_000, meter.peak, || format!("{role:?} sends {how} {len}, never all written"));
        }
    }
}

fn big_payloads_are_held_once(broken: &mut Broken) {
    for role in [Role::Server, Role::Client] {
        let mut connection = open(role, &Config::new());
        connection.send("the block is there").unwrap();
        let payload = vec![7; MIB];
        let mut meter = Meter::new(counts);
        meter.during(|| connection.send(payload)).unwrap();
        broken
            .at_most(KIB, meter.now(), || format!("{role:?}: an owned payload of 1 MiB that is not copied"));
    }
    let prepared = Prepared::binary(vec![7; 64 * KIB]);
    let mut connections: Vec<_> = (0..100).map(|_| server(&Config::new())).collect();
    let mut meter = Meter::new(counts);
    for connection in &mut connections {
        meter.during(|| connection.send_prepared(&prepared)).unwrap();
    }
    broken.at_most(100 * KIB, meter.now(), || "a prepared message of 64 KiB on 100 servers".into());
}

/// Long messages that are passed on: what one was put together in is the next one's.
fn memory_that_is_lent_goes_round(broken: &mut Broken) {
    for (opcode, read) in [(wire::BINARY, 64 * KIB), (wire::TEXT, 64 * KIB), (wire::BINARY, 1000)] {
        let mut connection = server(&Config::new());
        let message = wire::frame(Role::Server, opcode, vec![b'x'; MIB]);
        let (mut memory, mut scratch) = (Vec::new(), vec![0; read]);
        let mut echo = || {
            let [before, _] = counts();
            let mut messages = 0;
            for part in message.chunks(read) {
                let scratch = &mut scratch[..part.len()];
                scratch.copy_from_slice(part);
                let mut lender = |_| core::mem::take(&mut memory);
                let mut input = Input::new(scratch).with_memory(&mut lender);
                while let Some(Event::Message(message)) = connection.receive(START, &mut input) {
                    connection.send(message).unwrap();
                    messages += 1;
                }
            }
            let sent = connection.transmit().to_vec();
            assert!(sent[10..].iter().all(|byte| *byte == b'x') && sent.len() == 10 + MIB && messages == 1);
            let own = sent.capacity();
            drop(sent);
            for step in [5, MIB / 2, usize::MAX] {
                connection.transmitted_with(step, &mut memory);
            }
            counts()[0].wrapping_sub(before) - own
        };
        let first = echo();
        assert!(first >= MIB);
        for _ in 0..3 {
            let again = echo().min(first);
            broken.at_most(2 * KIB, again, || {
                format!("opcode {opcode}, reads of {read}: 1 MiB in lent memory")
            });
        }
    }
}

/// An application that keeps a message does not keep much more than that.
fn memory_that_is_lent_is_not_wasted(broken: &mut Broken) {
    for len in [21 * KIB, 65 * KIB, 200 * KIB] {
        let mut connection = server(&Config::new());
        let mut frame = wire::frame(Role::Server, wire::BINARY, vec![7; len]);
        let (first, rest) = frame.split_at_mut(20 * KIB);
        let mut lender = |_| Vec::with_capacity(MIB);
        assert!(connection.receive(START, &mut Input::new(first).with_memory(&mut lender)).is_none());
        let event = connection.receive(START, &mut Input::new(rest).with_memory(&mut lender));
        let Some(Event::Message(Message::Binary(bytes))) = event else { panic!("{event:?}") };
        let bytes = bytes.into_owned();
        broken.at_most(4 * len, bytes.capacity(), || format!("a message of {len} with 1 MiB lent"));
    }
}

fn a_failed_connection_gives_its_message_up(broken: &mut Broken) {
    let begin = wire::raw(wire::TEXT, Some(wire::KEY), &vec![b'x'; 500 * KIB]);
    let mut scratch = vec![0; begin.len()];
    let mut meter = Meter::new(counts);
    let mut connection = server(&Config::new());
    connection.begin(Kind::Text).unwrap();
    receive(&mut meter, &mut connection, &begin, &mut scratch);
    broken.at_most(MIB + 64 * KIB, meter.peak, || "a fragment of 500 KiB".into());
    receive(&mut meter, &mut connection, &[0x83], &mut scratch);
    broken.at_most(KIB, meter.now(), || "a failed connection".into());
    drain(&mut connection, 1);
    connection.receive_eof();
    drop(connection.reclaim_output());
    assert_eq!(connection.state(), State::Closed);
    broken.at_most(KIB, meter.now(), || "a closed connection: its verdict".into());
    drop(connection);
    broken.at_most(0, meter.now(), || "no connection".into());
}
