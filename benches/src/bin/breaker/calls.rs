//! The guarded call, its failures, and the settings that all breakers share.

use std::hint::black_box;
use std::time::Duration;

/// The size of a count window, in calls.
pub(crate) const WINDOW_CALLS: u32 = 100;

/// The duration of a time window.
// A longer window would slow tower-resilience, which stores all calls of the window. At each new
// call, it counts all stored calls.
pub(crate) const WINDOW: Duration = Duration::from_secs(1);

/// Guards calls with a breaker, or passes the calls through without a breaker.
pub(crate) trait Guard: Send + Sync {
    /// Returns the function with which one thread makes guarded calls. The argument of that
    /// function says whether the guarded call fails. The result of that function says whether the
    /// breaker admitted the call.
    fn caller(&self) -> impl FnMut(bool) -> bool;
}

/// The share of calls that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failures {
    Never,
    /// One call in a hundred.
    OnePercent,
}

impl Failures {
    pub(crate) const ALL: [Self; 2] = [Self::Never, Self::OnePercent];

    pub(crate) fn percent(self) -> u32 {
        match self {
            Self::Never => 0,
            Self::OnePercent => 1,
        }
    }

    /// Returns the number of successes between two failures.
    pub(crate) fn run(self) -> u64 {
        match self {
            Self::Never => u64::MAX,
            Self::OnePercent => 99,
        }
    }
}

/// Makes the shortest possible call, which fails if `fails` is true.
#[inline(never)]
pub(crate) fn call(fails: bool) -> Result<u32, u32> {
    match black_box(fails) {
        false => Ok(1),
        true => Err(2),
    }
}

/// A sequence of calls, some of which fail.
#[derive(Debug)]
pub(crate) struct Row {
    run: u64,
    left: u64,
}

impl Row {
    pub(crate) fn new(failures: Failures) -> Self {
        let run = failures.run();
        Self { run, left: run }
    }

    /// Whether the next call fails.
    #[inline]
    pub(crate) fn next_fails(&mut self) -> bool {
        if self.left > 0 {
            self.left -= 1;
            return false;
        }
        self.left = self.run;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_fails_one_call_in_a_hundred_or_none() {
        for failures in Failures::ALL {
            let mut row = Row::new(failures);
            let failed = (0..1000).filter(|_| row.next_fails()).count();
            assert_eq!(failed as u32, failures.percent() * 10);
        }
    }
}
