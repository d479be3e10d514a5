//! Time as an argument: the core never reads a clock.

use core::fmt;
use core::ops::{Add, Sub};
use core::time::Duration;

/// A point in time: nanoseconds since an origin that the caller picks and keeps.
///
/// A program on `std` keeps one `std::time::Instant` and hands in `Instant::ORIGIN + origin.elapsed()`; a
/// test counts up by hand; a kernel passes its tick counter. All arithmetic saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The caller's origin.
    pub const ORIGIN: Self = Self(0);

    /// Later than every deadline: what an unarmed timer holds.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// As late as the clock can show.
    pub(crate) const LAST: Self = Self(u64::MAX - 1);

    /// The instant `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// A length of time, or none: `Option<Duration>` in half the space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(u64);

impl Span {
    pub(crate) const NONE: Self = Self(u64::MAX);

    pub(crate) const fn new(duration: Duration) -> Self {
        let nanos = duration.as_secs().saturating_mul(1_000_000_000);
        // Widening, and 584 years are enough.
        Self(nanos.saturating_add(duration.subsec_nanos() as u64))
    }

    pub(crate) const fn or_none(duration: Option<Duration>) -> Self {
        match duration {
            Some(duration) => Self::new(duration),
            None => Self::NONE,
        }
    }

    pub(crate) const fn half(self) -> Self {
        if self.0 == u64::MAX { self } else { Self(self.0 / 2) }
    }

    pub(crate) const fn at_least(self, least: Self) -> Self {
        if self.0 < least.0 { least } else { self }
    }

    /// The end of this span after `start`: never, if there is none.
    pub(crate) const fn after(self, start: Instant) -> Instant {
        Instant(start.0.saturating_add(self.0))
    }
}

/// When the connection next wants [`handle_timeout`](crate::Connection::handle_timeout), and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The time to call at. Early and late calls are harmless.
    pub at: Instant,
    /// Which timer this is, for logs.
    pub why: Timer,
}

/// The timers of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// The opening handshake must be over ([`Config::handshake_timeout`](crate::Config::handshake_timeout)).
    Handshake,
    /// Something must be heard from the peer ([`Config::idle_timeout`](crate::Config::idle_timeout)).
    Idle,
    /// A Ping is due ([`Config::keepalive`](crate::Config::keepalive)).
    KeepAlive,
    /// The Pong for our last Ping must be here ([`Config::pong_timeout`](crate::Config::pong_timeout)).
    Pong,
    /// The closing handshake must be over ([`Config::close_timeout`](crate::Config::close_timeout)).
    Close,
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "opening handshake",
            Self::Idle => "idle",
            Self::KeepAlive => "keepalive",
            Self::Pong => "pong",
            Self::Close => "closing handshake",
        })
    }
}
