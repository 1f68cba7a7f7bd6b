//! An ordinary run: each test once, or again where it failed before.

use super::{Run, locked, unmet};
use crate::registration::TestCase;
use crate::runner::attempt::{Attempts, Variation};
use crate::runner::console::{Closing, Console, Outcome};
use crate::runner::pool;
use crate::runner::replay;
use crate::runner::selection::Selection;
use clarity_chaos_record::{FailedAttempt, Record, Results, Seed, SeedRange, Verdict};
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

impl Run {
    /// Runs every selected test.
    pub(super) fn once(self, selection: &Selection) -> io::Result<ExitCode> {
        let Attempts {
            origin,
            options,
            seed,
            ..
        } = &self.attempts;
        let selected = &selection.selected;
        let output = Arc::clone(&self.output);
        let console = Console::begin(options, &output, origin, *seed, selected.len());
        let again = self.again(selection);
        let failed_again = replay::what_failed(origin);
        let next = AtomicUsize::new(0);
        let threads = options.threads()?.min(selected.len());
        pool::on_threads(threads, || {
            while output.trouble().is_none()
                && let Some(test) = selected.get(next.fetch_add(1, Ordering::Relaxed))
            {
                self.told(&console, test);
            }
        });
        let left = selected.len().saturating_sub(locked(&self.records).len());
        if output.trouble().is_some() && left > 0 {
            self.note_trouble(format!("{left} tests were not run"));
        }
        let unmet = self.unmet();
        self.conclude(&unmet, None, |ended| {
            console.conclude(&Closing {
                records: ended.records,
                selected: selected.len(),
                filtered_out: selection.deselected.len(),
                unmet: &unmet,
                reports: ended.reports,
                again: again.as_deref(),
                failed_again: failed_again.as_deref(),
                took: ended.took,
            });
        })
    }

    /// The command that repeats this run; none where none does, since what failed before it decides.
    fn again(&self, selection: &Selection) -> Option<String> {
        let Attempts {
            origin,
            options,
            seed,
            ..
        } = &self.attempts;
        if options.last_failed || options.failed_first {
            return None;
        }
        let known = |test: &&TestCase| !self.regressions.of_test(test.name()).is_empty();
        let tries_known = options.tries_known_seeds() && selection.selected.iter().any(known);
        replay::whole_run(origin, *seed, tries_known)
    }

    /// Runs one test, and tells it.
    fn told(&self, console: &Console, test: &'static TestCase) {
        let number = console.started(test);
        let record = self.trial(test);
        let outcome = match &record {
            Some(record) => Outcome::Ran(record),
            None => Outcome::NotRun("the run was interrupted"),
        };
        console.ended(number, test, outcome);
        // Reports tell one case of each test.
        locked(&self.records).extend(record);
    }

    /// Runs one test with the seeds that it has failed with before, as far as these are kept or were asked for, and are wanted, and then with that of this run; the
    /// first failure counts. Gives nothing when the run was interrupted before.
    fn trial(&self, test: &'static TestCase) -> Option<Record> {
        if self.attempts.options.tries_known_seeds() {
            let kept = self.regressions.of_test(test.name());
            let failed = self.failed.get(test.name());
            for seed in failed.into_iter().chain(kept) {
                let record = self.case(test, *seed)?;
                if record.verdict.is_failure() {
                    return Some(record);
                }
            }
        }
        self.case(test, self.attempts.seed)
    }

    /// Runs one test, and leaves its record where later runs look for it.
    fn case(&self, test: &'static TestCase, seed: Seed) -> Option<Record> {
        if self.attempts.slots.are_interrupted() {
            return None;
        }
        let mut record = self.tried(test, seed);
        self.minimize(test, &mut record);
        self.keep(&record);
        Some(record)
    }

    /// Runs one test, and where it fails once more with the same seed, as often as was asked for.
    fn tried(&self, test: &'static TestCase, seed: Seed) -> Record {
        let mut failed_attempts = Vec::new();
        loop {
            let (mut record, cleaned) = self.attempts.check(test, &Variation::of(seed));
            self.note_remains(&record, cleaned);
            let is_final = !record.verdict.is_failure()
                || record.verdict == Verdict::Interrupted
                || failed_attempts.len() >= self.attempts.options.retries;
            if is_final {
                record.failed_attempts = failed_attempts;
                return record;
            }
            failed_attempts.push(FailedAttempt::from(record));
        }
    }

    /// The unmet oracles of an ordinary run, where those count.
    fn unmet(&self) -> Vec<String> {
        let seeds = SeedRange::new(self.attempts.seed, 1);
        let mut results = Results::new(String::new(), seeds, self.attempts.options.shard, []);
        if self.attempts.slots.are_interrupted() {
            results.stop_reason = Some(String::new());
        }
        for record in locked(&self.records).iter() {
            results.add(record.clone());
        }
        unmet(&results, &self.attempts.options)
    }
}
