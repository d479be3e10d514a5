//! Judging a report of the testsuite, more strictly than the testsuite does.
//!
//! A case passes when both its behavior and its closing are `OK`. `NON-STRICT` and `UNIMPLEMENTED` do not
//! pass, and every case asked for must be in the report, because the testsuite exits with success whatever
//! happened, also when nothing answered.

use alloc::collections::BTreeMap;
use core::error::Error;
use core::fmt;
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;

use crate::negotiation::{self, Fault};

/// The cases that the testsuite does not judge: whatever the peer did, behavior and closing are
/// `INFORMATIONAL`.
const UNJUDGED: [&str; 3] = ["7.1.6", "7.13.1", "7.13.2"];

/// What the testsuite found about one peer.
#[derive(Debug)]
pub struct Report {
    cases: BTreeMap<String, Outcome>,
    /// Whom it is about, and where the files of its cases are.
    files: Option<(String, PathBuf)>,
}

impl Report {
    /// Reads what the `index.json` at this path says about `agent`.
    ///
    /// # Errors
    ///
    /// When there is no such file, it is not a report, or the agent is not in it.
    pub fn read(index: &Path, agent: &str) -> Result<Self, ReportError> {
        let json =
            fs::read_to_string(index).map_err(|error| ReportError::Unreadable(index.to_owned(), error))?;
        let mut report = Self::parse(&json, agent)?;
        report.files = index.parent().map(|directory| (agent.into(), directory.into()));
        Ok(report)
    }

    /// Reads what the text of an `index.json` says about `agent`.
    ///
    /// # Errors
    ///
    /// When the text is not a report or the agent is not in it.
    pub fn parse(json: &str, agent: &str) -> Result<Self, ReportError> {
        let mut agents: BTreeMap<String, BTreeMap<String, Outcome>> =
            serde_json::from_str(json).map_err(ReportError::Malformed)?;
        match agents.remove(agent) {
            Some(cases) => Ok(Self { cases, files: None }),
            None => Err(ReportError::NoAgent(agent.into(), agents.into_keys().collect())),
        }
    }

    /// Everything that keeps the peer from passing exactly the cases in `expected`, in their order; empty
    /// when it passed.
    pub fn problems(&self, expected: &[String]) -> Vec<Problem> {
        let asked = expected.iter().filter_map(|case| match self.cases.get(case) {
            None => Some(Problem::Missing(case.clone())),
            Some(outcome) if outcome.passes(case) => {
                let (agent, directory) = self.files.as_ref()?;
                let fault = negotiation::fault(directory, agent, case)?;
                Some(Problem::Compression(case.clone(), fault))
            }
            Some(outcome) => Some(Problem::Failed(case.clone(), outcome.clone())),
        });
        let unasked = self.cases.keys().filter(|&case| !expected.contains(case));
        asked.chain(unasked.map(|case| Problem::Unexpected(case.clone()))).collect()
    }

    /// Every case with its outcome, in no telling order.
    pub fn outcomes(&self) -> impl Iterator<Item = (&str, &Outcome)> {
        self.cases.iter().map(|(case, outcome)| (case.as_str(), outcome))
    }
}

/// What the testsuite found in one case.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    behavior: String,
    behavior_close: String,
    #[serde(rename = "duration")]
    milliseconds: u64,
}

impl Outcome {
    /// The case's one-word result, in which a closing gone wrong makes a failure of any behavior.
    pub fn class(&self) -> Class {
        match (self.behavior.as_str(), self.behavior_close.as_str()) {
            ("OK", "OK") => Class::Ok,
            ("NON-STRICT", "OK") => Class::NonStrict,
            ("INFORMATIONAL", "INFORMATIONAL") if self.duration().is_some() => Class::Informational,
            ("UNIMPLEMENTED", "OK") => Class::Unimplemented,
            _ => Class::Failed,
        }
    }

    /// How long the case took, unless its opening handshake failed: the testsuite then files the time
    /// since 1970.
    pub fn duration(&self) -> Option<Duration> {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        Some(Duration::from_millis(self.milliseconds)).filter(|&duration| duration < YEAR)
    }

