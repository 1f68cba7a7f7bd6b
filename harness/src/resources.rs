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

/// The most memory that was resident at any time, in bytes.
#[cfg(target_os = "linux")]
pub(crate) fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The most memory that was resident at any time, in bytes.
#[cfg(not(target_os = "linux"))]
pub(crate) fn peak_memory_bytes() -> Option<u64> {
    None
}
