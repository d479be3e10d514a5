//! Deadlines: RFC 6455 §4.1, §7.1.1. Those of Pings are in `keepalive_5_5_2.rs`.

use core::time::Duration;
use std::sync::mpsc;

use sansocket::{
    Accept, Cause, CloseCode, Config, Connection, Event, Instant, Keepalive, Side, State, Timer, Transport,
};
use sansocket_tests::clock::{MS, QUIET, at, closes_at, due, end, ping_times, pings, s};
use sansocket_tests::wire::{self, PING, PONG, TEXT, close_payload};
use sansocket_tests::{ROLES, START, asking, open, receive, take_output};

/// Runs what might never come back elsewhere. The only real clock here, and only a hang or a panic makes it matter.
fn comes_back(what: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || {
        what();
        let _ = done.send(());
    });
    assert!(wait.recv_timeout(s(20)).is_ok(), "panics, or does not come back");
}

#[test]
fn the_defaults_are_a_ping_after_30_s_and_an_end_after_60_s_of_silence() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        assert_eq!(connection.poll_timeout(), due(at(30), Timer::KeepAlive));
        connection.handle_timeout(at(30));
        let payloads = pings(&mut connection);
        assert_eq!(payloads.len(), 1);
        assert_eq!(payloads[0].len(), 8, "a counter, to know its Pong by");
        assert_eq!(connection.poll_timeout(), due(at(60), Timer::Idle));
        closes_at(connection, at(60), Timer::Idle, CloseCode::NORMAL_CLOSURE);
    }
}

#[test]
fn a_peer_that_is_dead_is_found_in_60_s_and_given_up_5_s_later() {
    for role in ROLES {
        for written in [true, false] {
            let mut connection = open(role, &Config::new());
            let mut last = START;
            while let Some(next) = connection.poll_timeout() {
                assert!(next.at > last, "no deadline twice");
                last = next.at;
                connection.handle_timeout(last);
                if written {
                    take_output(&mut connection);
                }
            }
            assert_eq!(last, at(65));
            assert_eq!(end(&connection).unwrap().cause(), &Cause::TimedOut(Timer::Idle));
            assert!(connection.transmit().is_empty());
        }
    }
}

#[test]
fn any_byte_that_comes_puts_the_idle_timeout_off() {
    for role in ROLES {
        let idle = Config::new().idle_timeout(Some(s(20))).keepalive(Keepalive::Off);
        for bytes in [
            wire::frame(role, PING, "x"),
            wire::frame(role, PONG, "unasked"),
            wire::frame(role, TEXT, "hello"),
            wire::fragment(role, TEXT, ""),
            wire::frame(role, TEXT, "half a frame")[..9].to_vec(),
            vec![0x81],
        ] {
            let mut connection = open(role, &idle);
            assert_eq!(connection.poll_timeout(), due(at(20), Timer::Idle));
            receive(&mut connection, at(19), &bytes);
            connection.handle_timeout(at(20));
            assert_eq!(connection.poll_timeout(), due(at(39), Timer::Idle));
            closes_at_with_pong(connection, at(39));
        }
    }
}

/// Like `closes_at`, when the answer to a Ping may be queued.
fn closes_at_with_pong(mut connection: Connection, when: Instant) {
    take_output(&mut connection);
    closes_at(connection, when, Timer::Idle, CloseCode::NORMAL_CLOSURE);
}

#[test]
fn what_is_sent_does_not_put_the_idle_timeout_off() {
    for role in ROLES {
        let idle = Config::new().idle_timeout(Some(s(20))).keepalive(Keepalive::Off);
        let mut connection = open(role, &idle);
        for second in 1..20 {
            connection.handle_timeout(at(second));
            connection.send("still there?").unwrap();
            connection.ping(b"you").unwrap();
            take_output(&mut connection);
        }
        closes_at(connection, at(20), Timer::Idle, CloseCode::NORMAL_CLOSURE);
    }
}

#[test]
fn an_empty_read_is_no_sign_of_life() {
    for role in ROLES {
        let mut connection = open(role, &QUIET.idle_timeout(Some(s(20))));
        receive(&mut connection, at(19), b"");
        closes_at(connection, at(20), Timer::Idle, CloseCode::NORMAL_CLOSURE);
    }
}