    fn passes(&self, case: &str) -> bool {
        match self.class() {
            Class::Ok => true,
            Class::Informational => UNJUDGED.contains(&case),
            Class::NonStrict | Class::Unimplemented | Class::Failed => false,
        }
    }
}

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// As the RFC wants it, and as the testsuite prefers it.
    Ok,
    /// As the RFC wants it, but not as the testsuite prefers it.
    NonStrict,
    /// Not judged.
    Informational,
    /// The peer declined the extension that the case is about.
    Unimplemented,
    /// Everything else.
    Failed,
}

/// One reason why a report does not pass.
#[derive(Debug, PartialEq, Eq)]
pub enum Problem {
    /// This case was asked for and is not in the report.
    Missing(String),
    /// This case was not asked for but is in the report.
    Unexpected(String),
    /// This case did not pass.
    Failed(String, Outcome),
    /// This case passed, but not with the compression that it asks for.
    Compression(String, Fault),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(case) => write!(f, "{case} is not in the report"),
            Self::Unexpected(case) => write!(f, "{case} is in the report but was not asked for"),
            Self::Compression(case, fault) => write!(f, "{case}: {fault}"),
            Self::Failed(case, outcome) => {
                let Outcome { behavior, behavior_close, .. } = outcome;
                write!(f, "{case}: behavior {behavior}, closing {behavior_close}")?;
                if outcome.duration().is_none() { f.write_str(", never opened") } else { Ok(()) }
            }
        }
    }
}

/// Why there is nothing to judge.
#[derive(Debug)]
pub enum ReportError {
    /// The file at this path cannot be read; a testsuite that was killed writes none.
    Unreadable(PathBuf, io::Error),
    /// The text is not a report.
    Malformed(serde_json::Error),
    /// This agent is not in the report; these are.
    NoAgent(String, Vec<String>),
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "no report at {}: {error}", path.display()),
            Self::Malformed(error) => write!(f, "not a report: {error}"),
            Self::NoAgent(agent, found) => {
                write!(f, "agent `{agent}` is not in the report, only {found:?}")
            }
        }
    }
}

