//! Runs the selected tests. Also sets up the run, and prints the header.

mod end;
mod fixture;
mod killed_runs;
mod once;
mod suspension;
mod sweep;

pub(crate) use self::sweep::save_regressions;

use self::fixture::FixtureState;
use self::killed_runs::warn_of_killed_runs;
use self::suspension::listen_for_suspensions;
use crate::data::service::VisibleServices;
use crate::registration::oracles;
use crate::registration::origin::Origin;
use crate::registration::{self, TestCase};
use crate::runner::case_runner::CaseRunner;
use crate::runner::cli::Options;
use crate::runner::console::Printer;
use crate::runner::coverage_profile::profile_file;
use crate::runner::exit_codes::SANDBOX_MISSING;
use crate::runner::header::header;
use crate::runner::history::{FailedWrites, History, REMEDY};
use crate::runner::in_process::InProcess;
use crate::runner::interruption::Interruption;
use crate::runner::kept_states::KeptStates;
use crate::runner::minimizer;
use crate::runner::provenance::processors;
use crate::runner::recording::{Fingerprint, Replay};
use crate::runner::regressions::Regressions;
use crate::runner::repetition::Repetition;
use crate::runner::reports;
use crate::runner::sandbox_probe::SandboxProbe;
use crate::runner::selection::Selection;
use crate::runner::standard_streams::{self, print_error};
use crate::runner::sweep_extent::SweepExtent;
use crate::runner::trace::RunTrace;
use crate::runner::worker_pool::{SharedByPools, WorkerPool};
use crate::supervisor::run_dir::RunDir;
use clarity_chaos_record::{Isolation, Record, Results, Seed, TestName};
use std::collections::BTreeMap;
use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

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
    /// With `--replay`: the recording.
    replay: Option<Replay>,
    /// With `--recording`: the binary and the machine.
    fingerprint: Option<Fingerprint>,
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
        // Later, this thread may be restricted to one processor.
        processors();
        let fingerprint = options.recordings.recording.as_ref();
        let fingerprint = fingerprint.map(|_| Fingerprint::of_this_process(origin));
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
        let suite = format!("{}::{}", origin.package, origin.target);
        let trace = RunTrace::new(options.trace.as_deref(), &suite, seed)?;
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
                trace,
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
            replay: None,
            fingerprint,
            interruption,
            began: Instant::now(),
            fixture,
            dir,
            has_kept: AtomicBool::new(false),
            records: Mutex::default(),
            errors: Mutex::default(),
        })
    }

    /// Makes the run use the seeds of a recording, and compare its results with the recorded ones.
    pub(crate) fn with_replay(self, replay: Option<Replay>) -> Self {
        Self { replay, ..self }
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
        let options = &self.case_runner.options;
        let sweep = options.seeds.map(|seeds| SweepExtent::new(seed, seeds));
        let seeds = match &sweep {
            None if self.replay.is_some() => format!("recorded with seed {seed}"),
            None => format!("seed {seed} (again: --seed {seed})"),
            Some(extent) => extent.to_string(),
        };
        let profile = options.describe_profile(&selection.selected);
        let header = header(
            selection.selected.len(),
            total,
            &seeds,
            self.case_runner.isolation.name(),
            &sandbox_probe,
            profile.as_deref(),
        );
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
            Some(extent) => self.sweep(&selection, extent),
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
