//! RFC 6455 §5.5.2, §5.5.3: when a Ping goes out, and how long its Pong may take.

use core::time::Duration;

use sansocket::{Cause, CloseCode, Config, Event, Instant, Keepalive, Role, State, Timer};
use sansocket_tests::clock::{MS, QUIET, at, closes_at, due, ping_times, pings, s};
use sansocket_tests::wire::{self, PONG, TEXT};
use sansocket_tests::{Pair, ROLES, START, open, receive, take_output};

#[test]
fn pings_go_out_when_the_keepalive_says() {
    for role in ROLES {
        let busy = |config: &Config| {
            let mut connection = open(role, config);
            let mut times = Vec::new();
            for second in 1..=40 {
                receive(&mut connection, at(second), &wire::frame(role, TEXT, "busy"));
                times.extend(ping_times(&mut connection, at(second)));
            }
            times
        };
        let quiet = |config: &Config| ping_times(&mut open(role, config), at(40));
        let half = QUIET.idle_timeout(Some(s(20))).keepalive(Keepalive::HalfIdle);
        assert_eq!(quiet(&half), [at(10)], "then the idle timeout comes");
        assert_eq!(busy(&half), []);
        assert_eq!(quiet(&QUIET.keepalive(Keepalive::HalfIdle)), [], "half of nothing");
        let silence = QUIET.keepalive(Keepalive::AfterSilence(s(15)));
        assert_eq!(quiet(&silence)[0], at(15));
        assert_eq!(busy(&silence), []);
        let every = QUIET.keepalive(Keepalive::Every(s(10)));
        assert_eq!(busy(&every)[0], at(10), "whatever else comes");
        assert_eq!(quiet(&QUIET.keepalive(Keepalive::Off)), []);
        assert_eq!(open(role, &QUIET).poll_timeout(), None);
    }
}

#[test]
fn every_ping_that_is_answered_is_followed_by_another_5_5_2() {
    for role in ROLES {
        for (keepalive, times) in [
            (Keepalive::Every(s(10)), [10, 20, 30, 40, 50, 60]),
            (Keepalive::AfterSilence(s(10)), [10, 21, 32, 43, 54, 65]),
        ] {
            let mut connection = open(role, &QUIET.keepalive(keepalive).pong_timeout(Some(s(3))));
            let mut payloads = Vec::new();
            for second in 1..=70 {
                connection.handle_timeout(at(second));
                for payload in pings(&mut connection) {
                    let pong = wire::frame(role, PONG, &payload);
                    assert_eq!(receive(&mut connection, at(second + 1), &pong).0.len(), 1);
                    payloads.push((second, payload));
                }
            }
            let seconds: Vec<_> = payloads.iter().map(|(second, _)| *second).take(6).collect();
            assert_eq!(seconds, times, "{keepalive:?}");
            assert_eq!(connection.latency(), Some(s(1)));
            payloads.sort_by(|a, b| a.1.cmp(&b.1));
            payloads.dedup_by(|a, b| a.1 == b.1);
            assert!(payloads.len() >= 6, "no payload twice");
        }
    }
}

#[test]
fn the_round_trip_of_a_probe_is_measured_5_5_3() {
    for role in ROLES {
        let mut connection = open(role, &QUIET);
        assert_eq!(connection.latency(), None);
        connection.probe(at(1)).unwrap();
        let ping = pings(&mut connection).remove(0);
        receive(&mut connection, at(1) + MS * 37, &wire::frame(role, PONG, &ping));
        assert_eq!(connection.latency(), Some(MS * 37));
        // The same Pong again, later, says nothing.
        receive(&mut connection, at(9), &wire::frame(role, PONG, &ping));
        assert_eq!(connection.latency(), Some(MS * 37));
        connection.probe(at(10)).unwrap();
        let ping = pings(&mut connection).remove(0);
        receive(&mut connection, at(12), &wire::frame(role, PONG, &ping));
        assert_eq!(connection.latency(), Some(s(2)));
    }
}

