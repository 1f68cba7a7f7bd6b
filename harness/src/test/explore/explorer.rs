//! Runs an operation many times, and checks the test's invariant.

use super::baseline::Baseline;
use super::child::{Child, ChildEnd};
use super::directory_content::DirectoryContent;
use super::error::{
    BrokenInvariant, Divergence, ExploreError, ExploredState, UnsupportedOperation,
};
use super::operation_call::{OperationCall, OperationEnd};
use super::operation_run::{CallPoint, Intervention, Operation, OperationRun};
use super::orphans::Orphans;
use super::run_limit::RunLimit;
use super::volatile_files::VolatilePatterns;
use crate::os::mapped_pages::step_each_store;
use crate::os::seccomp::filter::SyscallPattern;
use crate::syscalls::code_location::CodeLocation;
use crate::syscalls::file_call::Effect;
use crate::syscalls::patterns::{file_calls, mapping_calls};
use clarity_chaos_disk::Snapshot;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The maximum number of runs that try to reach the call of an intervention.
const TRIES: usize = 5;

/// A test's operation, which returns its error as text.
pub(super) type Work<'a> = &'a (dyn Fn(&Path) -> Result<(), String> + Sync);

/// A test's invariant, which returns its error as text.
pub(super) type Invariant<'a, T> = &'a (dyn Fn(&Path, T) -> Result<(), String> + Sync);

/// Runs an operation in its directory, each time from the same initial content.
pub(super) struct Explorer<'a> {
    work: Work<'a>,
    pub(super) before: DirectoryContent,
    patterns: Vec<SyscallPattern>,
    orphans: Orphans,
    pub(super) directory: PathBuf,
    /// Whether runs with a failing call also record the written bytes.
    pub(super) records_bytes: bool,
    pub(super) volatile: VolatilePatterns,
    /// Whether each store to a mapped page is a call of its own.
    pub(super) each_store: bool,
    operation_limit: RunLimit,
    invariant_limit: RunLimit,
    _parent: tempfile::TempDir,
}

impl<'a> Explorer<'a> {
    /// Reads the initial content from `before`. If `reads` is set, the exploration includes calls
    /// that read files.
    pub(super) fn prepare(before: &Path, work: Work<'a>, reads: bool) -> io::Result<Self> {
        let mut patterns = file_calls(reads);
        patterns.extend(mapping_calls());
        let parent = tempfile::Builder::new().prefix("explored-").tempdir()?;
        Ok(Self {
            work,
            before: DirectoryContent::read(before)?,
            patterns,
            orphans: Orphans::adopt()?,
            records_bytes: false,
            volatile: VolatilePatterns::default(),
            each_store: false,
            operation_limit: RunLimit::default(),
            invariant_limit: RunLimit::default(),
            directory: parent.path().canonicalize()?.join("dir"),
            _parent: parent,
        })
    }

    pub(super) fn run(&self, intervention: &Intervention) -> io::Result<OperationRun> {
        let operation = Operation {
            directory: &self.directory,
            patterns: &self.patterns,
            orphans: &self.orphans,
            records_bytes: self.records_bytes,
            volatile: &self.volatile,
            limit: self.operation_limit.get(),
            work: self.work,
        };
        step_each_store(self.each_store);
        let began = Instant::now();
        let run = operation.run(&self.before, intervention)?;
        self.operation_limit.note(began.elapsed());
        Ok(run)
    }

    /// Writes a state to the operation's directory.
    pub(super) fn write(&self, state: &Snapshot) -> io::Result<()> {
        self.before.write_state(state, &self.directory)
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
        for (index, call) in baseline.calls().iter().enumerate() {
            if let Effect::Unsupported { reason, .. } = call.effect {
                return Err(ExploreError::NotExplorable(Box::new(
                    UnsupportedOperation {
                        reason: reason.to_owned(),
                        call: Some(self.locate(baseline, index)),
                    },
                )));
            }
        }
        Ok(())
    }

    /// Runs the operation with an intervention at the call with this index. Repeats a run that
    /// misses the call, up to [`TRIES`] runs in total.
    pub(super) fn intervene(
        &self,
        baseline: &Baseline,
        index: usize,
        intervention: impl Fn(CallPoint) -> Intervention,
    ) -> Result<OperationRun, ExploreError> {
        let intervention = intervention(baseline.point(index));
        let mut last_calls = 0;
        for _ in 0..TRIES {
            let run = self.run(&intervention)?;
            if run.reached && baseline.has_same_call(&run, index) {
                return Ok(run);
            }
            last_calls = run.calls.len();
        }
        Err(ExploreError::Diverged(Box::new(Divergence {
            call: baseline.describe(index),
            runs: TRIES,
            last_calls,
        })))
    }

    /// Describes the call with this index. Runs the operation once more to find the call's place in
    /// the code.
    pub(super) fn locate(&self, baseline: &Baseline, index: usize) -> OperationCall {
        let location = match self.run(&Intervention::Locate(baseline.point(index))) {
            Ok(OperationRun {
                end: Some(ChildEnd::Located(backtrace)),
                ..
            }) => CodeLocation::in_backtrace(&backtrace),
            _ => None,
        };
        OperationCall {
            location,
            ..baseline.describe(index)
        }
    }

    /// Checks the invariant in a child process. `Err` contains the invariant's error or panic
    /// message.
    pub(super) fn check<T: Send>(
        &self,
        invariant: Invariant<'_, T>,
        found: T,
    ) -> Result<(), String> {
        let began = Instant::now();
        // A busy machine gets a second limit.
        let limit = self.invariant_limit.get().map(|limit| limit * 2);
        let ended = Child::spawn(None, || invariant(&self.directory, found))
            .and_then(|child| child.reap_within(limit));
        self.invariant_limit.note(began.elapsed());
        match ended {
            Ok(ChildEnd::Returned(result)) => result,
            Ok(ChildEnd::Panicked(message)) => Err(message),
            Ok(ChildEnd::Died(how)) => Err(format!("its check did not end: {how}")),
            Ok(ChildEnd::Located(_)) => Err("its check did not end".to_owned()),
            Err(error) => Err(format!("it could not be checked: {error}")),
        }
    }
}

/// Makes the error for a state in which the invariant does not hold.
pub(super) fn broken(state: ExploredState, message: String) -> ExploreError {
    ExploreError::Broken(Box::new(BrokenInvariant { state, message }))
}
