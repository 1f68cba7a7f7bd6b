//! Denies system calls on targets that no namespace isolates. These targets are keyrings, and the
//! limits and priorities of other processes.
//!
//! A keyring belongs to a user, in all namespaces. A test has the same user as its supervisor. If
//! these system calls were allowed, the test could starve the supervisor and all later tests.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use std::collections::BTreeMap;
use std::env;
use std::io;

/// `IOPRIO_WHO_PROCESS` of ioprio_set(2).
const IO_PRIORITY_OF_PROCESS: u64 = 1;

/// Makes the denied system calls fail with `EPERM` in this process and all processes that it
/// starts.
///
/// Call this function only after this process has lost the ability to gain privileges.
///
/// # Errors
///
/// When the kernel has no seccomp, or when seccomp filters do not support this processor.
pub(super) fn deny() -> io::Result<()> {
    let always = Vec::new;
    let own = libc::PRIO_PROCESS.into();
    let rules = BTreeMap::from([
        (libc::SYS_add_key, always()),
        (libc::SYS_request_key, always()),
        (libc::SYS_keyctl, always()),
        (libc::SYS_prlimit64, unless(&[(0, 0)])?),
        (libc::SYS_setpriority, unless(&[(0, own), (1, 0)])?),
        (
            libc::SYS_ioprio_set,
            unless(&[(0, IO_PRIORITY_OF_PROCESS), (1, 0)])?,
        ),
        (libc::SYS_sched_setscheduler, unless(&[(0, 0)])?),
        (libc::SYS_sched_setparam, unless(&[(0, 0)])?),
        (libc::SYS_sched_setattr, unless(&[(0, 0)])?),
    ]);
    let errno = u32::try_from(libc::EPERM).map_err(io::Error::other)?;
    let architecture = env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno),
        architecture,
    );
    let program: BpfProgram = filter
        .and_then(TryInto::try_into)
        .map_err(io::Error::other)?;
    apply_filter(&program).map_err(io::Error::other)
}

/// Makes rules that match a call if at least one argument differs from its allowed value.
fn unless(allowed: &[(u8, u64)]) -> io::Result<Vec<SeccompRule>> {
    let rule = |(argument, value): &(u8, u64)| {
        let other =
            SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *value);
        SeccompRule::new(vec![other?])
    };
    let rules: Result<_, seccompiler::BackendError> = allowed.iter().map(rule).collect();
    rules.map_err(io::Error::other)
}
