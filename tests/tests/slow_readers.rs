//! Peers that read slowly are not dead: they are given time, as long as they read.

use core::time::Duration;

use sansocket::{Cause, CloseCode, Config, Connection, Instant, Role, State, Timer};
use sansocket_tests::clock::{QUIET, at, due, end, pings, s};
use sansocket_tests::wire::{self, PONG};
use sansocket_tests::{ROLES, START, open, receive, take_output};

#[test]
fn a_slow_reader_is_waited_for_as_long_as_it_reads_7_1_1() {
    for (rate, reads_all) in [(100_000, true), (4096, true), (1000, false)] {
        let mut server = open(Role::Server, &Config::new());
        server.send(vec![0; 1 << 18]).unwrap();
        server.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
        let mut now = START;
        while !server.transmit().is_empty() {
            server.transmitted(server.transmit().len().min(rate));
            now = now + Duration::from_secs(5);
            server.handle_timeout(now);
        }
        let written = server.state() != State::Closed;
        assert_eq!(written, reads_all, "{rate} bytes in the time of the close timeout");
    }
}

#[test]
fn a_slow_reader_that_talks_is_waited_for_as_one_that_does_not_7_1_1() {
    for role in ROLES {
        for (rate, reads_all) in [(50_000, true), (500, false)] {
            let mut connection = open(role, &Config::new());
            connection.send(vec![0; 1 << 19]).unwrap();
            connection.close(START, CloseCode::NORMAL_CLOSURE).unwrap();
            let mut second = 0;
            while !connection.transmit().is_empty() {
                second += 1;
                connection.transmitted(connection.transmit().len().min(rate));
                receive(&mut connection, at(second), &wire::frame(role, wire::TEXT, "and another thing"));
                connection.handle_timeout(at(second));
            }
            assert_eq!(!connection.has_dropped(), reads_all, "{rate} bytes a second");
        }
    }
}

#[test]
fn a_slow_reader_is_not_taken_for_an_idle_peer_while_its_own_input_must_wait() {
    for (rate, survives) in [(10_000, true), (50, false)] {
        let mut server = open(Role::Server, &Config::new());
        server.send(vec![0; 1 << 21]).unwrap();
        let mut now = START;
        for _ in 0..100 {
            now = now + Duration::from_secs(1);
            server.transmitted(rate.min(server.transmit().len()));
            if server.state() == State::Open {
                assert_eq!(receive(&mut server, now, b"?").1, 1, "it must read first");
            }
            server.handle_timeout(now);
        }
        assert_eq!(server.state() == State::Open, survives, "{rate} bytes a second");
    }
}

/// Its Pong lies behind what we do not read before it has read.
#[test]
fn a_pong_that_is_not_read_while_output_waits_is_not_late_5_5_3() {
    for role in ROLES {
        let mut connection = open(role, &QUIET.pong_timeout(Some(s(7))));
        connection.probe(START).unwrap();
        let pong = wire::frame(role, PONG, pings(&mut connection).remove(0));
        connection.send(vec![0; 1_000_000]).unwrap();
        let mut second = 0;
        loop {
            second += 1;
            connection.transmitted(10_000);
            let (_, left) = receive(&mut connection, at(second), &pong);
            connection.handle_timeout(at(second));
            assert_eq!(connection.state(), State::Open, "after {second} s");
            if left == 0 {
                break;
            }
        }
        // 64 KiB may wait.
        assert_eq!(second, (1_000_000 - (64 << 10)) / 10_000 + 1);
        assert_eq!(connection.latency(), Some(s(second)));
        assert_eq!(connection.poll_timeout(), None);
    }
}

#[test]
fn a_pong_is_late_if_the_peer_does_not_read_either_or_if_it_could_have_been_read() {
    for role in ROLES {
        let mut dead = open(role, &QUIET.pong_timeout(Some(s(7))));
        dead.probe(START).unwrap();
        dead.send(vec![0; 1_000_000]).unwrap();
        let mut silent = open(role, &QUIET.pong_timeout(Some(s(7))));
        silent.probe(START).unwrap();
        for second in 1..7 {
            silent.send(vec![0; 50_000]).unwrap();
            take_output(&mut silent);
            silent.handle_timeout(at(second));
        }
        for mut connection in [dead, silent] {
            assert_eq!(connection.state(), State::Open);
            connection.handle_timeout(at(7));
            assert_eq!(connection.state(), State::Closing);
            connection.transport_failed();
            assert_eq!(end(&connection).unwrap().cause(), &Cause::TimedOut(Timer::Pong));
        }
    }
}

