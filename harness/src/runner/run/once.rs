//! A run with one root seed. Also tries each test's known failing seeds, and repeats failed tests.

use super::{TestRun, locked, unmet_oracles};
use crate::registration::{NON_DESTRUCTIVE, TestCase};
use crate::runner::case_runner::CaseRunner;
use crate::runner::console::{Console, RunSummary, StartedRun, TestOutcome};
use crate::runner::replay;
use crate::runner::run_overrides::RunOverrides;
use crate::runner::selection::Selection;
use crate::runner::threads;
use clarity_chaos_record::{FailedAttempt, Record, Results, Seed, SeedRange, Verdict};
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

impl TestRun {
    /// Runs every selected test. Stops early if the output cannot be written, or at the first
    /// failure with `--fail-fast`.
    pub(super) fn once(
        self,
        selection: &Selection,
        shuffle_seed: Option<u64>,
    ) -> io::Result<ExitCode> {
        let CaseRunner {
            origin,
            options,
            seed,
            ..
        } = &self.case_runner;
        let selected = &selection.selected;
        let printer = Arc::clone(&self.printer);
        let started = StartedRun {
            origin,
            seed: *seed,
            shuffle_seed,
            tests: selected.len(),
            suspensions: &self.case_runner.suspensions,
        };
        let console = Console::start(options, &printer, started);
        let rerun_command = self.rerun_command(selection, shuffle_seed);
        // `--last-failed` conflicts with `--replay`, and each failure has a command of its own.
        let rerun_failed_command = match self.replay {
            Some(_) => None,
            None => replay::failures_command(origin),
        };
        let (next, has_failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let threads = options.threads()?.min(selected.len());
        threads::run_on(threads, || {
            while printer.error().is_none()
                && !has_failed.load(Ordering::Relaxed)
                && let Some(test) = selected.get(next.fetch_add(1, Ordering::Relaxed))
            {
                if self.run_and_report(&console, test) && options.nightly.fail_fast {
                    has_failed.store(true, Ordering::Relaxed);
                }
            }
        });
        let remaining = selected.len().saturating_sub(locked(&self.records).len());
        if printer.error().is_some() && remaining > 0 {
            self.add_error(format!("{remaining} tests were not run"));
        }
        let unmet = self.unmet_oracles();
        self.finish(&unmet, None, |finished| {
            console.finish(&RunSummary {
                records: finished.records,
                selected: selected.len(),
                filtered_out: selection.deselected.len(),
                unmet: &unmet,
                failed_fixtures: &finished.fixture.failures,
                reports: finished.reports,
                rerun_command: rerun_command.as_deref(),
                rerun_failed_command: rerun_failed_command.as_deref(),
                took: finished.took,
            });
        })
    }

    /// Returns the command that repeats this run. Returns `None` with `--last-failed` or
    /// `--failed-first`: the selection depended on the history, which this run changes. Also
    /// returns `None` with `--replay`, which has no seed.
    fn rerun_command(&self, selection: &Selection, shuffle_seed: Option<u64>) -> Option<String> {
        let CaseRunner {
            origin,
            options,
            seed,
            ..
        } = &self.case_runner;
        if options.last_failed || options.failed_first || self.replay.is_some() {
            return None;
        }
        let known = |test: &&TestCase| !self.regressions.seeds_of(test.name()).is_empty();
        let tries_known = options.tries_known_seeds() && selection.selected.iter().any(known);
        // A drawn order is repeated, too.
        let drawn = options.nightly.shuffle_seed.is_none();
        let shuffle_seed = shuffle_seed.filter(|_| drawn);
        replay::run_command(origin, *seed, shuffle_seed, tries_known)
    }

    /// Runs one test and prints its result. Returns whether the test failed.
    fn run_and_report(&self, console: &Console, test: &'static TestCase) -> bool {
        let number = console.started(test);
        let only_benchmarks = self.case_runner.options.runs_benchmarks();
        let record = match only_benchmarks {
            true => None,
            false => self
                .not_run(test, self.case_runner.seed)
                .or_else(|| self.run_with_known_seeds(test)),
        };
        let failed = record
            .as_ref()
            .is_some_and(|record| record.verdict.is_failure());
        let outcome = match &record {
            Some(record) => TestOutcome::Ran(record),
            None if only_benchmarks => TestOutcome::NotRun("--bench runs no tests"),
            None => TestOutcome::NotRun("the run was interrupted"),
        };
        console.finished(number, test, outcome);
        // Reports contain one case of each test: the last one.
        locked(&self.records).extend(record);
        failed
    }

    /// Runs a test with its last failing seed and its known failing seeds, unless the options
    /// disable known seeds. Then runs the test with the seed of the run. Stops at the first
    /// failure. Returns the record of the last case. Returns `None` if an interruption prevented a
    /// case.
    fn run_with_known_seeds(&self, test: &'static TestCase) -> Option<Record> {
        if let Some(seed) = self.replay.as_ref().and_then(|replay| replay.seed_of(test)) {
            return self.run_case(test, seed);
        }
        if self.case_runner.options.tries_known_seeds() {
            let known = self.regressions.seeds_of(test.name());
            let failed = self.failed.get(test.name()).and_then(Option::as_ref);
            for seed in failed.into_iter().chain(known) {
                let record = self.run_case(test, *seed)?;
                if record.verdict.is_failure() {
                    return Some(record);
                }
            }
        }
        self.run_case(test, self.case_runner.seed)
    }

    /// Runs one case and saves its record in the history. Returns `None` if the run was interrupted
    /// before the case.
    fn run_case(&self, test: &'static TestCase, seed: Seed) -> Option<Record> {
        if self.case_runner.workers.is_interrupted() {
            return None;
        }
        let mut record = self.run_with_retries(test, seed);
        self.minimize(test, &mut record);
        // Nobody asked to run a destructive test twice.
        if test.has_tag(NON_DESTRUCTIVE) {
            self.check_repetition(test, &mut record);
        }
        self.save_record(&record);
        Some(record)
    }

    /// Runs one case. Repeats a failed case with the same seed, up to `--retries` times.
    fn run_with_retries(&self, test: &'static TestCase, seed: Seed) -> Record {
        let retries = self.case_runner.options.settings_of(test).retries;
        let mut failed_before = Vec::new();
        loop {
            let overrides = RunOverrides {
                retry: failed_before.len(),
                ..RunOverrides::new(seed)
            };
            let (mut record, cleaned) = self.case_runner.run_checked(test, &overrides);
            self.add_cleanup(&record, cleaned);
            let is_final = !record.verdict.is_failure()
                || record.verdict == Verdict::Interrupted
                || failed_before.len() >= retries;
            if is_final {
                record.failed_attempts = failed_before;
                return record;
            }
            failed_before.push(FailedAttempt::from(record));
        }
    }

    /// Returns the unmet oracles of this run. Returns an empty list if unmet oracles do not fail
    /// the run.
    fn unmet_oracles(&self) -> Vec<String> {
        let seeds = SeedRange::new(self.case_runner.seed, 1);
        let mut results = Results::new(String::new(), seeds, self.case_runner.options.shard, []);
        if self.case_runner.workers.is_interrupted() {
            results.stop_reason = Some(String::new());
        }
        for record in locked(&self.records).iter() {
            results.add(record.clone());
        }
        unmet_oracles(&results, &self.case_runner.options)
    }
}
