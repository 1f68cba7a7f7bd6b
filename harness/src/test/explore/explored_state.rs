//! The states that an exploration checks.

use super::call_failure::CallFailure;
use super::operation_call::{OperationCall, OperationEnd};

/// A state that an exploration checks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExploredState {
    /// The operation ran undisturbed, and returned success.
    Completed,
    /// The operation's process died after its last call, before the operation returned success.
    DiedBeforeReturn,
    /// The operation's process died at a call.
    #[non_exhaustive]
    ProcessDied {
        /// The call. No later call was executed.
        call: OperationCall,
        /// The number of bytes that the call had written; none if the call was not executed.
        written: Option<usize>,
    },
    /// One process of the operation died at a call, and the others went on.
    #[non_exhaustive]
    OneProcessDied {
        /// The call, which was not executed. Its process is the one that died.
        call: OperationCall,
        /// The operation's result, or the death of its own process.
        end: OperationEnd,
    },
    /// A call failed with an injected error, or read or wrote only a part of its bytes.
    #[non_exhaustive]
    CallFailed {
        /// The call.
        call: OperationCall,
        /// The way in which the call failed.
        failure: CallFailure,
        /// Whether later calls failed too, as long as the cause of the error lasted.
        lasting: bool,
        /// The operation's result: success, an error, a panic, or the death of its process.
        end: OperationEnd,
        /// If the power failed after the operation had returned success, the calls whose changes
        /// are missing from the disk, completely or in part.
        lost: Option<Vec<OperationCall>>,
    },
    /// The power failed.
    #[non_exhaustive]
    PowerLost {
        /// The call before which the power failed; none if it failed after the last call.
        next: Option<OperationCall>,
        /// Whether the operation had returned success.
        acknowledged: bool,
        /// The calls whose changes are missing from the disk, completely or in part.
        lost: Vec<OperationCall>,
    },
}

impl ExploredState {
    /// The calls whose changes are missing from the disk, if the power failed.
    pub(super) fn lost(&self) -> Option<&[OperationCall]> {
        match self {
            Self::PowerLost { lost, .. } => Some(lost),
            Self::CallFailed { lost, .. } => lost.as_deref(),
            _ => None,
        }
    }
}
