//! The resource limits of a test: `#[chaos(memory = "512MiB", open_files = 64, cpu = "10s")]`.

use serde::{Deserialize, Serialize};
use std::io;

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
    pub memory: Option<u64>,
    /// Descriptors: `RLIMIT_NOFILE`, one above the highest number that can be open. Opening more
    /// fails with `EMFILE`.
    pub open_files: Option<u64>,
    /// CPU time of all threads, in seconds: `RLIMIT_CPU`. Beyond it, `SIGXCPU` ends the process.
    pub cpu: Option<u64>,
}

/// Limits in force; dropped, they are what they were before.
#[derive(Debug)]
pub(crate) struct InForce {
    #[cfg(target_os = "linux")]
    before: Vec<(rustix::process::Resource, rustix::process::Rlimit)>,
}

/// Puts the limits in force for this process.
///
/// # Errors
///
/// When the system refuses, as it does where the user may have less than the test asks for.
#[cfg(target_os = "linux")]
pub(crate) fn enforce(limits: Limits) -> io::Result<InForce> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = [
        (Resource::Data, limits.memory),
        (Resource::Nofile, limits.open_files),
        (Resource::Cpu, limits.cpu),
    ];
    let mut before = Vec::new();
    for (resource, limit) in wanted {
        let Some(limit) = limit else { continue };
        let old = getrlimit(resource);
        let new = Rlimit {
            current: Some(limit),
            maximum: old.maximum,
        };
        setrlimit(resource, new).map_err(|error| {
            let most = old.maximum.map_or("unlimited".to_owned(), |most| most.to_string());
            io::Error::other(format!(
                "the test's limit {resource:?} = {limit} cannot be set ({error}); the user may have {most}"
            ))
        })?;
        before.push((resource, old));
    }
    Ok(InForce { before })
}

/// Elsewhere there are no limits to rely on.
#[cfg(not(target_os = "linux"))]
pub(crate) fn enforce(limits: Limits) -> io::Result<InForce> {
    if limits == Limits::default() {
        Ok(InForce {})
    } else {
        Err(io::Error::other(
            "limits of tests are enforced on Linux only",
        ))
    }
}

#[cfg(target_os = "linux")]
impl Drop for InForce {
    fn drop(&mut self) {
        for (resource, old) in self.before.drain(..) {
            // Raising a soft limit back to where it was is always allowed.
            let _ = rustix::process::setrlimit(resource, old);
        }
    }
}
