//! Runs the selected tests. Also sets up the run, prints the header, writes the reports, and
//! decides the exit code.

mod fixture;
mod killed_runs;
mod once;
mod sweep;

pub(crate) use self::sweep::save_regressions;

use self::fixture::{FinishedFixture, FixtureState};
use self::killed_runs::warn_of_killed_runs;
use crate::data::service::VisibleServices;
use crate::registration::oracles;
use crate::registration::origin::Origin;
use crate::registration::{self, TestCase};
use crate::runner::case_runner::CaseRunner;
use crate::runner::cli::Options;
use crate::runner::cli::seeds::SeedsChoice;
use crate::runner::console::Printer;
use crate::runner::coverage_profile::profile_file;
use crate::runner::exit_codes::{HARNESS_FAILED, SANDBOX_MISSING, SIGNALLED, TESTS_FAILED};
use crate::runner::header::header;
use crate::runner::history::{FailedWrites, History, REMEDY};
use crate::runner::in_process::InProcess;
use crate::runner::interruption::Interruption;
use crate::runner::kept_states::KeptStates;
use crate::runner::minimizer;
use crate::runner::regressions::Regressions;
use crate::runner::repetition::Repetition;
use crate::runner::reports;
use crate::runner::sandbox_probe::SandboxProbe;
use crate::runner::selection::Selection;
use crate::runner::standard_streams::{self, print_error};
use crate::runner::suspensions::Suspensions;
use crate::runner::worker_pool::{SharedByPools, WorkerPool};
use crate::supervisor::run_dir::RunDir;
use clarity_chaos_record::{Isolation, Record, Results, Seed, SeedRange, TestName};
use clarity_chaos_report::{Summary, format_seconds};
use std::collections::BTreeMap;
use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// The state of a run in progress.
pub(crate) struct TestRun {
    case_runner: CaseRunner,
    history: History,
    repetition: Repetition,
    printer: Arc<Printer>,
    regressions: Regressions,
    /// With `--last-failed` or `--failed-first`: the root seed of each failed test; `None` if the
    /// seed is unknown.
    failed: BTreeMap<String, Option<Seed>>,
    interruption: Interruption,
    began: Instant,
    /// The set-up and the tear-down. A drop runs the tear-down, which needs `dir`.
    fixture: FixtureState,
    /// The run's directory, which contains the directories of its workers.
    dir: RunDir,
    /// Whether the run keeps the directory of at least one case.
    has_kept: AtomicBool,
    records: Mutex<Vec<Record>>,
    /// Errors of the harness itself. Any error fails the run.
    errors: Mutex<Vec<String>>,
}

