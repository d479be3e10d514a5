//! RFC 6455 §6.1 without a queue: a long message is written from where it is, and what the transport does not take is
//! queued.

use core::num::NonZeroUsize;

use sansocket::{CloseCode, Config, Connection, Direct, Kind, Message, Role, SendError};
use sansocket_tests::{ROLES, START, compressed, open, receive, take_output, wire};

const LONG: usize = 16 * 1024;

/// What would be written.
fn shown(direct: &Direct<'_>) -> Vec<u8> {
    direct.slices().flatten().copied().collect()
}

/// What a connection writes that queues the same.
fn queued(role: Role, config: &Config, before: &str, payload: &[u8], behind: &str) -> Vec<u8> {
    let mut connection = open(role, config);
    connection.send(before).unwrap();
    connection.send(payload).unwrap();
    connection.ping(behind.as_bytes()).unwrap();
    take_output(&mut connection)
}

#[test]
fn the_same_is_written_however_much_of_it_the_transport_takes() {
    let payload: Vec<u8> = (0..=255).cycle().take(LONG + 100).collect();
    for role in ROLES {
        let expected = queued(role, &Config::new(), "before", &payload, "behind");
        for taken in [0, 1, 7, 8, 9, 12, 13, 1000, LONG + 100, LONG + 111, LONG + 112, usize::MAX] {
            let mut connection = open(role, &Config::new());
            connection.send("before").unwrap();
            let direct = connection.send_direct(&payload[..]).unwrap();
            assert_eq!(direct.is_direct(), role == Role::Server, "a client masks it");
            let mut written = shown(&direct);
            written.truncate(taken);
            direct.written(written.len());
            connection.ping(b"behind").unwrap();
            written.extend(take_output(&mut connection));
            assert!(written == expected, "{role:?}, {taken} bytes at once");
            assert_eq!(connection.buffered(), 0);
        }
    }
}

#[test]
fn what_is_shown_and_dropped_is_queued() {
    let payload = vec![7; LONG];
    let mut connection = open(Role::Server, &Config::new());
    drop(connection.send_direct(&payload[..]));
    assert_eq!(connection.buffered(), 4 + LONG);
    assert_eq!(take_output(&mut connection), wire::frame(Role::Client, wire::BINARY, &payload));
}

#[test]
fn the_slices_are_the_queue_the_header_and_the_payload_where_it_is() {
    let payload = vec![7; LONG];
    let mut connection = open(Role::Server, &Config::new());
    connection.send("before").unwrap();
    let direct = connection.send_direct(&payload[..]).unwrap();
    let slices: Vec<_> = direct.slices().collect();
    assert_eq!(slices, [&b"\x81\x06before\x82\x7E\x40\x00"[..], &payload]);
    assert_eq!(slices[1].as_ptr(), payload.as_ptr(), "not copied");
    let mut slots = [std::io::IoSlice::new(&[]); 4];
    assert_eq!(direct.io_slices(&mut slots).iter().map(|slice| slice.len()).collect::<Vec<_>>(), [12, LONG]);
    let mut one = [std::io::IoSlice::new(&[]); 1];
    assert_eq!(direct.io_slices(&mut one).len(), 1);
    direct.written(12 + LONG);
}

#[test]
fn short_owned_fragmented_and_compressed_messages_are_queued_right_away() {
    let long = vec![7; LONG];
    let fragmenting = Config::new().auto_fragment(NonZeroUsize::new(1000).map(Into::into));
    let mut waiting = open(Role::Server, &fragmenting);
    waiting.send(&long[..]).unwrap();
    waiting.set_options(START, &Config::new().auto_fragment(None));
    let text = "x".repeat(LONG);
    let cases: [(&str, Connection, Message<'_>); 7] = [
        ("short", open(Role::Server, &Config::new()), long[1..].into()),
        ("owned", open(Role::Server, &Config::new()), long.clone().into()),
        ("to be fragmented", open(Role::Server, &fragmenting), long[..].into()),
        ("behind fragments", waiting, long[..].into()),
        ("compressed", compressed::open(Role::Server, &Config::new()), long[..].into()),
        ("text, compressed", compressed::open(Role::Server, &Config::new()), text[..].into()),
        ("text, to be fragmented", open(Role::Server, &fragmenting), text[..].into()),
    ];
    for (what, mut connection, message) in cases {
        let before = connection.buffered();
        let direct = connection.send_direct(message).unwrap();
        assert!(!direct.is_direct(), "{what}");
        drop(direct);
        assert!(connection.buffered() > before, "{what}");
    }
}

#[test]
fn a_text_is_sent_as_text_and_received() {
    let text = "é".repeat(LONG);
    let mut server = open(Role::Server, &Config::new());
    let direct = server.send_direct(&text[..]).unwrap();
    assert!(direct.is_direct());
    let bytes = shown(&direct);
    direct.written(bytes.len());
    let mut client = open(Role::Client, &Config::new());
    let (events, _) = receive(&mut client, START, &bytes);
    assert_eq!(events, [sansocket::Event::Message(Message::Text(text.into()))]);
}

#[test]
fn what_cannot_be_sent_is_refused_as_by_send() {
    let payload = vec![7; LONG];
    let mut closing = open(Role::Server, &Config::new());
    closing.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
    assert_eq!(closing.send_direct(&payload[..]).unwrap_err(), SendError::Closed);
    let mut busy = open(Role::Server, &Config::new());
    busy.begin(Kind::Text).unwrap();
    assert_eq!(busy.send_direct(&payload[..]).unwrap_err(), SendError::MessageInProgress);
    let mut full = open(Role::Server, &Config::new().hard_limit(10));
    full.send("0123456789").unwrap();
    assert_eq!(full.send_direct(&payload[..]).unwrap_err(), SendError::Full);
}

#[test]
fn a_pong_that_waits_comes_behind_the_message() {
    let payload = vec![7; LONG];
    let mut server = open(Role::Server, &Config::new());
    for _ in 0..10 {
        server.send(&payload[..1000]).unwrap();
    }
    assert_eq!(receive(&mut server, START, &wire::frame(Role::Server, wire::PING, "late")).0.len(), 1);
    let direct = server.send_direct(&payload[..]).unwrap();
    let all = shown(&direct);
    let cut = all.len() - 10;
    direct.written(cut);
    let written = [&all[..cut], &take_output(&mut server)].concat();
    assert_eq!(wire::payloads(&written, wire::PONG), [b"late"]);
    assert_eq!(wire::payloads(&written, wire::BINARY).last(), Some(&payload));
}

#[test]
fn all_of_it_is_counted() {
    let payload = vec![7; LONG];
    let mut server = open(Role::Server, &Config::new().stats(true));
    let direct = server.send_direct(&payload[..]).unwrap();
    assert!(direct.is_direct());
    direct.written(4 + 1000);
    take_output(&mut server);
    let stats = server.stats().unwrap();
    assert_eq!((stats.messages_sent, stats.payload_sent), (1, LONG as u64));
    assert_eq!(stats.bytes_sent, 4 + LONG as u64);
}
