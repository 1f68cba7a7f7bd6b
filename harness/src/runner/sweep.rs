//! Runs a sweep: every selected test once for each seed, on several threads.

use crate::data::case::KeepPolicy;
use crate::registration::TestCase;
use crate::runner::case_runner::CaseRunner;
use crate::runner::console::{Printer, ProgressDisplay, ProgressUnit, slow_test_line};
use crate::runner::regressions::Regressions;
use crate::runner::run_overrides::RunOverrides;
use crate::runner::sweep_extent::{CaseQueue, SweepExtent};
use crate::runner::threads;
use clarity_chaos_record::{KEPT_FAILURES, Record, Results, Seed, Verdict};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The tests and seeds of a sweep.
#[derive(Debug)]
pub(crate) struct Sweep<'a> {
    pub(crate) case_runner: &'a CaseRunner,
    pub(crate) tests: &'a [&'static TestCase],
    pub(crate) extent: SweepExtent,
    pub(crate) regressions: &'a Regressions,
    pub(crate) printer: &'a Arc<Printer>,
}

/// The state that all threads of a sweep share.
struct SweepState<'a> {
    /// The cases of the regressions file, which run before all other cases.
    known: Vec<(&'static TestCase, Seed)>,
    /// The cases of all shards together.
    queue: CaseQueue,
    is_over: AtomicBool,
    failed: AtomicU64,
    /// The number of failed cases so far, by the test's name.
    failed_of: Mutex<BTreeMap<&'static str, usize>>,
    results: Mutex<Results>,
    progress: ProgressDisplay,
    on_record: &'a (dyn Fn(&Record, io::Result<()>) + Sync),
}

impl Sweep<'_> {
    /// Runs all cases of this shard on `threads` threads. Starts with known failing seeds, and then
    /// runs all tests with one seed after another. Stops early when the run is interrupted, or when
    /// `--max-failures` is reached. Calls `on_record` with each record and the result of the case's
    /// cleanup.
    pub(crate) fn run(
        &self,
        suite: String,
        threads: usize,
        on_record: &(dyn Fn(&Record, io::Result<()>) + Sync),
    ) -> Results {
        let options = &self.case_runner.options;
        let known: Vec<_> = self
            .tests
            .iter()
            .flat_map(|test| {
                let seeds = self.regressions.seeds_of(test.name());
                seeds.iter().map(|seed| (*test, *seed))
            })
            .collect();
        let tests = u64::try_from(self.tests.len()).unwrap_or(u64::MAX);
        let regressions = u64::try_from(known.len()).unwrap_or(u64::MAX);
        let queue = CaseQueue::new(regressions, tests, self.extent);
        let all = queue.end();
        let shards = options.shard.map_or(1, |shard| shard.count());
        let seeds = self.extent.reachable();
        let names = self.tests.iter().map(|test| test.name());
        let state = SweepState {
            known,
            queue,
            is_over: AtomicBool::new(false),
            failed: AtomicU64::new(0),
            failed_of: Mutex::default(),
            results: Mutex::new(Results::new(suite, seeds, options.shard, names)),
            progress: self.progress_display(all / shards),
            on_record,
        };
        let threads = threads.min(usize::try_from(all).unwrap_or(usize::MAX));
        threads::run_on(threads, || self.work(&state));
        state.progress.finish();
        let seeds = self.extent.reached(state.queue.seeds());
        let mut results = state
            .results
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        results.seeds = seeds;
        if self.case_runner.workers.is_interrupted() {
            results.stop_reason = Some("the run was interrupted".to_owned());
        } else if let (true, Some(limit)) = (state.is_over.into_inner(), options.max_failures) {
            results.stop_reason = Some(format!("--max-failures {limit}"));
        }
        results
    }

    /// Shows the progress of about `cases` cases. The number is inexact, because a hash assigns
    /// cases to shards.
    fn progress_display(&self, cases: u64) -> ProgressDisplay {
        let slow_printer = Arc::clone(self.printer);
        let slow_after = self.case_runner.options.slow_after;
        let slow = move |name: &str, age| slow_printer.print(&slow_test_line(name, age));
        let printer = Arc::clone(self.printer);
        let suspensions = self.case_runner.suspensions.clone();
        let unit = match self.extent.limit() {
            None => ProgressUnit::Cases,
            Some(limit) => ProgressUnit::CasesWithin(limit),
        };
        ProgressDisplay::start(unit, cases, printer, slow_after, suspensions, slow)
    }

    fn work(&self, state: &SweepState<'_>) {
        let is_over =
            || state.is_over.load(Ordering::Relaxed) || self.case_runner.workers.is_interrupted();
        while !is_over()
            && let Some(number) = state.queue.take()
        {
            if let Some((test, seed)) = self.case(state, number) {
                self.run_case(state, test, seed);
            }
        }
    }

    /// Returns the case with this number, counted from 0 over all shards. Returns `None` if the
    /// case belongs to another shard, or repeats a case of the regressions file.
    fn case(&self, state: &SweepState<'_>, number: u64) -> Option<(&'static TestCase, Seed)> {
        let known = usize::try_from(number).ok();
        let (test, seed) = match known.and_then(|number| state.known.get(number)) {
            Some(case) => *case,
            None => {
                let (tests, known) = (self.tests.len() as u64, state.known.len() as u64);
                let (offset, seeds) = (number - known, self.extent.reachable());
                let test = usize::try_from(offset % tests).ok()?;
                let (test, seed) = (*self.tests.get(test)?, seeds.at(offset / tests));
                if self.regressions.seeds_of(test.name()).contains(&seed) {
                    return None;
                }
                (test, seed)
            }
        };
        let shard = self.case_runner.options.shard;
        let is_ours = shard.is_none_or(|shard| shard.holds_case(test.name(), seed));
        is_ours.then_some((test, seed))
    }

    fn run_case(&self, state: &SweepState<'_>, test: &'static TestCase, seed: Seed) {
        let before = locked(&state.failed_of)
            .get(test.name())
            .copied()
            .unwrap_or(0);
        let overrides = RunOverrides {
            keep: if before < KEPT_FAILURES {
                KeepPolicy::AsConfigured
            } else {
                KeepPolicy::Never
            },
            ..RunOverrides::new(seed)
        };
        let running = state
            .progress
            .started(format!("{} with seed {seed}", test.name()));
        let (record, cleaned) = self.case_runner.run_checked(test, &overrides);
        // An interrupted case says nothing about the code under test, so the results leave it out.
        let is_interrupted = record.verdict == Verdict::Interrupted;
        let is_failure = record.verdict.is_failure() && !is_interrupted;
        state.progress.finished(running, is_failure);
        if is_interrupted {
            return;
        }
        if is_failure {
            *locked(&state.failed_of).entry(test.name()).or_default() += 1;
            let failed = state.failed.fetch_add(1, Ordering::Relaxed) + 1;
            if before < KEPT_FAILURES {
                let first = record.verdict.to_string();
                let first = first.lines().next().unwrap_or_default();
                let name = test.name();
                let line = format!("test {name} with seed {seed} ... FAILED: {first}\n");
                self.printer.print(&line);
            }
            let limit = self.case_runner.options.max_failures;
            if limit.is_some_and(|limit| failed >= limit.get()) {
                state.is_over.store(true, Ordering::Relaxed);
            }
        }
        (state.on_record)(&record, cleaned);
        locked(&state.results).add(record);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
