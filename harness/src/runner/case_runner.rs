//! Runs one case: prepares the case's directory, runs the test in a worker, and completes the
//! record.

use crate::data::case::{Case, CaseSpec, KeepPolicy};
use crate::data::process_report::ProcessReport;
use crate::data::service::VisibleServices;
use crate::journal::{self, Recovery, UndoneBy};
use crate::os::directory_lock::lock_exclusive;
use crate::registration::TestCase;
use crate::registration::origin::Origin;
use crate::runner::captured_output;
use crate::runner::cli::{Options, TestSettings};
use crate::runner::determinism;
use crate::runner::evidence;
use crate::runner::history::FailedWrites;
use crate::runner::in_process::InProcess;
use crate::runner::kept_states::KeptStates;
use crate::runner::run_overrides::RunOverrides;
use crate::runner::suspensions::Suspensions;
use crate::runner::trace::{Phase, RunTrace};
use crate::runner::verdict;
use crate::runner::worker_pool::{WorkerLease, WorkerPool};
use crate::runner::workspace::Workspace;
use crate::supervisor::runner_thread;
use clarity_chaos_record::{Event, EventKind, Isolation, Record, Sandbox, Seed, Verdict};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The time that the runner waits for a supervisor, in addition to the test's timeout and grace
/// period.
const SLACK: Duration = Duration::from_secs(30);

/// The settings and workers that all cases of a run share.
#[derive(Debug)]
pub(crate) struct CaseRunner {
    pub(crate) origin: Origin,
    pub(crate) options: Options,
    pub(crate) seed: Seed,
    pub(crate) isolation: Isolation,
    pub(crate) kept_states: KeptStates,
    /// The failed writes to the history.
    pub(crate) failed_writes: Mutex<FailedWrites>,
    /// The times during which the run was stopped.
    pub(crate) suspensions: Suspensions,
    pub(crate) trace: RunTrace,
    pub(crate) workers: Arc<WorkerPool>,
    /// With `--check-determinism`: the workers for the second run of each test, and the directory
    /// of the whole run. The second run of a test takes place in a newly executed process.
    pub(crate) fresh: Option<(Arc<WorkerPool>, PathBuf)>,
    /// The services of the run's set-up, as tests outside of the sandbox see them.
    pub(crate) services: VisibleServices,
    /// With `--isolation thread`: the directory of the cases, which run in the runner's process.
    pub(crate) in_process: Option<Mutex<InProcess>>,
}

impl CaseRunner {
    /// Whether the settings of a test require the sandbox.
    pub(crate) fn sandboxes(&self, test: &TestCase) -> bool {
        self.options.settings_of(test).sandboxes(test)
    }

    /// Returns the protections that a worker enforces on its tests. The worker is in the sandbox if
    /// `sandboxed` is set.
    ///
    /// # Errors
    ///
    /// When the worker cannot be started.
    pub(crate) fn probe_sandbox(&self, sandboxed: bool) -> io::Result<Sandbox> {
        if self.isolation == Isolation::Thread {
            return Ok(no_sandbox());
        }
        let lease = self.workers.take(sandboxed)?;
        let sandbox = lease.sandbox().clone();
        lease.release();
        Ok(sandbox)
    }

    /// Runs a test. If `--check-determinism` is given and the test passes, runs it a second time
    /// and compares both runs. Returns the record of the first run and the result of the last
    /// cleanup.
    pub(crate) fn run_checked(
        &self,
        test: &'static TestCase,
        overrides: &RunOverrides,
    ) -> (Record, io::Result<()>) {
        let (mut record, cleaned) = self.run(test, overrides);
        let Some((_, run)) = &self.fresh else {
            return (record, cleaned);
        };
        if record.verdict != Verdict::Passed || cleaned.is_err() {
            return (record, cleaned);
        }
        let again = RunOverrides {
            keep: KeepPolicy::Never,
            is_quiet: true,
            is_fresh: true,
            // Explorations and late starts both need a seccomp listener, and a process can have
            // only one listener. So no thread of an exploring test starts late.
            late_starts: !record.explores(),
            ..overrides.clone()
        };
        let (again, cleaned) = self.run(test, &again);
        if again.verdict == Verdict::Interrupted {
            record.verdict = Verdict::Interrupted;
        } else if let Some(difference) = determinism::difference(&record, &again, run) {
            record.verdict = Verdict::Nondeterministic { difference };
        }
        (record, cleaned)
    }

