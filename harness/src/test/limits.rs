//! Enforces the resource limits of a test.

use clarity_chaos_record::Limits;
use std::io;

/// The guard of enforced resource limits. Dropping the guard restores the previous limits.
#[derive(Debug)]
pub(crate) struct LimitGuard {
    #[cfg(target_os = "linux")]
    before: Vec<(rustix::process::Resource, rustix::process::Rlimit)>,
}

/// Sets the soft limits of this process to `limits`, until the returned guard is dropped.
///
/// # Errors
///
/// When the system refuses a limit, such as a soft limit above the hard limit.
#[cfg(target_os = "linux")]
pub(crate) fn enforce(limits: Limits) -> io::Result<LimitGuard> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = [
        (Resource::Data, limits.memory_bytes),
        (Resource::Nofile, limits.open_files),
        (Resource::Cpu, limits.cpu_s),
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
            let hard = old.maximum.map_or("unlimited".to_owned(), |hard| hard.to_string());
            io::Error::other(format!(
                "cannot set the test's limit {resource:?} to {limit}: {error}; the hard limit is {hard}"
            ))
        })?;
        before.push((resource, old));
    }
    Ok(LimitGuard { before })
}

/// Enforces no limits, because only Linux has reliable limits.
///
/// # Errors
///
/// When `limits` sets any limit.
#[cfg(not(target_os = "linux"))]
pub(crate) fn enforce(limits: Limits) -> io::Result<LimitGuard> {
    if limits == Limits::default() {
        Ok(LimitGuard {})
    } else {
        Err(io::Error::other(
            "cannot set the limits of the test: limits are supported on Linux only",
        ))
    }
}

#[cfg(target_os = "linux")]
impl Drop for LimitGuard {
    fn drop(&mut self) {
        for (resource, old) in self.before.drain(..) {
            // This call cannot fail: a process may always raise a soft limit up to the hard limit.
            let _ = rustix::process::setrlimit(resource, old);
        }
    }
}
