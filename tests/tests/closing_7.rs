//! RFC 6455 §5.5.1, §7: closing handshakes. Their time-outs are in `timers.rs`, other ends in `ends_7_1.rs`.

use sansocket::{
    Cause, CloseCode, CloseFrame, Config, Event, Kind, Message, ProtocolError, Role, SendError, Side, State,
    Transport,
};
use sansocket_tests::clock::end;
use sansocket_tests::pair::peer;
use sansocket_tests::wire::{self, CLOSE, CONTINUATION, PING, TEXT, close_payload};
use sansocket_tests::{Pair, ROLES, START, at_every_split, open, receive, take_output};

const CONFIG: Config = Config::new();

fn frame(code: u16, reason: &str) -> CloseFrame<'_> {
    CloseFrame::new(CloseCode::new(code).unwrap(), reason).unwrap()
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
            connection.receive_eof();
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
        assert!(!pair.end(role).connection.has_dropped());
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
            assert!(!connection.has_dropped());
            receive(&mut connection, START, &bytes);
            assert!(connection.buffered() < 32_000 && connection.has_dropped(), "what waits is dropped");
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
