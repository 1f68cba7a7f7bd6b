//! How much a process has had of the processors.

use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::io;
use std::time::Duration;

/// The processor time of all threads of a process, those that have ended included, in steps of 10 ms: `utime` and `stime` of
/// [its status](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html).
///
/// # Errors
///
/// When there is no such process.
pub fn used(process: u32) -> io::Result<Duration> {
    let status = fs::read_to_string(format!("/proc/{process}/stat"))?;
    used_in(&status).ok_or_else(|| io::Error::other("its status tells no times"))
}

/// The processor time of all threads of this process so far.
pub fn used_here() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn used_in(status: &str) -> Option<Duration> {
    // The name is in parentheses, and may itself have some.
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
    fn both_times_are_told_after_a_name_that_may_be_anything() {
        let status = "7 (a) b) S 1 1 1 0 -1 0 0 0 0 0 30 12 0 0 20 0";
        assert_eq!(used_in(status), Some(Duration::from_millis(420)));
        assert_eq!(used_in("7 (a) S 1"), None);
        assert!(used(std::process::id()).is_ok());
    }
}
