//! What has gone over a connection, if it is counted.

use sansocket::{Agreed, Config, Connection, Endpoint, Kind, Prepared, Role, Stats};
use sansocket_tests::compressed::{DELIVERIES, PER_MESSAGE};
use sansocket_tests::pair::peer;
use sansocket_tests::{ROLES, SEED, START, receive, take_output, wire};

const COUNTED: Config = Config::new().stats(true);

fn open(role: Role, config: &Config, agreed: Agreed) -> Connection {
    let endpoint = match role {
        Role::Client => Endpoint::Client(SEED),
        Role::Server => Endpoint::Server,
    };
    Connection::established(endpoint, config, agreed, START)
}

fn stats(connection: &Connection) -> Stats {
    *connection.stats().expect("it counts")
}

#[test]
fn nothing_is_counted_unless_it_is_asked_for() {
    for role in ROLES {
        let mut connection = open(role, &Config::new(), Agreed::new().with_subprotocol("chat"));
        receive(&mut connection, START, &wire::frame(role, wire::TEXT, "in"));
        connection.send("out").unwrap();
        assert_eq!(connection.stats(), None);
    }
}

#[test]
fn messages_their_payloads_and_the_bytes_of_the_stream_are_counted_both_ways() {
    for role in ROLES {
        for delivery in DELIVERIES {
            for agreed in [Agreed::new(), Agreed::new().with_compression(PER_MESSAGE)] {
                let mut sender = open(peer(role), &COUNTED, agreed.clone());
                let mut receiver = open(role, &COUNTED.delivery(delivery), agreed);
                assert_eq!(stats(&receiver), Stats::default());
                sender.send("Hello".repeat(100)).unwrap();
                sender.send_plain(&[7; 300][..]).unwrap();
                sender.send_prepared(&Prepared::text("a".repeat(200))).unwrap();
                sender.begin(Kind::Binary).unwrap();
                sender.push(&[1; 100]).unwrap();
                assert_eq!(stats(&sender).messages_sent, 3, "the fourth is not complete");
                sender.finish(&[2; 50]).unwrap();
                sender.ping(b"control frames are no messages").unwrap();
                assert_eq!(stats(&sender).bytes_sent, 0, "nothing was written");
                let stream = take_output(&mut sender);
                for read in stream.chunks(13) {
                    receive(&mut receiver, START, read);
                }

                let (sent, received) = (stats(&sender), stats(&receiver));
                assert_eq!((sent.messages_sent, sent.payload_sent), (4, 1150));
                assert_eq!((received.messages_received, received.payload_received), (4, 1150));
                assert_eq!(sent.bytes_sent, u64::try_from(stream.len()).unwrap());
                assert_eq!(received.bytes_received, sent.bytes_sent);
                assert_eq!((sent.messages_received, sent.bytes_received), (0, 0));
                assert_eq!((received.messages_sent, received.payload_sent), (0, 0));
            }
        }
    }
}

#[test]
fn what_compression_saves_is_the_difference() {
    let mut sender = open(Role::Server, &COUNTED, Agreed::new().with_compression(PER_MESSAGE));
    sender.send("spam ".repeat(1000)).unwrap();
    take_output(&mut sender);
    let Stats { payload_sent, bytes_sent, .. } = stats(&sender);
    assert!(bytes_sent * 50 < payload_sent, "{bytes_sent} of {payload_sent}");
}

#[test]
fn a_message_that_is_refused_is_not_counted() {
    let mut connection = open(Role::Server, &COUNTED.hard_limit(10), Agreed::new());
    connection.send("Hello, world").unwrap();
    connection.send("full").unwrap_err();
    connection.begin(Kind::Text).unwrap_err();
    assert_eq!((stats(&connection).messages_sent, stats(&connection).payload_sent), (1, 12));
}
