//! Peers that read slowly are not dead: they are given time, as long as they read.

use core::time::Duration;

use sansocket::{CloseCode, Config, Role, State};
use sansocket_tests::{START, open, receive};

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