impl Error for ReportError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report on the agent `a`, of (case, behavior, closing).
    fn report(cases: &[(&str, &str, &str)]) -> Report {
        let cases: Vec<_> = cases
            .iter()
            .map(|(case, behavior, closing)| {
                format!(
                    r#""{case}": {{"behavior": "{behavior}", "behaviorClose": "{closing}",
                    "duration": 2, "remoteCloseCode": 1000, "reportfile": "a.json"}}"#
                )
            })
            .collect();
        Report::parse(&format!(r#"{{"a": {{{}}}}}"#, cases.join(",")), "a").unwrap()
    }

    fn problems(cases: &[(&str, &str, &str)], expected: &[&str]) -> Vec<String> {
        let expected: Vec<_> = expected.iter().map(|&case| case.to_owned()).collect();
        report(cases).problems(&expected).iter().map(Problem::to_string).collect()
    }

    #[test]
    fn a_report_with_every_case_ok_passes() {
        let none: [&str; 0] = [];
        assert_eq!(problems(&[("1.1.1", "OK", "OK"), ("2.1", "OK", "OK")], &["1.1.1", "2.1"]), none);
    }

    #[test]
    fn the_three_unjudged_cases_pass_as_informational() {
        for case in ["7.1.6", "7.13.1", "7.13.2"] {
            let none: [&str; 0] = [];
            assert_eq!(problems(&[(case, "INFORMATIONAL", "INFORMATIONAL")], &[case]), none);
        }
    }

    #[test]
    fn any_other_case_fails_as_informational() {
        assert_eq!(
            problems(&[("7.1.5", "INFORMATIONAL", "INFORMATIONAL")], &["7.1.5"]),
            ["7.1.5: behavior INFORMATIONAL, closing INFORMATIONAL"]
        );
    }

    #[test]
    fn an_unjudged_case_still_fails_on_any_other_result() {
        for (behavior, closing) in
            [("FAILED", "FAILED"), ("INFORMATIONAL", "OK"), ("OK", "INFORMATIONAL"), ("NON-STRICT", "OK")]
        {
            assert_eq!(
                problems(&[("7.1.6", behavior, closing)], &["7.1.6"]),
                [format!("7.1.6: behavior {behavior}, closing {closing}")]
            );
        }
    }

    #[test]
    fn an_unjudged_case_fails_when_its_handshake_never_completed() {
        let json = r#"{"a": {"7.1.6": {"behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL",
            "duration": 1732256940000}}}"#;
        let problems = Report::parse(json, "a").unwrap().problems(&["7.1.6".to_owned()]);
        assert_eq!(
            problems.iter().map(Problem::to_string).collect::<Vec<_>>(),
            ["7.1.6: behavior INFORMATIONAL, closing INFORMATIONAL, never opened"]
        );
    }

    #[test]
    fn every_behavior_but_ok_fails() {
        for behavior in ["FAILED", "NON-STRICT", "UNIMPLEMENTED", "WRONG CODE", "ok", "", "SOMETHING NEW"] {
            assert_eq!(
                problems(&[("6.4.1", behavior, "OK")], &["6.4.1"]),
                [format!("6.4.1: behavior {behavior}, closing OK")]
            );
        }
    }

    #[test]
    fn every_closing_but_ok_fails_an_ok_behavior() {
        for closing in ["FAILED", "UNCLEAN", "WRONG CODE", "FAILED BY CLIENT", "INFORMATIONAL", ""] {
            assert_eq!(
                problems(&[("7.3.6", "OK", closing)], &["7.3.6"]),
                [format!("7.3.6: behavior OK, closing {closing}")]
            );
        }
    }

    #[test]
    fn a_case_that_is_missing_fails() {
        assert_eq!(problems(&[("2.1", "OK", "OK")], &["2.1", "2.2"]), ["2.2 is not in the report"]);
        assert_eq!(problems(&[], &["2.1"]), ["2.1 is not in the report"]);
    }

    #[test]
    fn a_case_that_was_not_asked_for_fails() {
        assert_eq!(
            problems(&[("2.1", "OK", "OK"), ("2.2", "OK", "OK")], &["2.1"]),
            ["2.2 is in the report but was not asked for"]
        );
    }

    #[test]
    fn the_right_number_of_wrong_cases_fails() {
        assert_eq!(problems(&[("2.2", "OK", "OK")], &["2.1"]).len(), 2);
    }

    #[test]
    fn an_agent_that_is_missing_is_an_error() {
        for (json, message) in [
            ("{}", "agent `a` is not in the report, only []"),
            (r#"{"b": {}}"#, r#"agent `a` is not in the report, only ["b"]"#),
        ] {
            assert_eq!(Report::parse(json, "a").unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_file_that_is_missing_is_an_error() {
        let error = Report::read(Path::new("does/not/exist.json"), "a").unwrap_err();
        assert!(matches!(error, ReportError::Unreadable(..)), "{error}");
    }

    #[test]
    fn text_that_is_no_report_is_an_error() {
        for json in [
            "",
            "[]",
            r#"{"a": {"1.1.1": {}}}"#,
            r#"{"a": {"1.1.1": {"behavior": "OK", "duration": 2}}}"#,
            r#"{"a": {"1.1.1": {"behaviorClose": "OK", "duration": 2}}}"#,
            r#"{"a": {"1.1.1": {"behavior": "OK", "behaviorClose": null, "duration": 2}}}"#,
            r#"{"a": {"1.1.1": {"behavior": "OK", "behaviorClose": "OK", "dura"#,
        ] {
            let error = Report::parse(json, "a").unwrap_err();
            assert!(matches!(error, ReportError::Malformed(_)), "{json}: {error}");
        }
    }

    #[test]
    fn a_case_is_classed_by_its_behavior_unless_its_closing_went_wrong() {
        for (behavior, closing, class) in [
            ("OK", "OK", Class::Ok),
            ("NON-STRICT", "OK", Class::NonStrict),
            ("INFORMATIONAL", "INFORMATIONAL", Class::Informational),
            ("UNIMPLEMENTED", "OK", Class::Unimplemented),
            ("FAILED", "OK", Class::Failed),
            ("OK", "UNCLEAN", Class::Failed),
            ("NON-STRICT", "WRONG CODE", Class::Failed),
        ] {
            let report = report(&[("1.1.1", behavior, closing)]);
            assert_eq!(report.outcomes().next().unwrap().1.class(), class, "{behavior}/{closing}");
        }
    }
}
