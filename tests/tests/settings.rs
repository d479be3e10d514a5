//! Settings mean the same in whatever order they are made.

use sansocket::extension::WindowBits;
use sansocket::{Compression, Config, Event, ProtocolError};
use sansocket_tests::wire::{self, BINARY, CONTINUATION, assert_failed};
use sansocket_tests::{ROLES, START, at_every_split, open, receive};

#[test]
fn a_limit_on_frames_and_one_on_messages_hold_in_either_order() {
    let ten = Config::new();
    for config in [ten.clone().max_frame(10).max_message(100), ten.max_message(100).max_frame(10)] {
        for role in ROLES {
            let fragments = |count: usize, last: usize| {
                let first = wire::fragment(role, BINARY, [7; 10]);
                let more = wire::fragment(role, CONTINUATION, [7; 10]).repeat(count - 2);
                [first, more, wire::frame(role, CONTINUATION, vec![7; last])].concat()
            };
            for (stream, len) in [(wire::frame(role, BINARY, [7; 10]), 10), (fragments(10, 10), 100)] {
                let record = at_every_split(|| open(role, &config), &stream);
                assert!(matches!(&record.events[..], [Event::Message(m)] if m.as_bytes().len() == len));
            }
            for (stream, error) in [
                (wire::frame(role, BINARY, [7; 11]), ProtocolError::FrameTooBig { len: 11, max: 10 }),
                (fragments(2, 11), ProtocolError::FrameTooBig { len: 11, max: 10 }),
                (fragments(11, 1), ProtocolError::MessageTooBig { len: 101, max: 100 }),
            ] {
                let record = at_every_split(|| open(role, &config), &stream);
                assert_failed(role, &record, error, 1009);
            }
        }
    }
}

#[test]
fn a_frame_may_be_as_long_as_the_message_unless_it_is_to_be_shorter() {
    for role in ROLES {
        for (config, limit) in [
            (Config::new(), 1 << 20),
            (Config::new().max_message(3 << 20), 3 << 20),
            (Config::new().max_message(1000), 1000),
            (Config::new().max_frame(2 << 20).max_message(1000), 1000),
            (Config::new().max_message(1000).max_frame(2 << 20), 1000),
        ] {
            let len = usize::try_from(limit).unwrap();
            let mut connection = open(role, &config);
            let (events, _) = receive(&mut connection, START, &wire::frame(role, BINARY, vec![7; len]));
            assert!(matches!(&events[..], [Event::Message(m)] if m.as_bytes().len() == len), "{limit}");
            let record = sansocket_tests::splits::run(
                open(role, &config),
                [&wire::frame(role, BINARY, vec![7; len + 1])[..]],
            );
            let error = ProtocolError::MessageTooBig { len: limit + 1, max: limit };
            assert_failed(role, &record, error, 1009);
        }
    }
}

#[test]
fn what_was_set_can_be_asked_for() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        assert_eq!((connection.high_water(), connection.max_message()), (64 << 10, 1 << 20));
        connection.set_options(START, &Config::new().high_water(7000).max_message(12_345));
        assert_eq!((connection.high_water(), connection.max_message()), (7000, 12_345));
    }
}

#[test]
fn smaller_windows_come_with_less_memory_beside_them() {
    for (bits, mem_level) in [(9, 2), (12, 5), (15, 8)] {
        let window = WindowBits::new(bits).unwrap();
        let windows = Compression::new().server_max_window_bits(window).client_max_window_bits(window);
        assert_eq!(Compression::dedicated(window), windows.mem_level(mem_level));
    }
}
