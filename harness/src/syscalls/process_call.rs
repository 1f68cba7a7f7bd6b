//! Decodes system calls that start processes, threads and programs.

use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::arguments::descriptor;
use std::io;
use std::path::PathBuf;

/// A call that starts a process, a thread or a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProcessCall {
    CreateProcess,
    CreateThread,
    /// Executes the program at this path.
    Execute(PathBuf),
}

impl ProcessCall {
    /// Decodes a call. Gives none for other calls.
    ///
    /// # Errors
    ///
    /// When the arguments of the call cannot be read.
    pub(crate) fn decode(waiting: &WaitingCall, tracee: &Tracee) -> io::Result<Option<Self>> {
        let a = &waiting.arguments;
        let of_flags = |flags: u64| {
            let is_thread = flags & u64::from(libc::CLONE_THREAD.unsigned_abs()) != 0;
            match is_thread {
                true => Self::CreateThread,
                false => Self::CreateProcess,
            }
        };
        Ok(match waiting.number {
            #[cfg(target_arch = "x86_64")]
            libc::SYS_fork | libc::SYS_vfork => Some(Self::CreateProcess),
            libc::SYS_clone => Some(of_flags(a[0])),
            // The flags are the first field of `struct clone_args`.
            libc::SYS_clone3 => Some(of_flags(tracee.long(a[0])?)),
            libc::SYS_execve => Some(Self::Execute(tracee.path(libc::AT_FDCWD, a[0])?)),
            libc::SYS_execveat => {
                let directory = descriptor(a[0]);
                let path = match tracee.text(a[1])?.as_os_str().is_empty() {
                    true => tracee.link(directory)?,
                    false => tracee.path(directory, a[1])?,
                };
                Some(Self::Execute(path))
            }
            _ => None,
        })
    }
}
