//! A run: each selected case, what is told meanwhile, and the reports at the end.

use crate::attempt::{Attempts, Variation};
use crate::case::SlotDir;
use crate::cli::Options;
use crate::console::{self, Closing, Console, Outcome, Output};
use crate::exit::{HARNESS_FAILED, SANDBOX_MISSING, SIGNALLED, TESTS_FAILED};
use crate::history::History;
use crate::interruption::Interruption;
use crate::isolation::Isolation;
use crate::minimizer;
use crate::oracle;
use crate::origin::Origin;
use crate::pool;
use crate::record::{FailedAttempt, Record};
use crate::registration::{self, TestCase};
use crate::regressions::Regressions;
use crate::replay;
use crate::report::{self, Summary};
use crate::results::Results;
use crate::run_dir::RunDir;
use crate::seed::Seed;
use crate::seeds::{SeedRange, SeedsChoice};
use crate::selection::Selection;
use crate::slot::Slots;
use crate::surroundings::Surroundings;
use crate::sweep::Sweep;
use crate::verdict::Verdict;
use crate::workspace::Workspace;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// A run in progress.
pub(crate) struct Run {
    attempts: Attempts,
    history: History,
    regressions: Regressions,
    /// Tests that failed when they ran last, where these are to run so again.
    failed: BTreeMap<String, Seed>,
    interruption: Interruption,
    began: Instant,
    /// The folders of the cases.
    dir: RunDir,
    /// Whether the folder of a case is kept.
    has_kept: AtomicBool,
    records: Mutex<Vec<Record>>,
    /// What the harness itself could not do; each fails the run.
    trouble: Mutex<Vec<String>>,
}

impl Run {
    /// # Errors
    ///
    /// When what every run needs cannot be had: folders, the file of `--logfile`, a handler of signals.
    pub(crate) fn new(
        origin: &Origin,
        options: Options,
        history: History,
        regressions: Regressions,
        failed: BTreeMap<String, Seed>,
        seed: Seed,
    ) -> io::Result<Self> {
        if let Err(error) = history.set_last_seed(seed) {
            let told = format!("failed to write down the seed of this run: {error}");
            if options.history.is_some() {
                return Err(io::Error::new(error.kind(), told));
            }
            eprintln!("warning: {told}; --seed last will not know it");
        }
        let dir = RunDir::create()?;
        let isolation = options.isolation.unwrap_or(Isolation::DEFAULT);
        let slots = Arc::new(Slots::new(isolation, dir.path().to_owned()));
        let fresh = if options.check_determinism {
            let folder = dir.path().join("fresh");
            fs::create_dir(&folder)?;
            let slots = Arc::new(Slots::new(Isolation::Exec, folder));
            Some((slots, dir.path().to_owned()))
        } else {
            None
        };
        let running: Vec<_> = [&slots]
            .into_iter()
            .chain(fresh.iter().map(|(slots, _)| slots))
            .map(Arc::downgrade)
            .collect();
        let interruption = Interruption::listen(move || {
            for slots in running.iter().filter_map(Weak::upgrade) {
                slots.interrupt();
            }
        })?;
        Ok(Self {
            attempts: Attempts {
                origin: *origin,
                options,
                seed,
                isolation,
                slots,
                fresh,
                guests: match isolation {
                    Isolation::Thread => {
                        let slot = SlotDir::create(dir.path(), 0)?;
                        Some(Mutex::new(Workspace::open(slot)?))
                    }
                    _ => None,
                },
            },
            history,
            regressions,
            failed,
            interruption,
            began: Instant::now(),
            dir,
            has_kept: AtomicBool::new(false),
            records: Mutex::default(),
            trouble: Mutex::default(),
        })
    }

