//! What was measured, in the order in which it was first named.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use serde::Deserialize;

/// By round.
pub type Samples = BTreeMap<u32, f64>;

#[derive(Debug, Default)]
pub struct Measurements(Vec<Family>);

#[derive(Debug)]
pub struct Family {
    pub name: String,
    pub tables: Vec<Table>,
    notes: Vec<Note>,
}

/// One metric of a family.
#[derive(Debug)]
pub struct Table {
    pub metric: String,
    pub cells: Vec<String>,
    pub contestants: Vec<String>,
    pub notes: Vec<Note>,
    samples: BTreeMap<(String, String), Samples>,
}

/// Why there is nothing.
#[derive(Clone, Debug)]
pub struct Note {
    cell: String,
    contestant: String,
    pub text: String,
}

#[derive(Deserialize)]
struct Line {
    family: String,
    cell: String,
    contestant: String,
    metric: String,
    round: u32,
    value: String,
}

impl Measurements {
    pub fn families(&self) -> &[Family] {
        &self.0
    }

    pub fn read(&mut self, file: &Path) -> Result<(), Box<dyn Error>> {
        let bytes = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        self.parse(&bytes).map_err(|error| format!("{}: {error}", file.display()).into())
    }

    pub fn parse(&mut self, csv: &[u8]) -> Result<(), Box<dyn Error>> {
        for line in csv::Reader::from_reader(csv).deserialize() {
            self.add(line?)?;
        }
        Ok(())
    }

    fn add(&mut self, line: Line) -> Result<(), Box<dyn Error>> {
        let family = entry(&mut self.0, |it| it.name == line.family, || Family::new(&line.family));
        if line.metric == "note" {
            let note = Note { cell: line.cell, contestant: line.contestant, text: line.value };
            for table in &mut family.tables {
                table.note(&note);
            }
            family.notes.push(note);
            return Ok(());
        }
        let notes = &family.notes;
        let table =
            entry(&mut family.tables, |it| it.metric == line.metric, || Table::new(&line.metric, notes));
        entry(&mut table.cells, |it| *it == line.cell, || line.cell.clone());
        entry(&mut table.contestants, |it| *it == line.contestant, || line.contestant.clone());
        let samples = table.samples.entry((line.cell, line.contestant)).or_default();
        if samples.insert(line.round, line.value.parse()?).is_some() {
            return Err(format!("round {} of a contestant is there twice", line.round).into());
        }
        Ok(())
    }
}

/// The one that is meant, which is made if it is not there.
fn entry<T>(all: &mut Vec<T>, is_meant: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> &mut T {
    let index = all.iter().position(is_meant).unwrap_or_else(|| {
        all.push(new());
        all.len() - 1
    });
    &mut all[index]
}

impl Family {
    fn new(name: &str) -> Self {
        Self { name: name.into(), tables: Vec::new(), notes: Vec::new() }
    }
}

impl Table {
    fn new(metric: &str, notes: &[Note]) -> Self {
        let mut table = Self {
            metric: metric.into(),
            cells: Vec::new(),
            contestants: Vec::new(),
            notes: Vec::new(),
            samples: BTreeMap::new(),
        };
        notes.iter().for_each(|note| table.note(note));
        table
    }

    fn note(&mut self, note: &Note) {
        entry(&mut self.contestants, |it| *it == note.contestant, || note.contestant.clone());
        self.notes.push(note.clone());
    }

    pub fn samples(&self, cell: &str, contestant: &str) -> Option<&Samples> {
        self.samples.get(&(cell.into(), contestant.into()))
    }

    /// Which of the notes tells why there is nothing here.
    pub fn note_at(&self, cell: &str, contestant: &str) -> Option<usize> {
        let is_here =
            |note: &Note| note.contestant == contestant && (note.cell == cell || note.cell.is_empty());
        self.notes.iter().position(is_here)
    }

    /// Of what is by the second; `ns/B` is not.
    pub fn more_is_better(&self) -> bool {
        self.metric.contains('/') && self.metric.ends_with('s')
    }

    pub fn ours(&self) -> impl Iterator<Item = &str> {
        self.contestants.iter().map(String::as_str).filter(|it| is_ours(it))
    }

    pub fn baselines(&self) -> impl Iterator<Item = &str> {
        self.contestants.iter().map(String::as_str).filter(|it| is_baseline(it))
    }

    pub fn peers(&self) -> impl Iterator<Item = &str> {
        self.contestants.iter().map(String::as_str).filter(|it| !is_ours(it) && !is_baseline(it))
    }
}

fn is_ours(contestant: &str) -> bool {
    contestant.starts_with("sansocket")
}

pub fn is_baseline(contestant: &str) -> bool {
    contestant == "limit" || contestant == "bare" || contestant.starts_with("raw")
}
