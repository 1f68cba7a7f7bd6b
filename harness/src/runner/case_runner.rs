//! Runs one case: prepares its directory, lets a worker run it, and completes its record.

use crate::data::case::{Case, CaseSpec, KeepPolicy};
use crate::data::fault_selection::FaultSelection;
use crate::data::process_report::ProcessReport;
use crate::registration::origin::Origin;
use crate::registration::{NON_DESTRUCTIVE, TestCase};
use crate::runner::captured_output;
use crate::runner::cli::sandbox_scope::SandboxScope;
use crate::runner::cli::{KeepDirs, Options};
use crate::runner::determinism;
use crate::runner::in_process::InProcess;
use crate::runner::replay;
use crate::runner::worker_pool::{WorkerLease, WorkerPool};
use crate::runner::workspace::Workspace;
use crate::supervisor::runner_thread;
use crate::test::fault;
use clarity_chaos_record::{Isolation, Record, Sandbox, Seed, Verdict};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// The runner's wait for a supervisor, beyond the limits of the test and of its end.
const SLACK: Duration = Duration::from_secs(30);

/// Runs the cases of a run.
#[derive(Debug)]
pub(crate) struct CaseRunner {
    pub(crate) origin: Origin,
    pub(crate) options: Options,
    pub(crate) seed: Seed,
    pub(crate) isolation: Isolation,
    pub(crate) workers: Arc<WorkerPool>,
    /// Workers in newly executed processes, for the second runs of `--check-determinism`, and the
    /// directory of the run.
    pub(crate) fresh: Option<(Arc<WorkerPool>, PathBuf)>,
    /// The directory of cases in the runner's process, with `--isolation thread`.
    pub(crate) in_process: Option<Mutex<InProcess>>,
}

/// The settings of one run of a test, in place of those of the command line.
#[derive(Clone, Debug)]
pub(crate) struct RunOverrides {
    /// The root seed, from which the test's own seed is derived.
    pub(crate) root_seed: Seed,
    pub(crate) keep: KeepPolicy,
    /// Whether to hide its output, despite `--nocapture`.
    pub(crate) is_quiet: bool,
    /// The time limit, if another one than usual.
    pub(crate) timeout: Option<Duration>,
    /// Whether to run it in a newly executed process.
    pub(crate) is_fresh: bool,
    /// Whether to delay the start of every other thread.
    pub(crate) late_starts: bool,
    /// The faults that take effect, if not all.
    pub(crate) restriction: Option<FaultSelection>,
}

impl RunOverrides {
    /// No override but the root seed.
    pub(crate) fn new(root_seed: Seed) -> Self {
        Self {
            root_seed,
            keep: KeepPolicy::AsConfigured,
            is_quiet: false,
            timeout: None,
            is_fresh: false,
            late_starts: false,
            restriction: None,
        }
    }
}

impl CaseRunner {
    /// Whether `--sandbox` asks for the sandbox around this test.
    pub(crate) fn sandboxes(&self, test: &TestCase) -> bool {
        match self.options.sandbox {
            SandboxScope::None => false,
            SandboxScope::Marked => test.has_tag(NON_DESTRUCTIVE),
            SandboxScope::All => true,
        }
    }

    /// Probes the enforcement around tests, sandboxed or not: starts a worker and asks it.
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

    /// Runs a test; with `--check-determinism`, runs it twice and compares. Returns its record and
    /// the result of the cleanup.
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
            // Explorations and late starts both use a seccomp listener, and a process can have only
            // one.
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

