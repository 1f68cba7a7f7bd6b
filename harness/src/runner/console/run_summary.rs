//! The summary of a run. It lists the failed, flaky, skipped and slow tests, the totals, and
//! commands that repeat tests.

use super::{DIM, FAIL, PASS, WARN};
use clarity_chaos_record::{Record, Verdict};
use clarity_chaos_report as report;
use clarity_chaos_report::{first_line, format_seconds};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// The largest number of tests in the list of slowest tests.
const SLOWEST: usize = 5;
/// The least duration of a test in the list of slowest tests.
const SLOW: Duration = Duration::from_millis(100);
/// The largest number of skipped tests that the summary names below each reason for a skip.
const NAMED: usize = 8;

/// The results of a run, for the summary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunSummary<'a> {
    /// The record of each test that has run, sorted by name.
    pub(crate) records: &'a [Record],
    /// The number of selected tests.
    pub(crate) selected: usize,
    /// The number of tests that are not selected.
    pub(crate) filtered_out: usize,
    /// A message for each unmet oracle.
    pub(crate) unmet: &'a [String],
    /// A message for each failure of the run's set-up and tear-down.
    pub(crate) failed_fixtures: &'a [String],
    /// The paths of the reports that were written.
    pub(crate) reports: &'a [String],
    /// The command that repeats the run; `None` if there is no such command.
    pub(crate) rerun_command: Option<&'a str>,
    /// The command that repeats the failed tests; `None` if there is no such command.
    pub(crate) rerun_failed_command: Option<&'a str>,
    pub(crate) took: Duration,
}

