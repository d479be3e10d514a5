//! RFC 6455 §7.1.4, §7.1.5: how a connection ends, whatever stage it was in, and that there is one verdict.

use sansocket::{
    Agreed, Cause, CloseCode, CloseFrame, Config, Connection, Disconnect, Endpoint, HandshakeError, Kind,
    Message, Prepared, ProtocolError, Refusal, Role, SendError, Side, State, Status, Timer,
};
use sansocket_tests::clock::{at, end};
use sansocket_tests::wire::{self, CONTINUATION, PING, PONG, TEXT};
use sansocket_tests::{ROLES, START, asking, open, receive, take_output};

const CONFIG: Config = Config::new();

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
    lost.receive_eof();
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
                assert_eq!(connection.receive_eof(), None);
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
            other.receive_eof();
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
        connection.receive_eof();
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
            connection.receive_eof();
            take_output(&mut connection);
            let first = end(&connection).unwrap_or_else(|| panic!("{stage}: not over"));
            for _ in 0..3 {
                assert_eq!(connection.receive_eof(), None, "{stage}");
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
                    connection.receive_eof();
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
                connection.receive_eof();
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
fn an_end_says_what_it_was() {
    for role in ROLES {
        let mut connection = open(role, &CONFIG);
        receive(&mut connection, START, &wire::close(role, 4001, "two\nlines"));
        take_output(&mut connection);
        connection.receive_eof();
        assert_eq!(end(&connection).unwrap().to_string(), r"closed by the peer: 4001 (two\nlines)");

        let mut connection = open(role, &CONFIG);
        connection.close(START, CloseFrame::empty()).unwrap();
        assert_eq!(connection.poll_timeout().unwrap().why, Timer::Close);
        connection.receive_eof();
        assert_eq!(end(&connection).unwrap().to_string(), "the connection was lost");
    }
}

#[test]
fn ends_are_equal_if_their_cause_and_both_closes_and_the_response_are() {
    let closed = |ours, theirs| {
        let mut connection = open(Role::Client, &CONFIG);
        connection.close(START, CloseCode::new(ours).unwrap()).unwrap();
        take_output(&mut connection);
        receive(&mut connection, START, &wire::close(Role::Client, theirs, ""));
        connection.receive_eof();
        end(&connection).unwrap()
    };
    let rejected = |body| {
        let mut connection = asking(&CONFIG).0;
        let response = format!("HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n{body}");
        receive(&mut connection, START, response.as_bytes());
        let late = connection.poll_timeout().unwrap().at;
        connection.handle_timeout(late);
        end(&connection).unwrap()
    };
    let ends = || {
        let lost = [Cause::Lost, Cause::TimedOut(Timer::Pong)].map(Disconnect::from);
        let closed = [closed(4000, 4000), closed(4001, 4000), closed(4000, 4001)];
        lost.into_iter().chain(closed).chain(["a", "b"].map(rejected))
    };
    for (i, one) in ends().enumerate() {
        for (j, other) in ends().enumerate() {
            assert_eq!(one == other, i == j, "{one:?} and {other:?}");
        }
    }
}

#[test]
fn every_cause_of_an_end_is_told_with_what_lies_behind_it() {
    use core::error::Error as _;
    for (cause, text, has_source) in [
        (Cause::Closed(Side::Local), "closed by this side: no code", false),
        (Cause::Lost, "the connection was lost", false),
        (Cause::Violation(ProtocolError::InvalidUtf8), "the peer's fault: text that is not UTF-8", true),
        (Cause::TimedOut(Timer::Handshake), "timed out: opening handshake", false),
        (Cause::TimedOut(Timer::Idle), "timed out: idle", false),
        (Cause::TimedOut(Timer::KeepAlive), "timed out: keepalive", false),
        (Cause::TimedOut(Timer::Pong), "timed out: pong", false),
        (Cause::TimedOut(Timer::Close), "timed out: closing handshake", false),
        (Cause::Refused(Refusal::Method), "refused: a WebSocket handshake must be a GET request", true),
        (Cause::Rejected(Status::NOT_FOUND), "the handshake was answered with status 404", false),
        (
            Cause::Handshake(HandshakeError::Malformed),
            "the handshake failed: the answer is not an HTTP/1.1 response",
            true,
        ),
    ] {
        let end = Disconnect::from(cause);
        assert_eq!(end.to_string(), text);
        assert_eq!(
            end.source().is_some_and(|source| text.ends_with(&source.to_string())),
            has_source,
            "{text}"
        );
        assert!(
            format!("{end:?}").starts_with(&format!("Disconnect {{ cause: {:?},", end.cause())),
            "{end:?}"
        );
    }
}

#[test]
fn what_was_agreed_is_known_once_the_handshake_was_completed_and_however_it_ended() {
    for role in ROLES {
        let ends: [fn(&mut Connection); 4] = [
            |_| {},
            Connection::transport_failed,
            |connection| {
                connection.receive_eof();
                take_output(connection);
            },
            |connection| {
                while let Some(next) = connection.poll_timeout() {
                    connection.handle_timeout(next.at);
                }
            },
        ];
        for end in ends {
            for (stage, mut connection) in stages(role) {
                end(&mut connection);
                let was_open = !matches!(stage, "connecting" | "asked" | "refused");
                assert_eq!(connection.agreed().is_some(), was_open, "{stage}, {:?}", connection.state());
            }
        }
    }
    let mut failed = asking(&CONFIG).0;
    receive(&mut failed, START, b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
    assert_eq!((failed.state(), failed.agreed()), (State::Closed, None));

    let agreed = Agreed::new().with_subprotocol("chat");
    let mut connection = Connection::established(Endpoint::Server, &CONFIG, agreed.clone(), START);
    connection.transport_failed();
    assert_eq!((connection.state(), connection.agreed()), (State::Closed, Some(&agreed)));
}

#[test]
fn a_write_that_fails_leaves_nothing_to_write_and_an_end_to_wait_for_in_every_stage() {
    for role in ROLES {
        for times in [1, 2] {
            for (stage, mut connection) in stages(role) {
                for _ in 0..times {
                    connection.write_failed(START);
                }
                assert!(connection.transmit().is_empty() && connection.buffered() == 0, "{stage}");
                assert_eq!(connection.can_send(), Err(SendError::Closed), "{stage}");
                receive(&mut connection, START, &wire::frame(role, PING, "answer me"));
                assert!(connection.transmit().is_empty(), "{stage}");
                if connection.state() != State::Closed {
                    let deadline = connection.poll_timeout().unwrap_or_else(|| panic!("{stage}: for ever"));
                    assert_eq!((deadline.at, deadline.why), (at(5), Timer::Close), "{stage}");
                    connection.handle_timeout(deadline.at);
                }
                let verdict = end(&connection).unwrap_or_else(|| panic!("{stage}: not over"));
                connection.write_failed(START);
                assert_eq!(end(&connection), Some(verdict), "{stage}");
            }
        }
    }
}

#[test]
fn an_end_is_small_and_an_error_and_tells_its_cause_where_that_trait_is_in_scope() {
    // Which has a `cause` of its own, that a box would have.
    use core::error::Error as _;
    let end: Disconnect = Cause::Violation(ProtocolError::InvalidUtf8).into();
    let cause: &Cause = end.cause();
    assert_eq!(cause, &Cause::Violation(ProtocolError::InvalidUtf8));
    assert_eq!(end.source().map(ToString::to_string), Some(ProtocolError::InvalidUtf8.to_string()));
    assert_eq!(size_of_val(&end), size_of::<usize>());
}
