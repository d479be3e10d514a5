//! What the load has seen.

use std::time::Duration;

use hdrhistogram::Histogram;
use sansocket_bench::Result;

/// Counted from the beginning.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub sent: u64,
    /// As they were sent, and in order.
    pub echoed: u64,
    /// Due, and not sent: too many had not come back, or the load came too late.
    pub skipped: u64,
    /// On their way when the connection was cut off on purpose.
    pub forgone: u64,
    pub opened: u64,
    /// Connections that ended as was meant: by the closing handshake, cut off, cut off within a message.
    pub closed: u64,
    pub cut: u64,
    pub cut_within: u64,
    pub faults: Faults,
}

/// What must not be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Never came back, though the connection was not cut off on purpose.
    pub lost: u64,
    /// Came back behind one that was sent later.
    pub reordered: u64,
    /// Came back, and nobody was waiting for it.
    pub unasked: u64,
    /// Another connection's, or not what was sent.
    pub corrupted: u64,
    /// Connections that ended by themselves, that had no closing handshake when they were to, that could not be
    /// opened, and that do not end.
    pub ended: u64,
    pub unclean: u64,
    pub unopened: u64,
    pub endless: u64,
}

impl Counts {
    /// What was due.
    pub fn offered(&self) -> u64 {
        self.sent + self.skipped
    }

    /// Connections that are over.
    pub fn ended(&self) -> u64 {
        self.closed + self.cut + self.cut_within
    }
}

impl Faults {
    pub fn named(&self) -> [(u64, &'static str); 8] {
        let Self { lost, reordered, unasked, corrupted, ended, unclean, unopened, endless } = *self;
        [
            (lost, "messages lost"),
            (reordered, "messages reordered"),
            (unasked, "messages that nobody waited for"),
            (corrupted, "messages that are not what was sent"),
            (ended, "connections that ended by themselves"),
            (unclean, "connections without a closing handshake"),
            (unopened, "connections that could not be opened"),
            (endless, "connections that did not end"),
        ]
    }

    pub fn sum(&self) -> u64 {
        self.named().iter().map(|(count, _)| count).sum()
    }
}

/// Counts, and the latencies of a while.
#[derive(Clone, Debug)]
pub struct Tally {
    pub counts: Counts,
    /// In microseconds, from sending to receiving.
    latency: Histogram<u64>,
    /// By how much the load was behind: how much later than it was due a message was sent.
    behind: Duration,
}

impl Tally {
    pub fn new() -> Result<Self> {
        // Three digits that count, up to ten minutes.
        let latency = Histogram::new_with_bounds(1, 600_000_000, 3)?;
        Ok(Self { counts: Counts::default(), latency, behind: Duration::ZERO })
    }

    pub fn sent(&mut self, behind: Duration) {
        self.counts.sent += 1;
        self.behind = self.behind.max(behind);
    }

    pub fn echoed(&mut self, after: Duration) {
        self.counts.echoed += 1;
        self.latency.saturating_record(u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
    }

    /// What came since the last time.
    pub fn take(&mut self) -> Self {
        let taken = self.clone();
        self.latency.reset();
        self.behind = Duration::ZERO;
        taken
    }

    /// Adds what came after it.
    pub fn add(&mut self, later: &Self) -> Result<()> {
        self.counts = later.counts;
        self.behind = self.behind.max(later.behind);
        Ok(self.latency.add(&later.latency)?)
    }

    /// Milliseconds: p50, p99, p99.9, the longest.
    pub fn latencies(&self) -> [f64; 4] {
        [0.5, 0.99, 0.999, 1.0].map(|quantile| self.latency.value_at_quantile(quantile) as f64 / 1e3)
    }

    /// Milliseconds.
    pub fn behind(&self) -> f64 {
        self.behind.as_secs_f64() * 1e3
    }
}
