//! Attacks on memory: law M, and the rows T4, T15, T17, T19, T31 and T37 of `THREATS.md` that are about it. Counted in bytes requested from the allocator; a reallocation counts as its difference.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::time::Duration;
use std::io::Write;

use sansocket::deflate::Pool;
use sansocket::{Accept, Compression, Config, Connection, Delivery, Event, Input, Kind, Role, State};
use sansocket_driver::Server;
use sansocket_tests::compressed::{self, DELIVERIES, PER_MESSAGE, agreed, anew, bomb, deflate, frames};
use sansocket_tests::echo::Echo;
use sansocket_tests::heads::{Answer, GOOD, with};
use sansocket_tests::hostile::During;
use sansocket_tests::hostile::streams::{On, STREAMS};
use sansocket_tests::inflate::{json, noise};
use sansocket_tests::meter::{Meter, alone, assert_at_most, drain, inflater};
use sansocket_tests::pair::Dice;
use sansocket_tests::runtimes::{self, Tokio, listen, pairs_of_sockets, spawn, yield_now};
use sansocket_tests::wire::{self, BINARY, CONTINUATION, TEXT};
use sansocket_tests::{ROLES, START, open, take_output};

sansocket_tests::count_allocations!();

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const ON: Config = Config::new().compression(Some(Compression::new().min_size(0)));

/// What a connection that has agreed to compress holds for that, and a client for its keys.
const AGREED: usize = 512;
const KEYS: usize = 512;

#[test]
fn law_m_no_stream_takes_more_than_its_message_may_have_and_64_kib() {
    let _turn = alone(counts);
    let inflater = inflater(counts);
    for stream in STREAMS {
        // A head that is too long is refused before it is taken apart, so there is one that just fits, too.
        let lens = if stream.on == On::Opening { &[15 * KIB, 2 * MIB][..] } else { &[2 * MIB] };
        for (role, delivery) in stream.receivers().iter().flat_map(|role| DELIVERIES.map(|it| (*role, it))) {
            for (len, read) in lens.iter().flat_map(|len| [(*len, 7), (*len, 64 * KIB)]) {
                let what = format!("{role:?}, {delivery:?}, {len} bytes, {read} at a time");
                let _during = During::new(&what, stream.name);
                let bytes = (stream.make)(role, len);
                let mut scratch = vec![0; read];
                let mut meter = Meter::new(counts);
                let mut connection = stream.connection(role, &Config::new(), delivery);
                for chunk in bytes.chunks(read) {
                    meter.receive(&mut connection, chunk, &mut scratch);
                    drain(&mut connection);
                    drop(connection.reclaim_output());
                }
                let message = if delivery == Delivery::Whole { MIB } else { 0 };
                let allowed = match stream.on {
                    // 20 KiB for the head, and the places of its fields while it is taken apart.
                    On::Opening => 24 * KIB,
                    On::Open => message + 64 * KIB + KEYS,
                    // Pieces are made of what is inflated, where whole messages take it.
                    On::Compressed => message.max(64 * KIB) + 64 * KIB + KEYS + inflater + AGREED,
                };
                assert_at_most(allowed, meter.peak, stream.name);
            }
        }
    }
}

#[test]
fn law_m_an_idle_connection_holds_nothing_but_its_own_384_bytes() {
    let _turn = alone(counts);
    assert!(size_of::<Connection>() <= 384, "{}", size_of::<Connection>());
    for role in ROLES {
        let stream = wire::frame(role, TEXT, vec![b'x'; 64 * KIB]);
        let mut scratch = vec![0; 10_000];
        let meter = Meter::new(counts);
        let mut connection = open(role, &Config::new());
        let keys = if role == Role::Client { KEYS } else { 0 };
        for _ in 0..3 {
            for chunk in stream.chunks(10_000) {
                scratch[..chunk.len()].copy_from_slice(chunk);
                let mut input = Input::new(&mut scratch[..chunk.len()]);
                while let Some(Event::Message(message)) = connection.receive(START, &mut input) {
                    connection.send(message).unwrap();
                }
            }
            assert!(connection.buffered() > 64 * KIB);
            drain(&mut connection);
            drop(connection.reclaim_output());
            assert_at_most(keys, meter.now(), "idle, once it has echoed 64 KiB");
        }
    }
}