    /// Runs what is selected, tells it, and gives the exit code.
    pub(crate) fn execute(self, selection: Selection) -> io::Result<ExitCode> {
        let total = selection.selected.len() + selection.deselected.len();
        let surroundings = Surroundings::of(&self.attempts, &selection.selected)?;
        let seed = self.attempts.seed;
        let sweep = self.attempts.options.seeds.map(|choice| match choice {
            SeedsChoice::Count(count) => SeedRange::new(seed, count),
            SeedsChoice::Range(range) => range,
        });
        let seeds = match sweep {
            None => format!("seed {seed} (again: --seed {seed})"),
            Some(seeds) => format!("seeds {seeds} (again: --seeds {seeds})"),
        };
        let header = report::header(
            selection.selected.len(),
            total,
            &seeds,
            self.attempts.isolation.name(),
            &surroundings,
        );
        let options = &self.attempts.options;
        // Nobody may be listening; the tests run all the same.
        if options.is_json() {
            let _ = writeln!(io::stderr(), "{header}");
        } else {
            let _ = writeln!(io::stdout(), "{header}");
        }
        if options.require_sandbox && surroundings.refuse_gaps() {
            return Ok(ExitCode::from(SANDBOX_MISSING));
        }

        match sweep {
            Some(seeds) => self.sweep(&selection, seeds),
            None => self.once(&selection),
        }
    }

    /// Runs every selected test.
    fn once(self, selection: &Selection) -> io::Result<ExitCode> {
        let Attempts {
            origin,
            options,
            seed,
            ..
        } = &self.attempts;
        let selected = &selection.selected;
        let console = Console::begin(options, origin, *seed, selected.len())?;
        let again = replay::whole_run(origin, *seed);
        let failed_again = replay::what_failed(origin);
        let next = AtomicUsize::new(0);
        pool::on_threads(options.threads()?, || {
            while console.trouble().is_none()
                && let Some(test) = selected.get(next.fetch_add(1, Ordering::Relaxed))
            {
                self.told(&console, test);
            }
        });
        if let Some(error) = console.trouble() {
            let left = selected.len().saturating_sub(locked(&self.records).len());
            self.note_trouble(format!(
                "nobody takes what is printed ({error}); {left} tests were not run"
            ));
        }
        let unmet = self.unmet();
        self.conclude(&unmet, None, console.output(), |ended| {
            console.conclude(&Closing {
                records: ended.records,
                selected: selected.len(),
                filtered_out: selection.deselected.len(),
                unmet: &unmet,
                reports: ended.reports,
                again: &again,
                failed_again: &failed_again,
                took: ended.took,
            });
        })
    }

    /// Runs every selected test with each of the seeds.
    fn sweep(self, selection: &Selection, seeds: SeedRange) -> io::Result<ExitCode> {
        let Origin {
            package, target, ..
        } = self.attempts.origin;
        let options = &self.attempts.options;
        let threads = options.threads()?;
        let output = Arc::new(Output::open(options)?);
        let sweep = Sweep {
            attempts: &self.attempts,
            tests: &selection.selected,
            seeds,
            regressions: &self.regressions,
            output: &output,
        };
        let mut results = sweep.run(
            format!("{package}::{target}"),
            threads,
            &|record, cleaned| {
                self.note_remains(record, cleaned);
            },
        );
        for record in results.representatives_mut() {
            let mut tests = selection.selected.iter();
            if let Some(test) = tests.find(|test| test.name() == record.name) {
                self.minimize(test, record);
            }
        }
        if let Some(path) = &options.results
            && let Err(error) = results.write(path)
        {
            self.note_trouble(format!(
                "failed to write the results {}: {error}",
                path.display()
            ));
        }
        results
            .representatives()
            .for_each(|record| self.keep(record));
        let unmet = unmet(&results, options);
        remember(&self.regressions, &results);
        locked(&self.records).extend(results.representatives().cloned());
        self.conclude(&unmet, Some(&results), &output, |ended| {
            output.print(&console::sweep(&results, &unmet, ended.reports, ended.took));
        })
    }

    /// Finds what a failure takes, where that was asked for.
    fn minimize(&self, test: &'static TestCase, record: &mut Record) {
        if let Some(within) = self.attempts.options.minimize {
            record.minimized = minimizer::minimize(&self.attempts, test, record, within);
        }
    }

