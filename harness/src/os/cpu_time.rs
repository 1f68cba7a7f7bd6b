//! The CPU time of this process.

/// Gives the CPU time of all threads of this process so far, in microseconds. Includes user time
/// and system time.
///
/// Returns `None` if the time is unknown.
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

/// Returns `None`: on systems other than Unix, the CPU time is unknown.
#[cfg(not(unix))]
pub(crate) fn cpu_time_us() -> Option<u64> {
    None
}