#[test]
fn t4_a_head_that_comes_byte_by_byte_has_10_seconds_and_20_kib() {
    let _turn = alone(counts);
    for (at_once, then) in
        [("", GOOD), (&with(&format!("X: {}", "x".repeat(16 * KIB)))[..16 * KIB - 100], "x")]
    {
        let mut scratch = vec![0; 16 * KIB];
        let mut meter = Meter::new(counts);
        let mut server = meter.during(|| Connection::server(&Config::new(), START));
        meter.receive(&mut server, at_once.as_bytes(), &mut scratch);
        for (second, byte) in (1..10).zip(then.bytes().cycle()) {
            let now = START + Duration::from_secs(second);
            server.handle_timeout(now);
            assert!(meter.during(|| server.receive(now, &mut Input::new(&mut [byte])).is_none()));
            assert_eq!(server.state(), State::Connecting);
        }
        assert_at_most(20 * KIB, meter.peak, "a head that comes slowly");
        server.handle_timeout(START + Duration::from_secs(10));
        assert_eq!(server.state(), State::Closing);
        assert_eq!(Answer::parse(&take_output(&mut server)).status, "HTTP/1.1 408 Request Timeout");
        drop(server.reclaim_output());
        assert_at_most(KIB, meter.now(), "behind it");
    }
}

#[test]
fn t4_5_000_half_open_connections_hold_20_kib_each_and_leave_nothing() {
    let _turn = alone(counts);
    // Nearly as much as may come of a head, and no end.
    let head = &with(&format!("X: {}", "x".repeat(16 * KIB))).into_bytes()[..15_000];
    let config = Config::new().handshake_timeout(Some(Duration::from_secs(60)));
    runtimes::test::<Tokio>(async move {
        let (listener, url) = listen::<Tokio>().await;
        let server = Server::<Tokio>::new(config);
        let handle = server.handle();
        let (ends, _told) = tokio::sync::mpsc::unbounded_channel();
        drop(spawn::<Tokio, _>(server.serve(listener, move |_| Echo(ends.clone()))));
        let address = url.strip_prefix("ws://").and_then(|url| url.strip_suffix("/chat")).expect("its own");
        let connect = || std::net::TcpStream::connect(address).expect("a connection");
        let mut left = Vec::with_capacity(3);
        let before = Meter::new(counts);
        // The first of them leave threads what these keep for the next.
        for many in [200, pairs_of_sockets(5000), pairs_of_sockets(5000)] {
            let mut clients = Vec::with_capacity(many);
            let meter = Meter::new(counts);
            // No more at a time than wait to be accepted: one that finds no room tries again a second later.
            while clients.len() < many {
                clients.extend(core::iter::repeat_with(connect).take(50.min(many - clients.len())));
                wait_until(|| handle.connections() == clients.len()).await;
            }
            let accepted = meter.now();
            clients.iter_mut().for_each(|client| client.write_all(head).expect("a connection"));
            wait_until(|| meter.now() >= accepted + many * head.len()).await;
            if many > 200 {
                assert_at_most(20 * KIB, meter.now() / many, "a half-open connection, task and all");
            }
            drop(clients);
            wait_until(|| handle.connections() == 0).await;
            left.push(before.now());
        }
        assert_at_most(left[1] + 64 * KIB, left[2], "what twice as many leave");
    });
}

async fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        yield_now().await;
    }
}