/// Unsolicited Pongs are not counted as latency.
#[test]
fn a_pong_that_nobody_asked_for_is_shown_and_counts_for_nothing_5_5_3() {
    for role in ROLES {
        let mut connection = open(role, &QUIET.pong_timeout(Some(s(10))));
        receive(&mut connection, at(1), &wire::frame(role, PONG, [0; 8]));
        assert_eq!(connection.latency(), None);
        connection.probe(at(2)).unwrap();
        let ping = pings(&mut connection).remove(0);
        for forged in [&b""[..], b"x", &ping[..7], &[&ping[..], b"x"].concat(), &[0xFF; 8], &[0; 8]] {
            let (events, _) = receive(&mut connection, at(3), &wire::frame(role, PONG, forged));
            assert_eq!(events, [Event::Pong(forged.to_vec().into())]);
            assert_eq!(connection.latency(), None, "{forged:02x?}");
            assert_eq!(connection.poll_timeout(), due(at(12), Timer::Pong));
        }
        closes_at(connection, at(12), Timer::Pong, CloseCode::INTERNAL_ERROR);
    }
}

#[test]
fn the_pong_timeout_runs_whatever_else_comes_and_stops_with_the_pong() {
    for role in ROLES {
        let config = Config::new().pong_timeout(Some(s(7)));
        let mut answered = open(role, &config);
        let mut ignored = open(role, &config);
        for connection in [&mut answered, &mut ignored] {
            connection.handle_timeout(at(30));
            assert_eq!(connection.poll_timeout(), due(at(37), Timer::Pong));
        }
        let ping = pings(&mut answered).remove(0);
        receive(&mut answered, at(36), &wire::frame(role, PONG, ping));
        answered.handle_timeout(at(37));
        assert_eq!(answered.state(), State::Open);
        receive(&mut ignored, at(36), &wire::frame(role, TEXT, "busy"));
        closes_at(ignored, at(37), Timer::Pong, CloseCode::INTERNAL_ERROR);
        // By default nothing waits for a Pong.
        let mut patient = open(role, &QUIET);
        patient.probe(START).unwrap();
        assert_eq!(patient.poll_timeout(), None);
    }
}

/// A Ping that goes out before the last one's Pong came must not grant that one more time.
#[test]
fn a_pong_timeout_longer_than_the_ping_interval_expires_all_the_same() {
    for role in ROLES {
        for keepalive in [Keepalive::AfterSilence(s(10)), Keepalive::Every(s(10))] {
            let mut connection = open(role, &QUIET.keepalive(keepalive).pong_timeout(Some(s(15))));
            ping_times(&mut connection, at(25));
            assert_eq!(
                connection.state(),
                State::Closing,
                "{keepalive:?}: first Ping at 10 s, no Pong by 25 s"
            );
        }
        let mut connection = open(role, &QUIET.pong_timeout(Some(s(15))));
        for second in 0..15 {
            connection.probe(at(second)).unwrap();
            take_output(&mut connection);
        }
        closes_at(connection, at(15), Timer::Pong, CloseCode::INTERNAL_ERROR);
    }
}

/// Its Pongs come when newer Pings are on their way already.
#[test]
fn a_peer_that_is_slower_than_the_ping_interval_is_measured_and_not_cut_off_5_5_3() {
    for role in ROLES {
        let config = QUIET.keepalive(Keepalive::Every(s(1))).pong_timeout(Some(s(5)));
        let mut connection = open(role, &config);
        let mut on_their_way = Vec::new();
        for half in 1..120 {
            let now = START + MS * 500 * half;
            for (_, ping) in on_their_way.extract_if(.., |(arrives, _)| *arrives <= now) {
                receive(&mut connection, now, &wire::frame(role, PONG, &ping));
            }
            connection.handle_timeout(now);
            assert_eq!(connection.state(), State::Open);
            on_their_way.extend(pings(&mut connection).into_iter().map(|ping| (now + MS * 2500, ping)));
        }
        assert_eq!(connection.latency(), Some(MS * 2500));
    }
}

/// A peer that does not read cannot make them pile up.
#[test]
fn pings_that_cannot_be_written_do_not_pile_up_in_a_day() {
    for role in ROLES {
        for keepalive in [Keepalive::AfterSilence(s(10)), Keepalive::Every(s(10))] {
            let mut connection = open(role, &QUIET.keepalive(keepalive));
            while let Some(next) = connection.poll_timeout().filter(|next| next.at <= at(86_400)) {
                connection.handle_timeout(next.at);
            }
            assert!(connection.buffered() <= 8 * 1024, "{keepalive:?}: {} bytes", connection.buffered());
        }
    }
}