impl TestRun {
    /// Saves the seed of the run, and creates the run's directory, workers and signal handlers.
    ///
    /// # Errors
    ///
    /// When a directory, the file of `--logfile` or a signal handler cannot be created. A seed that
    /// cannot be saved causes a warning only.
    pub(crate) fn new(
        origin: &Origin,
        options: Options,
        history: History,
        regressions: Regressions,
        failed: BTreeMap<String, Option<Seed>>,
        seed: Seed,
    ) -> io::Result<Self> {
        if let Err(error) = history.set_last_seed(seed) {
            print_error(format_args!(
                "warning: the seed was not saved, so --seed last does not find it: {error}; {REMEDY}"
            ));
        }
        if options.isolation == Some(Isolation::Thread) && reports::is_github_job() {
            print_error(format_args!(
                "warning: --isolation thread: GitHub's runner obeys workflow commands that tests print, \
                  since this isolation does not capture their output"
            ));
        }
        let (dir, recovery) = RunDir::create()?;
        warn_of_killed_runs(&recovery);
        let isolation = options.isolation.unwrap_or(Isolation::DEFAULT);
        let mut failed_writes = FailedWrites::default();
        let profile_file = profile_file(&history, &mut failed_writes);
        // Both pools number their workers together: all workers have directories in `dir`.
        let shared = SharedByPools::default();
        let pool = |isolation| {
            let (run, profile_file) = (dir.path().to_owned(), profile_file.clone());
            Arc::new(WorkerPool::new(
                isolation,
                run,
                shared.clone(),
                profile_file,
            ))
        };
        let workers = pool(isolation);
        let fresh = options
            .check_determinism
            .then(|| (pool(Isolation::Exec), dir.path().to_owned()));
        let pools: Vec<_> = [&workers]
            .into_iter()
            .chain(fresh.iter().map(|(workers, _)| workers))
            .map(Arc::downgrade)
            .collect();
        let printer = Arc::new(Printer::open(&options)?);
        let notice_printer = Arc::clone(&printer);
        let fixture = FixtureState::default();
        let control = Arc::clone(&fixture.control);
        let interruption = Interruption::listen(move || {
            control.interrupt();
            for workers in pools.iter().filter_map(Weak::upgrade) {
                workers.interrupt();
            }
            notice_printer.print_to_stderr(
                "\ninterrupted: ending the running tests (interrupt again to end at once)",
            );
        })?;
        listen_for_suspensions(
            &shared.suspensions,
            &[Some(&workers), fresh.as_ref().map(|(fresh, _)| fresh)],
            &printer,
        )?;
        Ok(Self {
            case_runner: CaseRunner {
                origin: *origin,
                options,
                seed,
                isolation,
                kept_states: KeptStates::new(&history.states())?,
                suspensions: shared.suspensions,
                failed_writes: Mutex::new(failed_writes),
                workers,
                fresh,
                services: VisibleServices::default(),
                in_process: match isolation {
                    Isolation::Thread => Some(Mutex::new(InProcess::new(dir.path().to_owned())?)),
                    _ => None,
                },
            },
            history,
            repetition: Repetition::default(),
            printer,
            regressions,
            failed,
            interruption,
            began: Instant::now(),
            fixture,
            dir,
            has_kept: AtomicBool::new(false),
            records: Mutex::default(),
            errors: Mutex::default(),
        })
    }

