//! RFC 6455 §5.3, §10.3: same seed, same schedule, same bytes out; another seed, other keys.

use core::time::Duration;
use std::collections::HashSet;

use sansocket::{
    Agreed, ClientRequest, CloseCode, Config, Connection, Endpoint, Event, Keepalive, Kind, Role, Seed,
};
use sansocket_tests::pair::Dice;
use sansocket_tests::wire::{self, PING, TEXT};
use sansocket_tests::{Pair, ROLES, START, open, receive, take_output};

/// All that both ends wrote in a session with this schedule, write by write, and what they reported.
fn session(schedule: u64) -> (Vec<Vec<u8>>, Vec<Event<'static>>) {
    let mut dice = Dice::new(schedule);
    let config = Config::new()
        .idle_timeout(None)
        .keepalive(Keepalive::Every(Duration::from_secs(7)))
        .auto_fragment(Some(100));
    let mut pair = Pair::connecting(&config, &config);
    pair.run();
    let mut writes = Vec::new();
    for _ in 0..100 {
        let role = dice.pick(&ROLES);
        let connection = &mut pair.end(role).connection;
        match dice.below(6) {
            0 => connection.send(vec![b'x'; dice.below(3000)]).unwrap(),
            1 => connection.ping(b"ping").unwrap(),
            2 => {
                connection.begin(Kind::Text).unwrap();
                connection.push("é".as_bytes()).unwrap();
                connection.finish(b"").unwrap();
            }
            3 => pair.now = pair.now + Duration::from_millis(dice.roll() % 5000),
            4 => {
                let now = pair.now;
                pair.end(role).connection.handle_timeout(now);
            }
            _ => {
                writes.extend(ROLES.map(|role| pair.end(role).connection.transmit().to_vec()));
                pair.step(1 + dice.below(500));
            }
        }
    }
    let now = pair.now;
    pair.client.connection.close(now, CloseCode::NORMAL_CLOSURE).unwrap();
    writes.extend(ROLES.map(|role| pair.end(role).connection.transmit().to_vec()));
    pair.run();
    let events = ROLES.iter().flat_map(|role| pair.end(*role).take_events()).collect();
    (writes, events)
}

#[test]
fn the_same_schedule_makes_the_same_bytes_and_events() {
    let mut different = HashSet::new();
    for schedule in 0..200 {
        let first = session(schedule);
        assert!(first == session(schedule), "schedule {schedule}");
        different.insert(first.0);
    }
    assert_eq!(different.len(), 200, "the schedules differ, so the bytes do");
}

#[test]
fn the_same_seed_makes_the_same_request_and_another_seed_another_10_3() {
    let config = Config::new();
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let head = |seed: u8| {
        let mut client = Connection::client(&config, &request, Seed::new([seed; 32]), START);
        String::from_utf8(take_output(&mut client)).unwrap()
    };
    let heads: HashSet<_> = (0..=u8::MAX).map(head).collect();
    assert_eq!(heads.len(), 256);
    assert_eq!(head(1), head(1));
    let without_key = |head: String| {
        head.lines().filter(|line| !line.starts_with("Sec-WebSocket-Key: ")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(without_key(head(1)), without_key(head(2)), "nothing but the key depends on the seed");
}

#[test]
fn two_clients_with_different_seeds_mask_differently_and_say_the_same_5_3() {
    let bytes = |seed| {
        let endpoint = Endpoint::Client(Seed::new(seed));
        let mut client = Connection::established(endpoint, &Config::new(), Agreed::new(), START);
        for i in 0..100 {
            client.send(&format!("message {i}")[..]).unwrap();
            client.ping(b"").unwrap();
        }
        client.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
        take_output(&mut client)
    };
    let mut near = [7; 32];
    near[31] ^= 1;
    let (one, other) = (bytes([7; 32]), bytes(near));
    assert_eq!(one, bytes([7; 32]));
    assert_ne!(one, other);
    assert_eq!(wire::parse(&one), wire::parse(&other));
}

#[test]
fn every_frame_of_a_client_has_a_key_of_its_own_5_3() {
    let mut client = open(Role::Client, &Config::new());
    let mut keys = HashSet::new();
    for _ in 0..1000 {
        client.send("12345678").unwrap();
        let frame = take_output(&mut client);
        assert!(keys.insert(frame[2..6].to_vec()), "1000 draws of 2³² do not meet with this seed");
    }
}

#[test]
fn a_server_needs_no_seed_and_sends_what_it_was_told_5_1() {
    let output = || {
        let mut server = open(Role::Server, &Config::new());
        receive(&mut server, START, &wire::frame(Role::Server, PING, "x"));
        server.send("hello").unwrap();
        take_output(&mut server)
    };
    let expected = [wire::frame(Role::Client, wire::PONG, "x"), wire::frame(Role::Client, TEXT, "hello")];
    assert_eq!(output(), expected.concat());
}

/// The clock and the sizes of reads may change when things are said, not what.
#[test]
fn what_a_client_writes_does_not_depend_on_how_its_output_is_taken() {
    let output = |most: usize| {
        let mut client = open(Role::Client, &Config::new().auto_fragment(Some(64)));
        for i in 0..50_usize {
            client.send(vec![0; i * 37]).unwrap();
        }
        client.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
        let mut output = Vec::new();
        while !client.transmit().is_empty() {
            let part = client.transmit().first();
            let part = &part[..most.min(part.len())];
            output.extend_from_slice(part);
            let written = part.len();
            client.transmitted(written);
        }
        output
    };
    let whole = output(usize::MAX);
    for most in [1, 2, 13, 1000, 20_000] {
        assert!(output(most) == whole, "{most} bytes at a time");
    }
}
