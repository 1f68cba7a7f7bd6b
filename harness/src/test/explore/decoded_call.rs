//! A waiting call of an operation, with its effect and arguments.

use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::call_details::CallDetails;
use crate::syscalls::file_call::{Effect, FileCall};
use crate::syscalls::transfer::Transfer;
use std::io;

/// A waiting call that concerns the operation's directory.
#[derive(Debug)]
pub(super) struct DecodedCall {
    pub(super) tracee: Tracee,
    pub(super) call: FileCall,
    pub(super) details: CallDetails,
    pub(super) transfer: Option<Transfer>,
    /// The number of bytes that the call transfers if nothing shortens it. 0 if it cannot be split,
    /// or if `new` did not look.
    pub(super) divisible: u64,
}

impl DecodedCall {
    /// Adds the arguments of a waiting call. If `finds_divisible`, finds out whether the call can
    /// be split.
    ///
    /// # Errors
    ///
    /// When the arguments of the call cannot be read.
    pub(super) fn new(
        call: FileCall,
        waiting: &WaitingCall,
        tracee: Tracee,
        finds_divisible: bool,
    ) -> io::Result<Self> {
        // An unsupported call can read into protected memory, and is never split.
        let transfer = match call.effect {
            Effect::Unsupported { .. } => None,
            _ => Transfer::of(waiting, &tracee)?,
        };
        let divisible = match &transfer {
            Some(transfer) if finds_divisible => transfer.divisible(&tracee)?,
            _ => 0,
        };
        Ok(Self {
            details: CallDetails::of(waiting, &call.effect, transfer.as_ref(), &tracee)?,
            tracee,
            call,
            transfer,
            divisible,
        })
    }
}
