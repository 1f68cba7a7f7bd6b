//! Tells why the arguments of a waiting call cannot be read.

use rustix::fs::{Access, access};
use rustix::io::Errno;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Whether the kernel itself refuses a call whose arguments cannot be read with this error. An
/// address can be invalid, or a descriptor closed.
///
/// All other errors mean that the call may succeed unseen.
pub(crate) fn is_refused_by_kernel(error: &io::Error) -> bool {
    const INVALID: [Errno; 8] = [
        Errno::BADF,
        Errno::FAULT,
        Errno::INVAL,
        // The kernel's answer for an address without memory.
        Errno::IO,
        Errno::NAMETOOLONG,
        Errno::NOENT,
        Errno::NOTDIR,
        Errno::SRCH,
    ];
    error.kind() == io::ErrorKind::UnexpectedEof
        || Errno::from_io_error(error).is_some_and(|errno| INVALID.contains(&errno))
}

/// Whether the error means that the kernel hides the process from this one.
pub(crate) fn is_hidden(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// Tells why the kernel hides the memory of a process, and the remedy. `executed` is the path of
/// the program that the process has executed, if it is known.
pub(crate) fn reason_for_hiding(executed: Option<&Path>) -> String {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    reason(scope.trim(), executed)
}

fn reason(ptrace_scope: &str, executed: Option<&Path>) -> String {
    // Scope 1 allows the memory of descendants.
    if matches!(ptrace_scope, "2" | "3") {
        return format!(
            "kernel.yama.ptrace_scope is {ptrace_scope}; set it to 1, for example with `sysctl -w \
             kernel.yama.ptrace_scope=1` (a restart is needed after 3)"
        );
    }
    let unreadable = executed
        .filter(|path| access(*path, Access::READ_OK).is_err())
        .and_then(|path| Some((path, fs::metadata(path).ok()?)));
    match unreadable {
        Some((path, found)) => format!(
            "the mode {:04o} of its program {} allows to execute the program and not to read it; \
             allow to read it, for example with `chmod +r`",
            found.permissions().mode() & 0o7777,
            path.display()
        ),
        None => "it has forbidden this, as prctl(PR_SET_DUMPABLE, 0) and a change of its user do, \
                 or its program may be executed and not read; leave this out in the test"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_this_process_are_not_the_calls_own() {
        for errno in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOMEM,
            Errno::ACCESS,
            Errno::PERM,
        ] {
            assert!(!is_refused_by_kernel(&errno.into()), "{errno}");
        }
        assert!(!is_refused_by_kernel(&io::Error::other("no position")));
        assert!(is_refused_by_kernel(&Errno::NOENT.into()));
        assert!(is_refused_by_kernel(&io::ErrorKind::UnexpectedEof.into()));
    }

    #[test]
    fn reason_names_the_setting_the_mode_or_the_call() {
        assert!(reason("2", None).contains("kernel.yama.ptrace_scope is 2"));
        for scope in ["", "0", "1"] {
            assert!(reason(scope, None).contains("PR_SET_DUMPABLE"));
            let readable = Some(Path::new("/proc/self/status"));
            assert!(reason(scope, readable).contains("PR_SET_DUMPABLE"));
        }
    }
}
