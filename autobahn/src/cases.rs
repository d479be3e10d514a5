//! The cases of testsuite 25.10.1, and picking some of them.

use core::error::Error;
use core::fmt;

/// What is picked when nothing is asked for: everything but compression.
pub const DEFAULT: &str = "1.*,2.*,3.*,4.*,5.*,6.*,7.*,9.*,10.*";

/// The cases that match a pattern of `wanted` and none of `excluded`, in the testsuite's order.
///
/// Patterns are separated by commas. One is a case id, or the start of one followed by `*`. They are
/// resolved here rather than by the testsuite so that the report can be held to the exact same list.
///
/// # Errors
///
/// When a pattern matches no case, as a mistyped one would, or no case is left.
pub fn select(wanted: &str, excluded: &str) -> Result<Vec<String>, SelectionError> {
    let (wanted, excluded) = (patterns(wanted)?, patterns(excluded)?);
    let picked: Vec<_> =
        all().filter(|case| matches_any(case, &wanted) && !matches_any(case, &excluded)).collect();
    if picked.is_empty() { Err(SelectionError::Empty) } else { Ok(picked) }
}

/// The group a case belongs to: the number before its first dot.
pub fn group(case: &str) -> &str {
    case.split_once('.').map_or(case, |(group, _)| group)
}

/// Why a selection cannot be run.
#[derive(Debug, PartialEq, Eq)]
pub enum SelectionError {
    /// This pattern matches no case.
    Unmatched(String),
    /// The patterns leave no case.
    Empty,
}

impl fmt::Display for SelectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmatched(pattern) => write!(f, "no case of the testsuite matches `{pattern}`"),
            Self::Empty => f.write_str("the selection holds no case"),
        }
    }
}

impl Error for SelectionError {}

fn patterns(list: &str) -> Result<Vec<&str>, SelectionError> {
    let patterns: Vec<_> = list.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()).collect();
    match patterns.iter().find(|&&pattern| !all().any(|case| matches(&case, pattern))) {
        Some(&pattern) => Err(SelectionError::Unmatched(pattern.into())),
        None => Ok(patterns),
    }
}

fn matches_any(case: &str, patterns: &[&str]) -> bool {
    patterns.iter().any(|pattern| matches(case, pattern))
}

fn matches(case: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => case.starts_with(start),
        None => case == pattern,
    }
}

fn all() -> impl Iterator<Item = String> {
    SERIES.iter().flat_map(|&(prefix, count)| (1..=count).map(move |number| format!("{prefix}.{number}")))
}

/// Each series counts up from 1 without gaps, so `("4.1", 5)` stands for 4.1.1 to 4.1.5.
#[rustfmt::skip]
const SERIES: &[(&str, u32)] = &[
    ("1.1", 8), ("1.2", 8),
    ("2", 11),
    ("3", 7),
    ("4.1", 5), ("4.2", 5),
    ("5", 20),
    ("6.1", 3), ("6.2", 4), ("6.3", 2), ("6.4", 4), ("6.5", 5), ("6.6", 11), ("6.7", 4), ("6.8", 2),
    ("6.9", 4), ("6.10", 3), ("6.11", 5), ("6.12", 8), ("6.13", 5), ("6.14", 10), ("6.15", 1), ("6.16", 3),
    ("6.17", 5), ("6.18", 5), ("6.19", 5), ("6.20", 7), ("6.21", 8), ("6.22", 34), ("6.23", 7),
    ("7.1", 6), ("7.3", 6), ("7.5", 1), ("7.7", 13), ("7.9", 9), ("7.13", 2),
    ("9.1", 6), ("9.2", 6), ("9.3", 9), ("9.4", 9), ("9.5", 6), ("9.6", 6), ("9.7", 6), ("9.8", 6),
    ("10.1", 1),
    ("12.1", 18), ("12.2", 18), ("12.3", 18), ("12.4", 18), ("12.5", 18),
    ("13.1", 18), ("13.2", 18), ("13.3", 18), ("13.4", 18), ("13.5", 18), ("13.6", 18), ("13.7", 18),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_testsuite_has_517_cases_of_which_301_are_picked_by_default() {
        assert_eq!(all().count(), 517);
        assert_eq!(select(DEFAULT, "").unwrap().len(), 301);
    }

    #[test]
    fn a_star_matches_every_end_and_a_bare_id_only_itself() {
        assert_eq!(select("4.1.*", "").unwrap(), ["4.1.1", "4.1.2", "4.1.3", "4.1.4", "4.1.5"]);
        assert_eq!(select("12.1.1", "").unwrap(), ["12.1.1"]);
    }

    #[test]
    fn the_testsuites_order_wins_over_the_order_asked_for_and_doubles_are_dropped() {
        assert_eq!(select("10.1.1, 3.2,3.1,3.2", "").unwrap(), ["3.1", "3.2", "10.1.1"]);
    }

    #[test]
    fn an_excluded_case_is_not_picked() {
        assert_eq!(select("7.13.*", "7.13.1").unwrap(), ["7.13.2"]);
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_refused_in_both_lists() {
        let refused = Err(SelectionError::Unmatched("8.*".into()));
        assert_eq!(select("1.*,8.*", ""), refused);
        assert_eq!(select("1.*", "8.*"), refused);
        assert_eq!(select("12", ""), Err(SelectionError::Unmatched("12".into())));
    }

    #[test]
    fn a_selection_that_leaves_nothing_is_refused() {
        assert_eq!(select("3.*", "3.*"), Err(SelectionError::Empty));
        assert_eq!(select("", ""), Err(SelectionError::Empty));
    }

    #[test]
    fn the_group_is_the_number_before_the_first_dot() {
        assert_eq!(group("12.1.18"), "12");
    }
}
