//! Configurations from the fuzzer's bytes.

use core::time::Duration;

use arbitrary::Arbitrary;
use sansocket::{Config, Delivery, Keepalive};

/// A number of any size up to 65,535: the last three bits say how far it is shifted.
pub fn scaled(number: u16) -> usize {
    usize::from(number >> (2 * (number & 7).min(6)))
}

/// A configuration, its numbers small so that limits are met.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Settings {
    hard_limit: u16,
    high_water: u16,
    auto_fragment: Option<u8>,
    streaming: bool,
    auto_pong: bool,
    keepalive: (u8, u16),
    /// In milliseconds.
    idle: Option<u16>,
    pong: Option<u16>,
    close: u16,
    max_message: u16,
    max_fragments: u8,
}

impl Settings {
    pub fn hard_limit(&self) -> usize {
        scaled(self.hard_limit)
    }

    pub fn fragments(&self) -> bool {
        self.auto_fragment.is_some()
    }

    pub fn delivery(&self) -> Delivery {
        if self.streaming { Delivery::Streaming } else { Delivery::Whole }
    }

    /// With another way to hand messages out.
    pub fn with_delivery(mut self, delivery: Delivery) -> Self {
        self.streaming = delivery == Delivery::Streaming;
        self
    }

    /// With room for everything that a peer of the same kind sends.
    pub fn generous(&self) -> Config {
        self.config().max_message(1 << 20).max_fragments(1 << 20)
    }

    pub fn config(&self) -> Config {
        let millis = |millis: u16| Duration::from_millis(u64::from(millis));
        let (kind, interval) = self.keepalive;
        let keepalive = match kind % 4 {
            0 => Keepalive::HalfIdle,
            1 => Keepalive::AfterSilence(millis(interval)),
            2 => Keepalive::Every(millis(interval)),
            _ => Keepalive::Off,
        };
        Config::new()
            .max_message(u64::from(self.max_message))
            .max_fragments(u32::from(self.max_fragments))
            .hard_limit(self.hard_limit())
            .high_water(scaled(self.high_water).max(1))
            .auto_fragment(self.auto_fragment.map(usize::from))
            .delivery(self.delivery())
            .auto_pong(self.auto_pong)
            .keepalive(keepalive)
            .idle_timeout(self.idle.map(millis))
            .pong_timeout(self.pong.map(millis))
            .close_timeout(millis(self.close))
            .handshake_timeout(self.idle.map(millis))
    }
}
