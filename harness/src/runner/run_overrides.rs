//! Settings for one run of a test, in place of those of the command line.

use crate::data::case::KeepPolicy;
use crate::data::fault_selection::FaultSelection;
use clarity_chaos_record::Seed;
use std::time::Duration;

/// Settings for one run of a test. They replace settings of the command line.
#[derive(Clone, Debug)]
pub(crate) struct RunOverrides {
    /// The root seed, from which the test's own seed is derived.
    pub(crate) root_seed: Seed,
    pub(crate) keep: KeepPolicy,
    /// Whether the test's output is hidden even with `--nocapture`.
    pub(crate) is_quiet: bool,
    /// The timeout, if it differs from the test's usual timeout.
    pub(crate) timeout: Option<Duration>,
    /// Whether the test runs in a newly executed process. Has an effect only with
    /// `--check-determinism`.
    pub(crate) is_fresh: bool,
    /// Whether every second thread of the test starts late.
    pub(crate) late_starts: bool,
    /// The faults that take effect; `None` for all.
    pub(crate) restriction: Option<FaultSelection>,
    /// The number of failed runs before this one that `--retries` repeated.
    pub(crate) retry: usize,
}

impl RunOverrides {
    /// Overrides only the root seed.
    pub(crate) fn new(root_seed: Seed) -> Self {
        Self {
            root_seed,
            keep: KeepPolicy::AsConfigured,
            is_quiet: false,
            timeout: None,
            is_fresh: false,
            late_starts: false,
            restriction: None,
            retry: 0,
        }
    }

    /// Returns the purpose of the run, in words.
    pub(crate) fn purpose(&self) -> &'static str {
        if self.is_fresh {
            "check of determinism"
        } else if self.restriction.is_some() {
            "minimization"
        } else if self.is_quiet {
            "repetition of a failure"
        } else if self.retry > 0 {
            "retry"
        } else {
            "test"
        }
    }
}