#[test]
fn two_peers_keep_a_silent_connection_open_for_a_day_with_few_pings() {
    let mut pair = Pair::open(&Config::new(), &Config::new());
    pair.pass(s(86_400));
    let mut count = 0;
    for role in ROLES {
        assert_eq!(pair.end(role).connection.state(), State::Open);
        assert_eq!(pair.end(role).connection.latency(), Some(Duration::from_nanos(1)), "it takes no time");
        count += pair.end(role).take_events().iter().filter(|e| matches!(e, Event::Ping(_))).count();
    }
    // One every 30 s keeps both ends content; both may ping at once.
    assert!((86_400 / 30 - 1..=2 * 86_400 / 30).contains(&count), "{count}");
}

#[test]
fn one_end_without_keepalive_is_kept_alive_by_the_other() {
    for role in ROLES {
        let silent = Config::new().keepalive(Keepalive::Off);
        let configs = if role == Role::Client { (Config::new(), silent) } else { (silent, Config::new()) };
        let mut pair = Pair::open(&configs.0, &configs.1);
        pair.pass(s(3600));
        for end in ROLES {
            assert_eq!(pair.end(end).connection.state(), State::Open);
        }
    }
    // Without any, both give up after a minute of silence.
    let silent = Config::new().keepalive(Keepalive::Off);
    let mut pair = Pair::open(&silent, &silent);
    pair.pass(s(61));
    for role in ROLES {
        assert_eq!(pair.end(role).disconnect().unwrap().cause(), &Cause::TimedOut(Timer::Idle));
        assert!(pair.end(role).disconnect().unwrap().is_clean(), "both frames crossed");
    }
}

#[test]
fn a_probe_during_a_pause_waits_for_its_pong_from_when_the_pause_ends() {
    for role in ROLES {
        for answered in [false, true] {
            let mut connection = open(role, &QUIET.pong_timeout(Some(s(7))));
            connection.pause();
            connection.probe(at(1)).unwrap();
            connection.probe(at(2)).unwrap();
            let ping = pings(&mut connection).remove(0);
            assert_eq!(connection.poll_timeout(), None, "what cannot be heard is not waited for");
            connection.handle_timeout(at(1000));
            assert_eq!(connection.state(), State::Open);
            connection.resume(at(1000));
            assert_eq!(connection.poll_timeout(), due(at(1007), Timer::Pong));
            if answered {
                receive(&mut connection, at(1006), &wire::frame(role, PONG, ping));
                assert_eq!((connection.latency(), connection.poll_timeout()), (Some(s(1005)), None));
            } else {
                closes_at(connection, at(1007), Timer::Pong, CloseCode::INTERNAL_ERROR);
            }
        }
    }
}

#[test]
fn however_short_the_interval_there_is_one_ping_in_a_millisecond() {
    let every_ms: Vec<_> = (1..=10).map(|ms| START + MS * ms).collect();
    let us = Duration::from_micros(1);
    for role in ROLES {
        for interval in [Duration::ZERO, Duration::from_nanos(1), us * 999, MS] {
            for keepalive in [Keepalive::Every(interval), Keepalive::AfterSilence(interval)] {
                let mut connection = open(role, &QUIET.keepalive(keepalive));
                assert_eq!(ping_times(&mut connection, START + MS * 10), every_ms, "{keepalive:?}");
                // Called far more often than it asks for.
                let mut connection = open(role, &QUIET.keepalive(keepalive));
                let mut times = Vec::new();
                for now in (1..=10_000).map(|step| START + us * step) {
                    connection.handle_timeout(now);
                    times.extend(pings(&mut connection).iter().map(|_| now));
                }
                assert_eq!(times, every_ms, "{keepalive:?}");
            }
        }
        // Half of an idle timeout is no shorter.
        let mut connection = open(role, &QUIET.idle_timeout(Some(us * 1500)).keepalive(Keepalive::HalfIdle));
        let end = Instant::from_nanos((START + us * 1500).as_nanos() - 1);
        assert_eq!(ping_times(&mut connection, end), [START + MS]);
    }
}
