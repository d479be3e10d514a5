//! Deadlines: RFC 6455 §4.1, §5.5.2, §5.5.3, §7.1.1; `THREATS.md` T28, T41, T43. The clock is a number.

use core::time::Duration;
use std::sync::mpsc;

use sansocket::{
    Accept, Cause, CloseCode, Config, Connection, Deadline, Disconnect, Event, Instant, Keepalive, Role,
    Side, State, Timer, Transport,
};
use sansocket_tests::wire::{self, CLOSE, PING, PONG, TEXT, close_payload};
use sansocket_tests::{Pair, ROLES, START, asking, open, receive, take_output};

/// No timers once it is open.
const QUIET: Config = Config::new().idle_timeout(None).keepalive(Keepalive::Off);
const MS: Duration = Duration::from_millis(1);

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(seconds: u64) -> Instant {
    START + s(seconds)
}

fn due(at: Instant, why: Timer) -> Option<Deadline> {
    Some(Deadline { at, why })
}

fn end(connection: &Connection) -> Option<Disconnect> {
    if let Transport::Close(end) = connection.transport() { Some(end.clone()) } else { None }
}

/// The payloads of the Pings that are queued, taken from it.
fn pings(connection: &mut Connection) -> Vec<Vec<u8>> {
    let frames = wire::parse(&take_output(connection));
    assert!(frames.iter().all(|frame| frame.first == 0x80 | PING), "{frames:?}");
    frames.into_iter().map(|frame| frame.payload).collect()
}

/// Follows the deadlines up to `end`, writing all output, and returns the times of the Pings.
fn ping_times(connection: &mut Connection, end: Instant) -> Vec<Instant> {
    let mut times = Vec::new();
    while let Some(next) = connection.poll_timeout().filter(|next| next.at <= end) {
        connection.handle_timeout(next.at);
        if connection.state() == State::Open {
            times.extend(pings(connection).iter().map(|_| next.at));
        }
    }
    times
}

/// Asserts that `connection` is open 1 ns before `when` and that `timer` closes it then, with `code`.
fn closes_at(mut connection: Connection, when: Instant, timer: Timer, code: CloseCode) {
    assert_eq!(connection.state(), State::Open);
    take_output(&mut connection);
    connection.handle_timeout(Instant::from_nanos(when.as_nanos() - 1));
    assert_eq!(connection.state(), State::Open, "too early");
    pings(&mut connection);
    connection.handle_timeout(when);
    assert_eq!(connection.state(), State::Closing, "too late");
    let frames = wire::parse(&take_output(&mut connection));
    let last = frames.last().unwrap();
    assert_eq!((last.first, &last.payload), (0x80 | CLOSE, &close_payload(code.get())));
    assert_eq!(connection.poll_timeout(), due(when + s(5), Timer::Close));
    connection.receive_eof(when);
    let end = end(&connection).unwrap();
    assert_eq!(end.cause(), &Cause::TimedOut(timer));
    assert!(!end.is_clean() && !end.is_orderly());
}

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

/// T41: unsolicited Pongs are not counted as latency.
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

/// T43: a peer that does not read cannot make them pile up.
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

/// `COWBOY.md` C5: redundant values change nothing.
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

/// T28, §7.1.1.
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
fn the_end_of_time_does_no_harm() {
    for role in ROLES {
        for config in [QUIET, Config::new().idle_timeout(Some(Duration::MAX)).close_timeout(Duration::MAX)] {
            comes_back(move || {
                let mut connection = open(role, &config);
                for now in [u64::MAX - 1, u64::MAX] {
                    connection.handle_timeout(Instant::from_nanos(now));
                    assert_eq!(connection.state(), State::Open, "nothing is armed");
                }
                connection.receive_eof(START);
                connection.handle_timeout(Instant::from_nanos(u64::MAX));
                assert_eq!(end(&connection).unwrap().cause(), &Cause::Lost);
            });
        }
    }
}
