//! RFC 6455 §4.1, §4.2; RFC 9112: opening handshakes of hostile clients and servers, received by the bare
//! state machine wherever they are cut. On sockets: `hostile_handshakes_adapters.rs`.

use std::collections::HashSet;

use sansocket::{Compression, Config, Connection};
use sansocket_tests::heads::{at_many_splits, server};
use sansocket_tests::hostile::During;
use sansocket_tests::hostile::handshakes::rows;
use sansocket_tests::hostile::responses;
use sansocket_tests::{START, splits};

#[test]
fn there_are_29_requests_and_no_two_are_the_same() {
    assert_eq!(rows().len(), 29);
    assert_eq!(rows().iter().map(|row| row.name).collect::<HashSet<_>>().len(), 29);
    assert_eq!(rows().iter().map(|row| &row.request).collect::<HashSet<_>>().len(), 29);
    assert_eq!(rows().iter().filter(|row| row.refusal.is_none()).count(), 4);
}

#[test]
fn hostile_requests_come_to_the_same_wherever_they_are_cut_whether_the_server_compresses_or_not() {
    for compression in [None, Some(Compression::new())] {
        let config = Config::new().compression(compression);
        for row in rows() {
            let _during = During::new("core", row.name);
            let record = at_many_splits(|| Connection::server(&config, START), &row.stream());
            row.check_record(&record);
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
            row.check_record(&splits::run(server(), [&row.stream()[..]]));
        }
    }
}

#[test]
fn section_4_1_an_answer_that_is_no_handshake_fails_the_connection() {
    for (i, row) in responses::rows().into_iter().enumerate() {
        let _during = During::new("core, client", format_args!("response {i}, {:?}", row.error));
        row.run();
    }
}
