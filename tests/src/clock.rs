//! A clock that is a number: what is due, and what happens then.

use core::time::Duration;

use sansocket::{
    Cause, CloseCode, Config, Connection, Deadline, Disconnect, Instant, Keepalive, State, Timer, Transport,
};

use crate::wire::{self, CLOSE, PING, close_payload};
use crate::{START, take_output};

/// No timers once it is open.
pub const QUIET: Config = Config::new().idle_timeout(None).keepalive(Keepalive::Off);
pub const MS: Duration = Duration::from_millis(1);

pub fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn at(seconds: u64) -> Instant {
    START + s(seconds)
}

pub fn due(at: Instant, why: Timer) -> Option<Deadline> {
    Some(Deadline { at, why })
}

pub fn end(connection: &Connection) -> Option<Disconnect> {
    if let Transport::Close(end) = connection.transport() { Some(end.clone()) } else { None }
}

/// The payloads of the Pings that are queued, taken from it.
pub fn pings(connection: &mut Connection) -> Vec<Vec<u8>> {
    let frames = wire::parse(&take_output(connection));
    assert!(frames.iter().all(|frame| frame.first == 0x80 | PING), "{frames:?}");
    frames.into_iter().map(|frame| frame.payload).collect()
}

/// Follows the deadlines up to `end`, writing all output, and returns the times of the Pings.
pub fn ping_times(connection: &mut Connection, end: Instant) -> Vec<Instant> {
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
pub fn closes_at(mut connection: Connection, when: Instant, timer: Timer, code: CloseCode) {
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
    connection.receive_eof();
    let end = end(&connection).unwrap();
    assert_eq!(end.cause(), &Cause::TimedOut(timer));
    assert!(!end.is_clean() && !end.is_orderly());
}