    /// Runs a test once. Returns the record and the result of the cleanup.
    pub(crate) fn run(
        &self,
        test: &'static TestCase,
        overrides: &RunOverrides,
    ) -> (Record, io::Result<()>) {
        let mut span = self.trace.begin_case(test, overrides);
        let settings = self.options.settings_of(test);
        let sandboxed = self.isolation != Isolation::Thread && settings.sandboxes(test);
        let spec = CaseSpec {
            name: test.name().to_owned(),
            path: test.path().to_owned(),
            seed: test.seed(overrides.root_seed),
            timeout: overrides.timeout.unwrap_or(settings.timeout),
            grace: settings.grace,
            log: settings.log.clone(),
            fault_selection: overrides.restriction.clone(),
            late_starts: overrides.late_starts,
            kept_states: (overrides.keep == KeepPolicy::AsConfigured)
                .then(|| self.kept_states.of_case(test.name(), overrides.root_seed)),
            sandboxed,
            // Outside of the sandbox, a test may need the user's home directory.
            own_home: cfg!(target_os = "linux") && sandboxed && settings.has_own_home(),
            lasting_threads: self
                .origin
                .lasting_threads
                .iter()
                .map(ToString::to_string)
                .collect(),
            services: self.services.clone(),
        };
        let mut record = self.blank_record(test, &spec, overrides.root_seed);
        let timeout = spec.timeout;
        let begun = self
            .executor(&spec, overrides.is_fresh)
            .and_then(|mut executor| {
                let mut spec = spec;
                if let Executor::Worker(lease) = &executor {
                    record.sandbox = lease.sandbox().clone();
                    spec.services = lease.services().clone();
                }
                let case = executor.workspace().begin(spec)?;
                Ok((case, executor))
            });
        let (case, mut executor) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                let error = format!("cannot start the case: {error}");
                record.verdict = Verdict::Lost { error };
                span.end(&record);
                return (record, Ok(()));
            }
        };
        span.begin(Phase::Run);
        let began = Instant::now();
        let ended = match &mut executor {
            Executor::Worker(lease) => self.run_in_worker(lease, &case, overrides.is_quiet),
            Executor::InProcess(_) => runner_thread::run(&case, &|| self.workers.is_interrupted()),
        };
        span.begin(Phase::CleanUp);
        let found = executor.workspace().evidence(&case);
        let touched = found.stray_files.touched;
        // A supervisor that has died may have left the test's process.
        let is_guarded = case.spec.sandboxed && record.sandbox.files.enforced;
        let is_over = ended.is_ok() || is_guarded || has_ended(&case);
        found.complete(&mut record, ended, timeout, &case.spec.lasting_threads);
        evidence::add_suspensions(&mut record, self.suspensions.since(began));
        // A fresh run only repeats a passed run, and may be slower.
        if let (Some(limit), false) = (self.options.nightly.critical_time(), overrides.is_fresh) {
            verdict::fail_slow_test(&mut record, limit);
        }
        // A sandboxed test could write any path into its journals, so the runner does not trust the
        // journals. The runner does not need them either: in the sandbox, the test could not damage
        // files outside its own directory.
        let recovery = match (is_guarded, is_over) {
            (true, _) => Recovery::default(),
            (false, true) => journal::recover(&case.undo(), UndoneBy::Runner),
            (false, false) => still_running(&case),
        };
        record.add_undone(recovery.outcomes);
        let uncollected = match record.verdict.is_failure() {
            true => KeptStates::collect(&case).err(),
            false => None,
        };
        let workspace = executor.workspace();
        let cleaned = match (overrides.keep, uncollected) {
            _ if !recovery.kept.is_empty() => {
                keep_journals(&mut record, workspace, &case, touched, recovery.kept)
            }
            (_, Some(error)) => self.keep_states(&mut record, workspace, &case, touched, &error),
            (KeepPolicy::AsConfigured, None) => {
                Self::keep_or_remove(&settings, &mut record, workspace, &case, touched)
            }
            (KeepPolicy::Never, None) => remove(workspace, &case, touched),
        };
        let is_reusable = cleaned.is_ok() && record.kept_dir.is_none();
        let cleaned = match executor {
            // The worker is released only after the cleanup: the worker's next case uses the same
            // files.
            Executor::Worker(lease) if is_reusable => {
                lease.release();
                cleaned
            }
            Executor::InProcess(mut in_process) if !is_reusable => {
                cleaned.and(in_process.replace_workspace())
            }
            Executor::Worker(_) | Executor::InProcess(_) => cleaned,
        };
        span.end(&record);
        (record, cleaned)
    }

    /// Takes a worker for the case. Locks `self.in_process` instead if cases run in the runner's
    /// process.
    fn executor(&self, spec: &CaseSpec, is_fresh: bool) -> io::Result<Executor<'_>> {
        match &self.in_process {
            Some(in_process) => {
                let in_process = in_process.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(Executor::InProcess(in_process))
            }
            None => {
                let workers = match &self.fresh {
                    Some((fresh, _)) if is_fresh => fresh,
                    _ => &self.workers,
                };
                let lease = workers.take(spec.sandboxed)?;
                Ok(Executor::Worker(Box::new(lease)))
            }
        }
    }

    fn run_in_worker(
        &self,
        lease: &mut WorkerLease<'_>,
        case: &Case,
        is_quiet: bool,
    ) -> io::Result<ProcessReport> {
        let CaseSpec { timeout, grace, .. } = case.spec;
        let limit = timeout.saturating_add(grace).saturating_add(SLACK);
        if self.options.libtest.nocapture && !is_quiet {
            let (output, copied) = lease.workspace().open_output()?;
            let run = || lease.run(case, limit);
            captured_output::copy_while(output, &copied, self.options.is_json(), run)
        } else {
            lease.run(case, limit)
        }
    }

    /// Keeps the directory of a case, because its states could not be moved to the history.
    fn keep_states(
        &self,
        record: &mut Record,
        workspace: &mut Workspace,
        case: &Case,
        touched: bool,
        error: &io::Error,
    ) -> io::Result<()> {
        let states = case.states();
        let text = format!("the broken states stay in {}: {error}", states.display());
        let failed_writes = self.failed_writes.lock();
        let mut failed_writes = failed_writes.unwrap_or_else(PoisonError::into_inner);
        failed_writes.add(text);
        record.kept_dir = Some(case.root().to_owned());
        with_context("keep", case, workspace.keep(case, touched))
    }

    /// Keeps or removes the directory of a case, as `--keep-dirs` requires.
    fn keep_or_remove(
        settings: &TestSettings,
        record: &mut Record,
        workspace: &mut Workspace,
        case: &Case,
        touched: bool,
    ) -> io::Result<()> {
        if settings.keeps_directory(record) {
            record.kept_dir = Some(case.root().to_owned());
            with_context("keep", case, workspace.keep(case, touched))
        } else {
            remove(workspace, case, touched)
        }
    }
}

