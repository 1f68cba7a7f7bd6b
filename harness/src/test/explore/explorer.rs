//! Runs an operation many times, and checks the test's invariant.

use super::baseline::Baseline;
use super::call_identity::Precision;
use super::child_report::ChildEnd;
use super::directory_content::DirectoryContent;
use super::error::{ExploreError, UnsupportedOperation};
use super::intervention::{CallPoint, Intervention};
use super::operation::Operation;
use super::operation_call::{OperationCall, OperationEnd};
use super::operation_run::OperationRun;
use super::orphans::Orphans;
use super::run_limit::RunLimit;
use super::state_directory::StateDirectory;
use super::volatile_files::VolatilePatterns;
use crate::os::directory;
use crate::os::mapped_pages::step_each_store;
use crate::os::seccomp::filter::SyscallPattern;
use crate::syscalls::backtrace::CallSite;
use crate::syscalls::patterns::{file_calls, mapping_calls, process_calls};
use clarity_chaos_disk::Snapshot;
use std::cell::{Cell, RefCell};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The precisions with which runs look for the call of an intervention, one after the other.
// Most calls come again in the first run. Threads, the order of a map and drawn names need more.
const TRIES: [Precision; 10] = [
    Precision::ByThread,
    Precision::ByThread,
    Precision::ByThread,
    Precision::ByThread,
    Precision::AnyThread,
    Precision::AnyThread,
    Precision::AnyThread,
    Precision::AnyThread,
    Precision::AnyThread,
    Precision::AnyThread,
];

/// If this environment variable is set, each call must explain the content that it leaves.
// Reads the whole directory after each call, so only tests of explorations set the variable.
const CHECK_EACH_CALL: &str = "CHAOS_CHECK_EACH_CALL";

/// A test's operation, which returns its error as text.
pub(super) type Work<'a> = &'a (dyn Fn(&Path) -> Result<(), String> + Sync);

/// A test's invariant, which returns its error as text.
pub(super) type Invariant<'a, T> = &'a (dyn Fn(&Path, T) -> Result<(), String> + Sync);

/// Runs an operation in its directory, each time from the same initial content.
pub(super) struct Explorer<'a> {
    work: Work<'a>,
    pub(super) before: DirectoryContent,
    patterns: Vec<SyscallPattern>,
    pub(super) orphans: Orphans,
    /// Whether a process of a check may still live.
    has_descendants: Cell<bool>,
    pub(super) directory: PathBuf,
    state: RefCell<StateDirectory>,
    /// Whether runs with a failing call also record the written bytes.
    pub(super) records_bytes: bool,
    /// Whether undisturbed runs look for calls that can be split.
    finds_divisible: bool,
    pub(super) volatile: VolatilePatterns,
    /// Whether each store to a mapped page is a call of its own.
    pub(super) each_store: bool,
    operation_limit: RunLimit,
    /// The factor of the operation's limit.
    patience: Cell<u32>,
    /// The limit of runs of the invariant whose calls are followed.
    recovery_limit: RunLimit,
    _parent: tempfile::TempDir,
}

impl<'a> Explorer<'a> {
    /// Reads the initial content from `before`. If `reads` is set, the exploration includes calls
    /// that read files.
    pub(super) fn prepare(before: &Path, work: Work<'a>, reads: bool) -> io::Result<Self> {
        // The operation may bind a Unix socket, whose path must be short.
        let parent = tempfile::Builder::new()
            .prefix("x")
            .rand_bytes(1)
            .tempdir()?;
        let mut patterns = file_calls(reads);
        patterns.extend(process_calls());
        patterns.extend(mapping_calls());
        let directory = parent.path().canonicalize()?.join("d");
        Ok(Self {
            work,
            before: DirectoryContent::read(before)?,
            patterns,
            finds_divisible: reads,
            orphans: Orphans::adopt()?,
            has_descendants: Cell::new(false),
            records_bytes: false,
            volatile: VolatilePatterns::default(),
            each_store: false,
            operation_limit: RunLimit::default(),
            patience: Cell::new(1),
            recovery_limit: RunLimit::default(),
            state: RefCell::new(StateDirectory::new(directory.clone())),
            directory,
            _parent: parent,
        })
    }

    pub(super) fn run(&self, intervention: &Intervention) -> io::Result<OperationRun> {
        let before = &self.before.snapshot;
        self.run_from(before, self.work, &self.operation_limit, intervention)
    }

    /// Runs the invariant on a state as an operation, whose calls are recorded.
    pub(super) fn recover<T: Copy + Sync>(
        &self,
        state: &Snapshot,
        invariant: Invariant<'_, T>,
        found: T,
        intervention: &Intervention,
    ) -> io::Result<OperationRun> {
        let work = |directory: &Path| invariant(directory, found);
        self.run_from(state, &work, &self.recovery_limit, intervention)
    }

