//! The results of a sweep, or of one shard of a sweep.

use crate::oracle::OracleId;
use crate::oracle_counts::{Exercised, OracleCounts};
use crate::read_error::{ReadError, read};
use crate::record::Record;
use crate::seed::Seed;
use crate::seed_range::SeedRange;
use crate::shard::Shard;
use crate::test_tally::TestTally;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// The results of a sweep, or of one shard of a sweep. `Results::from_shards` merges the JSON
/// files of all shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Results {
    /// The version of the format: [`Results::SCHEMA`].
    pub schema: u32,
    /// The Cargo package and the Cargo target that contain the tests.
    pub suite: String,
    /// The root seeds of the whole sweep.
    pub seeds: SeedRange,
    /// The shard that these results cover. Absent for a whole sweep.
    pub shard: Option<Shard>,
    /// The reason why the sweep stopped before all cases had run. Absent if all cases have run.
    pub stop_reason: Option<String>,
    /// For each oracle, the number of cases that reached it and the number of cases in which it
    /// held.
    #[serde(default)]
    pub oracles: OracleCounts,
    /// The results of each selected test, by the test's name.
    pub tests: BTreeMap<String, TestTally>,
}

/// A test's name, and the path of the test's function.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TestName<'a> {
    /// The test's name, as on the command line and in [`Results::tests`].
    pub name: &'a str,
    /// The path of the test's function, with the crate's name.
    pub path: &'a str,
}

impl<'a> TestName<'a> {
    /// Combines a test's name with the path of the test's function.
    #[must_use]
    pub fn new(name: &'a str, path: &'a str) -> Self {
        Self { name, path }
    }
}

impl Results {
    /// The version of the format that this release writes and reads.
    pub const SCHEMA: u32 = 2;

    /// Creates the results of a sweep in which no case has run yet.
    #[must_use]
    pub fn new<'a>(
        suite: impl Into<String>,
        seeds: SeedRange,
        shard: Option<Shard>,
        tests: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let tests = tests.into_iter();
        Self {
            schema: Self::SCHEMA,
            suite: suite.into(),
            seeds,
            shard,
            stop_reason: None,
            oracles: OracleCounts::default(),
            tests: tests
                .map(|test| (test.to_owned(), TestTally::default()))
                .collect(),
        }
    }

    /// Reads the results of a sweep from JSON. The version in `text` must be [`Results::SCHEMA`].
    ///
    /// # Errors
    ///
    /// When `text` is not the results of a sweep, or has another version.
    pub fn from_json(text: &[u8]) -> Result<Self, ReadError> {
        read(text, Self::SCHEMA, "results of a sweep")
    }

    /// Adds the result of a case.
    pub fn add(&mut self, record: Record) {
        self.oracles.add(&record);
        let tally = self.tests.entry(record.name.clone()).or_default();
        tally.add(record);
    }

    /// Returns the number of failed cases of all tests.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.tests.values().map(|tally| tally.failed).sum()
    }

    /// Returns the kept records, from which reports are made. A failed test has records of up to 3
    /// failures. Every other test that has run has one record.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.tests.values().flat_map(|tally| &tally.records)
    }

    /// Returns a line for each oracle of `catalogue` that is due but unmet: see
    /// [`OracleCounts::unmet`].
    ///
    /// `all` lists the tests of the binary. No oracle is due in the results of a shard or of a
    /// stopped sweep.
    #[must_use]
    pub fn unmet(&self, catalogue: &[OracleId], all: &[TestName<'_>]) -> Vec<String> {
        if self.shard.is_some() || self.stop_reason.is_some() {
            return Vec::new();
        }
        let has_run = |test: &TestName<'_>| {
            let tally = self.tests.get(test.name);
            tally.is_some_and(|tally| tally.cases > tally.skipped)
        };
        let mut tests = Exercised::default();
        for test in all {
            let paths = if has_run(test) {
                &mut tests.ran
            } else {
                &mut tests.not_ran
            };
            paths.insert(test.path);
        }
        self.oracles.unmet(catalogue, &tests)
    }

    /// Returns one record for each test that has run: the record of the failed case with the lowest
    /// seed. If no case failed, returns the record of the case with the lowest seed.
    pub fn representatives(&self) -> impl Iterator<Item = &Record> {
        self.tests
            .values()
            .filter_map(|tally| tally.records.first())
    }

    /// Returns the records of [`Results::representatives`], as mutable references.
    pub fn representatives_mut(&mut self) -> impl Iterator<Item = &mut Record> {
        let tallies = self.tests.values_mut();
        tallies.filter_map(|tally| tally.records.first_mut())
    }

    /// Returns the failures that later runs should repeat, each with test name, root seed and
    /// verdict.
    ///
    /// Lost and interrupted cases are left out, and failures that a second run with the same seed
    /// did not repeat.
    pub fn regressions(&self) -> impl Iterator<Item = (&str, Seed, String)> {
        self.records()
            // Later runs need not repeat a lost or an interrupted case: its cause does not depend
            // on the seed.
            .filter(|record| {
                let verdict = &record.verdict;
                verdict.is_failure()
                    && record.unrepeated.is_none()
                    && !matches!(verdict, Verdict::Lost { .. } | Verdict::Interrupted)
            })
            .map(|record| {
                let verdict = record.verdict.to_string();
                (record.name.as_str(), record.root_seed, verdict)
            })
    }

    /// Reads the results of all shards of a sweep, and merges the results.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or the files belong to different sweeps. Also when a shard is
    /// missing, or two files contain the same shard. The error names the files or the missing
    /// shards.
    pub fn from_shards(files: &[PathBuf]) -> Result<Self, String> {
        let mut shards = Vec::new();
        for path in files {
            let results = fs::read(path)
                .map_err(|error| error.to_string())
                .and_then(|text| Self::from_json(&text).map_err(|error| error.to_string()));
            shards.push((
                path,
                results.map_err(|error| format!("{}: {error}", path.display()))?,
            ));
        }
        let mut shards = shards.into_iter();
        let (first_path, mut all) = shards.next().ok_or("expected at least one file")?;
        // Results without a shard cover a whole sweep: they count as shard 1 of 1.
        let position = |results: &Self| {
            let shard = results.shard;
            shard.map_or((1, 1), |shard| (shard.index(), shard.count()))
        };
        let (first, count) = position(&all);
        let mut found = BTreeMap::from([(first, first_path)]);
        for (path, results) in shards {
            let differs = results.suite != all.suite
                || results.seeds != all.seeds
                || position(&results).1 != count
                || !results.tests.keys().eq(all.tests.keys());
            if differs {
                return Err(format!(
                    "{} and {} are not shards of the same sweep: expected the same suite, tests, seeds and number of shards",
                    first_path.display(),
                    path.display()
                ));
            }
            if let Some(twice) = found.insert(position(&results).0, path) {
                return Err(format!(
                    "{} and {} are the same shard",
                    twice.display(),
                    path.display()
                ));
            }
            all.merge(results);
        }
        let missing: Vec<String> = (1..=count)
            .filter(|index| !found.contains_key(index))
            .map(|index| format!("{index}/{count}"))
            .collect();
        if !missing.is_empty() {
            return Err(format!("missing: shard {}", missing.join(", ")));
        }
        all.shard = None;
        Ok(all)
    }

    /// Adds the results of another shard.
    fn merge(&mut self, other: Self) {
        self.stop_reason = self.stop_reason.take().or(other.stop_reason);
        self.oracles.merge(other.oracles);
        for (test, theirs) in other.tests {
            self.tests.entry(test).or_default().merge(theirs);
        }
    }
}