#[test]
fn the_deadline_stays_where_it_is_under_traffic_and_expires_to_the_nanosecond() {
    for role in ROLES {
        let mut connection = open(role, &QUIET.idle_timeout(Some(s(60))));
        let mut moves = 0;
        let mut last = connection.poll_timeout();
        for second in 1..=1000 {
            receive(&mut connection, at(second), &wire::frame(role, PONG, ""));
            assert_eq!(connection.poll_timeout(), last, "bytes re-arm nothing");
            if last.unwrap().at <= at(second) {
                connection.handle_timeout(at(second));
                assert_eq!(connection.poll_timeout(), due(at(second + 60), Timer::Idle));
                last = connection.poll_timeout();
                moves += 1;
            }
        }
        assert_eq!(moves, 1000 / 60);
        while connection.poll_timeout().unwrap().at < at(1060) {
            let next = connection.poll_timeout().unwrap().at;
            connection.handle_timeout(next);
        }
        closes_at(connection, at(1060), Timer::Idle, CloseCode::NORMAL_CLOSURE);
    }
}

#[test]
fn early_and_late_calls_are_harmless() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        for ms in 0..30_000 {
            connection.handle_timeout(START + MS * ms);
            assert_eq!(connection.poll_timeout(), due(at(30), Timer::KeepAlive));
        }
        assert!(connection.transmit().is_empty());
        // An hour late: one Close, and the time for its answer begins now.
        connection.handle_timeout(at(3600));
        connection.handle_timeout(at(3600));
        let frames = wire::parse(&take_output(&mut connection));
        assert_eq!(frames.last().unwrap().payload, close_payload(1000));
        assert!(frames.len() <= 2, "{frames:?}");
        assert_eq!(connection.poll_timeout(), due(at(3605), Timer::Close));

        // Not one Ping for each interval that was slept through.
        for keepalive in [Keepalive::AfterSilence(s(1)), Keepalive::Every(s(1))] {
            let mut connection = open(role, &QUIET.keepalive(keepalive));
            connection.handle_timeout(at(3600));
            assert_eq!(pings(&mut connection).len(), 1);
            assert_eq!(connection.poll_timeout(), due(at(3601), Timer::KeepAlive));
        }
    }
}

#[test]
fn a_pause_stops_the_timers_of_silence_and_resuming_starts_them_anew() {
    for role in ROLES {
        let mut connection = open(role, &Config::new().pong_timeout(Some(s(7))));
        connection.probe(at(1)).unwrap();
        take_output(&mut connection);
        connection.pause();
        connection.pause();
        assert!(connection.is_paused());
        assert_eq!(connection.poll_timeout(), None);
        connection.handle_timeout(at(100_000));
        assert!(connection.transmit().is_empty());
        connection.resume(at(100_000));
        assert_eq!(connection.poll_timeout(), due(at(100_007), Timer::Pong));
        let mut other = open(role, &Config::new());
        other.pause();
        other.resume(at(1000));
        assert_eq!(other.poll_timeout(), due(at(1030), Timer::KeepAlive));
        other.handle_timeout(at(1030));
        closes_at(other, at(1060), Timer::Idle, CloseCode::NORMAL_CLOSURE);
    }
}

/// Redundant calls change nothing.
#[test]
fn resuming_what_is_not_paused_puts_no_timeout_off() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        connection.resume(at(20));
        assert_eq!(connection.poll_timeout(), due(at(30), Timer::KeepAlive));
        let mut connection = open(role, &QUIET.idle_timeout(Some(s(20))));
        for second in 1..20 {
            connection.resume(at(second));
        }
        closes_at(connection, at(20), Timer::Idle, CloseCode::NORMAL_CLOSURE);
    }
}

#[test]
fn new_options_restart_the_timers() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        connection.set_options(at(50), &QUIET.idle_timeout(Some(s(20))));
        assert_eq!(connection.poll_timeout(), due(at(70), Timer::Idle));
        closes_at(connection, at(70), Timer::Idle, CloseCode::NORMAL_CLOSURE);

        let mut connection = open(role, &Config::new());
        connection.set_options(at(50), &QUIET);
        assert_eq!(connection.poll_timeout(), None);
        connection.set_options(at(60), &QUIET.keepalive(Keepalive::Every(s(3))));
        assert_eq!(ping_times(&mut connection, at(68))[0], at(63));

        // Not while it is paused; from when it is resumed, then.
        let mut connection = open(role, &QUIET);
        connection.pause();
        connection.set_options(at(5), &Config::new());
        assert_eq!(connection.poll_timeout(), None);
        connection.resume(at(9));
        assert_eq!(connection.poll_timeout(), due(at(39), Timer::KeepAlive));

        // The close deadline stands.
        let mut connection = open(role, &QUIET);
        connection.close(at(1), CloseCode::NORMAL_CLOSURE).unwrap();
        connection.set_options(at(2), &Config::new().close_timeout(s(100)));
        assert_eq!(connection.poll_timeout(), due(at(6), Timer::Close));
    }
}

