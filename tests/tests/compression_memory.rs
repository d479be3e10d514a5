//! What memory a connection that compresses keeps, when it is idle and when it ends: counted in bytes requested from
//! the allocator, which both backends take theirs from.
//!
//! One test, so that nothing else allocates meanwhile; it goes through all laws and names all that are broken.

use DeflateFrameFragments::{Auto, PerFrame, PerMessage};
use sansocket::deflate::Pool;
use sansocket::extension::{Extension, Negotiated};
use sansocket::{
    CloseCode, Compression, Config, Connection, DeflateFrameFragments, Event, Input, Kind, Role,
};
use sansocket_tests::compressed::{PER_MESSAGE, agreed, anew, deflate, deflater, frame, frames, next};
use sansocket_tests::inflate::{json, noise};
use sansocket_tests::meter::{Broken, Meter, compressor, drain, inflater, settle};
use sansocket_tests::pair::Dice;
use sansocket_tests::{ROLES, START, wire};

sansocket_tests::count_allocations!();

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const ON: Config = Config::new().compression(Some(Compression::new().min_size(0)));

#[test]
fn the_memory_laws_of_idle_connections_hold() {
    settle(counts);
    let broken = &mut Broken::default();
    an_idle_connection_without_contexts_holds_no_codec(broken);
    connections_without_contexts_share_a_pools_codecs(broken);
    what_a_message_is_compressed_into_is_the_pools(broken);
    only_who_must_copy_a_decompressor_has_one_that_can_be_copied();
    giving_memory_up_frees_the_compressor(broken);
    half_a_message_is_freed_with_its_connection(broken);
    what_is_queued_takes_no_more_than_is_written(broken);
    assert!(broken.0.is_empty(), "broken laws:\n{}", broken.0.join("\n"));
}

fn an_idle_connection_without_contexts_holds_no_codec(broken: &mut Broken) {
    let streams = |role| -> Vec<_> {
        (1..20).map(|i| frame(role, Kind::Text, deflate(json(&mut Dice::new(i), 5000)))).collect()
    };
    for role in ROLES {
        let streams = streams(role);
        for extension in [Extension::PermessageDeflate, Extension::DeflateFrame] {
            for has_pool in [true, false] {
                let mut meter = Meter::new(counts);
                let mut connection = agreed(role, &ON, anew(Negotiated::new(extension)));
                let idle = meter.now();
                let mut pool = has_pool.then(Box::<Pool>::default);
                for stream in &streams {
                    if let Some(pool) = pool.take() {
                        connection.lend_codecs(pool);
                    }
                    meter.during(|| echo(&mut connection, stream));
                    drop(connection.reclaim_output());
                    pool = connection.reclaim_codecs();
                    if pool.is_none() {
                        broken.at_most(idle, meter.now(), || format!("{extension:?}, idle, on its own"));
                    }
                }
                // What is in the pool is not the connection's.
                assert_eq!(pool.is_some(), has_pool);
                drop(pool);
                broken.at_most(idle, meter.now(), || format!("{extension:?} of a {role:?}, idle"));
            }
        }
    }
}

/// The backends' decompressors differ in size: it is always that of the backend, but where `Auto` may have to copy it, which
/// only miniz_oxide's can be.
fn only_who_must_copy_a_decompressor_has_one_that_can_be_copied() {
    let held = |extension, reading| {
        let compression = Compression::new().deflate_frame_fragments(reading);
        let mut stream = frame(Role::Server, Kind::Text, deflate("x"));
        let mut connection =
            agreed(Role::Server, &Config::new().compression(Some(compression)), Negotiated::new(extension));
        let meter = Meter::new(counts);
        assert!(matches!(connection.receive(START, &mut Input::new(&mut stream)), Some(Event::Message(_))));
        meter.now()
    };
    let backend = inflater(counts);
    let (mut alike, mut auto) = (Vec::new(), Vec::new());
    for reading in [Auto, PerFrame, PerMessage] {
        alike.push(held(Extension::PermessageDeflate, reading));
        for extension in [Extension::DeflateFrame, Extension::XWebkitDeflateFrame] {
            if reading == Auto { &mut auto } else { &mut alike }.push(held(extension, reading));
        }
    }
    assert_eq!(alike, vec![backend; alike.len()]);
    assert_eq!(auto.contains(&backend), !cfg!(feature = "zlib-rs"), "{auto:?}, {backend}");
}

