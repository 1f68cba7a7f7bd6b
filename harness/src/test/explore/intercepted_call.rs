//! Reads an intercepted call of an operation.

use super::decoded_call::DecodedCall;
use super::mapped_files::{MappedFiles, MappingAnswer};
use super::process_identity::Processes;
use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::decoder::Decoder;
use crate::syscalls::process_call::ProcessCall;
use crate::syscalls::unreadable_call::{is_hidden, is_refused_by_kernel, reason_for_hiding};
use std::io;

/// An intercepted call of an operation.
pub(super) enum InterceptedCall {
    Process(ProcessCall, Tracee),
    /// A call on a file. None if it does not concern the operation's directory.
    File(Option<Box<DecodedCall>>),
    /// A call on a shared mapping, which is not one of the operation's calls.
    Mapping(Box<MappingAnswer>, Tracee),
}

impl InterceptedCall {
    /// Decodes a call, as `mapped` answers it. A call that the kernel refuses anyway concerns no
    /// file. If `finds_divisible`, finds out whether a call on a file can be split.
    ///
    /// # Errors
    ///
    /// When the arguments cannot be read, and the call may succeed.
    pub(super) fn read(
        waiting: &WaitingCall,
        decoder: &Decoder<'_>,
        mapped: &mut MappedFiles<'_>,
        finds_divisible: bool,
    ) -> io::Result<Self> {
        let tracee = Tracee::open(waiting.thread)?;
        let decoded = match ProcessCall::decode(waiting, &tracee) {
            Ok(Some(call)) => Ok(Self::Process(call, tracee)),
            Ok(None) => match mapped.answer(waiting, &tracee, decoder) {
                Ok(MappingAnswer::Call(call) | MappingAnswer::Store(call)) => {
                    DecodedCall::new(call, waiting, tracee, finds_divisible)
                        .map(|decoded| Self::File(Some(Box::new(decoded))))
                }
                Ok(MappingAnswer::Unconcerned | MappingAnswer::Proceed) => Ok(Self::File(None)),
                Ok(answer) => Ok(Self::Mapping(Box::new(answer), tracee)),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        match decoded {
            Err(error) if is_refused_by_kernel(&error) => Ok(Self::File(None)),
            decoded => decoded,
        }
    }
}

/// Makes the error for a process whose call could not be read. The kind is
/// [`io::ErrorKind::Unsupported`] if the kernel hides the process.
pub(super) fn unreadable(processes: &Processes, process: usize, error: &io::Error) -> io::Error {
    let name = processes.name(process);
    if !is_hidden(error) {
        let text = format!("cannot read the arguments of a call of {name}: {error}");
        return io::Error::other(text);
    }
    let reason = reason_for_hiding(processes.executed(process));
    let text = format!("the kernel hides the calls of {name}: {reason}");
    io::Error::new(io::ErrorKind::Unsupported, text)
}
