//! What a test may use: `#[chaos(memory = "512MiB", open_files = 64, cpu = "10s")]`.

use serde::{Deserialize, Serialize};

/// The limits that a test declares, for itself and, each on its own, for the processes that it starts.
///
/// They are the system's soft limits, in force while the test's body runs: means to see what code does when it runs out, no walls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Private writable memory (heap, stacks and anonymous mappings), in bytes: `RLIMIT_DATA`. Allocations beyond it fail.
    pub memory: Option<u64>,
    /// Descriptors: `RLIMIT_NOFILE`, one above the highest number that can be open. Opening more fails with `EMFILE`.
    pub open_files: Option<u64>,
    /// CPU time of all threads, in seconds: `RLIMIT_CPU`. The process is ended with `SIGXCPU` when it has used it up.
    pub cpu: Option<u64>,
}
