//! A stream of frames, compressed or not, is the same wherever it is cut and however it is handed out, and never more than the
//! limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket::{Agreed, Config, Connection, Delivery, Endpoint, Event, Role};
use sansocket_fuzz::Cut;
use sansocket_fuzz::compression::Coding;
use sansocket_tests::splits::run;
use sansocket_tests::{SEED, START};

const MAX_MESSAGE: u64 = 5_000;

fuzz_target!(|input: (bool, Coding, &[u8])| {
    let (client, coding, data) = input;
    let role = if client { Role::Client } else { Role::Server };
    let Some(cut) = Cut::new(data) else { return };
    let [whole, streaming] = [Delivery::Whole, Delivery::Streaming].map(|delivery| {
        let record = run(open(role, &coding, delivery), [cut.stream]);
        assert_eq!(run(open(role, &coding, delivery), cut.pieces()), record, "cut, then whole");
        for event in &record.events {
            let len = match event {
                Event::Message(message) => message.len(),
                Event::Data(data) => data.payload.len(),
                _ => 0,
            };
            assert!(len as u64 <= MAX_MESSAGE);
        }
        record
    });
    // Pieces that make up a message are that message; only of one that fails there may be pieces before.
    assert_eq!(streaming.as_whole(), whole);
});

fn open(role: Role, coding: &Coding, delivery: Delivery) -> Connection {
    let config = Config::new()
        .max_message(MAX_MESSAGE)
        .max_fragments(100)
        .delivery(delivery)
        .compression(Some(coding.compression()));
    let endpoint = match role {
        Role::Client => Endpoint::Client(SEED),
        Role::Server => Endpoint::Server,
    };
    let agreed = Agreed::new().with_compression(coding.negotiated());
    Connection::established(endpoint, &config, agreed, START)
}
