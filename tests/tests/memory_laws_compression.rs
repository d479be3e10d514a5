//! How much memory a connection that compresses holds, whatever its peer does: counted in bytes requested from the
//! allocator, which both backends take theirs from. What it keeps when nothing goes on is in `compression_memory.rs`.
//!
//! One test, so that nothing else allocates meanwhile; it goes through all laws and names all that are broken.

use sansocket::{
    Accept, Compression, Config, Connection, Delivery, Event, Input, Kind, Message, Role, State,
};
use sansocket_tests::compressed::{
    DELIVERIES, PER_FRAME, PER_MESSAGE, RSV1, agreed, anew, bomb, deflate, deflater, frame, frames, next,
};
use sansocket_tests::heads::with;
use sansocket_tests::inflate::{json, noise};
use sansocket_tests::meter::{Broken, Meter, compressor, drain, inflater, settle};
use sansocket_tests::pair::Dice;
use sansocket_tests::{ROLES, START, wire};

sansocket_tests::count_allocations!();

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const ON: Config = Config::new().compression(Some(Compression::new().min_size(0)));

/// What a connection that has agreed to compress holds for that.
const AGREED: usize = 512;

#[test]
fn the_memory_laws_of_compression_hold() {
    settle(counts);
    let broken = &mut Broken::default();
    broken.at_most(64 * KIB, inflater(counts), || "an inflater".into());
    broken.at_most(384 * KIB, compressor(counts), || "a compressor".into());
    an_agreement_costs_next_to_nothing_until_there_is_something_to_inflate(broken);
    a_bomb_costs_the_limit(broken);
    memory_follows_what_has_come_and_not_what_it_may_come_to(broken);
    what_is_streamed_is_not_kept(broken);
    what_inflates_to_nothing_costs_nothing(broken);
    an_echo_that_nobody_reads_blocks(broken);
    finding_out_how_fragments_are_read_costs_one_more_inflater(broken);
    assert!(broken.0.is_empty(), "broken laws:\n{}", broken.0.join("\n"));
}

fn an_agreement_costs_next_to_nothing_until_there_is_something_to_inflate(broken: &mut Broken) {
    let mut scratch = vec![0; 200 * KIB];
    let noise = noise(&mut Dice::new(1), 100 * KIB);
    for role in ROLES {
        for agreement in [PER_MESSAGE, anew(PER_MESSAGE), PER_FRAME] {
            let stream = [
                wire::frame(role, wire::BINARY, &noise),
                wire::frame(role, wire::PING, [1; 125]),
                wire::frame(role, RSV1 | wire::TEXT, "")[..1].to_vec(),
            ]
            .concat();
            let mut meter = Meter::new(counts);
            let mut connection = meter.during(|| agreed(role, &ON, agreement));
            // A client has its keys.
            let keys = if role == Role::Client { 512 } else { 0 };
            broken.at_most(AGREED + keys, meter.now(), || format!("{:?} of a {role:?}", agreement.extension));
            meter.receive(&mut connection, &stream, &mut scratch);
            connection.send_plain(&noise).unwrap();
            connection.ping(&[1; 125]).unwrap();
            drain(&mut connection);
            drop(connection.reclaim_output());
            broken.at_most(AGREED + keys, meter.now(), || {
                format!("{:?} of a {role:?}, unused", agreement.extension)
            });
            assert_eq!(connection.state(), State::Open);
        }
    }
    // Nor do many offers.
    let offers = "permessage-deflate; server_max_window_bits=15; client_max_window_bits=15, ".repeat(32);
    let request = with(&format!("Sec-WebSocket-Extensions: {}", &offers[..offers.len() - 2]));
    let mut meter = Meter::new(counts);
    let mut server = meter.during(|| Connection::server(&ON, START));
    meter.receive(&mut server, request.as_bytes(), &mut scratch);
    meter.during(|| server.accept(START, Accept::new())).unwrap();
    assert!(server.agreed().unwrap().compression().is_some());
    broken.at_most(20 * KIB, meter.peak, || "a request with 32 offers".into());
    drain(&mut server);
    drop(server.reclaim_output());
    broken.at_most(AGREED, meter.now(), || "a server that has agreed to one of 32 offers".into());
}

