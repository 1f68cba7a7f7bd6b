//! The end of a run: what came of it, what is worth a look, and what to type next.

use super::{BAD, DOUBTFUL, FAINT, GOOD};
use clarity_chaos_record::{Record, Verdict};
use clarity_chaos_report as report;
use clarity_chaos_report::format_seconds;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// How many of the tests that took longest are named.
const SLOWEST: usize = 5;
/// What takes less is not worth a word.
const QUICK: Duration = Duration::from_millis(100);
/// How many tests stand beside the reason for which they were skipped.
const NAMED: usize = 8;

/// What a run came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing<'a> {
    /// One for each test that has run, by name.
    pub(crate) records: &'a [Record],
    /// How many tests were selected.
    pub(crate) selected: usize,
    /// How many were not.
    pub(crate) filtered_out: usize,
    /// The oracles that should have been met.
    pub(crate) unmet: &'a [String],
    /// The reports that were written.
    pub(crate) reports: &'a [String],
    /// The command that runs all of it again.
    pub(crate) again: Option<&'a str>,
    /// The command that runs what has failed again.
    pub(crate) failed_again: Option<&'a str>,
    pub(crate) took: Duration,
}

impl<'a> Closing<'a> {
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

    /// Those that were skipped, and those that the end of the run has kept from running.
    pub(super) fn ignored(&self) -> usize {
        self.selected
            .saturating_sub(self.passed())
            .saturating_sub(self.failed())
    }

    pub(super) fn flaky(&self) -> impl Iterator<Item = &'a Record> {
        self.records.iter().filter(|record| record.is_flaky())
    }

    /// Whether the run has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed() > 0 || !self.unmet.is_empty()
    }

    /// The end of a run whose failures were told when they happened.
    pub(super) fn pretty(&self) -> String {
        let mut text = String::new();
        self.tell_failures(&mut text);
        self.tell_flaky(&mut text);
        self.tell_skipped(&mut text);
        self.tell_slowest(&mut text);
        tell_unmet(&mut text, self.unmet);
        tell_reports(&mut text, self.reports);
        self.tell_again(&mut text);
        self.tell_sum(&mut text);
        text
    }

    /// The end of a run of which nothing was told but a character for each test.
    pub(super) fn terse(&self) -> String {
        let mut text = "\n".to_owned();
        for record in self.failures() {
            let story = report::render_failure(record);
            let _ = writeln!(text, "\n---- {} ----\n{story}", record.name);
        }
        self.tell_flaky(&mut text);
        tell_unmet(&mut text, self.unmet);
        self.tell_sum(&mut text);
        text
    }

    fn tell_failures(&self, text: &mut String) {
        let failures: Vec<&Record> = self.failures().collect();
        tell_failures(text, &failures);
        if let (Some(command), 2..) = (self.failed_again, failures.len()) {
            let _ = writeln!(text, "\nall that failed again:\n    {command}");
        }
    }

    fn tell_flaky(&self, text: &mut String) {
        let mut flaky = self.flaky().peekable();
        if flaky.peek().is_some() {
            text.push('\n');
        }
        for record in flaky {
            let _ = writeln!(
                text,
                "{DOUBTFUL}{}{DOUBTFUL:#}",
                report::render_flaky(record)
            );
        }
    }

    /// Each reason once.
    fn tell_skipped(&self, text: &mut String) {
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for record in self.records {
            if let Verdict::Skipped { reason } = &record.verdict {
                reasons.entry(reason).or_default().push(&record.name);
            }
        }
        if reasons.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n{DOUBTFUL}skipped:{DOUBTFUL:#}");
        for (reason, names) in reasons {
            let more = names.len().saturating_sub(NAMED);
            let named = names[..names.len().min(NAMED)].join(", ");
            let more = match more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let _ = writeln!(text, "    {reason}\n        {named}{more}");
        }
    }

    /// Nobody looks for them among a handful, or where all are quick.
    fn tell_slowest(&self, text: &mut String) {
        let mut records: Vec<&Record> = self.records.iter().collect();
        records.sort_by_key(|record| std::cmp::Reverse(record.duration_us));
        records.truncate(SLOWEST);
        records.retain(|record| Duration::from_micros(record.duration_us) >= QUICK);
        if self.records.len() <= SLOWEST || records.is_empty() {
            return;
        }
        text.push_str("\nslowest:\n");
        for record in records {
            let took = format_seconds(Duration::from_micros(record.duration_us));
            let _ = writeln!(text, "    {FAINT}{took:>7}{FAINT:#}  {}", record.name);
        }
    }

    fn tell_again(&self, text: &mut String) {
        if let Some(command) = self.again {
            let _ = writeln!(text, "\nall of it again:\n    {command}");
        }
    }

    /// libtest's last line, which tools look for.
    fn tell_sum(&self, text: &mut String) {
        let result = match self.has_failed() {
            true => format!("{BAD}FAILED{BAD:#}"),
            false => format!("{GOOD}ok{GOOD:#}"),
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

/// A paragraph for each: why it failed, and the command that runs it again.
pub(super) fn tell_failures(text: &mut String, failures: &[&Record]) {
    if failures.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{BAD}failures:{BAD:#}");
    for record in failures {
        let Record {
            name,
            replay_command,
            ..
        } = record;
        let why = record.verdict.to_string();
        let why = why.lines().next().unwrap_or_default();
        let _ = writeln!(
            text,
            "    {name}\n        {why}\n        {FAINT}{replay_command}{FAINT:#}"
        );
    }
}

pub(super) fn tell_unmet(text: &mut String, unmet: &[String]) {
    if !unmet.is_empty() {
        let _ = write!(text, "\n{}", report::render_unmet_oracles(unmet));
    }
}

pub(super) fn tell_reports(text: &mut String, reports: &[String]) {
    if !reports.is_empty() {
        let _ = writeln!(text, "\nreports: {}", reports.join(", "));
    }
}
