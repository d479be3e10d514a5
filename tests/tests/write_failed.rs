//! RFC 6455 §7.1.5: the transport cannot be written any more. What the peer said before it went is not lost.

use sansocket::{
    Cause, CloseCode, CloseFrame, Config, Connection, Event, Instant, Kind, Message, Prepared, ProtocolError,
    Role, SendError, Side, State, Timer, Transport,
};
use sansocket_tests::clock::{at, due, end};
use sansocket_tests::wire::{self, CONTINUATION, PING, TEXT};
use sansocket_tests::{ROLES, START, asking, at_every_split, open, receive, take_output};

/// An open connection with output that never goes out.
fn mute(role: Role, fragment: Option<usize>) -> Connection {
    let mut connection = open(role, &Config::new().auto_fragment(fragment));
    connection.send(vec![0; 100_000]).unwrap();
    connection.write_failed(START);
    connection
}

/// What the peer had sent, up to its Close.
fn last_words(role: Role) -> Vec<u8> {
    [
        wire::frame(role, TEXT, "one"),
        wire::fragment(role, TEXT, "in "),
        wire::frame(role, PING, "p"),
        wire::frame(role, CONTINUATION, "pieces"),
    ]
    .concat()
}

fn expected() -> Vec<Event<'static>> {
    vec![
        Event::Message(Message::from("one")),
        Event::Ping(b"p".into()),
        Event::Message(Message::from("in pieces")),
    ]
}

#[test]
fn what_arrives_after_a_write_failed_is_received_and_the_peers_close_is_the_verdict() {
    for role in ROLES {
        for fragment in [None, Some(1000)] {
            let stream =
                [last_words(role), wire::close(role, 1001, "why"), wire::frame(role, TEXT, "late")].concat();
            let record = at_every_split(|| mute(role, fragment), &stream);
            let close = CloseFrame::new(CloseCode::GOING_AWAY, "why").unwrap();
            assert_eq!(record.events, [expected(), vec![Event::Close(close.clone())]].concat());
            assert_eq!(record.output, [], "neither a Pong nor a Close");
            // There is nothing to wait for.
            assert_eq!((record.state, record.shutdown), (State::Closed, false));
            assert_eq!(record.end.cause(), &Cause::Closed(Side::Remote));
            assert_eq!((record.end.sent(), record.end.received()), (None, Some(&close)));
            assert!(!record.end.is_clean() && record.end.is_orderly());
        }
    }
}

#[test]
fn without_a_close_of_the_peers_the_connection_was_lost() {
    for role in ROLES {
        for fragment in [None, Some(1000)] {
            let record = at_every_split(|| mute(role, fragment), &last_words(role));
            assert_eq!((record.events, record.output), (expected(), vec![]));
            assert_eq!((record.state, record.shutdown), (State::Closing, false));
            assert_eq!(record.end.cause(), &Cause::Lost);
            assert_eq!((record.end.sent(), record.end.received()), (None, None));
        }
    }
}

#[test]
fn a_violation_after_a_write_failed_is_the_verdict_and_no_close_is_written() {
    for role in ROLES {
        let record = at_every_split(|| mute(role, None), &[last_words(role), vec![0xC1]].concat());
        assert_eq!((record.events, record.output), (expected(), vec![]));
        assert_eq!(record.end.cause(), &Cause::Violation(ProtocolError::ReservedBits));
        assert_eq!(record.end.sent(), None);
    }
}

#[test]
fn the_peer_has_the_close_timeout_to_say_what_it_had_to_say() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        connection.send("unheard").unwrap();
        connection.write_failed(at(10));
        assert_eq!((connection.state(), connection.transport()), (State::Closing, Transport::Open));
        assert_eq!(connection.poll_timeout(), due(at(15), Timer::Close));
        let (events, _) = receive(&mut connection, at(14), &wire::frame(role, TEXT, "heard"));
        assert_eq!(events, [Event::Message(Message::from("heard"))]);
        connection.write_failed(at(14));
        assert_eq!(connection.poll_timeout(), due(at(15), Timer::Close), "nothing puts it off");
        connection.handle_timeout(Instant::from_nanos(at(15).as_nanos() - 1));
        assert_eq!(end(&connection), None);
        connection.handle_timeout(at(15));
        assert_eq!(end(&connection).unwrap().cause(), &Cause::Lost);
        assert_eq!(connection.poll_timeout(), None);
    }
}