/// §7.1.1.
#[test]
fn a_close_that_is_not_answered_ends_when_the_close_timeout_does() {
    for role in ROLES {
        for (timeout, written) in [(5, true), (5, false), (1, true)] {
            let mut connection = open(role, &Config::new().close_timeout(s(timeout)));
            connection.close(at(10), CloseCode::GOING_AWAY).unwrap();
            if written {
                take_output(&mut connection);
            }
            assert_eq!(connection.poll_timeout(), due(at(10 + timeout), Timer::Close));
            // Traffic does not put it off.
            receive(&mut connection, at(10), &wire::frame(role, TEXT, "busy"));
            connection.handle_timeout(Instant::from_nanos(at(10 + timeout).as_nanos() - 1));
            assert_eq!(end(&connection), None);
            connection.handle_timeout(at(10 + timeout));
            let end = end(&connection).unwrap();
            assert_eq!(end.cause(), &Cause::TimedOut(Timer::Close));
            assert!(!end.is_clean() && connection.transmit().is_empty());
            assert_eq!(end.sent(), written.then(|| CloseCode::GOING_AWAY.into()).as_ref());
        }
    }
}

#[test]
fn a_peer_that_answers_but_keeps_the_transport_open_ends_it_cleanly_at_the_deadline() {
    for role in ROLES {
        for (local, side) in [(true, Side::Local), (false, Side::Remote)] {
            let mut connection = open(role, &Config::new());
            if local {
                connection.close(at(1), CloseCode::NORMAL_CLOSURE).unwrap();
            }
            receive(&mut connection, at(3), &wire::close(role, 1000, ""));
            take_output(&mut connection);
            let deadline = connection.poll_timeout().unwrap();
            assert_eq!(deadline.why, Timer::Close);
            assert!((at(6)..=at(8)).contains(&deadline.at));
            receive(&mut connection, at(5), &wire::frame(role, TEXT, "ignored"));
            assert_eq!(connection.poll_timeout(), Some(deadline));
            connection.handle_timeout(deadline.at);
            let end = end(&connection).unwrap();
            assert_eq!(end.cause(), &Cause::Closed(side));
            assert!(end.is_clean());
        }
    }
}

#[test]
fn an_answer_that_cannot_be_written_by_the_deadline_is_not_clean_7_1_4() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        connection.send(vec![0; 30_000]).unwrap();
        receive(&mut connection, at(3), &wire::close(role, 1000, ""));
        connection.transmitted(2_000);
        assert_eq!(connection.poll_timeout(), due(at(8), Timer::Close));
        connection.handle_timeout(at(8));
        let end = end(&connection).unwrap();
        assert!(connection.transmit().is_empty());
        assert!(!end.is_clean(), "our Close never went out: {end:?}");
    }
}

#[test]
fn a_peer_that_breaks_the_protocol_has_the_close_timeout_to_go() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        receive(&mut connection, at(3), &[0xFF]);
        take_output(&mut connection);
        assert_eq!(connection.poll_timeout(), due(at(8), Timer::Close));
        assert_eq!(connection.transport(), Transport::ShutdownWrite);
        connection.handle_timeout(at(8));
        assert!(matches!(end(&connection).unwrap().cause(), Cause::Violation(_)));
        assert_eq!(connection.poll_timeout(), None);
    }
}

#[test]
fn the_opening_handshake_has_10_s_4_1() {
    let config = Config::new();
    for mut connection in [asking(&config).0, Connection::server(&config, START)] {
        assert_eq!(connection.poll_timeout(), due(at(10), Timer::Handshake));
        connection.handle_timeout(Instant::from_nanos(at(10).as_nanos() - 1));
        assert_eq!(connection.state(), State::Connecting);
        connection.handle_timeout(at(10));
        assert_eq!(end(&connection).unwrap().cause(), &Cause::TimedOut(Timer::Handshake));
        assert!(connection.transmit().is_empty(), "nobody to answer");
    }
    let config = Config::new().handshake_timeout(None);
    for connection in [asking(&config).0, Connection::server(&config, START)] {
        assert_eq!(connection.poll_timeout(), None);
    }
}