#[test]
fn what_is_acknowledged_in_the_very_turn_of_a_deadline_counts_though_nothing_waits_any_more() {
    for role in ROLES {
        for steady in [false, true] {
            let mut idle = open(role, &QUIET.idle_timeout(Some(s(60))));
            let mut pong = open(role, &QUIET.pong_timeout(Some(s(60))));
            pong.probe(START).unwrap();
            for (connection, timer) in [(&mut idle, Timer::Idle), (&mut pong, Timer::Pong)] {
                connection.send(vec![0; 100_000]).unwrap();
                for _ in 0..if steady { 30 } else { 0 } {
                    connection.transmitted(1000);
                }
                take_output(connection);
                connection.handle_timeout(at(60));
                assert_eq!(connection.state(), State::Open, "{timer}, steady: {steady}");
                assert_eq!(connection.poll_timeout(), due(at(120), timer), "steady: {steady}");
                // That was the last of it: from here on it is to be heard.
                connection.handle_timeout(at(120));
                assert_eq!(connection.state(), State::Closing, "{timer}, steady: {steady}");
            }
        }
    }
}

/// Two deadlines that fall together ask about the same time, each for itself.
#[test]
fn a_peer_that_reads_is_alive_for_all_deadlines_that_fall_together() {
    for role in ROLES {
        for pong_timeout in [s(60), s(59), s(61), s(30)] {
            let mut connection =
                open(role, &QUIET.idle_timeout(Some(s(60))).pong_timeout(Some(pong_timeout)));
            connection.probe(START).unwrap();
            connection.send(vec![0; 1_000_000]).unwrap();
            for second in 1..=300 {
                connection.transmitted(1000);
                connection.handle_timeout(at(second));
                assert_eq!(connection.state(), State::Open, "after {second} s, {pong_timeout:?} for a Pong");
            }
        }
    }
}

/// Asserts that `connection`, whose peer is dead, gives it up at `idle`, and is over when the close timeout is.
fn assert_found_dead(mut connection: Connection, idle: Instant) {
    connection.handle_timeout(Instant::from_nanos(idle.as_nanos() - 1));
    assert_eq!(connection.state(), State::Open, "too early");
    connection.handle_timeout(idle);
    assert_eq!(connection.state(), State::Closing, "too late");
    assert_eq!(connection.poll_timeout(), due(idle + s(5), Timer::Close));
    connection.handle_timeout(idle + s(5));
    assert_eq!(end(&connection).unwrap().cause(), &Cause::TimedOut(Timer::Idle));
}

#[test]
fn what_a_peer_read_long_ago_does_not_keep_it_once_it_is_dead() {
    for role in ROLES {
        let config = QUIET.idle_timeout(Some(s(60)));
        // It read a lot that waited, and said so.
        let mut heard = open(role, &config);
        heard.send(vec![0; 200_000]).unwrap();
        take_output(&mut heard);
        receive(&mut heard, at(2), &wire::frame(role, PONG, ""));
        heard.send(vec![0; 200_000]).unwrap();
        assert_found_dead(heard, at(62));
        // What it read never waited: its buffers took it.
        let mut buffered = open(role, &config);
        for _ in 0..20 {
            buffered.send(vec![0; 10_000]).unwrap();
            take_output(&mut buffered);
        }
        buffered.send(vec![0; 200_000]).unwrap();
        assert_found_dead(buffered, at(60));
        // It read what waited in the first minute, and nothing of it in the second.
        let mut reader = open(role, &config);
        reader.send(vec![0; 200_000]).unwrap();
        reader.transmitted(100_000);
        reader.handle_timeout(at(60));
        assert_found_dead(reader, at(120));
    }
}

#[test]
fn what_a_peer_read_before_our_close_does_not_put_the_close_timeout_off() {
    for role in ROLES {
        let mut connection = open(role, &Config::new());
        connection.send(vec![0; 200_000]).unwrap();
        connection.transmitted(100_000);
        connection.close(at(10), CloseCode::NORMAL_CLOSURE).unwrap();
        connection.handle_timeout(at(15));
        assert_eq!(end(&connection).unwrap().cause(), &Cause::TimedOut(Timer::Close));
    }
}

/// While so much is queued that no Ping goes out, a peer that only reads is heard by its reading; also where input is
/// taken all the time.
#[test]
fn a_peer_that_reads_and_has_nothing_to_say_is_kept_though_no_input_waits() {
    for role in ROLES {
        for (rate, survives) in [(1000, true), (60, false)] {
            let mut connection = open(role, &Config::new());
            connection.set_backpressure(false);
            let mut second = 0;
            while second < 600 && connection.state() == State::Open {
                second += 1;
                while connection.buffered() < 60_000 {
                    connection.send(&[0; 10_000][..]).unwrap();
                }
                connection.transmitted(rate);
                connection.handle_timeout(at(second));
            }
            assert_eq!(connection.state() == State::Open, survives, "{rate} bytes a second");
        }
    }
}
