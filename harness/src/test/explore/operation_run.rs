//! One run of an operation, with an intervention at one of its calls.

use super::call_identity::CallContext;
use super::child_report::ChildEnd;
use super::directory_content::DirectoryContent;
use super::operation_call::OperationEnd;
use super::operation_process::OperationProcess;
use super::volatile_files::VolatileContents;
use crate::syscalls::errno::Errno;
use crate::syscalls::file_call::{Effect, FileCall};
use crate::syscalls::file_status::Identity;
use std::collections::BTreeMap;
use std::path::PathBuf;

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
    /// Whether the operation was killed, since it did not end within its limit.
    pub(super) timed_out: bool,
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
