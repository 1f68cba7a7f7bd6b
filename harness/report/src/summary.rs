//! A whole run, as the reports tell it.

use clarity_chaos_record::{Record, Results, Seed};
use std::time::Duration;

/// What reports of a run are made from.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    /// The package and target of the tests.
    pub suite: &'a str,
    /// The root seed, or the first one of a sweep.
    pub seed: Seed,
    /// One for each test that has run, by name.
    pub records: &'a [Record],
    /// What a sweep came to.
    pub sweep: Option<&'a Results>,
    /// The oracles that should have been met.
    pub unmet: &'a [String],
    /// How long the run took, in real time.
    pub took: Duration,
}

/// Where a run took place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The commit of the tests, with a mark where files were changed since; absent outside of a repository.
    pub commit: Option<String>,
    /// The system, its architecture and its number of processors.
    pub machine: String,
}