    /// Runs a test. Returns its record and the result of the cleanup.
    pub(crate) fn run(
        &self,
        test: &'static TestCase,
        overrides: &RunOverrides,
    ) -> (Record, io::Result<()>) {
        let spec = CaseSpec {
            name: test.name().to_owned(),
            path: test.path().to_owned(),
            seed: overrides.root_seed.child("test", test.seed_name()),
            timeout: overrides
                .timeout
                .or(test.timeout())
                .unwrap_or(self.options.timeout),
            grace: self.options.grace,
            log: self.options.log.clone(),
            fault_selection: overrides.restriction.clone(),
            late_starts: overrides.late_starts,
            sandboxed: self.isolation != Isolation::Thread && self.sandboxes(test),
            lasting_threads: self
                .origin
                .lasting_threads
                .iter()
                .map(ToString::to_string)
                .collect(),
        };
        let mut record = self.blank_record(test, &spec, overrides.root_seed);
        let timeout = spec.timeout;
        let begun = self
            .executor(&spec, overrides.is_fresh)
            .and_then(|mut executor| {
                if let Executor::Worker(lease) = &executor {
                    record.sandbox = lease.sandbox().clone();
                }
                let case = executor.workspace().begin(spec)?;
                Ok((case, executor))
            });
        let (case, mut executor) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                let error = format!("cannot start the case: {error}");
                record.verdict = Verdict::Lost { error };
                return (record, Ok(()));
            }
        };
        let ended = match &mut executor {
            Executor::Worker(lease) => self.run_in_worker(lease, &case, overrides.is_quiet),
            Executor::InProcess(_) => runner_thread::run(&case),
        };
        let evidence = executor.workspace().evidence(&case);
        let touched = !matches!(evidence.stray_files, Ok(None));
        evidence.complete(&mut record, ended, timeout, &case.spec.lasting_threads);
        // The journal of a sandboxed test is not trusted: the test could have written any path to
        // it. Nor is it needed: in the sandbox the test could not damage other files.
        if !case.spec.sandboxed {
            record.add_undone(fault::after_the_end(&case.undo()));
        }
        let workspace = executor.workspace();
        let cleaned = match overrides.keep {
            KeepPolicy::AsConfigured => self.keep_or_remove(&mut record, workspace, &case, touched),
            KeepPolicy::Never => remove(workspace, &case, touched),
        };
        let is_reusable = cleaned.is_ok() && record.kept_dir.is_none();
        let cleaned = match executor {
            // Released only now: the next case appends to the same files.
            Executor::Worker(lease) if is_reusable => {
                lease.release();
                cleaned
            }
            Executor::InProcess(mut in_process) if !is_reusable => {
                cleaned.and(in_process.replace_workspace())
            }
            Executor::Worker(_) | Executor::InProcess(_) => cleaned,
        };
        (record, cleaned)
    }

    /// Takes a worker for the case, or the directory of cases in the runner's process.
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
            let output = lease.workspace().open_output()?;
            let run = || lease.run(case, limit);
            captured_output::copy_while(output, self.options.is_json(), run)
        } else {
            lease.run(case, limit)
        }
    }

    /// The parts of the record that are known before the test runs.
    fn blank_record(&self, test: &TestCase, spec: &CaseSpec, root_seed: Seed) -> Record {
        let (file, line) = test.location();
        let mut record = Record::new(spec.name.clone(), root_seed, spec.seed);
        record.module = test.module().to_owned();
        record.tags = test.tags().iter().map(ToString::to_string).collect();
        record.description = test.description().to_owned();
        record.file = file.to_owned();
        record.line = line;
        record.started_at = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
        record.timeout_ms = u64::try_from(spec.timeout.as_millis()).unwrap_or(u64::MAX);
        record.clock = test.clock();
        record.limits = test.limits();
        record.isolation = self.isolation;
        record.sandbox = no_sandbox();
        record.replay_command =
            replay::case_command(&self.origin, &self.options, &spec.name, root_seed);
        record
    }

    /// Keeps or removes the directory of a case, as `--keep-dirs` says.
    fn keep_or_remove(
        &self,
        record: &mut Record,
        workspace: &mut Workspace,
        case: &Case,
        touched: bool,
    ) -> io::Result<()> {
        let keep = match self.options.keep_dirs {
            KeepDirs::Never => false,
            // An interrupted case has no result of its own.
            KeepDirs::Failed => {
                record.verdict.is_failure() && record.verdict != Verdict::Interrupted
            }
            KeepDirs::Always => true,
        };
        if keep {
            record.kept_dir = Some(case.root().to_owned());
            with_context("keep", case, workspace.keep(case, touched))
        } else {
            remove(workspace, case, touched)
        }
    }
}

fn remove(workspace: &mut Workspace, case: &Case, touched: bool) -> io::Result<()> {
    with_context("remove", case, workspace.remove(case, touched))
}

/// Adds the action and the directory to an error.
fn with_context(action: &str, case: &Case, result: io::Result<()>) -> io::Result<()> {
    result.map_err(|error| {
        let root = case.root();
        let text = format!("failed to {action} {}: {error}", root.display());
        io::Error::new(error.kind(), text)
    })
}

/// A worker or the runner's own process, for the time of one case.
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

fn no_sandbox() -> Sandbox {
    let reason = "a thread of the runner has the runner's permissions";
    Sandbox::without(reason, Err("a thread cannot be ended"))
}
