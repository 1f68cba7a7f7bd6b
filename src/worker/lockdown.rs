//! The lock-down of a worker: afterwards, the process can compute and answer, and little else.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr as _, RulesetError,
    RulesetStatus, Scope,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
};
use serde::{Deserialize, Serialize};

/// The newest Landlock version whose permissions are forbidden. An older kernel forbids only the
/// permissions that it knows.
const NEWEST: ABI = ABI::V9;

/// The parts of a lock-down, and the parts that this system does not enforce.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lockdown {
    pub(crate) enforced: Vec<String>,
    /// Each part, and the reason why the system does not enforce it.
    pub(crate) missing: Vec<String>,
}

impl Lockdown {
    fn add(&mut self, part: impl Into<String>, outcome: Result<(), impl fmt::Display>) {
        let part = part.into();
        match outcome {
            Ok(()) => self.enforced.push(part),
            Err(why) => self.missing.push(format!("{part}: {why}")),
        }
    }
}

/// Limits the memory of this process to `memory` bytes. Threads that exist are limited, too.
pub(super) fn limit_memory(memory: u64) -> io::Result<()> {
    let limit = |resource, most: u64| {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit).map_err(io::Error::from)
    };
    // `RLIMIT_AS` would count the address space that allocators reserve and never use.
    limit(Resource::Data, memory)?;
    // The shared memory for answers is a file, which the limit of private memory does not count.
    limit(Resource::Fsize, memory)?;
    limit(Resource::Core, 0)
}

/// Takes from this process all that a run of a model does not need, for good. All threads are
/// affected, except by Landlock: it affects the calling thread and the threads that it starts.
pub(super) fn lock() -> Lockdown {
    let mut lockdown = Lockdown::default();
    let io = |outcome: rustix::io::Result<()>| outcome.map_err(io::Error::from);
    lockdown.add("no new privileges", io(set_no_new_privs(true)));
    let none = CapabilitySet::empty();
    let none = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    lockdown.add("no capabilities", io(set_capabilities(None, none)));
    let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    lockdown.add("no core dumps", io(hidden));
    match forbid_files() {
        Ok(version) => lockdown.add(format!("Landlock {version}"), Ok::<_, String>(())),
        Err(why) => lockdown.add("Landlock", Err(why)),
    }
    // Last, because the filter forbids the calls above.
    lockdown.add("system calls", forbid_calls());
    lockdown
}

/// Forbids all access to files, ports and processes outside. Returns the Landlock version in force.
fn forbid_files() -> Result<i32, String> {
    let enter = || -> Result<_, RulesetError> {
        Ruleset::default()
            .handle_access(AccessFs::from_all(NEWEST))?
            .handle_access(AccessNet::from_all(NEWEST))?
            .scope(Scope::from_all(NEWEST))?
            .create()?
            .restrict_self()
    };
    let status = enter().map_err(|error| error.to_string())?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
            Err("the kernel has it switched off".to_owned())
        }
        (RulesetStatus::NotEnforced, _) => Err("the kernel does not have it".to_owned()),
        (_, LandlockStatus::Available { effective_abi, .. }) => Ok(effective_abi as i32),
        (_, other) => Err(format!("{other:?}")),
    }
}

/// Forbids all system calls but those that a run needs.
fn forbid_calls() -> Result<(), String> {
    let compile = || -> Result<[BpfProgram; 2], BackendError> {
        let target: TargetArch = std::env::consts::ARCH.try_into()?;
        let allow = SeccompAction::Allow;
        // glibc then starts threads with `clone`, whose flags a filter can check.
        let unknown = SeccompAction::Errno(libc::ENOSYS as u32);
        let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
        let clone3 = SeccompFilter::new(clone3, allow.clone(), unknown, target)?;
        let refuse = SeccompAction::Errno(libc::EPERM as u32);
        let others = SeccompFilter::new(allowed_calls()?, refuse, allow, target)?;
        Ok([clone3.try_into()?, others.try_into()?])
    };
    for program in compile().map_err(|error| error.to_string())? {
        apply_filter_all_threads(&program).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The calls that a worker needs, each with conditions for its arguments.
fn allowed_calls() -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let calls = [
        libc::SYS_brk,
        libc::SYS_clock_getres,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_clone3,
        libc::SYS_close,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_fstat,
        libc::SYS_ftruncate,
        libc::SYS_futex,
        libc::SYS_getcpu,
        libc::SYS_getpid,
        libc::SYS_getrandom,
        libc::SYS_getrusage,
        libc::SYS_gettid,
        libc::SYS_lseek,
        libc::SYS_madvise,
        libc::SYS_membarrier,
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_mremap,
        libc::SYS_munmap,
        libc::SYS_nanosleep,
        libc::SYS_ppoll,
        libc::SYS_pread64,
        libc::SYS_preadv,
        libc::SYS_pwrite64,
        libc::SYS_pwritev,
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_restart_syscall,
        libc::SYS_rseq,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_yield,
        libc::SYS_set_robust_list,
        libc::SYS_sigaltstack,
        libc::SYS_statx,
        libc::SYS_uname,
        libc::SYS_write,
        libc::SYS_writev,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
    ];
    let mut allowed: BTreeMap<i64, Vec<SeccompRule>> =
        calls.into_iter().map(|call| (call, Vec::new())).collect();
    let when = |argument, length, operator, value| {
        let condition = SeccompCondition::new(argument, length, operator, value)?;
        Ok::<_, BackendError>(vec![SeccompRule::new(vec![condition])?])
    };
    use SeccompCmpArgLen::{Dword, Qword};
    use SeccompCmpOp::{Eq, MaskedEq};
    // Threads, and no processes.
    let thread = libc::CLONE_THREAD as u64;
    allowed.insert(libc::SYS_clone, when(0, Qword, MaskedEq(thread), thread)?);
    // The names of threads.
    allowed.insert(
        libc::SYS_prctl,
        when(0, Dword, Eq, libc::PR_SET_NAME as u64)?,
    );
    // Sockets that are connected have no address. Rust writes to a socket with `sendto`.
    allowed.insert(libc::SYS_sendto, when(4, Qword, Eq, 0)?);
    allowed.insert(libc::SYS_recvfrom, when(4, Qword, Eq, 0)?);
    // `abort` sends a signal to this process.
    let own = u64::from(std::process::id());
    allowed.insert(libc::SYS_tgkill, when(0, Dword, Eq, own)?);
    Ok(allowed)
}