    /// Prints the header, runs the selected tests, and returns the exit code. `shuffle_seed` is the
    /// seed of the tests' order, if the order is random.
    pub(crate) fn execute(
        mut self,
        selection: Selection,
        shuffle_seed: Option<u64>,
    ) -> io::Result<ExitCode> {
        let total = selection.selected.len() + selection.deselected.len();
        let sandbox_probe = SandboxProbe::new(&self.case_runner, &selection.selected)?;
        let seed = self.case_runner.seed;
        let sweep = self.case_runner.options.seeds.map(|choice| match choice {
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
            self.case_runner.isolation.name(),
            &sandbox_probe,
        );
        let options = &self.case_runner.options;
        if options.is_json() {
            print_error(format_args!("{header}"));
        } else {
            standard_streams::print(format_args!("{header}"));
        }
        if options.require_sandbox && sandbox_probe.report_missing_parts() {
            return Ok(ExitCode::from(SANDBOX_MISSING));
        }
        let selected = selection.selected.iter().map(|test| test.name());
        if let Err(error) = self.case_runner.kept_states.clear(selected) {
            locked(&self.case_runner.failed_writes).add(format!(
                "states of an earlier run were not removed: {error}"
            ));
        }

        self.set_up(&selection.selected);
        match sweep {
            Some(seeds) => self.sweep(&selection, seeds),
            None => self.once(&selection, shuffle_seed),
        }
    }

    /// Minimises the faults of a failed test, if `--minimize` is given.
    fn minimize(&self, test: &'static TestCase, record: &mut Record) {
        if let Some(within) = self.case_runner.options.minimize {
            record.minimized = minimizer::minimize(&self.case_runner, test, record, within);
        }
    }

    /// Finds out whether the seed of a failed test repeats its failure.
    fn check_repetition(&self, test: &'static TestCase, record: &mut Record) {
        self.repetition.check(&self.case_runner, test, record);
    }

    /// Saves a record in the history. Adds a warning to the run if the record cannot be saved.
    fn save_record(&self, record: &Record) {
        if let Err(error) = self.history.save(record) {
            locked(&self.case_runner.failed_writes).add_record(&error);
        }
    }

    /// Remembers whether the directory of a case is kept. Adds an error to the run if the case's
    /// cleanup failed.
    fn add_cleanup(&self, record: &Record, cleaned: io::Result<()>) {
        if record.kept_dir.is_some() {
            self.has_kept.store(true, Ordering::Relaxed);
        }
        if let Err(error) = cleaned {
            self.add_error(error.to_string());
        }
    }

    fn add_error(&self, error: String) {
        locked(&self.errors).push(error);
    }

    /// Writes the reports, removes or keeps the run's directory, and prints the summary with
    /// `print`. Returns the exit code.
    fn finish(
        self,
        unmet: &[String],
        sweep: Option<&Results>,
        print: impl FnOnce(&FinishedRun<'_>),
    ) -> io::Result<ExitCode> {
        let printer = self.printer;
        let CaseRunner {
            origin,
            options,
            seed,
            workers,
            fresh,
            failed_writes,
            ..
        } = self.case_runner;
        drop((workers, fresh));
        let fixture = self.fixture.finish(&printer, options.is_json());
        let took = self.began.elapsed();
        let mut records = self
            .records
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut errors = self
            .errors
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        records.sort_by(|a, b| (&a.name, a.root_seed.get()).cmp(&(&b.name, b.root_seed.get())));

        let suite = format!("{}::{}", origin.package, origin.target);
        let mut summary = Summary::new(&suite, seed, &records);
        summary.sweep = sweep;
        summary.unmet = unmet;
        summary.fixtures = &fixture.records;
        summary.took = took;
        let written = reports::write(&summary, &options);
        errors.extend(written.errors);
        let (dir, left) = self.dir.end(self.has_kept.into_inner());
        if let Err(error) = left {
            errors.push(format!("failed to clean up {}: {error}", dir.display()));
        }
        if options.libtest.show_output && !options.is_json() {
            if options.is_terse() {
                printer.print("\n");
            }
            for record in records.iter().filter(|r| !r.verdict.is_failure()) {
                if !record.output.text.is_empty() {
                    let Record { name, output, .. } = record;
                    printer.print(&format!("---- {name} printed ----\n{}\n", output.text));
                }
            }
        }
        print(&FinishedRun {
            records: &records,
            fixture: &fixture,
            reports: &written.paths,
            took,
        });
        errors.extend(printer.error());
        let failed_writes = failed_writes.into_inner();
        let failed_writes = failed_writes.unwrap_or_else(PoisonError::into_inner);
        for warning in failed_writes.warnings() {
            print_error(format_args!("warning: {warning}"));
        }
        for error in &errors {
            print_error(format_args!("error: {error}"));
        }
        let failed = !unmet.is_empty()
            || !fixture.failures.is_empty()
            || records.iter().any(|record| record.verdict.is_failure());
        Ok(if let Some(signal) = self.interruption.signal() {
            ExitCode::from(SIGNALLED.saturating_add(signal))
        } else if failed {
            ExitCode::from(TESTS_FAILED)
        } else if !errors.is_empty() {
            ExitCode::from(HARNESS_FAILED)
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// Stops the tests when Ctrl-Z stops the run, and continues them with the run.
fn listen_for_suspensions(
    suspensions: &Suspensions,
    pools: &[Option<&Arc<WorkerPool>>],
    printer: &Arc<Printer>,
) -> io::Result<()> {
    let pools: Vec<Weak<WorkerPool>> = pools
        .iter()
        .flatten()
        .map(|pool| Arc::downgrade(pool))
        .collect();
    let (pools_to_resume, printer) = (pools.clone(), Arc::clone(printer));
    let suspend = move || {
        pools
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|pool| pool.suspend())
    };
    let resume = move |took: Duration| {
        let pools = pools_to_resume.iter().filter_map(Weak::upgrade);
        pools.for_each(|pool| pool.resume());
        printer.print_to_stderr(&format!(
            "\ncontinued after {}: the time limits stood still; real deadlines inside of the tests went on",
            format_seconds(took)
        ));
    };
    suspensions.listen(suspend, resume)
}

/// The results that the summary of a run needs.
struct FinishedRun<'a> {
    records: &'a [Record],
    fixture: &'a FinishedFixture,
    reports: &'a [String],
    took: Duration,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the unmet oracles of these results. Returns an empty list if unmet oracles do not fail
/// the run.
pub(crate) fn unmet_oracles(results: &Results, options: &Options) -> Vec<String> {
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