#[test]
fn t15_offers_allocate_no_codec_before_there_is_something_to_inflate() {
    let _turn = alone(counts);
    let offer = "permessage-deflate; server_max_window_bits=15; client_max_window_bits=15";
    let request = with(&format!("Sec-WebSocket-Extensions: {}", [offer; 32].join(", ")));
    let mut scratch = vec![0; 16 * KIB];
    let plain = wire::frame(Role::Server, BINARY, noise(&mut Dice::new(1), 1000));
    let mut meter = Meter::new(counts);
    let mut server = meter.during(|| Connection::server(&ON, START));
    meter.receive(&mut server, request.as_bytes(), &mut scratch);
    meter.during(|| server.accept(START, Accept::new())).unwrap();
    assert_at_most(20 * KIB, meter.peak, "a request with 32 offers");
    let answer = String::from_utf8(take_output(&mut server)).unwrap();
    assert_eq!(answer.matches("permessage-deflate").count(), 1, "one was accepted");
    drop((server.reclaim_output(), answer));
    assert_at_most(AGREED, meter.now(), "a server that has agreed to one of 32 offers");
    for _ in 0..10 {
        meter.receive(&mut server, &plain, &mut scratch);
        server.send_plain("a").unwrap();
        drain(&mut server);
    }
    drop(server.reclaim_output());
    assert_at_most(AGREED, meter.now(), "the same, when it has talked");
    let compressed = compressed::frame(Role::Server, Kind::Text, deflate("x"));
    let had = meter.now() + compressed.len();
    assert_eq!(meter.receive(&mut server, &compressed, &mut scratch), 1);
    assert!(meter.now() > had + 10 * KIB, "now there is one");
}

#[test]
fn t17_memory_is_not_reserved_by_a_declared_length() {
    let _turn = alone(counts);
    for (role, opcode) in ROLES.into_iter().flat_map(|role| [(role, TEXT), (role, BINARY)]) {
        for fin in [0, 0x80] {
            for before in [0, 1, 100 * KIB] {
                let key = (role == Role::Server).then_some(wire::KEY);
                let first = if before == 0 { opcode } else { CONTINUATION };
                let frame = wire::raw(fin | first, key, &vec![b'x'; MIB - before]);
                let begin = wire::fragment(role, opcode, vec![b'x'; before]);
                let header = frame.len() - (MIB - before);
                let mut scratch = vec![0; begin.len().max(1000)];
                let mut connection = open(role, &Config::new());
                let mut meter = Meter::new(counts);
                let mut received = before;
                if before > 0 {
                    meter.receive(&mut connection, &begin, &mut scratch);
                }
                let had = meter.now();
                meter.receive(&mut connection, &frame[..header], &mut scratch);
                assert_eq!(meter.now(), had, "a header that declares 1 MiB");
                for part in frame[header..].chunks(1000).take(1000) {
                    received += part.len();
                    meter.receive(&mut connection, part, &mut scratch);
                    let allowed = MIB.min((64 * KIB).max(2 * received));
                    assert_at_most(allowed, meter.now(), "of a mebibyte that comes slowly");
                }
            }
        }
    }
}

#[test]
fn t19_a_million_fragments_take_their_bytes_and_end_with_the_16_385th() {
    let _turn = alone(counts);
    for (role, delivery) in ROLES.into_iter().flat_map(|role| DELIVERIES.map(|it| (role, it))) {
        for payload in ["x", ""] {
            let begin = wire::fragment(role, TEXT, payload);
            let next = wire::fragment(role, CONTINUATION, payload);
            let mut scratch = [0; 20];
            let mut connection = open(role, &Config::new().delivery(delivery));
            let mut meter = Meter::new(counts);
            meter.receive(&mut connection, &begin, &mut scratch);
            for fragment in 2..=1_000_000 {
                meter.receive(&mut connection, &next, &mut scratch);
                let goes_on = connection.state() == State::Open;
                assert_eq!(goes_on, fragment <= 16_384, "{fragment} fragments of {payload:?}");
            }
            assert_at_most(64 * KIB, meter.peak, "a million fragments");
            let closes = wire::payloads(&take_output(&mut connection), wire::CLOSE);
            assert_eq!(closes, [wire::close_payload(1008)]);
        }
    }
}

