//! The table that says how much passed.

use core::fmt;
use core::time::Duration;

use crate::cases::group;
use crate::verdict::{Class, Report};

/// A Markdown table of reports, with a line for each group of cases and one for all of them.
#[derive(Debug, Default)]
pub struct Summary(Vec<Line>);

impl Summary {
    /// Adds a report on `subject`, which took so long, all in all.
    pub fn add(&mut self, subject: &str, report: &Report, wall: Duration) {
        let mut groups: Vec<Line> = Vec::new();
        let mut all = Line::new(subject, "all");
        for (case, outcome) in report.outcomes() {
            let index = groups.iter().position(|line| line.group == group(case)).unwrap_or_else(|| {
                groups.push(Line::new(subject, group(case)));
                groups.len() - 1
            });
            for line in [&mut groups[index], &mut all] {
                line.cases += 1;
                line.classes[column(outcome.class())] += 1;
                line.time += outcome.duration().unwrap_or_default();
            }
        }
        all.time = wall;
        groups.sort_by_key(|line| line.group.parse::<u32>().unwrap_or(u32::MAX));
        self.0.extend(groups);
        self.0.push(all);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| subject | group | cases | OK | NON-STRICT | INFORMATIONAL | UNIMPLEMENTED | FAILED | seconds |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|")?;
        for Line { subject, group, cases, classes, time } in &self.0 {
            let [ok, non_strict, informational, unimplemented, failed] = classes;
            writeln!(
                f,
                "| {subject} | {group} | {cases} | {ok} | {non_strict} | {informational} | {unimplemented} \
                 | {failed} | {:.1} |",
                time.as_secs_f32()
            )?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Line {
    subject: String,
    group: String,
    cases: usize,
    classes: [usize; 5],
    time: Duration,
}

impl Line {
    fn new(subject: &str, group: &str) -> Self {
        Self { subject: subject.into(), group: group.into(), cases: 0, classes: [0; 5], time: Duration::ZERO }
    }
}

fn column(class: Class) -> usize {
    match class {
        Class::Ok => 0,
        Class::NonStrict => 1,
        Class::Informational => 2,
        Class::Unimplemented => 3,
        Class::Failed => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_and_the_whole_get_a_line_in_numeric_order() {
        let json = r#"{"a": {
            "10.1.1": {"behavior": "OK", "behaviorClose": "UNCLEAN", "duration": 100},
            "2.1": {"behavior": "OK", "behaviorClose": "OK", "duration": 1500},
            "2.2": {"behavior": "NON-STRICT", "behaviorClose": "OK", "duration": 500},
            "7.1.6": {"behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL", "duration": 0},
            "13.1.1": {"behavior": "UNIMPLEMENTED", "behaviorClose": "OK", "duration": 0}
        }}"#;
        let mut summary = Summary::default();
        summary.add("server", &Report::parse(json, "a").unwrap(), Duration::from_secs(9));
        let lines: Vec<_> = summary.to_string().lines().skip(2).map(str::to_owned).collect();
        assert_eq!(
            lines,
            [
                "| server | 2 | 2 | 1 | 1 | 0 | 0 | 0 | 2.0 |",
                "| server | 7 | 1 | 0 | 0 | 1 | 0 | 0 | 0.0 |",
                "| server | 10 | 1 | 0 | 0 | 0 | 0 | 1 | 0.1 |",
                "| server | 13 | 1 | 0 | 0 | 0 | 1 | 0 | 0.0 |",
                "| server | all | 5 | 1 | 1 | 1 | 1 | 1 | 9.0 |",
            ]
        );
    }
}
