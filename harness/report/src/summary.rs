//! The content of reports about a whole run.

use clarity_chaos_record::{Record, Results, Seed};
use std::time::Duration;

/// The content of reports about a run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Summary<'a> {
    /// The package and target of the tests.
    pub suite: &'a str,
    /// The root seed, or the first one of a sweep.
    pub seed: Seed,
    /// One record for each test that has run, by name.
    pub records: &'a [Record],
    /// The results of a sweep.
    pub sweep: Option<&'a Results>,
    /// A line for each oracle that was due and unmet.
    pub unmet: &'a [String],
    /// The duration of the run, in real time.
    pub took: Duration,
}

impl<'a> Summary<'a> {
    /// A run of these tests that is no sweep, in no time, without unmet oracles.
    #[must_use]
    pub fn new(suite: &'a str, seed: Seed, records: &'a [Record]) -> Self {
        Self {
            suite,
            seed,
            records,
            sweep: None,
            unmet: &[],
            took: Duration::ZERO,
        }
    }
}

/// The place of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Provenance {
    /// The commit of the tests, with a mark where files had changed; absent outside of a
    /// repository.
    pub commit: Option<String>,
    /// The system, its architecture and its number of processors.
    pub machine: String,
}

impl Provenance {
    /// A machine, and an unknown commit.
    #[must_use]
    pub fn new(machine: impl Into<String>) -> Self {
        Self {
            commit: None,
            machine: machine.into(),
        }
    }
}
