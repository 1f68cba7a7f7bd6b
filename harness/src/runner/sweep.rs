//! A sweep: every selected test once for each seed, spread over all processors.

use crate::data::case::Keeping;
use crate::registration::TestCase;
use crate::runner::attempt::{Attempts, Variation};
use crate::runner::console::{Live, Output, Unit, slow_line};
use crate::runner::pool;
use crate::runner::regressions::Regressions;
use clarity_chaos_record::{KEPT_FAILURES, Record, Results, Seed, SeedRange, Verdict};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What is to be swept.
#[derive(Debug)]
pub(crate) struct Sweep<'a> {
    pub(crate) attempts: &'a Attempts,
    pub(crate) tests: &'a [&'static TestCase],
    pub(crate) seeds: SeedRange,
    pub(crate) regressions: &'a Regressions,
    pub(crate) output: &'a Arc<Output>,
}

/// What the threads of a sweep share.
struct State<'a> {
    /// The cases that failed before, which come first.
    known: Vec<(&'static TestCase, Seed)>,
    /// How many cases there are in all shares.
    all: u64,
    next: AtomicU64,
    enough: AtomicBool,
    failed: AtomicU64,
    /// How many cases of each test have failed, among those that ended already.
    failed_of: Mutex<BTreeMap<&'static str, usize>>,
    results: Mutex<Results>,
    live: Live,
    seen: &'a (dyn Fn(&Record, io::Result<()>) + Sync),
}

impl Sweep<'_> {
    /// Runs all cases of this shard, regressions first and then by seed, `threads` at a time, until enough have failed. Calls `seen`
    /// with the record of each, and what could not be cleaned up after it.
    pub(crate) fn run(
        &self,
        suite: String,
        threads: usize,
        seen: &(dyn Fn(&Record, io::Result<()>) + Sync),
    ) -> Results {
        let options = &self.attempts.options;
        let known: Vec<_> = self
            .tests
            .iter()
            .flat_map(|test| {
                let seeds = self.regressions.of_test(test.name());
                seeds.iter().map(|seed| (*test, *seed))
            })
            .collect();
        let tests = u64::try_from(self.tests.len()).unwrap_or(u64::MAX);
        let first = u64::try_from(known.len()).unwrap_or(u64::MAX);
        let all = first.saturating_add(self.seeds.count().saturating_mul(tests));
        let shards = options.shard.map_or(1, |shard| shard.count());
        let names = self.tests.iter().map(|test| test.name());
        let state = State {
            known,
            all,
            next: AtomicU64::new(0),
            enough: AtomicBool::new(false),
            failed: AtomicU64::new(0),
            failed_of: Mutex::default(),
            results: Mutex::new(Results::new(suite, self.seeds, options.shard, names)),
            live: self.live(all / shards),
            seen,
        };
        let threads = threads.min(usize::try_from(all).unwrap_or(usize::MAX));
        pool::on_threads(threads, || self.work(&state));
        state.live.end();
        let mut results = state
            .results
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if self.attempts.slots.are_interrupted() {
            results.stop_reason = Some("the run was interrupted".to_owned());
        } else if let (true, Some(limit)) = (state.enough.into_inner(), options.max_failures) {
            results.stop_reason = Some(format!("--max-failures {limit}"));
        }
        results
    }

    /// Shows what is running, of about so many cases: hashes share them out among shards.
    fn live(&self, cases: u64) -> Live {
        let teller = Arc::clone(self.output);
        let slow_after = self.attempts.options.slow_after;
        let slow = move |name: &str, age| teller.print(&slow_line(name, age));
        let output = Arc::clone(self.output);
        Live::begin(Unit::Cases, cases, output, slow_after, slow)
    }

    fn work(&self, state: &State<'_>) {
        let over = || state.enough.load(Ordering::Relaxed) || self.attempts.slots.are_interrupted();
        while !over() {
            let number = state.next.fetch_add(1, Ordering::Relaxed);
            if number >= state.all {
                return;
            }
            if let Some((test, seed)) = self.case(state, number) {
                self.one(state, test, seed);
            }
        }
    }

    /// The case with this number, from 0, if it is one of this shard and has not had its turn already.
    fn case(&self, state: &State<'_>, number: u64) -> Option<(&'static TestCase, Seed)> {
        let known = usize::try_from(number).ok();
        let (test, seed) = match known.and_then(|number| state.known.get(number)) {
            Some(case) => *case,
            None => {
                let (tests, known) = (self.tests.len() as u64, state.known.len() as u64);
                let place = number - known;
                let test = usize::try_from(place % tests).ok()?;
                let (test, seed) = (*self.tests.get(test)?, self.seeds.at(place / tests));
                if self.regressions.of_test(test.name()).contains(&seed) {
                    return None;
                }
                (test, seed)
            }
        };
        let shard = self.attempts.options.shard;
        let ours = shard.is_none_or(|shard| shard.holds_case(test.name(), seed));
        ours.then_some((test, seed))
    }

    fn one(&self, state: &State<'_>, test: &'static TestCase, seed: Seed) {
        let before = locked(&state.failed_of)
            .get(test.name())
            .copied()
            .unwrap_or(0);
        let variation = Variation {
            keeping: if before < KEPT_FAILURES {
                Keeping::AsAsked
            } else {
                Keeping::Nothing
            },
            ..Variation::of(seed)
        };
        let running = state
            .live
            .started(format!("{} with seed {seed}", test.name()));
        let (record, cleaned) = self.attempts.check(test, &variation);
        // What was interrupted has shown nothing.
        let is_interrupted = record.verdict == Verdict::Interrupted;
        let is_failure = record.verdict.is_failure() && !is_interrupted;
        state.live.ended(running, is_failure);
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
                self.output.print(&line);
            }
            let limit = self.attempts.options.max_failures;
            if limit.is_some_and(|limit| failed >= limit.get()) {
                state.enough.store(true, Ordering::Relaxed);
            }
        }
        (state.seen)(&record, cleaned);
        locked(&state.results).add(record);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
