//! Tables in Markdown that say what tests show, and the tests that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Where the tests are.
pub const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

/// A row of a table, its cells by the table's heads.
pub type Row = BTreeMap<&'static str, &'static str>;

/// The rows of all tables in a document.
///
/// # Panics
/// A row has another number of cells than the heads above it, or there is none.
pub fn rows(document: &'static str) -> Vec<Row> {
    let cells = |line: &'static str| {
        let inner = line.strip_prefix('|').and_then(|line| line.strip_suffix('|'));
        inner.map(|inner| inner.split('|').map(str::trim).collect::<Vec<_>>())
    };
    let (mut rows, mut heads) = (Vec::new(), None);
    for line in document.lines() {
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

/// All in a cell that is in backticks.
pub fn code(cell: &'static str) -> Vec<&'static str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Those of these tests, each `file::test`, that there are not.
pub fn missing(named: impl IntoIterator<Item = &'static str>) -> Vec<&'static str> {
    let is_missing = |name: &&str| {
        let (file, test) = name.split_once("::").unwrap_or_default();
        !tests_in(file).contains(test)
    };
    named.into_iter().filter(is_missing).collect()
}

/// The files of tests whose names begin like this.
///
/// # Panics
/// The tests cannot be read.
pub fn files(prefix: &str) -> BTreeSet<String> {
    let names = fs::read_dir(TESTS).expect("the tests").map(|entry| entry.expect("the tests").file_name());
    names
        .filter_map(|name| name.to_str()?.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| name.starts_with(prefix))
        .collect()
}

/// The tests in a file: functions that say so, and those that run on each runtime.
pub fn tests_in(file: &str) -> BTreeSet<String> {
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
