//! The content of a report about a whole run.

use clarity_chaos_record::{Record, Results, Seed};
use std::time::Duration;

/// The content of a report about a run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Summary<'a> {
    /// The package and the target of the tests.
    pub suite: &'a str,
    /// The root seed of the run, or the first root seed of a sweep.
    pub seed: Seed,
    /// One record for each test that has run, sorted by the test's name.
    pub records: &'a [Record],
    /// The results of the sweep; `None` if the run is not a sweep.
    pub sweep: Option<&'a Results>,
    /// One line for each oracle that the run had to meet and did not meet.
    pub unmet: &'a [String],
    /// The records of the run's set-up and tear-down. They are not counted as tests.
    pub fixtures: &'a [Record],
    /// The duration of the run, in real time.
    pub took: Duration,
    /// The profile whose settings the run had, with its file. `None` if there is no such file.
    pub profile: Option<&'a str>,
}

impl<'a> Summary<'a> {
    /// Creates a summary of an ordinary run: no sweep, no unmet oracles, no set-up, a duration of
    /// zero, and no profile.
    #[must_use]
    pub fn new(suite: &'a str, seed: Seed, records: &'a [Record]) -> Self {
        Self {
            suite,
            seed,
            records,
            sweep: None,
            unmet: &[],
            fixtures: &[],
            took: Duration::ZERO,
            profile: None,
        }
    }
}

/// The origin of a run: the tested commit and the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Provenance {
    /// The commit of the tests, with a mark if files had changed since the commit. `None` outside
    /// of a repository.
    pub commit: Option<String>,
    /// The operating system, the architecture and the number of processors.
    pub machine: String,
}

impl Provenance {
    /// Creates the provenance of a run on this machine, with an unknown commit.
    #[must_use]
    pub fn new(machine: impl Into<String>) -> Self {
        Self {
            commit: None,
            machine: machine.into(),
        }
    }
}
