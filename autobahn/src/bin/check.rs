//! Judges a report of the testsuite: `check INDEX [--agent NAME] [--cases LIST] [--exclude LIST]`.

use core::error::Error;
use core::time::Duration;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;
use sansocket_autobahn::summary::Summary;
use sansocket_autobahn::verdict::Report;
use sansocket_autobahn::{AGENT, cases};

fn main() -> ExitCode {
    match check() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("check: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check() -> Result<bool, Box<dyn Error>> {
    let options = Options::parse()?;
    let cases = cases::select(&options.cases, &options.exclude)?;
    let report = Report::read(&options.index, &options.agent)?;
    let problems = report.problems(&cases);

    let mut summary = Summary::default();
    let time: Duration = report.outcomes().filter_map(|(_, outcome)| outcome.duration()).sum();
    summary.add(&options.agent, &report, time);
    println!("{summary}");
    for problem in &problems {
        println!("- {problem}");
    }
    Ok(problems.is_empty())
}

struct Options {
    index: PathBuf,
    agent: String,
    cases: String,
    exclude: String,
}

impl Options {
    fn parse() -> Result<Self, lexopt::Error> {
        let mut index = None;
        let (mut agent, mut cases, mut exclude) = (AGENT.into(), cases::DEFAULT.into(), String::new());
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("agent") => agent = arguments.value()?.string()?,
                Long("cases") => cases = arguments.value()?.string()?,
                Long("exclude") => exclude = arguments.value()?.string()?,
                Value(path) if index.is_none() => index = Some(path.into()),
                Short(_) | Long(_) | Value(_) => return Err(argument.unexpected()),
            }
        }
        let index = index.ok_or("which index.json is to be judged?")?;
        Ok(Self { index, agent, cases, exclude })
    }
}