fn a_bomb_costs_the_limit(broken: &mut Broken) {
    let (bomb, inflater) = (bomb(), inflater(counts));
    for role in ROLES {
        for (delivery, kind) in [
            (Delivery::Whole, Kind::Text),
            (Delivery::Whole, Kind::Binary),
            (Delivery::Streaming, Kind::Text),
        ] {
            for agreement in [PER_MESSAGE, PER_FRAME] {
                for (parts, read) in [(1, usize::MAX), (1, 4096), (1, 1), (2, usize::MAX), (1000, usize::MAX)]
                {
                    let parts: Vec<_> = bomb.chunks(bomb.len().div_ceil(parts)).collect();
                    let stream = frames(role, kind, &parts).concat();
                    let mut scratch = vec![0; stream.len()];
                    let mut meter = Meter::new(counts);
                    let mut connection = agreed(role, &ON.delivery(delivery), agreement);
                    let mut handed = 0;
                    for chunk in stream.chunks(read.min(stream.len())) {
                        handed += meter.receive(&mut connection, chunk, &mut scratch);
                        if connection.state() != State::Open {
                            break;
                        }
                    }
                    let kept = if delivery == Delivery::Whole { MIB } else { 64 * KIB };
                    assert_eq!(handed, if delivery == Delivery::Whole { 0 } else { MIB });
                    let law = || {
                        format!("a bomb in {} frames, {read} at a time: {role:?} {delivery:?}", parts.len())
                    };
                    broken.at_most(kept + 64 * KIB + inflater, meter.peak, law);
                    let close = connection.transmit().to_vec();
                    assert_eq!(wire::parse(&close)[0].payload, wire::close_payload(1009));
                }
            }
        }
    }
}

fn memory_follows_what_has_come_and_not_what_it_may_come_to(broken: &mut Broken) {
    let inflater = inflater(counts);
    let text = json(&mut Dice::new(1), MIB);
    for kind in [Kind::Text, Kind::Binary] {
        for fragment in [usize::MAX, 1000] {
            let payload = deflate(&text);
            let parts: Vec<_> = payload.chunks(fragment.min(payload.len())).collect();
            let stream = frames(Role::Server, kind, &parts).concat();
            let mut scratch = vec![0; 1000];
            let mut meter = Meter::new(counts);
            let mut connection = agreed(Role::Server, &ON.max_message(u64::MAX), PER_MESSAGE);
            let (mut wire, mut received) = (0, 0);
            for chunk in stream.chunks(1000) {
                wire += chunk.len();
                received += meter.receive(&mut connection, chunk, &mut scratch);
                // It inflates to ten times as much at most.
                let allowed = 2 * 10 * wire + inflater + 64 * KIB;
                broken.at_most(allowed, meter.now(), || format!("{wire} bytes of {kind:?} in {fragment}"));
            }
            assert_eq!(received, MIB);
            broken.at_most(2 * MIB + inflater + 64 * KIB, meter.peak, || format!("1 MiB of {kind:?}"));
            broken.at_most(AGREED + inflater, meter.now(), || format!("behind 1 MiB of {kind:?}"));
        }
    }
}

fn what_is_streamed_is_not_kept(broken: &mut Broken) {
    let inflater = inflater(counts);
    let bomb = bomb();
    for kind in [Kind::Text, Kind::Binary] {
        let payload = &bomb[..bomb.len() / 32];
        let stream = frame(Role::Server, kind, payload);
        let mut scratch = vec![0; stream.len()];
        let mut meter = Meter::new(counts);
        let config = ON.max_message(u64::MAX).delivery(Delivery::Streaming);
        let mut connection = agreed(Role::Server, &config, PER_MESSAGE);
        assert_eq!(meter.receive(&mut connection, &stream, &mut scratch), 32 * MIB);
        broken.at_most(128 * KIB + inflater, meter.peak, || format!("32 MiB of {kind:?}, streamed"));
        broken.at_most(AGREED + inflater, meter.now(), || format!("behind 32 MiB of {kind:?}, streamed"));
    }
}

