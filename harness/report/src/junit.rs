//! The JUnit report.
//!
//! The extended dialect has the attributes that common report readers use. `name` is the test's
//! unique full name; `classname` is the path of the test's module, with the crate's name. Each
//! suite, test and rerun has a `time`, in seconds. Each test has `file` and `line`: several readers
//! use these attributes, although the original schema lacks both.

mod strict;

use self::strict::strict;
use crate::failure::render_failure;
use crate::summary::Summary;
use crate::unmet_oracles::render_unmet_oracles;
use chrono::{DateTime, FixedOffset};
use clarity_chaos_record::{FailedAttempt, Record, Verdict};
use quick_junit::{
    NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestRerun, TestSuite,
};
use std::io;
use std::time::Duration;

/// The dialect of a JUnit report: the set of attributes that the report uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum JunitDialect {
    /// Each test also has its file, line and timestamp. Report readers for GitHub and GitLab use
    /// these attributes.
    #[default]
    Extended,
    /// The report has only the attributes in the schema of Jenkins' xUnit plug-in. The plug-in
    /// refuses all other attributes.
    Strict,
}

/// The settings of a JUnit report.
///
/// ```
/// use clarity_chaos_report::{JunitDialect, JunitOptions};
///
/// let options = JunitOptions::new(JunitDialect::Strict).with_passed_output(true);
/// assert!(options.passed_output);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JunitOptions {
    /// The set of attributes that the report uses.
    pub dialect: JunitDialect,
    /// Whether the report contains the output of passed and skipped tests. The output of failed
    /// tests is always there.
    pub passed_output: bool,
}

impl JunitOptions {
    /// Creates settings with this dialect, without the output of passed tests.
    #[must_use]
    pub fn new(dialect: JunitDialect) -> Self {
        Self {
            dialect,
            passed_output: false,
        }
    }

    /// Sets whether the report contains the output of passed and skipped tests.
    #[must_use]
    pub fn with_passed_output(mut self, passed_output: bool) -> Self {
        self.passed_output = passed_output;
        self
    }
}

/// Renders the report of a run in the JUnit format.
///
/// # Errors
///
/// When the report cannot be written as XML.
pub fn render_junit(run: &Summary<'_>, options: &JunitOptions) -> io::Result<String> {
    let Summary {
        suite,
        seed,
        records,
        unmet,
        fixtures,
        took,
        profile,
        ..
    } = *run;
    let mut report = Report::new(suite);
    let mut tests = TestSuite::new(suite);
    tests
        .add_property(Property::new("seed", seed.to_string()))
        .set_time(took);
    if let Some(profile) = profile {
        tests.add_property(Property::new("profile", profile));
    }
    if let Some(record) = records.first() {
        tests.add_property(Property::new("isolation", record.isolation.name()));
        for (part, enforcement) in record.sandbox.parts() {
            let mark = if enforcement.enforced {
                ""
            } else {
                "not enforced: "
            };
            tests.add_property(Property::new(
                format!("sandbox.{part}"),
                format!("{mark}{}", enforcement.detail),
            ));
        }
    }
    if let Some(began) = records.iter().filter_map(started_at).min() {
        report.set_timestamp(began);
        tests.set_timestamp(began);
    }
    let entries = records.iter().chain(fixtures);
    tests.add_test_cases(entries.map(|record| test_case(record, options)));
    if !unmet.is_empty() {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status
            .set_type("oracles")
            .set_message(xml(&render_unmet_oracles(unmet)));
        let mut case = TestCase::new("oracles", status);
        case.set_classname(suite).set_time(Duration::ZERO);
        tests.add_test_case(case);
    }
    report.set_time(took).add_test_suite(tests);
    let mut text = report.to_string().map_err(io::Error::other)?;
    if options.dialect == JunitDialect::Strict {
        text = strict(&text)?;
    }
    Ok(text)
}

fn test_case(record: &Record, options: &JunitOptions) -> TestCase {
    let mut status = match &record.verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Skipped { .. } => TestCaseStatus::skipped(),
        // In JUnit, *error* means that the harness failed, and *failure* means that the test
        // failed.
        Verdict::Lost { .. } => TestCaseStatus::non_success(NonSuccessKind::Error),
        _ => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    match &record.verdict {
        Verdict::Passed => {}
        Verdict::Skipped { reason } => {
            status.set_message(xml(reason));
        }
        failed => {
            status
                .set_type(failed.kind())
                .set_message(xml(&failed.to_string()))
                .set_description(xml(&format!(
                    "seed {} (root seed {})\n{}",
                    record.seed,
                    record.root_seed,
                    render_failure(record)
                )));
        }
    }
    status.add_reruns(record.failed_attempts.iter().map(rerun));
    let mut case = TestCase::new(record.name.as_str(), status);
    case.set_classname(record.module.as_str())
        .set_time(Duration::from_micros(record.duration_us));
    if record.verdict.is_failure() || options.passed_output {
        case.set_system_out(xml(&record.output.text));
    }
    if let Some(began) = started_at(record) {
        case.set_timestamp(began);
    }
    case.extra
        .insert("file".into(), record.file.as_str().into());
    case.extra
        .insert("line".into(), record.line.to_string().into());
    case
}

/// Converts a failed attempt of a repeated case to a JUnit rerun.
fn rerun(failed: &FailedAttempt) -> TestRerun {
    let mut rerun = TestRerun::new(NonSuccessKind::Failure);
    rerun
        .set_type(failed.verdict.kind())
        .set_message(xml(&failed.verdict.to_string()))
        .set_time(Duration::from_micros(failed.duration_us))
        .set_system_out(xml(&failed.output.text));
    rerun
}

/// Replaces the characters U+FFFE and U+FFFF, which XML 1.0 cannot contain. quick-junit handles
/// control characters, but not these two.
fn xml(text: &str) -> String {
    text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

fn started_at(record: &Record) -> Option<DateTime<FixedOffset>> {
    DateTime::parse_from_rfc3339(&record.started_at).ok()
}
