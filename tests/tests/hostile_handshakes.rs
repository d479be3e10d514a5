//! RFC 6455 §4.1, §4.2; RFC 9112: opening handshakes of hostile clients and servers, received by the bare
//! state machine wherever they are cut. On sockets: `hostile_handshakes_adapters.rs`.

use std::collections::HashSet;

use sansocket::{Cause, Compression, Config, Connection, Event, Role, State};
use sansocket_tests::heads::{answer_to, at_many_splits, server};
use sansocket_tests::hostile::During;
use sansocket_tests::hostile::handshakes::{Row, Seen, rows};
use sansocket_tests::hostile::responses;
use sansocket_tests::{Record, START, asking, receive, splits, wire};

#[test]
fn there_are_29_requests_and_no_two_are_the_same() {
    assert_eq!(rows().len(), 29);
    assert_eq!(rows().iter().map(|row| row.name).collect::<HashSet<_>>().len(), 29);
    assert_eq!(rows().iter().map(|row| &row.request).collect::<HashSet<_>>().len(), 29);
    assert_eq!(rows().iter().filter(|row| row.refusal.is_none()).count(), 4);
}

fn check(row: &Row, record: &Record) {
    assert_eq!((record.state, record.shutdown), (State::Closing, true));
    let (output, end) = (record.output.clone(), Some(record.end.clone()));
    let mut seen = Seen { output, end, ..Seen::default() };
    for event in &record.events {
        match event {
            Event::Request(request) => seen.requests.push(request.is_upgrade()),
            Event::Message(message) => seen.messages.push(message.as_text().unwrap().to_owned()),
            Event::Close(_) => assert!(row.refusal.is_none()),
            other => panic!("{other:?}"),
        }
    }
    row.check(false, &seen);
}

#[test]
fn hostile_requests_come_to_the_same_wherever_they_are_cut_whether_the_server_compresses_or_not() {
    for compression in [None, Some(Compression::new())] {
        let config = Config::new().compression(compression);
        for row in rows() {
            let _during = During::new("core", row.name);
            let record = at_many_splits(|| Connection::server(&config, START), &row.stream());
            check(&row, &record);
        }
    }
}

/// The drafts are no way around anything (§4.4).
#[test]
fn hostile_requests_come_to_the_same_in_versions_7_and_8() {
    for version in ["8", "7"] {
        for mut row in rows() {
            let _during = During::new(&format!("core, version {version}"), row.name);
            row.request = row.request.replace("Version: 13", &format!("Version: {version}"));
            check(&row, &splits::run(server(), [&row.stream()[..]]));
        }
    }
}

#[test]
fn section_4_1_an_answer_that_is_no_handshake_fails_the_connection() {
    for (i, row) in responses::rows().into_iter().enumerate() {
        let _during = During::new("core, client", format_args!("response {i}, {:?}", row.error));
        let make = || asking(&row.config()).0;
        let answer = (row.answer)(&answer_to(&asking(&row.config()).1, &Config::new()));
        let stream = [answer.as_bytes(), &wire::frame(Role::Client, wire::TEXT, "attack")].concat();
        let record = at_many_splits(make, &stream);
        assert_eq!(record.end.cause(), &Cause::Handshake(row.error), "{answer}");
        assert_eq!((record.events, record.output), (vec![], vec![]), "{answer}");
        assert_eq!((record.state, record.shutdown), (State::Closed, false));
        assert!(!record.end.is_orderly() && record.end.sent().is_none());
        assert_eq!(receive(&mut make(), START, &stream), (vec![], 0));
        assert!(record.end.to_string().ends_with(&row.error.to_string()));
    }
}