#[test]
fn nothing_can_be_sent_after_a_write_failed() {
    for role in ROLES {
        let mut c = open(role, &Config::new());
        c.begin(Kind::Text).unwrap();
        c.push(b"piece").unwrap();
        c.write_failed(START);
        let prepared = Prepared::text("x");
        let results = [
            c.can_send(),
            c.send("x"),
            c.try_send("x").map_err(|rejected| rejected.error),
            c.send_prepared(&prepared),
            c.begin(Kind::Text),
            c.push(b"x"),
            c.finish(b"x"),
            c.ping(b"x"),
            c.pong(b"x"),
            c.probe(START),
            c.close(START, CloseCode::NORMAL_CLOSURE),
        ];
        assert_eq!(results, [Err(SendError::Closed); 11]);
        assert!(c.transmit().is_empty() && c.buffered() == 0);
    }
}

#[test]
fn what_was_queued_when_a_write_failed_was_dropped_and_nothing_was_if_nothing_was_queued() {
    for role in ROLES {
        for fragment in [None, Some(1000)] {
            let mut idle = open(role, &Config::new().auto_fragment(fragment));
            idle.write_failed(START);
            assert!(!idle.has_dropped());
            let mut written = open(role, &Config::new().auto_fragment(fragment));
            written.send(vec![0; 100_000]).unwrap();
            take_output(&mut written);
            written.write_failed(START);
            assert!(!written.has_dropped());
            assert!(mute(role, fragment).has_dropped());
        }
    }
}

#[test]
fn a_write_that_fails_lifts_a_pause_and_what_input_waits_for() {
    for role in ROLES {
        let text = wire::frame(role, TEXT, "waited");
        for paused in [true, false] {
            for fragment in [None, Some(1000)] {
                let mut connection = open(role, &Config::new().auto_fragment(fragment));
                if paused {
                    connection.pause();
                } else {
                    connection.send(vec![0; 100_000]).unwrap();
                }
                assert_eq!(receive(&mut connection, START, &text), (vec![], text.len()));
                assert!(!connection.wants_read());
                connection.write_failed(START);
                assert!(connection.wants_read());
                let (events, left) = receive(&mut connection, START, &text);
                assert_eq!((events, left), (vec![Event::Message(Message::from("waited"))], 0));
            }
        }
    }
}

#[test]
fn an_opening_handshake_whose_write_fails_ends_at_once() {
    let config = Config::new();
    let (client, request) = asking(&config);
    let [mut asked, mut within] = [(); 2].map(|()| Connection::server(&config, START));
    receive(&mut asked, START, &request);
    receive(&mut within, START, &request[..20]);
    for mut connection in [client, asked, within, Connection::server(&config, START)] {
        assert_eq!(connection.state(), State::Connecting);
        connection.write_failed(START);
        assert_eq!(end(&connection).unwrap().cause(), &Cause::Lost);
        assert_eq!((connection.state(), connection.poll_timeout()), (State::Closed, None));
        assert!(connection.transmit().is_empty() && !connection.wants_read());
    }
}

#[test]
fn a_close_of_ours_counts_as_sent_only_if_it_went_out_before_the_write_failed() {
    for role in ROLES {
        for (unwritten, was_sent) in [(0, true), (1, false), (usize::MAX, false)] {
            for theirs_comes in [true, false] {
                let mut connection = open(role, &Config::new());
                connection.close(START, CloseCode::GOING_AWAY).unwrap();
                let len = connection.transmit().len();
                connection.transmitted(len - len.min(unwritten));
                connection.write_failed(START);
                if theirs_comes {
                    receive(&mut connection, START, &wire::close(role, 1001, ""));
                }
                connection.receive_eof();
                let end = end(&connection).unwrap();
                assert_eq!(end.sent().is_some(), was_sent, "{end:?}");
                assert_eq!(end.received().is_some(), theirs_comes, "{end:?}");
                assert_eq!(end.is_clean(), was_sent && theirs_comes);
                assert_eq!(end.is_orderly(), theirs_comes, "{end:?}");
            }
        }
    }
}

#[test]
fn an_answer_to_the_peers_close_that_cannot_be_written_ends_it_at_once() {
    for role in ROLES {
        for written in [true, false] {
            let mut connection = open(role, &Config::new());
            receive(&mut connection, START, &wire::close(role, 1000, ""));
            if written {
                take_output(&mut connection);
            }
            connection.write_failed(START);
            let end = end(&connection).unwrap();
            assert_eq!(end.cause(), &Cause::Closed(Side::Remote));
            assert_eq!((end.sent().is_some(), end.is_clean()), (written, written));
        }
    }
}
