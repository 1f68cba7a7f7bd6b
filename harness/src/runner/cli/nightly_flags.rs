//! The flags that libtest accepts on a nightly compiler only. The harness accepts them on each
//! compiler, with and without `-Z unstable-options`.

use super::values::{is_not_zero, shuffle_seed};
use std::time::Duration;

/// The variable with the limits of `--ensure-time`. A chaos test is an integration test.
pub(crate) const TIME_LIMITS: &str = "RUST_TEST_TIME_INTEGRATION";

/// The flags, as on the command line.
#[derive(Debug, clap::Args)]
pub(crate) struct NightlyFlags {
    /// Run the tests in random order; seeds and faults are the same in each order
    #[arg(
        long = "shuffle",
        env = "RUST_TEST_SHUFFLE",
        value_parser = is_not_zero,
        default_value = "0",
        help_heading = "Running"
    )]
    shuffle: bool,

    /// Run the tests in the random order of this seed, which has nothing to do with --seed
    #[arg(
        long = "shuffle-seed",
        value_name = "SEED",
        env = "RUST_TEST_SHUFFLE_SEED",
        value_parser = shuffle_seed,
        help_heading = "Running"
    )]
    pub(crate) shuffle_seed: Option<u64>,

    /// Start no further test after the first failure
    #[arg(long = "fail-fast", help_heading = "Running")]
    pub(crate) fail_fast: bool,

    /// Print the duration of each test
    #[arg(long = "report-time", help_heading = "Reports")]
    report_time: bool,

    /// Print the duration of each test; fail a test that takes longer than CRITICAL milliseconds,
    /// which RUST_TEST_TIME_INTEGRATION=WARN,CRITICAL sets [default: 500,1000]
    #[arg(long = "ensure-time", help_heading = "Reports")]
    ensure_time: bool,

    /// No chaos test is `should_panic`.
    #[arg(long = "exclude-should-panic", hide = true)]
    exclude_should_panic: bool,

    /// `--isolation` has this role.
    #[arg(long = "force-run-in-process", hide = true)]
    force_run_in_process: bool,
}

/// The durations of tests from which they are slow or too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeLimits {
    pub(crate) warn: Duration,
    pub(crate) critical: Duration,
}

impl NightlyFlags {
    /// Whether the tests run in random order.
    pub(crate) fn shuffles(&self) -> bool {
        self.shuffle || self.shuffle_seed.is_some()
    }

    /// Returns the limits for the durations of tests. Returns `None` if durations are not printed.
    ///
    /// # Errors
    ///
    /// When the variable of the limits is not valid.
    pub(crate) fn time_limits(&self) -> Result<Option<TimeLimits>, String> {
        if !self.report_time && !self.ensure_time {
            return Ok(None);
        }
        let value = std::env::var_os(TIME_LIMITS).filter(|value| !value.is_empty());
        let value = value.map(|value| value.to_string_lossy().into_owned());
        TimeLimits::parse(value.as_deref().unwrap_or("500,1000")).map(Some)
    }

    /// Whether a test that takes too long fails.
    pub(crate) fn ensures_time(&self) -> bool {
        self.ensure_time
    }

    /// Returns the limit for the duration of a test that passes, with `--ensure-time`.
    pub(crate) fn critical_time(&self) -> Option<Duration> {
        let limits = self.time_limits().ok().flatten();
        limits
            .filter(|_| self.ensure_time)
            .map(|limits| limits.critical)
    }
}

impl TimeLimits {
    fn parse(text: &str) -> Result<Self, String> {
        let parse = |text: &str| text.parse().ok().map(Duration::from_millis);
        let limits = text.split_once(',').and_then(|(warn, critical)| {
            let (warn, critical) = (parse(warn)?, parse(critical)?);
            (warn <= critical).then_some(Self { warn, critical })
        });
        limits.ok_or_else(|| {
            format!(
                "{TIME_LIMITS}: expected WARN,CRITICAL in milliseconds, such as 500,1000, found `{text}`"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_limits_parse_as_in_libtest() {
        let limits = TimeLimits::parse("10,20").unwrap();
        assert_eq!(limits.warn, Duration::from_millis(10));
        assert_eq!(limits.critical, Duration::from_millis(20));
        for wrong in ["", "10", "20,10", "a,b", "1,2,3", "-1,2"] {
            assert!(TimeLimits::parse(wrong).is_err(), "{wrong}");
        }
    }
}