fn what_inflates_to_nothing_costs_nothing(broken: &mut Broken) {
    let inflater = inflater(counts);
    let nothing = b"\x00\x00\x00\xFF\xFF".repeat(MIB / 5);
    for delivery in DELIVERIES {
        for fragment in [MIB, 100] {
            let parts: Vec<_> = nothing.chunks(fragment).collect();
            let stream = frames(Role::Server, Kind::Text, &parts).concat();
            let mut scratch = vec![0; stream.len()];
            let mut meter = Meter::new(counts);
            let mut connection = agreed(Role::Server, &ON.delivery(delivery), PER_MESSAGE);
            assert_eq!(meter.receive(&mut connection, &stream, &mut scratch), 0);
            assert_eq!(connection.state(), State::Open);
            broken.at_most(KIB + inflater, meter.peak, || {
                format!("1 MiB that inflates to nothing in {fragment}")
            });
        }
    }
}

fn an_echo_that_nobody_reads_blocks(broken: &mut Broken) {
    let (inflater, compressor) = (inflater(counts), compressor(counts));
    let zeros = deflate(vec![0; MIB - 10]);
    let noise = deflate(noise(&mut Dice::new(1), 30 * KIB));
    for payload in [&zeros, &noise, &deflate("x")] {
        for (delivery, is_plain) in
            [(Delivery::Whole, false), (Delivery::Whole, true), (Delivery::Streaming, true)]
        {
            let stream = frame(Role::Server, Kind::Binary, payload);
            let mut scratch = vec![0; stream.len()];
            let mut meter = Meter::new(counts);
            let mut connection = agreed(Role::Server, &ON.delivery(delivery), anew(PER_MESSAGE));
            let mut taken = 0;
            loop {
                scratch.copy_from_slice(&stream);
                let mut input = Input::new(&mut scratch);
                while let Some(event) = meter.during(|| connection.receive(START, &mut input)) {
                    let message = match event {
                        Event::Message(message) => message,
                        Event::Data(data) => Message::Binary(data.payload),
                        other => panic!("{other:?}"),
                    };
                    match is_plain {
                        true => meter.during(|| connection.send_plain(message)),
                        false => meter.during(|| connection.send(message)),
                    }
                    .unwrap();
                }
                if !input.is_empty() {
                    break;
                }
                taken += 1;
                assert!(taken < 100_000, "it never blocks");
            }
            assert!(!connection.wants_read());
            // The message, and what it is compressed to, take their room for a moment.
            let message = if delivery == Delivery::Whole { MIB + MIB / 2 } else { 64 * KIB };
            let law = || format!("unread echo of {} bytes {delivery:?}, plain {is_plain}", payload.len());
            broken.at_most(message + 300 * KIB + inflater + compressor, meter.peak, law);
        }
    }
}

fn finding_out_how_fragments_are_read_costs_one_more_inflater(broken: &mut Broken) {
    let text = json(&mut Dice::new(1), 100 * KIB);
    for delivery in DELIVERIES {
        let mut deflater = deflater();
        let parts: Vec<_> = text.chunks(10 * KIB).map(|part| next(&mut deflater, part)).collect();
        let last = parts.len() - 1;
        let stream: Vec<u8> = parts
            .iter()
            .enumerate()
            .flat_map(|(i, part)| {
                let first = RSV1 | if i == 0 { wire::TEXT } else { wire::CONTINUATION };
                let fin = if i == last { 0x80 } else { 0 };
                wire::raw(fin | first, Some(wire::KEY), part)
            })
            .collect();
        let mut scratch = vec![0; 100];
        let mut meter = Meter::new(counts);
        let mut connection = agreed(Role::Server, &ON.delivery(delivery), PER_FRAME);
        let mut received = 0;
        for chunk in stream.chunks(100) {
            received += meter.receive(&mut connection, chunk, &mut scratch);
        }
        assert_eq!(received, 100 * KIB);
        let message = if delivery == Delivery::Whole { 2 * 100 * KIB } else { 64 * KIB };
        let law = || format!("a message in frames that are compressed: {delivery:?}");
        broken.at_most(2 * 64 * KIB + message, meter.peak, law);
        broken.at_most(AGREED + 64 * KIB, meter.now(), || "behind it".into());
    }
}
