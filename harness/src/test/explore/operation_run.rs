//! One run of an operation, with an intervention at one of its calls.

use super::call_identity::CallContext;
use super::child::{Child, ChildEnd};
use super::directory_content::{DirectoryContent, identities};
use super::intervention::Intervention;
use super::mapped_files::MappedFiles;
use super::monitor::Monitor;
use super::operation_call::OperationEnd;
use super::operation_process::OperationProcess;
use super::orphans::Orphans;
use super::recorder::Recorder;
use super::volatile_files::{VolatileContents, VolatilePatterns};
use crate::os::seccomp::filter::SyscallPattern;
use crate::syscalls::decoder::Decoder;
use crate::syscalls::errno::Errno;
use crate::syscalls::file_call::{Effect, FileCall};
use crate::syscalls::file_status::Identity;
use clarity_chaos_disk::Snapshot;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A finished run of an operation.
#[derive(Debug)]
pub(super) struct OperationRun {
    /// The calls that the operation made in its directory, in order.
    pub(super) calls: Vec<(CallContext, FileCall)>,
    /// The files before the first call. Recorded together with written bytes.
    pub(super) files: BTreeMap<Identity, PathBuf>,
    /// The content after calls, by index. Recorded only on request.
    pub(super) contents: BTreeMap<usize, DirectoryContent>,
    /// The calls that an injected error has replaced, by index, with the error.
    pub(super) failed: BTreeMap<usize, Errno>,
    /// The bytes of the call that transferred only a part of them.
    pub(super) short: Option<ShortTransfer>,
    /// The contents of mapped volatile files.
    pub(super) volatile: VolatileContents,
    /// The end of the operation's process; none if the exploration killed the process.
    pub(super) end: Option<ChildEnd>,
    /// The process that was killed while the others went on.
    pub(super) victim: Option<OperationProcess>,
    /// The index of the call at the point of the intervention, if the run made this call.
    pub(super) reached: Option<usize>,
}

/// The bytes of a call that transferred only a part of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShortTransfer {
    pub(super) transferred: u64,
    /// The number of bytes that the whole call transfers.
    pub(super) total: u64,
}

impl OperationRun {
    /// Returns the number of acknowledgements.
    pub(super) fn acknowledgements(&self) -> usize {
        let calls = self.calls.iter();
        calls
            .filter(|(_, call)| call.effect == Effect::Acknowledge)
            .count()
    }

    /// Describes the end of the operation for errors.
    pub(super) fn operation_end(&self) -> OperationEnd {
        match &self.end {
            Some(ChildEnd::Returned(Ok(()))) => OperationEnd::Succeeded,
            Some(ChildEnd::Returned(Err(error))) => OperationEnd::Failed(error.clone()),
            Some(ChildEnd::Panicked(message)) => OperationEnd::Panicked(message.clone()),
            Some(ChildEnd::Died(how)) => OperationEnd::Died(how.clone()),
            Some(ChildEnd::Located(_)) | None => OperationEnd::Died("it was killed".to_owned()),
        }
    }
}

/// An operation, with the values that all runs of the operation share.
pub(super) struct Operation<'a> {
    pub(super) directory: &'a Path,
    pub(super) patterns: &'a [SyscallPattern],
    pub(super) orphans: &'a Orphans,
    /// Whether runs with a failing call also record the written bytes.
    pub(super) records_bytes: bool,
    /// Whether undisturbed runs look for calls that can be split.
    pub(super) finds_divisible: bool,
    pub(super) volatile: &'a VolatilePatterns,
    /// Whether runs with written bytes also record the content after each call.
    pub(super) records_contents: bool,
    /// The time after which the operation is killed.
    pub(super) limit: Option<Duration>,
    pub(super) work: &'a (dyn Fn(&Path) -> Result<(), String> + Sync),
}

impl Operation<'_> {
    /// Runs the operation in its directory, which must have the content `before`.
    pub(super) fn run(
        &self,
        before: &Snapshot,
        intervention: &Intervention,
    ) -> io::Result<OperationRun> {
        let records = match intervention {
            Intervention::None | Intervention::Kill(_) => true,
            Intervention::Fail { .. } | Intervention::Shorten(_) => self.records_bytes,
            Intervention::KillProcess(_) | Intervention::Locate(_) => false,
        };
        let files = match records {
            true => identities(before, self.directory),
            false => BTreeMap::new(),
        };
        let child = Child::spawn(Some(self.patterns), || (self.work)(self.directory))?;
        Monitor::new(
            Decoder::new(self.directory, records),
            Recorder::new(records, files, self.records_contents),
            MappedFiles::new(self.directory, self.patterns, self.volatile),
            child,
            self,
            intervention,
        )
        .run()
    }
}
