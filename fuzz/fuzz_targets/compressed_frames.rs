//! A stream of frames, compressed or not, is the same wherever it is cut and however it is handed out, and never more than the
//! limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket::{Agreed, Cause, Config, Connection, Data, Delivery, Endpoint, Event, Role};
use sansocket_fuzz::Cut;
use sansocket_fuzz::compression::Coding;
use sansocket_tests::splits::{Record, run};
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
    compare(whole, streaming);
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

/// Pieces that make up a message are that message; only of one that fails there may be pieces before.
fn compare(whole: Record, streaming: Record) {
    assert_eq!(whole.output, streaming.output);
    assert_eq!((whole.state, &whole.end), (streaming.state, &streaming.end));
    let failed = matches!(whole.end.cause(), Cause::Violation(_));
    let unfinished = |event: &Event<'_>| matches!(event, Event::Data(Data { last: false, .. }));
    let pieces = streaming.events.iter().filter(|event| unfinished(event)).count();
    assert!(pieces <= 1, "{failed}");
    let message = |event: Event<'static>| match event {
        Event::Message(message) => (Some(message.kind()), message.into_bytes()),
        Event::Data(data) => (Some(data.kind), data.payload.into_owned()),
        event => (None, format!("{event:?}").into_bytes()),
    };
    // With a control frame in its middle a message comes at its end, and its first piece before that.
    let sorted = |events: Vec<Event<'static>>| {
        let (mut data, mut control) = (Vec::new(), Vec::new());
        for event in events.into_iter().filter(|event| !unfinished(event)) {
            let event = message(event);
            if event.0.is_some() { data.push(event) } else { control.push(event) }
        }
        (data, control)
    };
    assert_eq!(sorted(whole.events), sorted(streaming.events));
}
