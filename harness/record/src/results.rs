//! What a sweep, or a shard of one, came to: a JSON document from which shards are merged.
//!
//! The format has a version, [`Results::SCHEMA`]. Fields are only ever added within a version; readers ignore those they do not know.

use crate::oracle::OracleId;
use crate::oracle_counts::{Exercised, OracleCounts};
use crate::record::Record;
use crate::seed::Seed;
use crate::seed_range::SeedRange;
use crate::shard::Shard;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// How many failing seeds of a test are told; further ones are counted.
const TOLD_SEEDS: usize = 100;

/// How many records of failed cases are kept for each test; of further ones the seed is.
pub const KEPT_FAILURES: usize = 3;

/// The results of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The version of this format.
    pub schema: u32,
    /// The package and target of the tests.
    pub suite: String,
    /// The root seeds.
    pub seeds: SeedRange,
    /// Which share of the cases this is; none when it is all of them.
    pub shard: Option<Shard>,
    /// Why not all of the cases have run, if so.
    pub stopped: Option<String>,
    /// How often oracles were reached and held.
    #[serde(default)]
    pub oracles: OracleCounts,
    /// What came of each selected test.
    pub tests: BTreeMap<String, Tally>,
}

/// What the cases of one test came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// How many have run.
    pub cases: u64,
    /// How many of them were skipped.
    pub skipped: u64,
    /// How many of them failed.
    pub failed: u64,
    /// The root seeds of those that failed, in order: the first ones, when there are very many.
    pub failing_seeds: Vec<Seed>,
    /// The records of some: of failures those with the lowest seeds, and if there are none, that of the case with the lowest seed.
    pub records: Vec<Record>,
}

/// A test by its name, and by the path of its function with the crate.
#[derive(Clone, Copy, Debug)]
pub struct TestName<'a> {
    /// The name that it is selected by.
    pub name: &'a str,
    /// The path of its function, with the crate.
    pub path: &'a str,
}

impl Results {
    const SCHEMA: u32 = 1;

    /// No case has run yet.
    pub fn new<'a>(
        suite: String,
        seeds: SeedRange,
        shard: Option<Shard>,
        tests: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let tests = tests.into_iter();
        Self {
            schema: Self::SCHEMA,
            suite,
            seeds,
            shard,
            stopped: None,
            oracles: OracleCounts::default(),
            tests: tests
                .map(|test| (test.to_owned(), Tally::default()))
                .collect(),
        }
    }

    /// Adds a case.
    pub fn add(&mut self, record: Record) {
        self.oracles.add(&record);
        let tally = self.tests.entry(record.name.clone()).or_default();
        tally.cases += 1;
        match &record.verdict {
            Verdict::Skipped { .. } => tally.skipped += 1,
            verdict if verdict.is_failure() => {
                tally.failed += 1;
                tally.failing_seeds.push(record.root_seed);
            }
            _ => {}
        }
        tally.records.push(record);
        tally.trim();
    }

    /// How many cases failed.
    pub fn failed(&self) -> u64 {
        self.tests.values().map(|tally| tally.failed).sum()
    }

    /// The records that reports are made from: those of failures, and one for each test that had none.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.tests.values().flat_map(|tally| &tally.records)
    }

    /// The oracles of this catalogue that are due, since all of the cases have run, and are unmet; `all` are the tests of the binary.
    pub fn unmet(&self, catalogue: &[OracleId], all: &[TestName<'_>]) -> Vec<String> {
        if self.shard.is_some() || self.stopped.is_some() {
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

    /// The same, to add to them.
    pub fn representatives_mut(&mut self) -> impl Iterator<Item = &mut Record> {
        let tallies = self.tests.values_mut();
        tallies.filter_map(|tally| tally.records.first_mut())
    }

    /// The failures that are worth keeping for later runs: test, root seed, what happened.
    pub fn regressions(&self) -> impl Iterator<Item = (&str, Seed, String)> {
        let told = |record: &Record| record.verdict.to_string();
        self.records()
            // What the harness or a signal is to blame for has nothing to do with the seed.
            .filter(|record| {
                let verdict = &record.verdict;
                verdict.is_failure()
                    && !matches!(verdict, Verdict::Lost { .. } | Verdict::Interrupted)
            })
            .map(move |record| (record.name.as_str(), record.root_seed, told(record)))
    }

    /// Reads the results of all shards of a sweep, and makes one of them.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, the files are not of the same sweep, or a shard is missing or there twice; the text says which.
    pub fn merged(files: &[PathBuf]) -> Result<Self, String> {
        let mut shards = Vec::new();
        for path in files {
            let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            let text = fs::read(path).map_err(|error| told(&error))?;
            let results: Self = serde_json::from_slice(&text).map_err(|error| told(&error))?;
            if results.schema != Self::SCHEMA {
                let found = results.schema;
                return Err(told(&format!(
                    "expected version {} of the format, found {found}",
                    Self::SCHEMA
                )));
            }
            shards.push((path, results));
        }
        let mut shards = shards.into_iter();
        let (first_path, mut all) = shards.next().ok_or("expected at least one file")?;
        let of = |results: &Self| results.shard.unwrap_or(Shard { index: 1, count: 1 });
        let expected = of(&all);
        let mut found = BTreeMap::from([(expected.index, first_path)]);
        for (path, results) in shards {
            let differs = results.suite != all.suite
                || results.seeds != all.seeds
                || of(&results).count != expected.count
                || !results.tests.keys().eq(all.tests.keys());
            if differs {
                return Err(format!(
                    "{} and {} are not shards of the same sweep: expected the same suite, tests, seeds and number of shards",
                    first_path.display(),
                    path.display()
                ));
            }
            if let Some(twice) = found.insert(of(&results).index, path) {
                return Err(format!(
                    "{} and {} are the same shard",
                    twice.display(),
                    path.display()
                ));
            }
            all.take_in(results);
        }
        let missing: Vec<String> = (1..=expected.count)
            .filter(|index| !found.contains_key(index))
            .map(|index| format!("{index}/{}", expected.count))
            .collect();
        if !missing.is_empty() {
            return Err(format!("missing: shard {}", missing.join(", ")));
        }
        all.shard = None;
        Ok(all)
    }

    fn take_in(&mut self, other: Self) {
        self.stopped = self.stopped.take().or(other.stopped);
        self.oracles.merge(other.oracles);
        for (test, theirs) in other.tests {
            let tally = self.tests.entry(test).or_default();
            tally.cases += theirs.cases;
            tally.skipped += theirs.skipped;
            tally.failed += theirs.failed;
            tally.failing_seeds.extend(theirs.failing_seeds);
            tally.records.extend(theirs.records);
            tally.trim();
        }
    }
}

impl Tally {
    /// How many of its cases passed.
    pub fn passed(&self) -> u64 {
        self.cases - self.failed - self.skipped
    }

    /// Keeps of seeds and records what is told: the same, whichever case ended first.
    fn trim(&mut self) {
        self.failing_seeds.sort_by_key(|seed| seed.get());
        self.failing_seeds.truncate(TOLD_SEEDS);
        self.records.sort_by_key(|record| record.root_seed.get());
        if self.failed > 0 {
            self.records.retain(|record| record.verdict.is_failure());
            self.records.truncate(KEPT_FAILURES);
        } else {
            self.records.truncate(1);
        }
    }
}
