//! What must hold.

use std::fmt;

use crate::server::{Report, THREADS};
use crate::tally::Counts;
use crate::timeline::{Sample, Timeline};

const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * KIB;

/// All that is known at the end.
pub struct Run {
    pub timeline: Timeline,
    /// Seconds since the beginning: when all connections were open; from when on memory is judged, a sixth of the time
    /// later; when they were to close.
    pub open: f64,
    pub judged: f64,
    pub close: f64,
    pub counts: Counts,
    /// The server, once everybody had gone.
    pub end: Report,
    /// What it has open then, and had not before the first came.
    pub descriptors: usize,
}

/// By how many bytes something grew in the time that is judged, and by how many it may.
#[derive(Clone, Copy, Debug)]
struct Growth {
    from: f64,
    by: f64,
    allowed: f64,
}

impl Run {
    /// Nothing that a connection or a message holds may stay when it is gone: in the time that is judged, the heap has no
    /// reason to grow. What it may grow by is less than 100 bytes for each connection that ends, or one for each message,
    /// in a run of 10,000 connections and 30 minutes:
    ///
    /// - 1 %: so many connections end in a second, and while another is opened their contexts, nearly all that there is,
    ///   are missing. A machine that gets busier makes that longer, one that gets idle shorter.
    /// - 256 KiB: a thread may come by a block to read into (64 KiB) and a codec more for its pool.
    fn heap(&self) -> Growth {
        let (from, by) = self.growth(|it| it.server.heap as f64);
        Growth { from, by, allowed: 0.01 * from + 256.0 * KIB }
    }

    /// The system's allocator loses some by splitting what it has: glibc's settles at 1.25 times the heap once each
    /// connection has been replaced a few times, and what is requested is resident only once it is touched. So this may
    /// come to 1.5 times the heap, however little it was in the beginning.
    fn resident(&self) -> Growth {
        let (from, by) = self.growth(|it| it.resident);
        let heap = self.heap();
        Growth { from, by, allowed: 1.5 * heap.from + heap.allowed - from }
    }

    /// What a thread's pools may keep when nobody is there: 4 MiB of blocks to read into, 2 of those for output, 4 of long
    /// messages, and codecs. Lists that were long keep their places.
    fn left(&self) -> Growth {
        let most = self.timeline.samples.iter().map(|it| it.server.connections).max().unwrap_or(0);
        let allowed = 12.0 * MIB * THREADS as f64 + 256.0 * most as f64;
        Growth { from: 0.0, by: self.end.heap as f64, allowed }
    }

    /// Bytes at the beginning of the time that is judged and how many came since, by the line that fits best.
    fn growth(&self, bytes: impl Fn(&Sample) -> f64 + Copy) -> (f64, f64) {
        let samples = self.timeline.between(self.judged, self.close);
        let (slope, at) = line(samples.iter().map(|it| (it.at, bytes(it))));
        (at(self.judged), slope * (self.close - self.judged))
    }

    pub fn failures(&self) -> Vec<String> {
        let counts = &self.counts;
        let mut failures: Vec<String> = counts
            .faults
            .named()
            .into_iter()
            .chain([
                (self.end.faults, "connections that ended in a way no client ends one, for the server"),
                (self.end.connections, "connections that are still there for the server"),
                (self.descriptors as u64, "descriptors that the server has left open"),
            ])
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let memory = [
            ("the heap", self.heap()),
            ("resident memory", self.resident()),
            ("what is left behind", self.left()),
        ];
        for (what, growth) in memory {
            if !growth.is_allowed() {
                failures.push(format!("{what} has grown too much: {growth}"));
            }
        }
        // Else it is no test of them.
        if self.end.pongs == 0 {
            failures.push("no keepalive was answered".into());
        }
        failures
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        let [p50, p99, p999, longest] = self.timeline.latencies(self.judged).map_err(|_| fmt::Error)?;
        let [offered, sent, echoed] = self.timeline.rates(self.open, self.close);
        writeln!(
            f,
            "connections: {} opened; {} closed, {} cut off, {} cut off within a message; {} keepalives answered",
            counts.opened, counts.closed, counts.cut, counts.cut_within, self.end.pongs
        )?;
        writeln!(
            f,
            "messages: {} sent, {} came back, {} forgone as their connections were cut off",
            counts.sent, counts.echoed, counts.forgone
        )?;
        writeln!(f, "messages/s: {offered:.0} offered, {sent:.0} sent, {echoed:.0} came back")?;
        if sent < 0.98 * offered {
            writeln!(f, "This machine has not kept the rate: {} messages were not sent.", counts.skipped)?;
        }
        writeln!(f, "round trip: p50 {p50:.2} ms, p99 {p99:.2}, p99.9 {p999:.2}, longest {longest:.2}")?;
        writeln!(f, "heap: {}", self.heap())?;
        writeln!(f, "resident: {}", self.resident())?;
        write!(f, "left behind: {}", self.left())
    }
}

impl Growth {
    /// Not if it is no number, as too few measurements make it.
    fn is_allowed(&self) -> bool {
        self.by <= self.allowed
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, by, allowed } = self;
        write!(f, "{:.2} MiB, {:+.2} ({:.2} allowed)", from / MIB, by / MIB, allowed / MIB)
    }
}

/// The line that fits best, by least squares: its slope, and where it is.
fn line(points: impl Iterator<Item = (f64, f64)> + Clone) -> (f64, impl Fn(f64) -> f64) {
    let count = points.clone().count() as f64;
    let mean_x = points.clone().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.clone().map(|(_, y)| y).sum::<f64>() / count;
    let both: f64 = points.clone().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let square: f64 = points.map(|(x, _)| (x - mean_x).powi(2)).sum();
    let slope = both / square;
    (slope, move |x| mean_y + slope * (x - mean_x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_goes_through_points_that_are_on_one_and_between_those_that_are_not() {
        let (slope, at) = line([(1.0, 5.0), (2.0, 7.0), (4.0, 11.0)].into_iter());
        assert!((slope - 2.0).abs() < 1e-9 && (at(0.0) - 3.0).abs() < 1e-9);
        let (slope, at) = line([(0.0, 0.0), (1.0, 3.0), (2.0, 0.0)].into_iter());
        assert!(slope.abs() < 1e-9 && (at(5.0) - 1.0).abs() < 1e-9);
    }
}
