//! A fault that exhausts memory, as other processes or a too large input do.

use super::limit::{LimitedResource, lower};
use super::{Fault, FaultError, Injection, Undo};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
#[cfg(target_os = "linux")]
use std::path::Path;

/// Limits the private writable memory that the test's process can still allocate: heap, stacks of
/// new threads, anonymous mappings. The allocator can still hand out memory that it already holds.
/// Child processes inherit the limit.
///
/// When an allocation fails, Rust aborts the process in most cases. So this fault suits code that
/// handles a failed allocation, for example with [`Vec::try_reserve`]. The fault also suits
/// supervisors of programs that abort.
///
/// On Linux only. The fault lowers `RLIMIT_DATA`
/// ([getrlimit(2)](https://man7.org/linux/man-pages/man2/getrlimit.2.html)).
#[derive(Clone, Debug)]
pub struct Memory {
    left: RangeInclusive<u64>,
}

/// The plan of a [`Memory`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemoryPlan {
    /// The number of bytes that can still be allocated.
    pub left: u64,
}

impl Memory {
    /// Leaves the test's process no memory to allocate.
    #[must_use]
    pub fn new() -> Self {
        Self { left: 0..=0 }
    }

    /// Leaves exactly `bytes` bytes to allocate.
    #[must_use]
    pub fn leaving(self, bytes: u64) -> Self {
        Self {
            left: bytes..=bytes,
        }
    }

    /// Leaves a drawn number of bytes to allocate, 0 to `most`. Each number has the same
    /// probability.
    #[must_use]
    pub fn leaving_at_most(self, most: u64) -> Self {
        Self { left: 0..=most }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Fault for Memory {
    type Plan = MemoryPlan;
    const KIND: &'static str = "memory";

    fn describe(plan: &MemoryPlan, _target: &str) -> String {
        format!("{} bytes of memory left", plan.left)
    }

    fn target(&self) -> String {
        "process".to_owned()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<MemoryPlan, FaultError> {
        Ok(MemoryPlan {
            left: rng.random_range(self.left.clone()),
        })
    }

    fn apply(&self, plan: &MemoryPlan, _injection: &Injection) -> Result<Undo, FaultError> {
        let to = in_use()?.saturating_add(plan.left);
        lower(LimitedResource::Memory, to)
    }
}

/// The memory of this process that counts against `RLIMIT_DATA`, in bytes. The value is `VmData` in
/// [proc_pid_status(5)](https://man7.org/linux/man-pages/man5/proc_pid_status.5.html).
#[cfg(target_os = "linux")]
fn in_use() -> Result<u64, FaultError> {
    let path = Path::new("/proc/self/status");
    let status = std::fs::read_to_string(path).map_err(FaultError::file("read", path))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let kilobytes = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse().ok());
    kilobytes
        .map(|kilobytes: u64| kilobytes * 1024)
        .ok_or_else(|| FaultError::unfit("VmData in kB in /proc/self/status", "none"))
}

#[cfg(not(target_os = "linux"))]
fn in_use() -> Result<u64, FaultError> {
    Ok(0)
}