    fn run_from(
        &self,
        state: &Snapshot,
        work: Work<'_>,
        limit: &RunLimit,
        intervention: &Intervention,
    ) -> io::Result<OperationRun> {
        self.write(state)?;
        let operation = Operation {
            directory: &self.directory,
            patterns: &self.patterns,
            orphans: &self.orphans,
            records_bytes: self.records_bytes,
            finds_divisible: self.finds_divisible,
            volatile: &self.volatile,
            records_contents: std::env::var_os(CHECK_EACH_CALL).is_some(),
            limit: limit.get().map(|limit| limit * self.patience.get()),
            work,
        };
        step_each_store(self.each_store);
        let began = Instant::now();
        let run = operation.run(state, intervention)?;
        if !run.timed_out {
            limit.note(began.elapsed());
        }
        Ok(run)
    }

    /// Writes a state to the operation's directory.
    pub(super) fn write(&self, state: &Snapshot) -> io::Result<()> {
        // A process that a check has left behind could still change files that it has open.
        let descendants = self.has_descendants.get() && self.orphans.are_alive();
        self.has_descendants.set(descendants);
        self.state
            .borrow_mut()
            .write(state, &self.before, !descendants)
    }

    /// Notes whether a check can have left processes behind.
    pub(super) fn note_descendants(&self, can_live: bool) {
        self.has_descendants
            .set(self.has_descendants.get() || can_live);
    }

    /// Runs the operation undisturbed. Returns an error if the operation fails, makes no call in
    /// its directory, or makes an unsupported call.
    pub(super) fn baseline(&self) -> Result<Baseline, ExploreError> {
        let run = self.run(&Intervention::None)?;
        let end = run.operation_end();
        let baseline = Baseline::new(run);
        // An unsupported call can be the reason why the operation fails.
        self.require_supported(&baseline)?;
        match end {
            OperationEnd::Succeeded => {}
            end => return Err(ExploreError::Operation(end)),
        }
        if baseline.calls().is_empty() {
            return Err(ExploreError::NotExplorable(Box::new(
                UnsupportedOperation {
                    reason: "the operation does nothing in the directory that it is given"
                        .to_owned(),
                    call: None,
                },
            )));
        }
        Ok(baseline)
    }

    /// Returns an error if a call is unsupported.
    fn require_supported(&self, baseline: &Baseline) -> Result<(), ExploreError> {
        let Some((index, reason)) = baseline.unsupported() else {
            return Ok(());
        };
        Err(ExploreError::NotExplorable(Box::new(
            UnsupportedOperation {
                reason: reason.to_owned(),
                call: Some(self.locate(baseline, index)),
            },
        )))
    }

    /// Runs the operation with an intervention at the call with this index. Repeats a run that
    /// does not make the call, as often as [`TRIES`] has precisions.
    pub(super) fn intervene(
        &self,
        baseline: &Baseline,
        index: usize,
        intervention: impl Fn(CallPoint) -> Intervention,
    ) -> Result<OperationRun, ExploreError> {
        let before = &self.before.snapshot;
        Self::intervene_in(baseline, index, before, |point| {
            self.run(&intervention(point))
        })
    }

    /// Intervenes as [`intervene`](Self::intervene) does. If the operation does not end within its
    /// limit, runs it once more with twice the limit.
    pub(super) fn intervene_patiently(
        &self,
        baseline: &Baseline,
        index: usize,
        intervention: impl Fn(CallPoint) -> Intervention,
    ) -> Result<OperationRun, ExploreError> {
        let run = self.intervene(baseline, index, &intervention)?;
        if !run.timed_out {
            return Ok(run);
        }
        self.patience.set(2);
        let again = self.intervene(baseline, index, &intervention);
        self.patience.set(1);
        again
    }

    /// Intervenes as [`intervene`](Self::intervene) does, in runs from the content `before`.
    pub(super) fn intervene_in(
        baseline: &Baseline,
        index: usize,
        before: &Snapshot,
        run: impl Fn(CallPoint) -> io::Result<OperationRun>,
    ) -> Result<OperationRun, ExploreError> {
        let mut last = None;
        for precision in TRIES {
            let run = run(baseline.point(index, precision))?;
            match run.reached {
                Some(reached) if baseline.is_matched(&run, reached, index, precision) => {
                    return Ok(run);
                }
                Some(_) => {}
                // No intervention has disturbed this run.
                None => baseline.learn(&run, before),
            }
            last = Some(run);
        }
        let divergence = baseline.divergence(index, TRIES.len(), last.as_ref());
        Err(ExploreError::Diverged(Box::new(divergence)))
    }

    /// Describes the call with this index. Runs the operation again to find the call's place in the
    /// code. The place is none if no run makes the call again.
    pub(super) fn locate(&self, baseline: &Baseline, index: usize) -> OperationCall {
        let run = self.intervene(baseline, index, Intervention::Locate);
        Self::located(run, baseline, index)
    }

    /// Describes the call with this index, whose backtrace the run has sent.
    pub(super) fn located(
        run: Result<OperationRun, ExploreError>,
        baseline: &Baseline,
        index: usize,
    ) -> OperationCall {
        let site = match run {
            Ok(OperationRun {
                end: Some(ChildEnd::Located(backtrace)),
                ..
            }) => CallSite::in_backtrace(&backtrace),
            _ => CallSite::default(),
        };
        OperationCall {
            location: site.location,
            callers: site.callers,
            ..baseline.describe(index)
        }
    }
}

impl Drop for Explorer<'_> {
    fn drop(&mut self) {
        // The last state can have directories that nobody may change.
        let _ = directory::remove(&self.directory);
    }
}
