//! The results of a sweep, or of a shard of one.

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

/// The results of a sweep, or of a shard of one. As JSON, shards are merged from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Results {
    /// The version of the format: [`Results::SCHEMA`].
    pub schema: u32,
    /// The package and target of the tests.
    pub suite: String,
    /// The root seeds.
    pub seeds: SeedRange,
    /// The share of the cases; absent when it is all of them.
    pub shard: Option<Shard>,
    /// The reason why the sweep ended before all cases had run.
    pub stop_reason: Option<String>,
    /// The number of cases that reached each oracle, and in which it held.
    #[serde(default)]
    pub oracles: OracleCounts,
    /// The results of each selected test, by name.
    pub tests: BTreeMap<String, TestTally>,
}

/// A test by its name, and by the path of its function with the crate.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TestName<'a> {
    /// The name that selects the test.
    pub name: &'a str,
    /// The path of the test's function, with the crate.
    pub path: &'a str,
}

impl<'a> TestName<'a> {
    /// A test of this name, whose function has this path.
    #[must_use]
    pub fn new(name: &'a str, path: &'a str) -> Self {
        Self { name, path }
    }
}

impl Results {
    /// The version of the format that this release writes and reads.
    pub const SCHEMA: u32 = 2;

    /// The results of a sweep in which no case has run yet.
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

    /// Reads results of the version [`Results::SCHEMA`].
    ///
    /// # Errors
    ///
    /// When the text is not the results of a sweep, or has another version.
    pub fn from_json(text: &[u8]) -> Result<Self, ReadError> {
        read(text, Self::SCHEMA, "results of a sweep")
    }

    /// Adds a case.
    pub fn add(&mut self, record: Record) {
        self.oracles.add(&record);
        let tally = self.tests.entry(record.name.clone()).or_default();
        tally.add(record);
    }

    /// The number of cases that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.tests.values().map(|tally| tally.failed).sum()
    }

    /// The records that reports are made from: those of failures, and one of each test without
    /// failures.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.tests.values().flat_map(|tally| &tally.records)
    }

    /// A line for each unmet oracle of this catalogue that is due. None is due before all cases
    /// have run. `all` are the tests of the binary.
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

    /// One record for each test that has run: of failures, the one with the lowest seed.
    pub fn representatives(&self) -> impl Iterator<Item = &Record> {
        self.tests
            .values()
            .filter_map(|tally| tally.records.first())
    }

    /// [`Results::representatives`], to change them.
    pub fn representatives_mut(&mut self) -> impl Iterator<Item = &mut Record> {
        let tallies = self.tests.values_mut();
        tallies.filter_map(|tally| tally.records.first_mut())
    }

    /// The failures that later runs should repeat: test, root seed and verdict.
    pub fn regressions(&self) -> impl Iterator<Item = (&str, Seed, String)> {
        self.records()
            // An error of the harness or an interruption does not depend on the seed.
            .filter(|record| {
                let verdict = &record.verdict;
                verdict.is_failure()
                    && !matches!(verdict, Verdict::Lost { .. } | Verdict::Interrupted)
            })
            .map(|record| {
                let verdict = record.verdict.to_string();
                (record.name.as_str(), record.root_seed, verdict)
            })
    }

    /// Reads the results of all shards of a sweep, and merges them.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, the files are not of the same sweep, or a shard is missing or
    /// there twice. The text names the files.
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
        // The results of a whole sweep are its only shard.
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
