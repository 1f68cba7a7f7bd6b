//! The set-up and the tear-down of a run.

use super::TestRun;
use crate::registration::TestCase;
use crate::runner::console::{Printer, fixture_text};
use crate::runner::fixture::{FixtureControl, RunningFixture};
use clarity_chaos_record::{Record, Seed};
use std::sync::Arc;

/// The state of the set-up and of the tear-down.
#[derive(Debug, Default)]
pub(super) struct FixtureState {
    pub(super) control: Arc<FixtureControl>,
    /// The fixture between the start of its set-up and its tear-down.
    running: Option<RunningFixture>,
    /// The records of the set-up and of the tear-down.
    records: Vec<Record>,
    /// The reason why the set-up failed: then no test runs.
    failure: Option<String>,
}

/// The results of the set-up and of the tear-down.
#[derive(Debug)]
pub(super) struct FinishedFixture {
    pub(super) records: Vec<Record>,
    /// A line for each failure.
    pub(super) failures: Vec<String>,
}

impl FixtureState {
    /// The reason why no test runs; `None` if the tests run.
    pub(super) fn refusal(&self) -> Option<String> {
        let reason = self.failure.as_ref()?;
        Some(format!("not run: the set-up of the run failed: {reason}"))
    }

    /// Runs the tear-down.
    pub(super) fn finish(mut self, printer: &Printer, is_json: bool) -> FinishedFixture {
        if let Some(fixture) = self.running {
            let record = fixture.tear_down();
            print(&record, printer, is_json);
            self.records.push(record);
        }
        let failed = self.records.iter().filter(|one| one.verdict.is_failure());
        let mut failures: Vec<String> = failed
            .map(|record| format!("the {} of the run {}", record.name, record.verdict))
            .collect();
        if failures.is_empty()
            && let Some(reason) = self.failure
        {
            failures.push(format!("the set-up of the run failed: {reason}"));
        }
        FinishedFixture {
            records: self.records,
            failures,
        }
    }
}

impl TestRun {
    /// Runs the set-up of the target, if the target has one and a test will run. Gives its services
    /// to the later cases, or notes the reason of its failure.
    pub(super) fn set_up(&mut self, selected: &[&'static TestCase]) {
        let case_runner = &mut self.case_runner;
        let (origin, options) = (case_runner.origin, &case_runner.options);
        let runs_tests = !selected.is_empty() && !options.runs_benchmarks();
        if origin.fixture.is_none() || !runs_tests {
            return;
        }
        if cfg!(not(target_os = "linux")) {
            let reason = "a set-up needs Linux: elsewhere, the harness cannot end its processes";
            self.fixture.failure = Some(reason.to_owned());
            return;
        }
        let control = Arc::clone(&self.fixture.control);
        let (seed, run) = (case_runner.seed, self.dir.path());
        let mut fixture = match RunningFixture::start(&origin, options, seed, run, control) {
            Ok(fixture) => fixture,
            Err(error) => {
                self.fixture.failure = Some(format!("it cannot be started: {error}"));
                return;
            }
        };
        let (record, result) = fixture.set_up();
        match result {
            Ok(services) => {
                case_runner.services = services.to_visible();
                case_runner.workers.serve(services.clone());
                if let Some((fresh, _)) = &case_runner.fresh {
                    fresh.serve(services);
                }
            }
            Err(reason) => self.fixture.failure = Some(reason),
        }
        print(&record, &self.printer, options.is_json());
        self.fixture.running = Some(fixture);
        self.fixture.records.push(record);
    }

    /// Returns the record of a test that does not run since the set-up has failed. Returns `None`
    /// if the set-up has not failed.
    pub(super) fn not_run(&self, test: &TestCase, seed: Seed) -> Option<Record> {
        let reason = self.fixture.refusal()?;
        Some(self.case_runner.skipped(test, seed, reason))
    }
}

/// Prints the result of a set-up or a tear-down. In JSON, standard output has only libtest's
/// events, so a failure goes to standard error.
fn print(record: &Record, printer: &Printer, is_json: bool) {
    let text = fixture_text(record);
    match is_json {
        false => printer.print(&text),
        true if record.verdict.is_failure() => printer.print_to_stderr(text.trim_end()),
        true => {}
    }
}
