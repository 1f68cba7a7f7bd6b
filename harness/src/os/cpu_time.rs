//! What the calling process has used so far, where the system tells.

/// CPU time of all threads, user and system, in microseconds.
#[cfg(unix)]
pub(crate) fn cpu_time_us() -> Option<u64> {
    use rustix::time::{ClockId, clock_gettime};
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanoseconds) = (
        u64::try_from(used.tv_sec).ok()?,
        u64::try_from(used.tv_nsec).ok()?,
    );
    Some(seconds * 1_000_000 + nanoseconds / 1000)
}

/// CPU time of all threads, user and system, in microseconds.
#[cfg(not(unix))]
pub(crate) fn cpu_time_us() -> Option<u64> {
    None
}
