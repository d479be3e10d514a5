//! `COWBOY.md` names tests that there are, all of `cowboy_*`, and every point.
#![cfg(not(miri))]

use core::ops::RangeInclusive;
use std::collections::{BTreeMap, BTreeSet};

use sansocket_tests::tables::{Row, code, files, missing, rows, tests_in};

const MAP: &str = include_str!("../COWBOY.md");

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

/// The tests that a row names, `file::test`, all that is in backticks.
fn named(row: &Row) -> Vec<&'static str> {
    code(row.get("test").or_else(|| row.get("shown by")).expect("a table that names tests"))
}

#[test]
fn every_test_that_is_named_exists() {
    let missing = missing(rows(MAP).iter().flat_map(named));
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_test_of_cowboys_is_named() {
    let named: BTreeSet<_> = rows(MAP).iter().flat_map(named).map(str::to_owned).collect();
    let mut counts = BTreeMap::<_, usize>::new();
    for file in files("cowboy_").into_iter().filter(|file| file != "cowboy_map") {
        let tests = tests_in(&file);
        let suite = if file.starts_with("cowboy_ws_") { "ws_SUITE" } else { &file };
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
    let rows = rows(MAP);
    let points: Vec<_> = rows.iter().filter_map(|row| row.get("").copied()).collect();
    assert_eq!(points, expected.collect::<Vec<_>>());
    let options = rows.iter().filter_map(|row| row.get("option of Cowboy"));
    assert_eq!(options.map(|name| name.trim_matches('`')).collect::<Vec<_>>(), OPTIONS);
}

#[test]
fn every_point_is_shown_unless_there_is_nothing_to_show() {
    for row in rows(MAP) {
        let reason = row["otherwise, and why"];
        match row.get("our API").copied() {
            Some("not yet") => {}
            Some("none") => assert!(!reason.is_empty(), "why not? {row:?}"),
            Some(_) => assert!(!named(&row).is_empty(), "by what? {row:?}"),
            None => assert!(!named(&row).is_empty() || !reason.is_empty(), "by what? {row:?}"),
        }
    }
}
