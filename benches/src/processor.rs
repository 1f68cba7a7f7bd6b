//! Measures the processor time of a process.

use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::io;
use std::time::Duration;

/// Returns the processor time of all threads of a process, including ended threads, in steps of
/// 10 ms.
///
/// This is the sum of `utime` and `stime` in
/// [the process's status](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html).
///
/// # Errors
///
/// When the process does not exist, or its status is malformed.
pub fn used(process: u32) -> io::Result<Duration> {
    let status = fs::read_to_string(format!("/proc/{process}/stat"))?;
    used_in(&status).ok_or_else(|| io::Error::other("the status has no utime and stime"))
}

/// Returns the processor time that all threads of this process have used.
pub fn used_here() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn used_in(status: &str) -> Option<Duration> {
    // The process's name is in parentheses, and can itself contain parentheses. So the last `)`
    // ends the name.
    let (_, after_name) = status.rsplit_once(')')?;
    let mut times = after_name.split_ascii_whitespace().skip(11);
    let mut ticks = || times.next()?.parse::<u64>().ok();
    let ticks = ticks()? + ticks()?;
    Some(Duration::from_millis(10 * ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_after_a_name_with_parentheses() {
        let status = "7 (a) b) S 1 1 1 0 -1 0 0 0 0 0 30 12 0 0 20 0";
        assert_eq!(used_in(status), Some(Duration::from_millis(420)));
        assert_eq!(used_in("7 (a) S 1"), None);
        assert!(used(std::process::id()).is_ok());
    }
}
