//! A run: each selected case, what is told meanwhile, and the reports at the end.

mod once;
mod sweep;

pub(crate) use self::sweep::remember;

use crate::data::case::SlotDir;
use crate::registration::oracles;
use crate::registration::origin::Origin;
use crate::registration::{self, TestCase};
use crate::runner::attempt::Attempts;
use crate::runner::cli::Options;
use crate::runner::cli::seeds::SeedsChoice;
use crate::runner::console::Output;
use crate::runner::exit::{HARNESS_FAILED, SANDBOX_MISSING, SIGNALLED, TESTS_FAILED};
use crate::runner::header::header;
use crate::runner::history::History;
use crate::runner::interruption::Interruption;
use crate::runner::minimizer;
use crate::runner::regressions::Regressions;
use crate::runner::reports;
use crate::runner::selection::Selection;
use crate::runner::slot::Slots;
use crate::runner::surroundings::Surroundings;
use crate::runner::workspace::Workspace;
use crate::supervisor::run_dir::RunDir;
use clarity_chaos_record::{Isolation, Record, Results, Seed, SeedRange, TestName};
use clarity_chaos_report::Summary;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// A run in progress.
pub(crate) struct Run {
    attempts: Attempts,
    history: History,
    output: Arc<Output>,
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
        let output = Arc::new(Output::open(&options)?);
        let told = Arc::clone(&output);
        let interruption = Interruption::listen(move || {
            for slots in running.iter().filter_map(Weak::upgrade) {
                slots.interrupt();
            }
            told.notice(
                "\ninterrupted: ending the tests that are running (once more ends this at once)",
            );
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
            output,
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
        let header = header(
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

    /// Notes that the folder of a case is kept, or could not be removed.
    fn note_remains(&self, record: &Record, cleaned: io::Result<()>) {
        if record.kept_dir.is_some() {
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
        tell: impl FnOnce(&Ended<'_>),
    ) -> io::Result<ExitCode> {
        let took = self.began.elapsed();
        let output = self.output;
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

        let suite = format!("{}::{}", origin.package, origin.target);
        let mut summary = Summary::new(&suite, seed, &records);
        summary.sweep = sweep;
        summary.unmet = unmet;
        summary.took = took;
        let written = reports::write(&summary, &options);
        trouble.extend(written.trouble);
        let (dir, left) = self.dir.end(self.has_kept.into_inner());
        if let Err(error) = left {
            trouble.push(format!("failed to clean up {}: {error}", dir.display()));
        }
        if options.libtest.show_output && !options.is_json() {
            if options.is_terse() {
                output.print("\n");
            }
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
        trouble.extend(output.trouble());
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
        let tests: Vec<TestName<'_>> = registration::all()
            .into_iter()
            .map(|test| TestName::new(test.name(), test.path()))
            .collect();
        results.unmet(&oracles::catalogue(), &tests)
    } else {
        Vec::new()
    }
}
