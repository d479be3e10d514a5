//! What was measured, second by second.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use sansocket_bench::Result;

use crate::server::Report;
use crate::tally::{Counts, Tally};

/// A table and a plot have no more rows than this, each of as many seconds as it takes.
const ROWS: u64 = 180;

/// How it stands at a time.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Seconds since the beginning.
    pub at: f64,
    /// Bytes of the server's memory.
    pub resident: f64,
    pub server: Report,
    pub counts: Counts,
}

/// Some seconds.
#[derive(Clone, Debug)]
pub struct Row {
    /// At their end.
    pub at: f64,
    /// The most there was.
    pub resident: f64,
    pub heap: f64,
    /// At their end.
    pub server: Report,
    pub tally: Tally,
    /// Messages a second.
    pub sent: f64,
    pub echoed: f64,
}

#[derive(Debug)]
pub struct Timeline {
    pub samples: Vec<Sample>,
    pub rows: Vec<Row>,
    /// Seconds that a row takes.
    period: f64,
    /// It is not over.
    last: Row,
}

impl Timeline {
    pub fn new(duration: Duration) -> Result<Self> {
        let period = duration.as_secs().div_ceil(ROWS).max(1) as f64;
        let last = Row {
            at: 0.0,
            resident: 0.0,
            heap: 0.0,
            server: Report::default(),
            tally: Tally::new()?,
            sent: 0.0,
            echoed: 0.0,
        };
        Ok(Self { samples: Vec::new(), rows: Vec::new(), period, last })
    }

    /// Another second is over.
    pub fn add(&mut self, at: f64, resident: f64, server: Report, tally: &Tally) -> Result<()> {
        self.samples.push(Sample { at, resident, server, counts: tally.counts });
        let row = &mut self.last;
        let before =
            self.rows.last().map_or((0.0, 0, 0), |it| (it.at, it.tally.counts.sent, it.tally.counts.echoed));
        row.resident = row.resident.max(resident);
        row.heap = row.heap.max(server.heap as f64);
        row.server = server;
        row.tally.add(tally)?;
        row.at = at;
        // The last second may be a little early.
        if at - before.0 > self.period - 0.5 {
            let seconds = at - before.0;
            row.sent = (tally.counts.sent - before.1) as f64 / seconds;
            row.echoed = (tally.counts.echoed - before.2) as f64 / seconds;
            self.rows.push(row.clone());
            row.tally.take();
            (row.resident, row.heap) = (0.0, 0.0);
        }
        Ok(())
    }

    /// What was measured from a time on, and before another.
    pub fn between(&self, from: f64, to: f64) -> &[Sample] {
        let index = |at: f64| self.samples.partition_point(|it| it.at < at);
        &self.samples[index(from)..index(to)]
    }

    /// Messages a second: due, sent, come back.
    pub fn rates(&self, from: f64, to: f64) -> [f64; 3] {
        let [Some(first), Some(last)] = [self.between(from, to).first(), self.between(from, to).last()]
        else {
            return [0.0; 3];
        };
        let rate =
            |of: fn(&Counts) -> u64| (of(&last.counts) - of(&first.counts)) as f64 / (last.at - first.at);
        [rate(Counts::offered), rate(|counts| counts.sent), rate(|counts| counts.echoed)]
    }

    /// Milliseconds, of all messages since a time: p50, p99, p99.9, the longest.
    pub fn latencies(&self, from: f64) -> Result<[f64; 4]> {
        let mut all = Tally::new()?;
        for row in self.rows.iter().filter(|row| row.at > from) {
            all.add(&row.tally)?;
        }
        Ok(all.latencies())
    }

    pub fn write(&self, file: &Path) -> Result<()> {
        let mut file = BufWriter::new(File::create(file)?);
        writeln!(
            file,
            "seconds,resident bytes,heap bytes,connections,connections ended,keepalives answered,faults,\
             sent/s,echoed/s,p50 ms,p99 ms,p99.9 ms,longest ms,behind ms"
        )?;
        for row in &self.rows {
            let Row { at, resident, heap, server, tally, sent, echoed } = row;
            let counts = &tally.counts;
            let ended = counts.ended();
            let faults = counts.faults.sum() + server.faults;
            let [p50, p99, p999, longest] = tally.latencies();
            writeln!(
                file,
                "{at:.0},{resident:.0},{heap:.0},{},{ended},{},{faults},{sent:.0},{echoed:.0},\
                 {p50:.2},{p99:.2},{p999:.2},{longest:.2},{:.2}",
                server.connections,
                server.pongs,
                tally.behind(),
            )?;
        }
        Ok(file.flush()?)
    }
}
