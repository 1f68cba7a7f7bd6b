//! How much memory a process has had.

use std::fs;
use std::io;

/// The most memory that a process had at a time, in bytes: `VmHWM` of
/// [its status](https://man7.org/linux/man-pages/man5/proc_pid_status.5.html).
///
/// # Errors
///
/// When there is no such process, or no such line.
pub fn peak(process: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    peak_in(&status).ok_or_else(|| io::Error::other("its status tells no peak"))
}

fn peak_in(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Touches so many bytes of memory and gives them back. A virtual machine fetches memory that it has not used for a while
/// from its host, which takes longer than all that is measured here: what follows finds it fetched.
pub fn warm_up(bytes: u64) {
    let touched = vec![1_u8; usize::try_from(bytes).unwrap_or(usize::MAX)];
    std::hint::black_box(&touched);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_told_in_kilobytes() {
        assert_eq!(
            peak_in("VmPeak:\t9 kB\nVmHWM:\t    12 kB\n"),
            Some(12 << 10)
        );
        assert_eq!(peak_in("VmPeak:\t9 kB\n"), None);
    }

    #[test]
    fn a_process_has_had_what_it_has_touched() {
        let touched = vec![1_u8; 32 << 20];
        assert!(peak(std::process::id()).unwrap() > touched.len() as u64);
    }
}
