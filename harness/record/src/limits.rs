//! Resource limits of a test: `#[chaos(memory = "512MiB", open_files = 64, cpu = "10s")]`.

use serde::{Deserialize, Serialize};

/// The limits that a test declares. They apply to the test and, separately, to each process that
/// it starts.
///
/// They are soft limits of the system, in force while the test's body runs. They show how code
/// behaves when a resource runs out, and contain nothing: a test can raise them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// Private writable memory (heap, stacks and anonymous mappings), in bytes: `RLIMIT_DATA`.
    /// Allocations beyond it fail.
    pub memory_bytes: Option<u64>,
    /// Descriptors: `RLIMIT_NOFILE`, one above the highest number that can be open. Opening more
    /// fails with `EMFILE`.
    pub open_files: Option<u64>,
    /// CPU time of all threads, in seconds: `RLIMIT_CPU`. Beyond it, `SIGXCPU` ends the process.
    pub cpu_s: Option<u64>,
}

impl Limits {
    /// No limits but those of the user; [`Limits::default`] as a constant.
    pub const NONE: Self = Self {
        memory_bytes: None,
        open_files: None,
        cpu_s: None,
    };
}
