//! The results of one test's cases.

use crate::record::Record;
use crate::seed::Seed;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};

/// The maximum number of failing seeds that are listed for a test. Further failures are only
/// counted.
const LISTED_SEEDS: usize = 100;

/// For each test, the maximum number of failed cases whose records are kept.
pub const KEPT_FAILURES: usize = 3;

/// The results of one test's cases in a sweep.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TestTally {
    /// The number of cases that have run, including skipped cases.
    pub cases: u64,
    /// The number of cases that were skipped.
    pub skipped: u64,
    /// The number of cases that failed.
    pub failed: u64,
    /// The root seeds of failed cases in ascending order, at most the lowest 100.
    pub failing_seeds: Vec<Seed>,
    /// At most 3 records of failed cases: those with the lowest root seeds. If no case failed, only
    /// the record of the case with the lowest root seed.
    pub records: Vec<Record>,
}

impl TestTally {
    /// Returns the number of cases that passed.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.cases - self.failed - self.skipped
    }

    /// Adds the result of a case.
    pub(crate) fn add(&mut self, record: Record) {
        self.cases += 1;
        match &record.verdict {
            Verdict::Skipped { .. } => self.skipped += 1,
            verdict if verdict.is_failure() => {
                self.failed += 1;
                self.failing_seeds.push(record.root_seed);
            }
            _ => {}
        }
        self.records.push(record);
        self.trim();
    }

    /// Adds the results of another shard.
    pub(crate) fn merge(&mut self, other: Self) {
        self.cases += other.cases;
        self.skipped += other.skipped;
        self.failed += other.failed;
        self.failing_seeds.extend(other.failing_seeds);
        self.records.extend(other.records);
        self.trim();
    }

    /// Cuts the lists of seeds and records to their maximum lengths. The result does not depend on
    /// the order in which cases were added.
    fn trim(&mut self) {
        self.failing_seeds.sort_by_key(|seed| seed.get());
        self.failing_seeds.truncate(LISTED_SEEDS);
        self.records.sort_by_key(|record| record.root_seed.get());
        if self.failed > 0 {
            self.records.retain(|record| record.verdict.is_failure());
            self.records.truncate(KEPT_FAILURES);
        } else {
            self.records.truncate(1);
        }
    }
}
