//! A run: each selected case, what is told meanwhile, and the reports at the end.

use crate::attempt::{Attempts, Variation};
use crate::case::SlotDir;
use crate::cli::Options;
use crate::exit::{HARNESS_FAILED, SANDBOX_MISSING, SIGNALLED, TESTS_FAILED};
use crate::history::History;
use crate::interruption::Interruption;
use crate::isolation::Isolation;
use crate::minimizer;
use crate::oracle;
use crate::origin::Origin;
use crate::record::{FailedAttempt, Record};
use crate::registration::{self, TestCase};
use crate::regressions::Regressions;
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
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;
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
        if let Some(file) = &options.libtest.logfile {
            let created = fs::File::create(file);
            created.map_err(|error| {
                io::Error::new(error.kind(), format!("--logfile {file}: {error}"))
            })?;
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

        if let Some(seeds) = sweep {
            return self.sweep(&selection, seeds);
        }

        // libtest-mimic counts what it filters out itself, so it is told which tests are not wanted, each by its exact name.
        let arguments = Arguments {
            filter: None,
            exact: true,
            ignored: false,
            skip: selection
                .deselected
                .iter()
                .map(|test| test.name().to_owned())
                .collect(),
            // One runner's thread can be a test at a time.
            test_threads: match self.attempts.isolation {
                Isolation::Thread => Some(1),
                _ => options.libtest.test_threads,
            },
            ..options.libtest.clone()
        };
        let run = Arc::new(self);
        let trials = selection
            .selected
            .iter()
            .chain(&selection.deselected)
            .map(|test| {
                let (run, test) = (Arc::clone(&run), *test);
                Trial::ignorable_test(test.name(), move || run.trial(test))
            })
            .collect();
        // It panics when its output is closed; what has run by then is reported all the same.
        let conclusion = catch_unwind(AssertUnwindSafe(|| libtest_mimic::run(&arguments, trials)));
        let run = Arc::into_inner(run).expect("every trial has run or was dropped");
        match conclusion {
            Ok(conclusion) => {
                let unmet = run.unmet();
                if !unmet.is_empty() {
                    let told = report::oracles(&unmet);
                    if run.attempts.options.is_json() {
                        eprintln!("{told}");
                    } else {
                        println!("{told}");
                    }
                }
                run.conclude(conclusion.has_failed(), &unmet, None)
            }
            Err(_told_already) => {
                run.note_trouble("the run was not completed".to_owned());
                run.conclude(false, &[], None)
            }
        }
    }

    /// Runs every selected test with each of the seeds.
    fn sweep(self, selection: &Selection, seeds: SeedRange) -> io::Result<ExitCode> {
        let Origin {
            package, target, ..
        } = self.attempts.origin;
        let options = &self.attempts.options;
        let threads = match options.libtest.test_threads {
            Some(threads) => threads,
            None => std::thread::available_parallelism()?.get(),
        };
        let sweep = Sweep {
            attempts: &self.attempts,
            tests: &selection.selected,
            seeds,
            regressions: &self.regressions,
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
        let told = report::sweep(&results, &unmet, self.began.elapsed());
        print!("{told}");
        remember(&self.regressions, &results);
        locked(&self.records).extend(results.representatives().cloned());
        let has_failed = results.failed() > 0;
        self.conclude(has_failed, &unmet, Some(&results))
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

    /// Runs one test with the seeds that it has failed with before, as far as these are kept or were asked for, unless a seed was asked for, and then with that of this run; the first failure counts.
    fn trial(&self, test: &'static TestCase) -> Result<Completion, Failed> {
        if self.attempts.options.seed.is_none() {
            let kept = self.regressions.of_test(test.name());
            let failed = self.failed.get(test.name());
            for seed in failed.into_iter().chain(kept) {
                if let failed @ Err(_) = self.case(test, *seed) {
                    return failed;
                }
            }
        }
        self.case(test, self.attempts.seed)
    }

    /// Runs one test, and puts its record where reports will look for it.
    fn case(&self, test: &'static TestCase, seed: Seed) -> Result<Completion, Failed> {
        if self.attempts.slots.are_interrupted() {
            return Ok(Completion::ignored_with("the run was interrupted"));
        }
        let mut record = self.tried(test, seed);
        self.minimize(test, &mut record);
        self.keep(&record);
        let result = match &record.verdict {
            Verdict::Passed => Ok(Completion::Completed),
            Verdict::Skipped { reason } => Ok(Completion::ignored_with(reason)),
            _ => Err(report::failure(&record).into()),
        };
        let mut records = locked(&self.records);
        // Reports tell one case of each test.
        records.retain(|other| other.name != record.name);
        records.push(record);
        drop(records);
        result
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

    /// Writes the reports, says where things are, and gives the exit code.
    fn conclude(
        self,
        failed: bool,
        unmet: &[String],
        sweep: Option<&Results>,
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
        trouble.extend(summary.write(&options));
        let (dir, left) = self.dir.end(self.has_kept.into_inner());
        if let Err(error) = left {
            trouble.push(format!("failed to clean up {}: {error}", dir.display()));
        }
        if options.libtest.show_output && !options.is_json() {
            for record in records.iter().filter(|r| !r.verdict.is_failure()) {
                if !record.output.text.is_empty() {
                    println!("---- {} printed ----\n{}", record.name, record.output.text);
                }
            }
        }
        let failed = failed || !unmet.is_empty();
        if !options.is_json() {
            for record in records.iter().filter(|record| record.is_flaky()) {
                println!("{}", report::flaky(record));
            }
        }
        if records.iter().any(|record| record.verdict.is_failure()) && !options.is_json() {
            println!("run the failed tests again:");
            for record in records.iter().filter(|record| record.verdict.is_failure()) {
                println!("    {}", record.replay);
            }
            println!();
        }
        for what in &trouble {
            eprintln!("error: {what}");
        }
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
