//! Makes tables and plots of measurements.
//!
//! ```sh
//! report [--plots DIRECTORY] FILE.csv…
//! ```
//!
//! Prints Markdown, and writes one SVG per family into the directory. A file has the header
//! `family,cell,contestant,metric,round,value`. Values of the same family, cell, metric and round were measured side by
//! side. The metric `note` says in words why a contestant is missing, in a cell or, if that is empty, in all of the
//! family. Of rates by the second, as `messages/s`, more is better, of all others less.
//!
//! Contestants that begin with `sansocket` are ours; `limit`, `bare` and those that begin with `raw` are baselines, the
//! others peers.

mod measurements;
mod plot;
mod statistics;
mod table;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;

use measurements::Measurements;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut measurements = Measurements::default();
    let mut plots: Option<PathBuf> = None;
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("plots") => plots = Some(args.value()?.into()),
            Value(file) => measurements.read(&PathBuf::from(file))?,
            _ => return Err(arg.unexpected().into()),
        }
    }
    print!("{}", table::summary(&measurements));
    for family in measurements.families() {
        println!("\n## {}", family.name);
        if let Some(directory) = &plots
            && let Some(file) = plot::draw(family, directory)?
        {
            println!("\n![{}]({})", family.name, file.display());
        }
        for table in &family.tables {
            print!("\n{}", table::markdown(table));
        }
    }
    Ok(())
}