fn connections_without_contexts_share_a_pools_codecs(broken: &mut Broken) {
    let (inflater, compressor) = (inflater(counts), compressor(counts));
    let stream = frame(Role::Server, Kind::Text, deflate(json(&mut Dice::new(1), 5000)));
    let large = vec![0; 8 * MIB];
    let mut connections: Vec<_> = (0..100).map(|_| agreed(Role::Server, &ON, anew(PER_MESSAGE))).collect();
    let mut meter = Meter::new(counts);
    let mut pool = Box::<Pool>::default();
    for i in 0..300 {
        let connection = &mut connections[i % 100];
        let before = meter.now();
        meter.peak = 0;
        connection.lend_codecs(pool);
        meter.during(|| echo(connection, &stream));
        drop(connection.reclaim_output());
        pool = connection.reclaim_codecs().unwrap();
        if i > 0 {
            broken.at_most(before + 30 * KIB, meter.peak, || "a message when the pool has codecs".into());
        }
    }
    broken.at_most(inflater + compressor + 66 * KIB, meter.now(), || {
        "a hundred connections with a pool".into()
    });
    // Something that takes a large buffer, and as many codecs as there can be at a time.
    for connection in &mut connections[..10] {
        connection.lend_codecs(pool);
        connection.send(&large).unwrap();
        drain(connection);
        connection.begin(Kind::Binary).unwrap();
        connection.push(&large[..100]).unwrap();
        receive_half(connection, &stream);
        drain(connection);
        drop(connection.reclaim_output());
        pool = connection.reclaim_codecs().unwrap();
    }
    for connection in &mut connections[..10] {
        connection.lend_codecs(pool);
        connection.finish(b"").unwrap();
        receive_rest(connection, &stream);
        drain(connection);
        drop(connection.reclaim_output());
        pool = connection.reclaim_codecs().unwrap();
    }
    let most = 4 * (inflater + compressor) + 66 * KIB;
    broken.at_most(most, meter.now(), || "a pool behind ten connections that were busy at a time".into());
}

fn what_a_message_is_compressed_into_is_the_pools(broken: &mut Broken) {
    for role in ROLES {
        let mut connection = agreed(role, &ON, PER_MESSAGE);
        let mut pool = Box::<Pool>::default();
        for i in 0..3 {
            let noise = noise(&mut Dice::new(i), 10 * KIB);
            let mut meter = Meter::new(counts);
            connection.lend_codecs(pool);
            meter.during(|| connection.send(&noise)).unwrap();
            pool = connection.reclaim_codecs().unwrap();
            let queued = connection.buffered();
            drain(&mut connection);
            drop(connection.reclaim_output());
            if i > 0 {
                broken.at_most(queued + KIB, meter.peak, || format!("queueing {queued} bytes of a {role:?}"));
            }
        }
    }
}

fn receive_half(connection: &mut Connection, stream: &[u8]) {
    let mut bytes = stream[..stream.len() / 2].to_vec();
    assert_eq!(connection.receive(START, &mut Input::new(&mut bytes)), None);
}

fn receive_rest(connection: &mut Connection, stream: &[u8]) {
    let mut bytes = stream[stream.len() / 2..].to_vec();
    assert!(matches!(connection.receive(START, &mut Input::new(&mut bytes)), Some(Event::Message(_))));
}

