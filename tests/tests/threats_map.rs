//! `THREATS.md` names tests that there are, all of `threats_*`, and every threat.
#![cfg(not(miri))]

use std::collections::BTreeSet;

use sansocket_tests::tables::{Row, code, files, missing, rows, tests_in};

const MAP: &str = include_str!("../THREATS.md");

fn named(row: &Row) -> Vec<&'static str> {
    code(row["shown by"])
}

#[test]
fn every_test_that_is_named_exists() {
    let missing = missing(rows(MAP).iter().flat_map(named));
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_threat_is_there_once_and_in_order_and_has_a_test_of_its_name() {
    let rows: Vec<_> = rows(MAP).into_iter().filter(|row| row.contains_key("attack")).collect();
    assert_eq!(rows.len(), 47);
    for (number, row) in (1..).zip(&rows) {
        assert_eq!(row[""], format!("T{number}"));
        assert!(!row["attack"].is_empty() && !row["what must come of it"].is_empty(), "{row:?}");
        let is_its_own = |test: &&str| {
            let (file, test) = test.split_once("::").unwrap_or_default();
            file.starts_with("threats_") && test.starts_with(&format!("t{number}_"))
        };
        assert!(named(row).iter().any(is_its_own), "{row:?}");
    }
}

#[test]
fn every_test_of_a_threat_is_named_in_its_row() {
    let rows = rows(MAP);
    let mut tests = BTreeSet::new();
    for file in files("threats_").into_iter().filter(|file| file != "threats_map") {
        for test in tests_in(&file) {
            let name = format!("{file}::{test}");
            let row =
                rows.iter().find(|row| named(row).contains(&&name[..])).unwrap_or_else(|| panic!("{name}"));
            let number = test.split('_').next().unwrap_or_default().to_uppercase();
            assert!(row[""] == number || number == "LAW" && row[""].starts_with("law"), "{name}: {row:?}");
            tests.insert(name);
        }
    }
    assert!(tests.len() >= 47);
}
