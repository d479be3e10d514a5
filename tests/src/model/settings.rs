//! The settings of an endpoint that the model knows.

use core::time::Duration;

use sansocket::{Compression, Config, Delivery, Instant, Keepalive};

use crate::compressed::DELIVERIES;
use crate::pair::Dice;

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub delivery: Delivery,
    pub auto_fragment: Option<usize>,
    pub high_water: usize,
    pub hard_limit: usize,
    pub max_message: usize,
    pub max_fragments: usize,
    pub idle: Option<Duration>,
    pub keepalive: Keepalive,
    pub pong: Option<Duration>,
    pub close: Duration,
}

impl Settings {
    pub fn new(dice: &mut Dice) -> Self {
        let millis = Duration::from_millis;
        Self {
            delivery: dice.pick(&DELIVERIES),
            auto_fragment: dice.pick(&[None, None, None, Some(50), Some(1000)]),
            high_water: dice.pick(&[64 << 10, 64 << 10, 3000, 1]),
            hard_limit: dice.pick(&[1 << 20, 1 << 20, 8000, 1]),
            max_message: dice.pick(&[1 << 20, 1 << 20, 1 << 20, 3000]),
            max_fragments: dice.pick(&[16_384, 16_384, 16_384, 5]),
            idle: dice.pick(&[None, Some(millis(1000)), Some(millis(60_000))]),
            keepalive: dice.pick(&[
                Keepalive::HalfIdle,
                Keepalive::Off,
                Keepalive::AfterSilence(millis(300)),
            ]),
            pong: dice.pick(&[None, Some(millis(200))]),
            close: dice.pick(&[millis(100), millis(5000)]),
        }
    }

    pub fn config(&self, compresses: bool) -> Config {
        Config::new()
            .delivery(self.delivery)
            .auto_fragment(self.auto_fragment)
            .high_water(self.high_water)
            .hard_limit(self.hard_limit)
            .max_message(u64::try_from(self.max_message).unwrap())
            .max_fragments(u32::try_from(self.max_fragments).unwrap())
            .idle_timeout(self.idle)
            .keepalive(self.keepalive)
            .pong_timeout(self.pong)
            .close_timeout(self.close)
            .compression(compresses.then(|| Compression::new().min_size(0)))
    }

    /// When the keepalive has its next turn, if it had the last one then.
    pub fn ping_at(&self, heard: Instant, pinged: Instant) -> Option<Instant> {
        let silent = heard.max(pinged);
        match self.keepalive {
            Keepalive::HalfIdle => self.idle.map(|idle| silent + idle / 2),
            Keepalive::AfterSilence(silence) => Some(silent + silence),
            Keepalive::Every(period) => Some(pinged + period),
            Keepalive::Off => None,
        }
    }
}
