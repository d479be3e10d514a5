//! RFC 6455 §5 to §8, RFC 7692 §6 and §7: what hostile peers send, received by the bare state machine in
//! both roles, wherever it is cut. On sockets: `hostile_frames_adapters.rs`.

use std::collections::HashSet;

use sansocket::{Connection, Event, Role};
use sansocket_tests::compressed::DELIVERIES;
use sansocket_tests::heads::with;
use sansocket_tests::hostile::During;
use sansocket_tests::hostile::frames::{Verdict, attacks, config, rows};
use sansocket_tests::{ROLES, START, splits};

#[test]
fn there_are_46_rows_and_no_two_are_the_same() {
    for role in ROLES {
        let rows = rows(role);
        assert_eq!(rows.len(), 46);
        assert_eq!(rows.iter().map(|row| row.name).collect::<HashSet<_>>().len(), 46);
        assert_eq!(rows.iter().map(|row| (&row.frames, row.compression)).collect::<HashSet<_>>().len(), 46);
        let count = |is: fn(Verdict) -> bool| rows.iter().filter(|row| is(row.verdict)).count();
        assert_eq!(count(|verdict| verdict == Verdict::Open), 6);
        assert_eq!(count(|verdict| matches!(verdict, Verdict::Closed(_))), 8);
    }
}

#[test]
fn hostile_frames_come_to_the_same_wherever_they_are_cut() {
    for role in ROLES {
        for attack in attacks(role) {
            for delivery in DELIVERIES {
                let _during = During::new(&format!("core, {delivery:?}"), &attack);
                attack.run(delivery);
            }
        }
    }
}

#[test]
fn hostile_frames_in_one_read_with_a_request_come_to_the_same_in_each_version() {
    for version in ["13", "8", "7"] {
        for attack in attacks(Role::Server) {
            let _during = During::new(&format!("core, version {version}"), &attack);
            let request = with("Sec-WebSocket-Extensions: permessage-deflate");
            let request = request.replace(": 13", &format!(": {version}"));
            let stream = [request.as_bytes(), &attack.stream()].concat();
            let make = || Connection::server(&config(attack.compression), START);
            let mut record = splits::run(make(), [&stream[..]]);
            assert_eq!(splits::run(make(), stream.chunks(1)), record);
            let head = record.output.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
            record.output.drain(..head);
            assert!(matches!(record.events.remove(0), Event::Request(_)));
            attack.check_record(record);
        }
    }
}
