//! `COWBOY.md` names tests that there are, all of `cowboy_*`, and every point.
#![cfg(not(miri))]

use core::ops::RangeInclusive;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const MAP: &str = include_str!("../COWBOY.md");
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

/// Its points: a letter for each chapter, numbers as they were given when Cowboy was read. Some were left
/// free.
const POINTS: &[(char, &[RangeInclusive<u32>])] = &[
    ('V', &[1..=4]),
    ('H', &[1..=16, 20..=24]),
    ('X', &[1..=8, 20..=23]),
    ('C', &[1..=16]),
    ('K', &[1..=3]),
    ('F', &[1..=10]),
    ('P', &[1..=11]),
    ('L', &[1..=28]),
];

const OPTIONS: [&str; 12] = [
    "active_n",
    "compress",
    "data_delivery",
    "data_delivery_flow",
    "deflate_opts",
    "dynamic_buffer",
    "dynamic_buffer_initial_average",
    "dynamic_buffer_initial_size",
    "idle_timeout",
    "max_frame_size",
    "req_filter",
    "validate_utf8",
];

/// A row of a table, its cells by the table's heads.
type Row = BTreeMap<&'static str, &'static str>;

fn rows() -> Vec<Row> {
    let cells = |line: &'static str| {
        let inner = line.strip_prefix('|').and_then(|line| line.strip_suffix('|'));
        inner.map(|inner| inner.split('|').map(str::trim).collect::<Vec<_>>())
    };
    let (mut rows, mut heads) = (Vec::new(), None);
    for line in MAP.lines() {
        match (cells(line), &heads) {
            (None, _) => heads = None,
            (Some(cells), None) => heads = Some(cells),
            (Some(cells), Some(heads)) if cells.iter().all(|cell| *cell == "---") => {
                assert_eq!(cells.len(), heads.len(), "{line}");
            }
            (Some(cells), Some(heads)) => {
                assert_eq!(cells.len(), heads.len(), "{line}");
                rows.push(heads.iter().copied().zip(cells).collect());
            }
        }
    }
    assert!(!rows.is_empty());
    rows
}

/// The tests that a row names, `file::test`, all that is in backticks.
fn named(row: &Row) -> Vec<&'static str> {
    let cell = row.get("test").or_else(|| row.get("shown by")).expect("a table that names tests");
    cell.split('`').skip(1).step_by(2).collect()
}

/// The tests in a file: functions that say so, and those that run on each runtime.
fn tests_in(file: &str) -> BTreeSet<String> {
    let source = fs::read_to_string(format!("{TESTS}/{file}.rs")).unwrap_or_default();
    let mut tests = BTreeSet::new();
    let mut lines = source.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            let function = lines.find(|line| !line.starts_with("#[")).unwrap_or_default();
            let name = function.trim_start_matches("async ").trim_start_matches("fn ").split('(').next();
            tests.extend(name.map(str::to_owned));
        } else if line.ends_with("on_each_runtime!(") {
            let bodies = lines.by_ref().take_while(|line| *line != ");");
            tests.extend(bodies.map(|body| body.trim_end_matches(',').to_owned()));
        }
    }
    tests
}

#[test]
fn every_test_that_is_named_exists() {
    let missing = |name: &&str| {
        let (file, test) = name.split_once("::").unwrap_or_default();
        !tests_in(file).contains(test)
    };
    let missing: Vec<_> = rows().iter().flat_map(named).filter(missing).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_test_of_cowboys_is_named() {
    let named: BTreeSet<_> = rows().iter().flat_map(named).map(str::to_owned).collect();
    let mut counts = BTreeMap::<_, usize>::new();
    for entry in fs::read_dir(TESTS).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(file) = name.strip_suffix(".rs").filter(|file| file.starts_with("cowboy_")) else {
            continue;
        };
        if file == "cowboy_map" {
            continue;
        }
        let tests = tests_in(file);
        let suite = if file.starts_with("cowboy_ws_") { "ws_SUITE" } else { file };
        *counts.entry(suite.to_owned()).or_default() += tests.len();
        let silent: Vec<_> =
            tests.iter().filter(|test| !named.contains(&format!("{file}::{test}"))).collect();
        assert!(silent.is_empty(), "{file}: {silent:#?}");
    }
    assert_eq!((counts["ws_SUITE"], counts["cowboy_handler"]), (48, 29), "as many as Cowboy has");
}

#[test]
fn every_point_is_there_once_and_in_order() {
    let expected = POINTS.iter().flat_map(|(letter, ranges)| {
        ranges.iter().cloned().flatten().map(move |number| format!("{letter}{number}"))
    });
    let rows = rows();
    let points: Vec<_> = rows.iter().filter_map(|row| row.get("").copied()).collect();
    assert_eq!(points, expected.collect::<Vec<_>>());
    let options = rows.iter().filter_map(|row| row.get("option of Cowboy"));
    assert_eq!(options.map(|name| name.trim_matches('`')).collect::<Vec<_>>(), OPTIONS);
}

#[test]
fn every_point_is_shown_unless_there_is_nothing_to_show() {
    for row in rows() {
        let reason = row["otherwise, and why"];
        match row.get("our API").copied() {
            Some("not yet") => {}
            Some("none") => assert!(!reason.is_empty(), "why not? {row:?}"),
            Some(_) => assert!(!named(&row).is_empty(), "by what? {row:?}"),
            None => assert!(!named(&row).is_empty() || !reason.is_empty(), "by what? {row:?}"),
        }
    }
}