#[test]
fn t31_a_gigabyte_of_zeros_in_a_mebibyte_costs_the_limit_and_64_kib() {
    let _turn = alone(counts);
    let (bomb, inflater) = (bomb(), inflater(counts));
    // The same with blocks that have nothing in them before and between.
    let nested: Vec<u8> = bomb
        .chunks(bomb.len() / 1024)
        .flat_map(|piece| [&b"\0\0\0\xFF\xFF".repeat(20)[..], piece].concat())
        .collect();
    for (role, payload) in ROLES.into_iter().flat_map(|role| [(role, &bomb), (role, &nested)]) {
        for (delivery, kind) in DELIVERIES.into_iter().flat_map(|it| [(it, Kind::Text), (it, Kind::Binary)]) {
            for parts in [1, 2, 1000] {
                let parts: Vec<_> = payload.chunks(payload.len().div_ceil(parts)).collect();
                let stream = frames(role, kind, &parts).concat();
                let mut scratch = vec![0; stream.len()];
                let mut meter = Meter::new(counts);
                let mut connection = agreed(role, &ON.delivery(delivery), PER_MESSAGE);
                let handed_out = meter.receive(&mut connection, &stream, &mut scratch);
                let kept = if delivery == Delivery::Whole { MIB } else { 64 * KIB };
                assert_eq!(handed_out, if delivery == Delivery::Whole { 0 } else { MIB });
                let overhead = AGREED + KEYS + parts.len() / 64;
                assert_at_most(kept + 64 * KIB + inflater + overhead, meter.peak, "a bomb");
                let closes = wire::payloads(&take_output(&mut connection), wire::CLOSE);
                assert_eq!(closes, [wire::close_payload(1009)]);
            }
        }
    }
}

#[test]
fn t37_100_000_connections_that_end_within_a_message_leave_nothing() {
    let _turn = alone(counts);
    let stream = compressed::frame(Role::Server, Kind::Text, deflate(json(&mut Dice::new(1), 2000)));
    let half = &stream[..stream.len() / 2];
    let mut scratch = vec![0; half.len()];
    let mut meter = Meter::new(counts);
    for i in 0..100_000 {
        let mut connection = agreed(Role::Server, &ON, PER_MESSAGE);
        meter.receive(&mut connection, half, &mut scratch);
        // As it is, or when it has been closed in order, or failed.
        match i % 4 {
            0 => {}
            1 => {
                connection.close(START, sansocket::CloseCode::GOING_AWAY).unwrap();
                drain(&mut connection);
                connection.receive_eof();
            }
            2 => drop(connection.receive_eof()),
            _ => connection.transport_failed(),
        }
        drop(connection);
        if i % 1000 == 0 {
            assert_eq!(meter.now(), 0, "behind {i} connections");
        }
    }
    assert_eq!(meter.now(), 0);
    assert!(meter.peak > 10 * KIB, "there was a decompressor");
}

#[test]
fn t37_connections_without_contexts_hold_no_codec() {
    let _turn = alone(counts);
    let message = json(&mut Dice::new(1), 2000);
    let stream = compressed::frame(Role::Server, Kind::Text, deflate(&message));
    let mut scratch = vec![0; stream.len()];
    let mut pool = Box::<Pool>::default();
    let mut meter = Meter::new(counts);
    let mut connections: Vec<_> = (0..1000).map(|_| agreed(Role::Server, &ON, anew(PER_MESSAGE))).collect();
    let idle = meter.now();
    for connection in &mut connections {
        connection.lend_codecs(pool);
        meter.receive(connection, &stream, &mut scratch);
        connection.send(&message[..]).unwrap();
        drain(connection);
        drop(connection.reclaim_output());
        pool = connection.reclaim_codecs().expect("what was lent");
    }
    drop(pool);
    assert_at_most(idle, meter.now(), "a thousand connections that have talked");
}