    /// Writes a record where later runs and people find it.
    fn keep(&self, record: &Record) {
        if let Err(error) = self.history.keep(record) {
            self.note_trouble(format!(
                "failed to write the record of {}: {error}",
                record.name
            ));
        }
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

    /// Runs one test with the seeds that it has failed with before, as far as these are kept or were asked for, unless a seed was asked for, and then with
    /// that of this run; the first failure counts. Gives nothing when the run was interrupted before.
    fn trial(&self, test: &'static TestCase) -> Option<Record> {
        if self.attempts.options.seed.is_none() {
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
        let mut failed_before = Vec::new();
        loop {
            let (mut record, cleaned) = self.attempts.check(test, &Variation::of(seed));
            self.note_remains(&record, cleaned);
            let is_final = !record.verdict.is_failure()
                || record.verdict == Verdict::Interrupted
                || failed_before.len() >= self.attempts.options.retries;
            if is_final {
                record.failed_before = failed_before;
                return record;
            }
            failed_before.push(FailedAttempt {
                verdict: record.verdict,
                started_at: record.started_at,
                duration_us: record.duration_us,
                output: record.output,
                kept: record.kept,
            });
        }
    }

    /// The unmet oracles of an ordinary run, where those count.
    fn unmet(&self) -> Vec<String> {
        let seeds = SeedRange::new(self.attempts.seed, 1);
        let mut results = Results::new(String::new(), seeds, self.attempts.options.shard, []);
        if self.attempts.slots.are_interrupted() {
            results.stopped = Some(String::new());
        }
        for record in locked(&self.records).iter() {
            results.add(record.clone());
        }
        unmet(&results, &self.attempts.options)
    }

    /// Notes that the folder of a case is kept, or could not be removed.
    fn note_remains(&self, record: &Record, cleaned: io::Result<()>) {
        if record.kept.is_some() {
            self.has_kept.store(true, Ordering::Relaxed);
        }
        if let Err(error) = cleaned {
            self.note_trouble(error.to_string());
        }
    }

    fn note_trouble(&self, what: String) {
        locked(&self.trouble).push(what);
    }

    /// Writes the reports, lets the end be told, and gives the exit code.
    fn conclude(
        self,
        unmet: &[String],
        sweep: Option<&Results>,
        output: &Output,
        tell: impl FnOnce(&Ended<'_>),
    ) -> io::Result<ExitCode> {
        let took = self.began.elapsed();
        let Attempts {
            origin,
            options,
            seed,
            slots,
            fresh,
            ..
        } = self.attempts;
        drop((slots, fresh));
        let mut records = self
            .records
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut trouble = self
            .trouble
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        records.sort_by(|a, b| (&a.name, a.root_seed.get()).cmp(&(&b.name, b.root_seed.get())));

        let summary = Summary {
            suite: &format!("{}::{}", origin.package, origin.target),
            seed,
            records: &records,
            sweep,
            unmet,
            took,
        };
        let written = summary.write(&options);
        trouble.extend(written.trouble);
        let (dir, left) = self.dir.end(self.has_kept.into_inner());
        if let Err(error) = left {
            trouble.push(format!("failed to clean up {}: {error}", dir.display()));
        }
        if options.libtest.show_output && !options.is_json() {
            for record in records.iter().filter(|r| !r.verdict.is_failure()) {
                if !record.output.text.is_empty() {
                    let Record {
                        name,
                        output: printed,
                        ..
                    } = record;
                    output.print(&format!("---- {name} printed ----\n{}\n", printed.text));
                }
            }
        }
        tell(&Ended {
            records: &records,
            reports: &written.reports,
            took,
        });
        for what in &trouble {
            eprintln!("error: {what}");
        }
        let failed = !unmet.is_empty() || records.iter().any(|record| record.verdict.is_failure());
        Ok(if let Some(signal) = self.interruption.signal() {
            ExitCode::from(SIGNALLED.saturating_add(signal))
        } else if failed {
            ExitCode::from(TESTS_FAILED)
        } else if !trouble.is_empty() {
            ExitCode::from(HARNESS_FAILED)
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// What a run has left to be told.
struct Ended<'a> {
    records: &'a [Record],
    reports: &'a [String],
    took: Duration,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The oracles that were to be reached or to hold in these results and did not, where that counts.
pub(crate) fn unmet(results: &Results, options: &Options) -> Vec<String> {
    if options.enforces_oracles() {
        results.unmet(&oracle::catalogue(), &registration::all())
    } else {
        Vec::new()
    }
}

/// Keeps the seeds that failed for later runs. Where that cannot be done the run has told them all the same.
pub(crate) fn remember(regressions: &Regressions, results: &Results) {
    let path = regressions.path().display();
    match regressions.add(results.regressions()) {
        Ok(0) => {}
        Ok(added) => println!("failing seeds added to {path}, to be committed: {added}"),
        Err(error) => eprintln!("warning: failed to write the failing seeds to {path}: {error}"),
    }
}
