//! Compressed messages on a connection (RFC 7692 §6, §7.2).

use sansocket::extension::{Extension, WindowBits};
use sansocket::{Compression, Config, Delivery, Event, Message, Role, State};
use sansocket_tests::pair::Pair;

const ON: Config = Config::new().compression(Some(Compression::new().min_size(0)));

/// A pair that has agreed on compression.
fn open(client: &Config, server: &Config) -> Pair {
    let mut pair = Pair::connecting(client, server);
    pair.run();
    for end in [&mut pair.client, &mut pair.server] {
        assert_eq!(end.connection.state(), State::Open);
        assert!(end.connection.agreed().unwrap().compression().is_some());
        end.take_events();
    }
    pair
}

fn messages(events: Vec<Event<'static>>) -> Vec<Message<'static>> {
    let mut joined: Option<Message<'static>> = None;
    let mut messages = Vec::new();
    for event in events {
        match event {
            Event::Message(message) => messages.push(message),
            Event::Data(data) => {
                let mut bytes = if data.first { Vec::new() } else { joined.take().unwrap().into_bytes() };
                bytes.extend_from_slice(&data.payload);
                joined = Some(match data.kind {
                    sansocket::Kind::Text if data.last => Message::from(String::from_utf8(bytes).unwrap()),
                    _ => Message::from(bytes),
                });
                if data.last {
                    messages.push(joined.take().unwrap());
                }
            }
            event => panic!("{event:?}"),
        }
    }
    messages
}

fn texts() -> Vec<String> {
    let words = ["", "a", "Hello", "Hello, hello, hello", "käse ☃ 𝄞"];
    let mut texts: Vec<String> = words.map(String::from).to_vec();
    texts.push("the same again and again. ".repeat(5_000));
    let mut state = 1_u64;
    let noise = core::iter::from_fn(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        Some(char::from(b"0123456789abcdef"[(state >> 60) as usize]))
    });
    texts.push(noise.take(20_000).collect());
    texts
}

#[test]
fn messages_come_out_as_they_went_in_whatever_is_agreed() {
    let bits = [8, 9, 12, 15].map(|bits| WindowBits::new(bits).unwrap());
    for (takeover, window, delivery) in (0..4)
        .flat_map(|takeover| bits.map(|window| (takeover, window)))
        .flat_map(|(takeover, window)| [Delivery::Whole, Delivery::Streaming].map(|d| (takeover, window, d)))
    {
        let compression = Compression::new()
            .min_size(0)
            .server_no_context_takeover(takeover & 1 != 0)
            .client_no_context_takeover(takeover & 2 != 0)
            .server_max_window_bits(window)
            .client_max_window_bits(window);
        let config = Config::new().compression(Some(compression)).delivery(delivery);
        let mut pair = open(&config, &config);
        for (from, to) in [(Role::Client, Role::Server), (Role::Server, Role::Client)] {
            for text in texts() {
                pair.end(from).connection.send(&text).unwrap();
                pair.end(from).connection.send(text.as_bytes()).unwrap();
                while pair.step(1_000) {}
                let events = pair.end(to).take_events();
                assert_eq!(messages(events), [Message::from(&text), Message::from(text.as_bytes())]);
            }
        }
    }
}

#[test]
fn a_repetitive_message_is_short_on_the_wire_and_a_second_one_shorter() {
    let mut pair = open(&ON, &ON);
    let text = texts().remove(6);
    pair.server.connection.send(&text).unwrap();
    let first = pair.server.connection.buffered();
    pair.run();
    pair.server.connection.send(&text).unwrap();
    let second = pair.server.connection.buffered();
    assert!(first < text.len() * 2 / 3 && second < first / 10, "{} {first} {second}", text.len());
    pair.run();
    assert_eq!(messages(pair.client.take_events()), [Message::from(&text), Message::from(&text)]);
}

#[test]
fn messages_in_pieces_are_compressed_piece_by_piece() {
    let mut pair = open(&ON, &ON);
    for _ in 0..3 {
        pair.client.connection.begin(sansocket::Kind::Text).unwrap();
        for piece in ["Hello, ", "", "hello, ", "hello"] {
            pair.client.connection.push(piece.as_bytes()).unwrap();
            pair.client.connection.ping(b"between").unwrap();
            pair.run();
        }
        pair.client.connection.finish(b"").unwrap();
        pair.run();
        let mut events = pair.server.take_events();
        events.retain(|event| !matches!(event, Event::Ping(_)));
        assert_eq!(messages(events), [Message::from("Hello, hello, hello")]);
    }
}

#[test]
fn the_agreement_can_be_asked_for() {
    let pair = open(&ON, &ON);
    for end in [&pair.client, &pair.server] {
        let agreed = end.connection.agreed().unwrap().compression().unwrap();
        assert_eq!(agreed.extension, Extension::PermessageDeflate);
    }
}
