//! RFC 6455 §5.5.1, §7: closing handshakes and other ends, without time-outs (those are in `timers.rs`).

use sansocket::{
    Cause, CloseCode, CloseFrame, Config, Connection, Disconnect, Event, Kind, Message, Prepared,
    ProtocolError, Role, SendError, Side, State, Timer, Transport,
};
use sansocket_tests::pair::peer;
use sansocket_tests::wire::{self, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload};
use sansocket_tests::{Pair, ROLES, START, asking, at_every_split, open, receive, take_output};

const CONFIG: Config = Config::new();

fn end(connection: &Connection) -> Option<Disconnect> {
    if let Transport::Close(end) = connection.transport() { Some(end.clone()) } else { None }
}

fn frame(code: u16, reason: &str) -> CloseFrame<'_> {
    CloseFrame::new(CloseCode::new(code).unwrap(), reason).unwrap()
}

/// Every stage of a connection's life in `role`, by name.
fn stages(role: Role) -> Vec<(&'static str, Connection)> {
    let made = |bytes: &[u8], written: bool| {
        let mut connection = open(role, &CONFIG);
        receive(&mut connection, START, bytes);
        if written {
            take_output(&mut connection);
        }
        connection
    };
    let closed = |written: bool| {
        let mut connection = open(role, &CONFIG);
        connection.close(START, CloseCode::GOING_AWAY).unwrap();
        if written {
            take_output(&mut connection);
        }
        connection
    };
    let request = asking(&CONFIG).1;
    let mut stages = match role {
        Role::Client => {
            let (mut refused, _) = asking(&CONFIG);
            receive(&mut refused, START, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
            vec![("connecting", asking(&CONFIG).0), ("refused", refused)]
        }
        Role::Server => {
            let [mut asked, mut refused] = [(); 2].map(|()| Connection::server(&CONFIG, START));
            receive(&mut asked, START, &request);
            receive(&mut refused, START, b"nonsense\r\n\r\n");
            vec![("connecting", Connection::server(&CONFIG, START)), ("asked", asked), ("refused", refused)]
        }
    };
    let mut lost = open(role, &CONFIG);
    lost.receive_eof(START);
    let mut sending = open(role, &CONFIG);
    sending.send("on its way").unwrap();
    stages.extend([
        ("open", made(&[], true)),
        ("sending", sending),
        ("within a message", made(&wire::fragment(role, TEXT, "begun"), true)),
        ("closing, queued", closed(false)),
        ("closing", closed(true)),
        ("answered, queued", made(&wire::close(role, 1000, ""), false)),
        ("answered", made(&wire::close(role, 1000, ""), true)),
        ("failed, queued", made(&[0xFF], false)),
        ("failed", made(&[0xFF], true)),
        ("lost", lost),
    ]);
    stages
}

#[test]
fn a_close_is_answered_with_its_code_and_both_ends_know_who_closed_7_1_2() {
    for role in ROLES {
        for close in [CloseFrame::empty(), frame(1001, ""), frame(4000, "wegen κ")] {
            let mut pair = Pair::open(&CONFIG, &CONFIG);
            pair.end(role).connection.close(START, close.clone()).unwrap();
            assert_eq!(pair.end(role).connection.state(), State::Closing);
            pair.run();
            let echo = close.code().map_or_else(CloseFrame::empty, CloseFrame::from);
            for (who, side, sent, received) in
                [(role, Side::Local, &close, &echo), (peer(role), Side::Remote, &echo, &close)]
            {
                assert_eq!(pair.end(who).take_events(), [Event::Close(received.clone().into_owned())]);
                let end = pair.end(who).disconnect().unwrap();
                assert_eq!(end.cause(), &Cause::Closed(side));
                assert_eq!(end.sent().map(CloseFrame::reason), Some(sent.reason()));
                assert_eq!(end.sent().map(CloseFrame::code), Some(sent.code()));
                assert_eq!(end.received(), Some(received));
                assert!(end.is_clean() && end.is_orderly());
            }
        }
    }
}

#[test]
fn closes_that_cross_are_clean_and_neither_is_answered_7_1_2() {
    let mut pair = Pair::open(&CONFIG, &CONFIG);
    let outputs = ROLES.map(|role| {
        let code = if role == Role::Client { 3000 } else { 4000 };
        pair.end(role).connection.close(START, frame(code, "first")).unwrap();
        pair.end(role).connection.transmit().to_vec()
    });
    assert_eq!(outputs.map(|output| wire::parse(&output).len()), [1, 1]);
    assert!(pair.step(usize::MAX));
    for role in ROLES {
        assert!(pair.end(role).connection.transmit().is_empty(), "a second Close");
    }
    pair.run();
    for (role, sent, received) in [(Role::Client, 3000, 4000), (Role::Server, 4000, 3000)] {
        let end = pair.end(role).disconnect().unwrap();
        assert_eq!(end.cause(), &Cause::Closed(Side::Local));
        assert_eq!(end.sent(), Some(&frame(sent, "first")));
        assert_eq!(end.received(), Some(&frame(received, "first")));
        assert!(end.is_clean());
    }
}

#[test]
fn a_close_from_the_peer_is_answered_without_its_reason_wherever_it_is_cut_5_5_1() {
    for role in ROLES {
        for (close, echo) in [(frame(1000, ""), vec![3, 232]), (frame(4321, "reason"), vec![16, 225])] {
            let stream = wire::close(role, close.code().unwrap().get(), close.reason());
            let record = at_every_split(|| open(role, &CONFIG), &stream);
            assert_eq!(record.events, [Event::Close(close.clone().into_owned())]);
            let frames = wire::parse(&record.output);
            assert_eq!((frames.len(), &frames[0].payload), (1, &echo));
            assert_eq!(record.state, State::Closing);
            assert_eq!(record.shutdown, role == Role::Server, "§7.1.1: the server closes first");
            assert_eq!(record.end.cause(), &Cause::Closed(Side::Remote));
            assert!(record.end.is_clean());
        }
    }
}

#[test]
fn an_empty_close_is_answered_by_an_empty_one_5_5_1() {
    for role in ROLES {
        let record = at_every_split(|| open(role, &CONFIG), &wire::frame(role, CLOSE, ""));
        assert_eq!(record.events, [Event::Close(CloseFrame::empty())]);
        let frames = wire::parse(&record.output);
        assert_eq!((frames.len(), frames[0].first, &frames[0].payload[..]), (1, 0x88, &[][..]));
        assert_eq!(record.end.sent(), Some(&CloseFrame::empty()));
        assert!(record.end.is_clean());
    }
}

#[test]
fn the_server_half_closes_once_its_close_is_written_and_the_client_waits_for_that_7_1_1() {
    for role in ROLES {
        for local in [true, false] {
            let mut connection = open(role, &CONFIG);
            if local {
                connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
            }
            receive(&mut connection, START, &wire::close(role, 1000, ""));
            assert_eq!(connection.transport(), Transport::Open, "its Close is not written");
            while !connection.transmit().is_empty() {
                assert_eq!(connection.transport(), Transport::Open);
                connection.transmitted(1);
            }
            let expected = if role == Role::Server { Transport::ShutdownWrite } else { Transport::Open };
            assert_eq!(connection.transport(), expected);
            assert!(connection.wants_read(), "the end of the transport is to be read");
            connection.receive_eof(START);
            assert!(end(&connection).unwrap().is_clean());
        }
    }
}

#[test]
fn messages_come_in_until_the_peers_close_does_5_5_1() {
    for role in ROLES {
        let stream = [
            wire::frame(role, TEXT, "late"),
            wire::fragment(role, TEXT, "in "),
            wire::frame(role, PING, "p"),
            wire::frame(role, CONTINUATION, "pieces"),
            wire::close(role, 1001, ""),
            wire::frame(role, TEXT, "too late"),
        ]
        .concat();
        let record = at_every_split(
            || {
                let mut connection = open(role, &CONFIG);
                connection.close(START, CloseCode::GOING_AWAY).unwrap();
                connection
            },
            &stream,
        );
        let expected = [
            Event::Message(Message::from("late")),
            Event::Ping(b"p".into()),
            Event::Message(Message::from("in pieces")),
            Event::Close(frame(1001, "").into_owned()),
        ];
        assert_eq!(record.events, expected);
        assert_eq!(wire::parse(&record.output).len(), 1, "nothing follows our Close, no Pong either");
        assert_eq!(record.end.cause(), &Cause::Closed(Side::Local));
    }
}

#[test]
fn whatever_follows_the_peers_close_is_ignored_5_5_1() {
    for role in ROLES {
        let close = wire::close(role, 1000, "");
        let without = at_every_split(|| open(role, &CONFIG), &close);
        for tail in [
            wire::frame(role, TEXT, "data"),
            wire::frame(role, PING, "ping"),
            wire::close(role, 1002, "a second Close"),
            wire::frame(role, TEXT, [0xFF]),
            vec![0xFF; 20],
            vec![0x81],
        ] {
            let record = at_every_split(|| open(role, &CONFIG), &[close.clone(), tail].concat());
            assert_eq!(record, without);
        }
    }
}

#[test]
fn a_close_between_the_fragments_of_a_split_character_is_a_close_5_4() {
    for role in ROLES {
        for close in [wire::close(role, 1000, "bye é"), wire::frame(role, CLOSE, "")] {
            let stream = [wire::fragment(role, TEXT, [b'a', 0xC3]), close].concat();
            let record = at_every_split(|| open(role, &CONFIG), &stream);
            assert!(matches!(record.events[..], [Event::Close(_)]));
            assert!(record.end.is_clean());
        }
    }
}

#[test]
fn a_violation_after_our_close_ends_it_without_a_second_close_7_1_7() {
    for role in ROLES {
        for (bytes, error) in [
            (vec![0xC1], ProtocolError::ReservedBits),
            (wire::frame(role, TEXT, [0xFF]), ProtocolError::InvalidUtf8),
            (wire::close(role, 999, ""), ProtocolError::InvalidCloseCode(999)),
        ] {
            let record = at_every_split(
                || {
                    let mut connection = open(role, &CONFIG);
                    connection.close(START, frame(4000, "ours")).unwrap();
                    connection
                },
                &bytes,
            );
            let frames = wire::parse(&record.output);
            assert_eq!(frames.len(), 1);
            assert_eq!(frames[0].payload[..2], close_payload(4000));
            assert_eq!(record.end.cause(), &Cause::Violation(error));
            assert_eq!(record.end.sent(), Some(&frame(4000, "ours")));
            assert_eq!(record.end.received(), None);
            assert!(record.shutdown && !record.end.is_clean() && !record.end.is_orderly());
        }
    }
}

/// T44.
#[test]
fn an_end_of_the_transport_anywhere_before_the_peers_close_is_never_clean_7_1_5() {
    for role in ROLES {
        let session = [
            wire::frame(role, TEXT, "one"),
            wire::frame(role, PING, "p"),
            wire::fragment(role, TEXT, "tw"),
            wire::frame(role, PONG, ""),
            wire::frame(role, CONTINUATION, "o"),
            wire::close(role, 1000, "bye"),
        ]
        .concat();
        for ours_first in [false, true] {
            for cut in 0..=session.len() {
                let mut connection = open(role, &CONFIG);
                if ours_first {
                    connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
                }
                receive(&mut connection, START, &session[..cut]);
                take_output(&mut connection);
                assert_eq!(connection.receive_eof(START), None);
                let end = end(&connection).unwrap();
                let whole = cut == session.len();
                assert_eq!(end.is_clean(), whole, "after {cut} bytes");
                assert_eq!(end.is_orderly(), whole, "after {cut} bytes");
                assert_eq!(end.cause() == &Cause::Lost, !whole, "after {cut} bytes");
                assert_eq!(end.sent().is_some(), whole || ours_first);
            }
        }
    }
}

#[test]
fn a_transport_that_fails_ends_every_stage_at_once_7_1_5() {
    for role in ROLES {
        for (stage, mut connection) in stages(role) {
            connection.transport_failed();
            let end = end(&connection).unwrap_or_else(|| panic!("{stage}: not over"));
            assert_eq!(connection.state(), State::Closed);
            assert!(connection.transmit().is_empty() && connection.buffered() == 0, "{stage}");
            assert_eq!(connection.poll_timeout(), None, "{stage}");
            match stage {
                "answered" | "answered, queued" => {}
                "failed" | "failed, queued" => assert!(matches!(end.cause(), Cause::Violation(_)), "{end:?}"),
                "refused" => {
                    assert!(matches!(end.cause(), Cause::Rejected(_) | Cause::Refused(_)), "{end:?}");
                }
                _ => assert!(!end.is_clean(), "{stage}"),
            }
        }
    }
}

#[test]
fn a_transport_that_fails_before_the_closing_handshake_is_complete_was_lost_7_1_5() {
    for role in ROLES {
        for (stage, mut connection) in stages(role) {
            if matches!(stage, "answered" | "answered, queued" | "failed" | "failed, queued" | "refused") {
                continue;
            }
            let mut other = stages(role).into_iter().find(|(name, _)| *name == stage).unwrap().1;
            connection.transport_failed();
            assert_eq!(end(&connection).unwrap().cause(), &Cause::Lost, "{stage}");
            other.receive_eof(START);
            assert_eq!(end(&connection), end(&other), "{stage}: as at the end of the transport");
        }
    }
}

/// Both Close frames must have been *sent*, and the peer cannot have this one.
#[test]
fn a_close_that_never_went_out_completes_no_handshake_7_1_4() {
    for role in ROLES {
        for written in [0, 1] {
            let mut connection = open(role, &CONFIG);
            receive(&mut connection, START, &wire::close(role, 1000, ""));
            connection.transmitted(written);
            connection.transport_failed();
            let end = end(&connection).unwrap();
            assert!(!end.is_clean(), "{end:?}");
            assert_eq!(end.received(), Some(&CloseCode::NORMAL_CLOSURE.into()));

            let mut connection = open(role, &CONFIG);
            receive(&mut connection, START, &wire::close(role, 1000, ""));
            take_output(&mut connection);
            connection.transport_failed();
            assert!(self::end(&connection).unwrap().is_clean(), "it was written");
        }
    }
}

/// `receive_eof` says that nothing more comes in; what is queued can still be written.
#[test]
fn an_answer_that_is_still_queued_is_written_after_the_peers_end_of_stream_7_1_4() {
    for role in ROLES {
        let mut connection = open(role, &CONFIG);
        receive(&mut connection, START, &wire::close(role, 1000, ""));
        connection.receive_eof(START);
        assert!(!connection.wants_read());
        while !connection.transmit().is_empty() {
            assert_eq!(end(&connection), None);
            connection.transmitted(1);
        }
        assert!(end(&connection).unwrap().is_clean());
    }
}

#[test]
fn the_end_of_the_transport_may_be_told_again_and_again() {
    for role in ROLES {
        for (stage, mut connection) in stages(role) {
            connection.receive_eof(START);
            take_output(&mut connection);
            let first = end(&connection).unwrap_or_else(|| panic!("{stage}: not over"));
            for _ in 0..3 {
                assert_eq!(connection.receive_eof(START), None, "{stage}");
                assert_eq!(end(&connection).as_ref(), Some(&first), "{stage}");
            }
        }
    }
}

#[test]
fn the_verdict_never_changes_and_nothing_is_left_to_do_7_1_4() {
    for role in ROLES {
        for by_failure in [false, true] {
            for (stage, mut connection) in stages(role) {
                if by_failure {
                    connection.transport_failed();
                } else {
                    connection.receive_eof(START);
                    take_output(&mut connection);
                }
                let verdict = end(&connection).unwrap();
                let check = |connection: &Connection| {
                    assert_eq!(end(connection).as_ref(), Some(&verdict), "{stage}");
                    assert_eq!(connection.state(), State::Closed, "{stage}");
                    assert!(connection.transmit().is_empty() && connection.buffered() == 0, "{stage}");
                    assert_eq!(connection.poll_timeout(), None, "{stage}");
                    assert!(!connection.wants_read(), "{stage}");
                };
                check(&connection);
                for bytes in [wire::frame(role, TEXT, "x"), wire::close(role, 1000, ""), vec![0xFF; 30]] {
                    assert_eq!(receive(&mut connection, START, &bytes), (vec![], 0));
                    check(&connection);
                }
                let later = START + core::time::Duration::from_secs(1 << 20);
                connection.handle_timeout(later);
                check(&connection);
                connection.pause();
                connection.resume(later);
                connection.set_options(later, &CONFIG);
                connection.release_memory();
                assert!(connection.close(later, CloseCode::NORMAL_CLOSURE).is_err());
                assert!(connection.send("x").is_err());
                connection.transmitted(0);
                check(&connection);
                connection.receive_eof(later);
                connection.transport_failed();
                check(&connection);
            }
        }
    }
}

#[test]
fn nothing_is_sent_behind_a_close_or_before_the_opening_handshake_5_5_1() {
    for role in ROLES {
        for (stage, mut c) in stages(role) {
            let error = match c.state() {
                State::Connecting => SendError::NotOpen,
                State::Open => continue,
                State::Closing | State::Closed => SendError::Closed,
            };
            let before = c.transmit().to_vec();
            let prepared = Prepared::text("x");
            let results = [
                c.can_send(),
                c.send("x"),
                c.try_send("x").map_err(|rejected| {
                    assert_eq!(rejected.message, Message::from("x"));
                    rejected.error
                }),
                c.send_prepared(&prepared),
                c.begin(Kind::Text),
                c.push(b"x"),
                c.finish(b"x"),
                c.ping(b"x"),
                c.pong(b"x"),
                c.probe(START),
                c.close(START, CloseCode::NORMAL_CLOSURE),
            ];
            for (i, result) in results.into_iter().enumerate() {
                assert_eq!(result, Err(error), "{stage}, call {i}");
            }
            assert_eq!(c.transmit().to_vec(), before, "{stage}");
        }
    }
}

#[test]
fn a_close_cuts_a_message_that_is_sent_in_pieces_short_5_4() {
    for role in ROLES {
        let mut connection = open(role, &CONFIG);
        connection.begin(Kind::Text).unwrap();
        connection.push(b"never to be ").unwrap();
        connection.close(START, CloseCode::GOING_AWAY).unwrap();
        assert_eq!(connection.finish(b"finished"), Err(SendError::Closed));
        let output = take_output(&mut connection);
        let frames: Vec<_> = wire::parse(&output).into_iter().map(|f| (f.first, f.payload)).collect();
        assert_eq!(frames, [(0x01, b"never to be ".to_vec()), (0x88, close_payload(1001))]);
        let (events, _) = receive(&mut open(peer(role), &CONFIG), START, &output);
        assert_eq!(events, [Event::Close(CloseCode::GOING_AWAY.into())], "half a message is none");
    }
}

#[test]
fn a_close_goes_out_behind_messages_in_fragments_and_loses_nothing_5_5_1() {
    let fragments = Config::new().auto_fragment(Some(1000));
    for role in ROLES {
        let mut pair = Pair::open(&fragments, &fragments);
        let message = vec![b'm'; 100_000];
        let connection = &mut pair.end(role).connection;
        connection.send(&message[..]).unwrap();
        connection.send("behind").unwrap();
        connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
        pair.run();
        let expected = [
            Event::Message(Message::from(&message[..])),
            Event::Message(Message::from("behind")),
            Event::Close(CloseCode::NORMAL_CLOSURE.into()),
        ];
        assert_eq!(pair.end(peer(role)).take_events(), expected);
        assert!(ROLES.iter().all(|role| pair.end(*role).disconnect().unwrap().is_clean()));
    }
}

#[test]
fn a_failure_or_the_peers_close_drops_what_waits_behind_a_fragment_7_1_7() {
    let config = Config::new().auto_fragment(Some(1000));
    for role in ROLES {
        for (bytes, code) in [(vec![0xFF], 1002), (wire::close(role, 3003, ""), 3003)] {
            let mut connection = open(role, &config);
            connection.send(vec![0; 500_000]).unwrap();
            receive(&mut connection, START, &bytes);
            assert!(connection.buffered() < 32_000, "what waits is dropped");
            let frames = wire::parse(&take_output(&mut connection));
            let (close, fragments) = frames.split_last().unwrap();
            assert_eq!((close.first, &close.payload), (0x88, &close_payload(code)));
            assert!(fragments.iter().all(|frame| frame.first & 0x80 == 0), "the message is not ended");
        }
    }
}

#[test]
fn closing_lifts_a_pause_so_that_the_answer_is_read_7_1_2() {
    for role in ROLES {
        let mut connection = open(role, &CONFIG);
        connection.pause();
        let answer = [wire::frame(role, TEXT, "waited"), wire::close(role, 1000, "")].concat();
        assert_eq!(receive(&mut connection, START, &answer), (vec![], answer.len()));
        assert!(!connection.wants_read());
        connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
        assert!(!connection.is_paused() && connection.wants_read());
        // What was asked for too late does no harm either.
        connection.pause();
        assert!(connection.wants_read());
        let (events, left) = receive(&mut connection, START, &answer);
        assert_eq!((events.len(), left), (2, 0));
    }
}

#[test]
fn an_end_says_what_it_was() {
    for role in ROLES {
        let mut connection = open(role, &CONFIG);
        receive(&mut connection, START, &wire::close(role, 4001, "two\nlines"));
        take_output(&mut connection);
        connection.receive_eof(START);
        assert_eq!(end(&connection).unwrap().to_string(), r"closed by the peer: 4001 (two\nlines)");

        let mut connection = open(role, &CONFIG);
        connection.close(START, CloseFrame::empty()).unwrap();
        assert_eq!(connection.poll_timeout().unwrap().why, Timer::Close);
        connection.receive_eof(START);
        assert_eq!(end(&connection).unwrap().to_string(), "the connection was lost");
    }
}
