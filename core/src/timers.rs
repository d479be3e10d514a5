//! The deadlines of a connection. They move lazily: a busy connection stores one number per read and re-arms
//! nothing.

use core::num::NonZeroU64;
use core::time::Duration;

use crate::config::{Options, Ping};
use crate::time::{Deadline, Instant, Span, Timer};

#[derive(Debug)]
pub(crate) struct Timers {
    /// When bytes last came from the peer.
    heard: Instant,
    /// Handshake or close: there is one of them at a time, and what the peer sends does not move it.
    fixed: Instant,
    fixed_is_close: bool,
    /// A Ping was due and did not go out, since so much is queued: that the peer reads is what is heard.
    pub(crate) unasked: bool,
    idle: Instant,
    keepalive: Instant,
    pong: Instant,
    /// When our last Ping went out; never, if its Pong is back.
    pinged: Instant,
    /// Counts our Pings and is their payload, so that another's Pong does not pass for ours.
    nonce: u64,
    /// The last round trip, in nanoseconds.
    latency: Option<NonZeroU64>,
}

impl Timers {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            heard: now,
            fixed: Instant::NEVER,
            fixed_is_close: false,
            unasked: false,
            idle: Instant::NEVER,
            keepalive: Instant::NEVER,
            pong: Instant::NEVER,
            pinged: Instant::NEVER,
            nonce: 0,
            latency: None,
        }
    }

    /// Bytes came from the peer.
    #[inline]
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.unasked = false;
    }

    /// The next deadline: no earlier than the caller was last told, unless an option, a ping or a close made
    /// it so.
    pub(crate) fn next(&self) -> Option<Deadline> {
        let fixed = if self.fixed_is_close { Timer::Close } else { Timer::Handshake };
        [
            (self.fixed, fixed),
            (self.pong, Timer::Pong),
            (self.idle, Timer::Idle),
            (self.keepalive, Timer::KeepAlive),
        ]
        .into_iter()
        .min_by_key(|(at, _)| *at)
        .filter(|(at, _)| *at != Instant::NEVER)
        .map(|(at, why)| Deadline { at, why })
    }

    /// What has expired at `now`, one at a time; timers that were armed too early are moved on.
    pub(crate) fn expired(&mut self, now: Instant, options: &Options) -> Option<Timer> {
        // At the end of time, timers that never fire do not either.
        let now = now.min(Instant::LAST);
        if self.fixed <= now {
            self.fixed = Instant::NEVER;
            return Some(if self.fixed_is_close { Timer::Close } else { Timer::Handshake });
        }
        if self.pong <= now {
            self.pong = Instant::NEVER;
            return Some(Timer::Pong);
        }
        if self.idle <= now {
            self.idle = options.idle_timeout.after(self.heard);
            if self.idle <= now {
                self.idle = Instant::NEVER;
                return Some(Timer::Idle);
            }
        }
        if self.keepalive <= now {
            let interval = options.keepalive_interval();
            if options.ping != Ping::Period {
                self.keepalive = interval.after(self.heard);
            }
            if self.keepalive <= now {
                // However short the interval, there is one Ping for one point in time.
                self.keepalive = interval.after(now).max(now + Duration::from_nanos(1));
                return Some(Timer::KeepAlive);
            }
        }
        None
    }

    /// The peer is alive, although it could not be heard.
    pub(crate) fn rearm(&mut self, now: Instant, options: &Options) {
        self.heard = now;
        self.idle = options.idle_timeout.after(now);
        if self.pinged != Instant::NEVER {
            self.pong = options.pong_timeout.after(now);
        }
    }

    /// The opening handshake must be over by then.
    pub(crate) fn handshake(&mut self, now: Instant, timeout: Span) {
        self.fixed = timeout.after(now);
        self.fixed_is_close = false;
    }

    /// The closing handshake must be over by then; nothing else matters any more.
    pub(crate) fn close(&mut self, now: Instant, timeout: Span) {
        self.stop();
        self.fixed = timeout.after(now);
        self.fixed_is_close = true;
    }

    /// The connection is open, or its options are new, or it is being read again.
    pub(crate) fn open(&mut self, now: Instant, options: &Options) {
        self.heard = now;
        self.fixed = Instant::NEVER;
        self.idle = options.idle_timeout.after(now);
        self.keepalive = options.keepalive_interval().after(now);
        self.pong =
            if self.pinged == Instant::NEVER { Instant::NEVER } else { options.pong_timeout.after(now) };
    }

    /// Nothing runs, as while the connection is not being read.
    pub(crate) fn stop(&mut self) {
        self.fixed = Instant::NEVER;
        self.idle = Instant::NEVER;
        self.keepalive = Instant::NEVER;
        self.pong = Instant::NEVER;
    }

    /// A Ping of ours goes out with this payload: the one before again while its Pong is not back, since the
    /// peer may answer only the newest (§5.5.3) and its round trip may be longer than the interval.
    pub(crate) fn ping(&mut self, now: Instant, options: &Options, paused: bool) -> [u8; 8] {
        if self.pinged == Instant::NEVER {
            self.nonce = self.nonce.wrapping_add(1);
            self.pinged = now;
            // What cannot be heard is not waited for; `open` makes up for it.
            self.pong = if paused { Instant::NEVER } else { options.pong_timeout.after(now) };
        }
        self.nonce.to_be_bytes()
    }

    /// A Pong came.
    pub(crate) fn ponged(&mut self, now: Instant, payload: &[u8]) {
        if self.pinged != Instant::NEVER && payload == self.nonce.to_be_bytes() {
            let nanos = now.as_nanos().saturating_sub(self.pinged.as_nanos());
            self.latency = Some(NonZeroU64::new(nanos).unwrap_or(NonZeroU64::MIN));
            self.pinged = Instant::NEVER;
            self.pong = Instant::NEVER;
        }
    }

    pub(crate) fn latency(&self) -> Option<Duration> {
        self.latency.map(|nanos| Duration::from_nanos(nanos.get()))
    }
}
