//! Measures contestants in turn, round by round, so that what else the machine does hits all of them alike.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Error, Result};

/// What to measure, and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    pub rounds: usize,
    /// Of one contestant in one cell in one round.
    pub window: Duration,
    /// Before that.
    pub warm_up: Duration,
    /// Parts of the contestants' names; none is all.
    pub contestants: Vec<String>,
    /// Parts of the cells' names; none is all.
    pub cells: Vec<String>,
    /// Where the CSV files go.
    pub results: PathBuf,
}

impl Plan {
    pub fn has_contestant(&self, name: &str) -> bool {
        has(&self.contestants, name)
    }

    pub fn has_cell(&self, name: &str) -> bool {
        has(&self.cells, name)
    }

    /// Measures each contestant in each cell in each round. What fails is told, and missing in the results.
    pub fn run<C, S>(
        &self,
        table: &mut Table,
        cells: &[(String, C)],
        contestants: &[(String, S)],
        mut measure: impl FnMut(&C, &S) -> Result<Vec<(&'static str, f64)>>,
    ) -> Result<()> {
        for round in 0..self.rounds {
            eprintln!("{}: round {} of {}", table.name, round + 1, self.rounds);
            for (cell, what) in cells.iter().filter(|(cell, _)| self.has_cell(cell)) {
                for turn in 0..contestants.len() {
                    // Each has each of the others before it at some time.
                    let (contestant, who) = &contestants[(turn + round) % contestants.len()];
                    match measure(what, who) {
                        Ok(values) => {
                            for (metric, value) in values {
                                table.row(cell, contestant, metric, round, value)?;
                            }
                        }
                        Err(error) => eprintln!("{}: {cell}: {contestant}: {error}", table.name),
                    }
                }
            }
        }
        Ok(())
    }
}

fn has(parts: &[String], name: &str) -> bool {
    parts.is_empty() || parts.iter().any(|part| name.contains(part.as_str()))
}

/// A CSV file.
#[derive(Debug)]
pub struct Table {
    name: String,
    family: String,
    file: File,
}

impl Table {
    pub fn create(results: &Path, name: &str, family: &str) -> Result<Self> {
        fs::create_dir_all(results)?;
        let mut file = File::create(results.join(name).with_extension("csv"))?;
        writeln!(file, "family,cell,contestant,metric,round,value")?;
        Ok(Self { name: name.to_owned(), family: family.to_owned(), file })
    }

    /// What follows is of another family.
    pub fn begin(&mut self, family: &str) {
        family.clone_into(&mut self.family);
    }

    pub fn row(
        &mut self,
        cell: &str,
        contestant: &str,
        metric: &str,
        round: usize,
        value: f64,
    ) -> Result<()> {
        let family = &self.family;
        writeln!(self.file, "{family},{cell},{contestant},{metric},{round},{value:.4}").map_err(Error::from)
    }
}