fn giving_memory_up_frees_the_compressor(broken: &mut Broken) {
    let (inflater, compressor) = (inflater(counts), compressor(counts));
    for role in ROLES {
        let mut deflater = deflater();
        let text = json(&mut Dice::new(1), 5000);
        let meter = Meter::new(counts);
        let mut connection = agreed(role, &ON, PER_MESSAGE);
        let idle = meter.now();
        for _ in 0..3 {
            let stream = frame(role, Kind::Text, next(&mut deflater, &text));
            echo(&mut connection, &stream);
            drop((stream, connection.reclaim_output()));
            broken.at_most(idle + inflater + compressor, meter.now(), || format!("contexts of a {role:?}"));
            connection.release_memory();
            broken.at_most(idle + inflater, meter.now(), || format!("a {role:?} that gave memory up"));
        }
        // Another effort, and the compressor of before is of no use.
        connection.send("x").unwrap();
        drain(&mut connection);
        connection.set_options(START, &Config::new().compression(Some(Compression::new().level(1))));
        drop(connection.reclaim_output());
        broken.at_most(idle + inflater, meter.now(), || format!("other settings of a {role:?}"));
    }
}

/// How a connection ends, and whether it still waits for what the peer may have to say.
type End = (&'static str, bool, fn(&mut Connection));

fn half_a_message_is_freed_with_its_connection(broken: &mut Broken) {
    let compressor = compressor(counts);
    let text = json(&mut Dice::new(1), 300 * KIB);
    let payload = deflate(&text);
    for role in ROLES {
        let ends: [End; 6] = [
            ("lost", false, Connection::transport_failed),
            ("at the end of its input", false, |connection| drop(connection.receive_eof())),
            ("closing", true, |connection| connection.close(START, CloseCode::GOING_AWAY).unwrap()),
            ("failed", false, |connection| {
                assert_eq!(connection.receive(START, &mut Input::new(&mut [0x83])), None);
            }),
            ("closed by its peer", false, |connection| {
                let mut close = wire::close(connection.role(), 1000, "");
                assert!(connection.receive(START, &mut Input::new(&mut close)).is_some());
            }),
            ("closed on both sides", false, |connection| {
                connection.close(START, CloseCode::GOING_AWAY).unwrap();
                let mut close = wire::close(connection.role(), 1000, "");
                assert!(connection.receive(START, &mut Input::new(&mut close)).is_some());
            }),
        ];
        let half = frames(role, Kind::Text, &[&payload[..payload.len() / 2], b""]).swap_remove(0);
        let mut scratch = half.clone();
        for (how, is_waiting, end) in ends {
            let mut meter = Meter::new(counts);
            let mut connection = agreed(role, &ON, PER_MESSAGE);
            connection.begin(Kind::Text).unwrap();
            connection.push(&text).unwrap();
            drain(&mut connection);
            meter.receive(&mut connection, &half, &mut scratch);
            drop(connection.reclaim_output());
            let before = meter.now();
            assert!(before > 150 * KIB + compressor);
            end(&mut connection);
            drain(&mut connection);
            drop(connection.reclaim_output());
            let after = meter.now();
            // Nothing can be sent any more.
            let allowed = if is_waiting { before - compressor } else { 0 } + 2 * KIB;
            drop(connection);
            let gone = meter.now();
            broken.at_most(allowed, after, || format!("a {role:?} in half a message, {how}"));
            broken.at_most(0, gone, || format!("a {role:?} in half a message, {how} and dropped"));
        }
    }
}

fn what_is_queued_takes_no_more_than_is_written(broken: &mut Broken) {
    let compressor = compressor(counts);
    let noise = noise(&mut Dice::new(1), 100 * KIB);
    for role in ROLES {
        let mut connection = agreed(role, &ON, PER_MESSAGE);
        let meter = Meter::new(counts);
        for _ in 0..3 {
            connection.send(&noise).unwrap();
        }
        let queued = connection.buffered();
        assert!(queued > 100 * KIB);
        broken.at_most(queued + compressor + KIB, meter.now(), || {
            format!("{queued} queued bytes of a {role:?}")
        });
    }
}

/// Receives `stream` and sends its messages back.
fn echo(connection: &mut Connection, stream: &[u8]) {
    let mut bytes = stream.to_vec();
    let mut input = Input::new(&mut bytes);
    while let Some(event) = connection.receive(START, &mut input) {
        let Event::Message(message) = event else { continue };
        connection.send(message).unwrap();
    }
    drain(connection);
}