impl<'a> RunSummary<'a> {
    fn failures(&self) -> impl Iterator<Item = &'a Record> {
        let records = self.records.iter();
        records.filter(|record| record.verdict.is_failure())
    }

    pub(super) fn failed(&self) -> usize {
        self.failures().count()
    }

    pub(super) fn passed(&self) -> usize {
        let records = self.records.iter();
        records
            .filter(|record| record.verdict == Verdict::Passed)
            .count()
    }

    /// Counts the skipped tests, and the selected tests that the run did not reach.
    pub(super) fn ignored(&self) -> usize {
        self.selected
            .saturating_sub(self.passed())
            .saturating_sub(self.failed())
    }

    pub(super) fn flaky(&self) -> impl Iterator<Item = &'a Record> {
        self.records.iter().filter(|record| record.is_flaky())
    }

    /// Whether a test failed, an oracle is unmet, or the set-up or the tear-down failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed() > 0 || !self.unmet.is_empty() || !self.failed_fixtures.is_empty()
    }

    /// Formats the summary that follows the lines of the tests. Omits the reports of failures,
    /// which are already printed.
    pub(super) fn pretty(&self) -> String {
        let mut text = String::new();
        self.render_failures(&mut text);
        self.render_flaky(&mut text);
        self.render_skipped(&mut text);
        self.render_slowest(&mut text);
        render_unmet(&mut text, self.unmet);
        render_failed_fixtures(&mut text, self.failed_fixtures);
        render_reports(&mut text, self.reports);
        self.render_rerun(&mut text);
        self.render_totals(&mut text);
        text
    }

    /// Formats the summary for the terse format. The summary follows the line with one character
    /// per test, and includes the reports of failures.
    pub(super) fn terse(&self) -> String {
        let mut text = "\n".to_owned();
        for record in self.failures() {
            let failure = report::render_failure(record);
            let _ = writeln!(text, "\n---- {} ----\n{failure}", record.name);
        }
        self.render_flaky(&mut text);
        render_unmet(&mut text, self.unmet);
        render_failed_fixtures(&mut text, self.failed_fixtures);
        self.render_totals(&mut text);
        text
    }

    fn render_failures(&self, text: &mut String) {
        let failures: Vec<&Record> = self.failures().collect();
        render_failures(text, &failures);
        if let (Some(command), 2..) = (self.rerun_failed_command, failures.len()) {
            let _ = writeln!(text, "\nto repeat the failed tests:\n    {command}");
        }
    }

    fn render_flaky(&self, text: &mut String) {
        let mut flaky = self.flaky().peekable();
        if flaky.peek().is_some() {
            text.push('\n');
        }
        for record in flaky {
            let _ = writeln!(text, "{WARN}{}{WARN:#}", report::render_flaky(record));
        }
    }

    /// Appends the skipped tests, grouped by reason.
    fn render_skipped(&self, text: &mut String) {
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for record in self.records {
            if let Verdict::Skipped { reason } = &record.verdict {
                reasons.entry(reason).or_default().push(&record.name);
            }
        }
        if reasons.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n{WARN}skipped:{WARN:#}");
        for (reason, names) in reasons {
            let more = names.len().saturating_sub(NAMED);
            let named = names[..names.len().min(NAMED)].join(", ");
            let more = match more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let _ = writeln!(text, "    {}\n        {named}{more}", first_line(reason));
        }
    }

    /// Appends the slowest tests. Appends nothing if at most `SLOWEST` tests ran, or if every test
    /// took less than `SLOW`.
    fn render_slowest(&self, text: &mut String) {
        let mut records: Vec<&Record> = self.records.iter().collect();
        records.sort_by_key(|record| std::cmp::Reverse(record.duration_us));
        records.truncate(SLOWEST);
        records.retain(|record| Duration::from_micros(record.duration_us) >= SLOW);
        if self.records.len() <= SLOWEST || records.is_empty() {
            return;
        }
        text.push_str("\nslowest:\n");
        for record in records {
            let took = format_seconds(Duration::from_micros(record.duration_us));
            let _ = writeln!(text, "    {DIM}{took:>7}{DIM:#}  {}", record.name);
        }
    }

    fn render_rerun(&self, text: &mut String) {
        if let Some(command) = self.rerun_command {
            let _ = writeln!(text, "\nto repeat this run:\n    {command}");
        }
    }

    /// Appends libtest's last line, which tools parse.
    fn render_totals(&self, text: &mut String) {
        let result = match self.has_failed() {
            true => format!("{FAIL}FAILED{FAIL:#}"),
            false => format!("{PASS}ok{PASS:#}"),
        };
        let _ = writeln!(
            text,
            "\ntest result: {result}. {} passed; {} failed; {} ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
            self.passed(),
            self.failed(),
            self.ignored(),
            self.filtered_out,
            self.took.as_secs_f64(),
        );
    }
}

/// Appends the verdict of each failed test, and the command that repeats the failure.
pub(super) fn render_failures(text: &mut String, failures: &[&Record]) {
    if failures.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{FAIL}failures:{FAIL:#}");
    for record in failures {
        let Record {
            name,
            replay_command,
            ..
        } = record;
        let verdict = record.verdict.to_string();
        let verdict = first_line(&verdict);
        let progress = match record.exploring() {
            Some(progress) => format!("; it was exploring, {progress}"),
            None => String::new(),
        };
        let again = match &record.unrepeated {
            Some(_) => "a second run with this seed did not fail in the same way",
            None => replay_command,
        };
        let _ = writeln!(
            text,
            "    {name}\n        {verdict}{progress}\n        {DIM}{again}{DIM:#}"
        );
    }
}

pub(super) fn render_unmet(text: &mut String, unmet: &[String]) {
    if !unmet.is_empty() {
        let _ = write!(text, "\n{}", report::render_unmet_oracles(unmet));
    }
}

pub(super) fn render_failed_fixtures(text: &mut String, failures: &[String]) {
    for failure in failures {
        let _ = writeln!(text, "\n{FAIL}{}{FAIL:#}", first_line(failure));
    }
}

pub(super) fn render_reports(text: &mut String, reports: &[String]) {
    if !reports.is_empty() {
        let _ = writeln!(text, "\nreports: {}", reports.join(", "));
    }
}