#[test]
fn bytes_that_trickle_in_do_not_put_the_handshake_timeout_off() {
    let config = Config::new();
    let mut client = asking(&config).0;
    let mut server = Connection::server(&config, START);
    for second in 1..10 {
        receive(&mut client, at(second), &b"HTTP/1.1 101"[..usize::from(second == 1) * 12]);
        receive(&mut server, at(second), &b"GET / HTTP"[usize::try_from(second).unwrap()..][..1]);
        for connection in [&mut client, &mut server] {
            connection.handle_timeout(at(second));
            assert_eq!(connection.poll_timeout(), due(at(10), Timer::Handshake));
        }
    }
    client.handle_timeout(at(10));
    assert_eq!(end(&client).unwrap().cause(), &Cause::TimedOut(Timer::Handshake));
    server.handle_timeout(at(10));
    assert!(take_output(&mut server).starts_with(b"HTTP/1.1 408 "));
    assert_eq!(server.transport(), Transport::ShutdownWrite);
    assert_eq!(server.poll_timeout(), due(at(15), Timer::Close));
    server.handle_timeout(at(15));
    assert_eq!(end(&server).unwrap().cause(), &Cause::TimedOut(Timer::Handshake));
}

#[test]
fn the_time_that_the_application_takes_to_answer_a_request_is_its_own() {
    let mut server = Connection::server(&Config::new(), START);
    let (events, _) = receive(&mut server, at(9), &asking(&Config::new()).1);
    assert!(matches!(events[..], [Event::Request(_)]));
    assert_eq!(server.poll_timeout(), None);
    server.handle_timeout(at(5000));
    server.accept(at(5000), Accept::new()).unwrap();
    assert_eq!(server.poll_timeout(), due(at(5030), Timer::KeepAlive));
}

#[test]
fn settings_that_come_with_the_answer_set_the_timers() {
    let mut server = Connection::server(&Config::new(), START);
    receive(&mut server, at(1), &asking(&Config::new()).1);
    server.accept(at(2), Accept::new().config(QUIET.idle_timeout(Some(s(3))))).unwrap();
    assert_eq!(server.poll_timeout(), due(at(5), Timer::Idle));
}

#[test]
fn an_interval_of_nothing_does_not_hang() {
    let tiny = Duration::from_nanos(1);
    for role in ROLES {
        for config in [
            QUIET.keepalive(Keepalive::Every(Duration::ZERO)),
            QUIET.keepalive(Keepalive::AfterSilence(Duration::ZERO)),
            QUIET.idle_timeout(Some(tiny)).keepalive(Keepalive::HalfIdle),
            QUIET.idle_timeout(Some(Duration::ZERO)).pong_timeout(Some(Duration::ZERO)),
            QUIET.close_timeout(Duration::ZERO),
        ] {
            comes_back(move || {
                let mut connection = open(role, &config);
                connection.handle_timeout(START);
                connection.handle_timeout(at(1));
                assert!(connection.buffered() < 100, "a handful of Pings at most");
                let _ = connection.close(at(1), CloseCode::NORMAL_CLOSURE);
                connection.handle_timeout(at(1));
            });
        }
    }
}

#[test]
fn the_time_between_two_instants_is_nothing_the_wrong_way_round() {
    assert_eq!(at(5) - at(2), s(3));
    assert_eq!(at(2) - at(5), Duration::ZERO);
}

#[test]
fn the_end_of_time_does_no_harm() {
    for role in ROLES {
        for config in [QUIET, Config::new().idle_timeout(Some(Duration::MAX)).close_timeout(Duration::MAX)] {
            comes_back(move || {
                let mut connection = open(role, &config);
                for now in [u64::MAX - 1, u64::MAX] {
                    connection.handle_timeout(Instant::from_nanos(now));
                    assert_eq!(connection.state(), State::Open, "nothing is armed");
                }
                connection.receive_eof();
                connection.handle_timeout(Instant::from_nanos(u64::MAX));
                assert_eq!(end(&connection).unwrap().cause(), &Cause::Lost);
            });
        }
    }
}
