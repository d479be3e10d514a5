//! Input waits for output, so that echo is bounded; and how a program that paces itself turns that off.

use sansocket::{Config, Event, Message};
use sansocket_tests::wire::{self, PING, TEXT};
use sansocket_tests::{ROLES, START, open, receive, take_output};

#[test]
fn while_fragments_of_ours_wait_control_frames_pass_and_data_frames_do_not_5_4() {
    for role in ROLES {
        let (text, ping) = (wire::frame(role, TEXT, "Hello"), wire::frame(role, PING, "?"));
        for cut in 0..text.len() {
            let mut connection = open(role, &Config::new().auto_fragment(Some(1000)));
            receive(&mut connection, START, &text[..cut]);
            connection.send(vec![0; 500_000]).unwrap();
            let rest = &text[cut..];
            let (events, left) = receive(&mut connection, START, rest);
            assert_eq!(events, [], "{cut}");
            assert!(!connection.wants_read(), "{cut}");
            take_output(&mut connection);
            assert!(connection.wants_read(), "{cut}");
            let events = receive(&mut connection, START, &rest[rest.len() - left..]).0;
            assert_eq!(events, [Event::Message(Message::from("Hello"))], "{cut}");
        }
        for cut in 1..ping.len() {
            let mut connection = open(role, &Config::new().auto_fragment(Some(1000)));
            receive(&mut connection, START, &ping[..cut]);
            connection.send(vec![0; 500_000]).unwrap();
            assert!(connection.wants_read(), "{cut}");
            let (events, left) = receive(&mut connection, START, &ping[cut..]);
            assert_eq!((events, left), (vec![Event::Ping(b"?"[..].into())], 0), "{cut}");
        }
    }
}

#[test]
fn input_is_taken_again_once_less_than_the_mark_waits_in_however_many_fragments() {
    const MARK: usize = 40_000;
    for role in ROLES {
        let text = wire::frame(role, TEXT, "Hello");
        for fragment in [None, Some(1000)] {
            // A message that waits counts for more than its bytes, which shows if there are many.
            for (messages, slack) in [
                (vec![100_000], 2000),
                (vec![30_000; 3], 2000),
                ([vec![30_000], vec![100; 500]].concat(), 12_000),
            ] {
                let mut connection =
                    open(role, &Config::new().auto_fragment(fragment).high_water(MARK).hard_limit(200_000));
                for len in &messages {
                    connection.send(vec![0; *len]).unwrap();
                }
                let payload: usize = messages.iter().sum();
                let mut written = 0;
                while !connection.transmit().is_empty() {
                    let left = payload.saturating_sub(written);
                    let is_taken = receive(&mut connection, START, &text).1 == 0;
                    let what =
                        format!("{role:?}, {fragment:?}, {} messages: some {left} left", messages.len());
                    assert!(is_taken || left > MARK - slack, "{what}");
                    assert!(!is_taken || left < MARK + slack, "{what}");
                    assert_eq!(connection.wants_read(), is_taken, "{what}");
                    let n = connection.transmit().len().min(500);
                    connection.transmitted(n);
                    written += n;
                }
            }
        }
    }
}

#[test]
fn without_backpressure_input_is_taken_whatever_output_waits() {
    for role in ROLES {
        for fragment in [None, Some(1000)] {
            let mut connection = open(role, &Config::new().auto_fragment(fragment));
            connection.send(vec![0; 500_000]).unwrap();
            let text = wire::frame(role, TEXT, "Hello");
            for _ in 0..2 {
                assert_eq!(receive(&mut connection, START, &text), (vec![], text.len()), "{fragment:?}");
                assert!(!connection.wants_read());
                connection.set_backpressure(false);
                assert!(connection.wants_read());
                let (events, left) = receive(&mut connection, START, &text);
                assert_eq!((events, left), (vec![Event::Message(Message::from("Hello"))], 0));
                assert!(connection.wants_read());
                // And back.
                connection.set_backpressure(true);
            }
            take_output(&mut connection);
            assert_eq!(receive(&mut connection, START, &text).0.len(), 1, "nothing waits");
        }
    }
}

#[test]
fn without_backpressure_a_message_that_has_begun_goes_on_whatever_output_waits() {
    for role in ROLES {
        for fragment in [None, Some(1000)] {
            let text = wire::frame(role, TEXT, "Hello");
            for cut in 1..text.len() {
                let mut connection = open(role, &Config::new().auto_fragment(fragment));
                receive(&mut connection, START, &text[..cut]);
                connection.send(vec![0; 500_000]).unwrap();
                connection.set_backpressure(false);
                assert_eq!(receive(&mut connection, START, &text[cut..]).0.len(), 1, "{fragment:?}, {cut}");
            }
        }
    }
}

/// What can be on its way at a time.
const PIPE: usize = 1000;
const MESSAGES: usize = 20;

/// Two ends that send all they have before they listen; how many messages each gets.
fn pump(backpressure: bool, fragment: Option<usize>) -> [usize; 2] {
    let mut ends = ROLES.map(|role| open(role, &Config::new().auto_fragment(fragment)));
    for end in &mut ends {
        end.set_backpressure(backpressure);
        for _ in 0..MESSAGES {
            end.send(&[7; 10_000][..]).unwrap();
        }
    }
    let mut inboxes = [Vec::new(), Vec::new()];
    let mut counts = [0; 2];
    loop {
        let mut has_moved = false;
        for (i, end) in ends.iter_mut().enumerate() {
            let outbox = &mut inboxes[1 - i];
            let mut part = end.transmit().to_vec();
            part.truncate(PIPE - outbox.len());
            end.transmitted(part.len());
            has_moved |= !part.is_empty();
            outbox.extend(part);

            let (events, left) = receive(end, START, &inboxes[i]);
            counts[i] += events.len();
            let taken = inboxes[i].len() - left;
            inboxes[i].drain(..taken);
            has_moved |= taken > 0;
        }
        if !has_moved {
            return counts;
        }
    }
}

#[test]
fn two_ends_that_both_send_a_lot_get_through_only_without_backpressure() {
    for fragment in [None, Some(300)] {
        assert_eq!(pump(false, fragment), [MESSAGES; 2], "{fragment:?}");
        assert_eq!(pump(true, fragment), [0; 2], "{fragment:?}: both wait for the other to read");
    }
}