/// Whether the test's process ends within [`SLACK`].
fn has_ended(case: &Case) -> bool {
    // The process has a lock of this directory.
    matches!(
        lock_exclusive(case.worker_dir().root(), SLACK),
        Ok(Some(_lock))
    )
}

/// Undoes nothing, because the test's process could damage the files again.
fn still_running(case: &Case) -> Recovery {
    let mut recovery = Recovery::default();
    if journal::has_journal(&case.undo()) {
        recovery.kept.push(format!(
            "the test's process is still running; the journals of its faults are kept in {}",
            case.undo().display()
        ));
    }
    recovery
}

/// Keeps the directory of a case, because some of its faults could not be undone. Adds the
/// unfinished journals to the record, and returns an error that names them.
fn keep_journals(
    record: &mut Record,
    workspace: &mut Workspace,
    case: &Case,
    touched: bool,
    journals: Vec<String>,
) -> io::Result<()> {
    record.kept_dir = Some(case.root().to_owned());
    let at_us = record.timeline.last().map_or(0, |event| event.at_us);
    let error = io::Error::other(journals.join("; "));
    let notes = journals.into_iter().map(|text| EventKind::Note { text });
    let notes = notes.map(|note| Event::new(at_us, "the runner", note));
    record.timeline.extend(notes);
    with_context("keep", case, workspace.keep(case, touched))?;
    Err(error)
}

fn remove(workspace: &mut Workspace, case: &Case, touched: bool) -> io::Result<()> {
    with_context("remove", case, workspace.remove(case, touched))
}

/// Adds the failed action and the case's directory to an error.
fn with_context(action: &str, case: &Case, result: io::Result<()>) -> io::Result<()> {
    result.map_err(|error| {
        let root = case.root();
        let text = format!("failed to {action} {}: {error}", root.display());
        io::Error::new(error.kind(), text)
    })
}

/// The place where a case runs: a worker, or the runner's own process.
#[derive(Debug)]
enum Executor<'a> {
    Worker(Box<WorkerLease<'a>>),
    InProcess(MutexGuard<'a, InProcess>),
}

impl Executor<'_> {
    fn workspace(&mut self) -> &mut Workspace {
        match self {
            Self::Worker(lease) => lease.workspace(),
            Self::InProcess(in_process) => in_process.workspace(),
        }
    }
}

pub(crate) fn no_sandbox() -> Sandbox {
    let reason = "a thread of the runner has the runner's permissions";
    Sandbox::without(reason, Err("a thread cannot be ended"))
}
