//! Putting the limits of a test in force.

use clarity_chaos_record::Limits;
use std::io;

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
