//! The resource limits of a test: `#[chaos(memory = "512MiB", open_files = 64, cpu = "10s")]`.

use serde::{Deserialize, Serialize};

/// The resource limits that a test declares. The limits apply to the test's process and,
/// separately, to each process that the test starts.
///
/// They are soft limits of the system, in force while the test's body runs. They show how code
/// behaves when a resource runs out. They do not confine the test, which can raise each limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// The limit of private writable memory (heap, stacks and anonymous mappings), in bytes:
    /// `RLIMIT_DATA`. Allocations beyond the limit fail.
    pub memory_bytes: Option<u64>,
    /// The limit of open descriptors: `RLIMIT_NOFILE`. The highest possible descriptor number is
    /// one below this limit. Opening a descriptor beyond the limit fails with `EMFILE`.
    pub open_files: Option<u64>,
    /// The limit of the CPU time that all threads of a process use together, in seconds:
    /// `RLIMIT_CPU`. Beyond the limit, `SIGXCPU` ends the process.
    pub cpu_s: Option<u64>,
}

impl Limits {
    /// No declared limits: [`Limits::default`] as a constant. The user's system limits still apply.
    pub const NONE: Self = Self {
        memory_bytes: None,
        open_files: None,
        cpu_s: None,
    };
}
