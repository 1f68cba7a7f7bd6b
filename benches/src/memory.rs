//! Measures the peak memory of a process, and pages memory in.

use std::fs;
use std::io;

/// Returns the peak resident memory of a process, in bytes: `VmHWM` of
/// [its status](https://man7.org/linux/man-pages/man5/proc_pid_status.5.html).
///
/// # Errors
///
/// When the process does not exist, or its status has no valid line `VmHWM`.
pub fn peak(process: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    peak_in(&status).ok_or_else(|| io::Error::other("the status has no line VmHWM"))
}

fn peak_in(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Writes to `bytes` bytes of memory, and frees the memory.
///
/// A virtual machine must fetch unused memory from its host, which takes longer than the measured
/// operations. Later allocations use the memory that this call has already fetched.
pub fn warm_up(bytes: u64) {
    let touched = vec![1_u8; usize::try_from(bytes).unwrap_or(usize::MAX)];
    std::hint::black_box(&touched);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peak_is_read_in_kilobytes() {
        assert_eq!(
            peak_in("VmPeak:\t9 kB\nVmHWM:\t    12 kB\n"),
            Some(12 << 10)
        );
        assert_eq!(peak_in("VmPeak:\t9 kB\n"), None);
    }

    #[test]
    fn peak_of_a_process_includes_touched_memory() {
        let touched = vec![1_u8; 32 << 20];
        assert!(peak(std::process::id()).unwrap() > touched.len() as u64);
    }
}
