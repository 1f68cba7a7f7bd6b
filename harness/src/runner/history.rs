//! The history of a test target, in Cargo's target directory. It contains the seed of the last run
//! and the latest record of each test.
//!
//! ```text
//! target/chaos/PACKAGE/TARGET/
//!   last-seed
//!   records/NAME.json
//!   states/NAME/SEED/   copies of states in which the invariant of an exploration did not hold
//!   recordings/DIGEST/  unpacked recordings, which `--replay` has run
//!   profiles/           coverage data of the tests, unless `LLVM_PROFILE_FILE` is set
//! ```

use crate::data::case::file_name;
use crate::os::atomic_file::{write_atomically, write_json_atomically};
use crate::registration::TestCase;
use crate::registration::origin::Origin;
use crate::runner::target_directory::target_directory;
use clarity_chaos_record::{Record, Seed, Verdict};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The directory of a test target's history.
#[derive(Clone, Debug)]
pub(crate) struct History {
    root: PathBuf,
}

impl History {
    /// Returns the history in the directory `given`. The default directory is
    /// `chaos/PACKAGE/TARGET` in Cargo's target directory. If Cargo's target directory is unknown
    /// or does not exist, the system's directory for temporary files takes its place.
    pub(crate) fn new(origin: &Origin, given: Option<&Path>) -> Self {
        let root = given.map(Path::to_owned).unwrap_or_else(|| {
            let target = target_directory(origin).unwrap_or_else(env::temp_dir);
            target
                .join("chaos")
                .join(origin.package)
                .join(origin.target)
        });
        Self { root }
    }

    /// Reads the seed of the last run.
    ///
    /// # Errors
    ///
    /// When the file is missing, unreadable or malformed. If the file is missing, there was no
    /// earlier run: the error then suggests a remedy.
    pub(crate) fn last_seed(&self) -> Result<Seed, String> {
        let path = self.last_seed_file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(format!(
                    "--seed last: there is no earlier run ({} does not exist); omit the option for a fresh seed",
                    path.display()
                ));
            }
            Err(error) => return Err(format!("--seed last: {}: {error}", path.display())),
        };
        text.trim()
            .parse()
            .map_err(|error| format!("--seed last: {}: {error}", path.display()))
    }

    /// Saves the seed of this run.
    pub(crate) fn set_last_seed(&self, seed: Seed) -> io::Result<()> {
        let path = self.last_seed_file();
        write_atomically(&path, format!("{seed}\n").as_bytes())
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    /// Finds the tests whose last run failed.
    ///
    /// If there is no record under a test's name, the record under its `seed_name` counts. A test
    /// with neither record does not count as failed. A test with an unreadable record counts as
    /// failed.
    pub(crate) fn failures<'a>(&self, tests: impl Iterator<Item = &'a TestCase>) -> Failures {
        let mut failures = Failures::default();
        for test in tests {
            match self.last(test) {
                Ok(Some(last)) if last.verdict.is_failure() => {
                    let seed = Some(last.root_seed);
                    failures.seeds.insert(test.name().to_owned(), seed);
                }
                Ok(_) => {}
                Err(error) => {
                    failures.seeds.insert(test.name().to_owned(), None);
                    failures.warnings.push(format!(
                        "cannot read the last record of `{}`, which counts as failed: {error}",
                        test.name()
                    ));
                }
            }
        }
        failures
    }

    /// Reads the last record of a test. Returns `None` if there is no record under the test's name,
    /// and none under its `seed_name`.
    fn last(&self, test: &TestCase) -> Result<Option<LastRecord>, String> {
        for name in [test.name(), test.seed_name()] {
            let path = self.record(name);
            let with_path = |error: String| format!("{}: {error}", path.display());
            match fs::read(&path) {
                Ok(text) => {
                    let last: LastRecord = serde_json::from_slice(&text)
                        .map_err(|error| with_path(error.to_string()))?;
                    // On some file systems, names that differ in case are one file.
                    if last.name != name {
                        let other = format!("it is the record of `{}`", last.name);
                        return Err(with_path(other));
                    }
                    return Ok(Some(last));
                }
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound
                        && fs::symlink_metadata(&path).is_err() => {}
                Err(error) => return Err(with_path(error.to_string())),
            }
        }
        Ok(None)
    }

    /// The directory for copies of states in which the invariant of an exploration did not hold.
    pub(crate) fn states(&self) -> PathBuf {
        self.root.join("states")
    }

    /// The directory for coverage data of the tests.
    pub(crate) fn profiles(&self) -> PathBuf {
        self.root.join("profiles")
    }

    /// The directory for unpacked recordings.
    pub(crate) fn recordings(&self) -> PathBuf {
        self.root.join("recordings")
    }

    fn record(&self, test: &str) -> PathBuf {
        let name = format!("{}.json", file_name(test));
        self.root.join("records").join(name)
    }

    /// Replaces the test's last record atomically: a reader sees either the old record or the new
    /// one. On an error, the old record stays.
    pub(crate) fn save(&self, record: &Record) -> io::Result<()> {
        let path = self.record(&record.name);
        write_json_atomically(&path, record)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    fn last_seed_file(&self) -> PathBuf {
        self.root.join("last-seed")
    }
}

/// The tests that failed in their last run.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// The root seed of each failed test, by name; `None` if the test's record is unreadable.
    pub(crate) seeds: BTreeMap<String, Option<Seed>>,
    /// A warning for each unreadable record.
    pub(crate) warnings: Vec<String>,
}

/// The failed writes of a run to its history. They cause warnings, and do not fail the run.
#[derive(Debug, Default)]
pub(crate) struct FailedWrites {
    /// The number of records that could not be written, and the error of the first one.
    records: Option<(usize, String)>,
    others: Vec<String>,
}

impl FailedWrites {
    /// Adds a failed [`History::save`].
    pub(crate) fn add_record(&mut self, error: &io::Error) {
        let first = || (0, error.to_string());
        self.records.get_or_insert_with(first).0 += 1;
    }

    /// Adds another failed write. `text` says what could not be written, and the reason.
    pub(crate) fn add(&mut self, text: String) {
        self.others.push(text);
    }

    /// Returns a warning for each kind of failed write.
    pub(crate) fn warnings(self) -> impl Iterator<Item = String> {
        let records = self.records.map(|(count, error)| {
            let records = match count {
                1 => "a record was".to_owned(),
                count => format!("{count} records were"),
            };
            format!("{records} not written, so --last-failed sees earlier results: {error}")
        });
        self.others
            .into_iter()
            .chain(records)
            .map(|text| format!("{text}; {REMEDY}"))
    }
}

/// The remedy for a history that cannot be written.
pub(crate) const REMEDY: &str = "--history DIR (CHAOS_HISTORY) sets another directory";

/// The fields of a test's last record that [`History::failures`] needs.
#[derive(Deserialize)]
struct LastRecord {
    name: String,
    root_seed: Seed,
    #[serde(flatten)]
    verdict: Verdict,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn record(root_seed: u64) -> Record {
        let mut record = Record::new("a::b".to_owned(), Seed::new(root_seed), Seed::new(0));
        record.verdict = Verdict::Passed;
        record
    }

    fn history(dir: &tempfile::TempDir) -> History {
        History {
            root: dir.path().to_owned(),
        }
    }

    #[test]
    fn save_leaves_an_open_reader_the_old_record() {
        let dir = tempfile::tempdir().unwrap();
        let history = history(&dir);
        history.save(&record(1)).unwrap();
        let reader = File::open(history.record("a::b")).unwrap();
        history.save(&record(2)).unwrap();
        let old: Record = serde_json::from_reader(reader).unwrap();
        assert_eq!(old.root_seed, Seed::new(1));
        let names = fs::read_dir(dir.path().join("records")).unwrap();
        assert_eq!(names.count(), 1, "a temporary file was left");
    }

    #[test]
    fn failures_contain_failed_and_unreadable_records_only() {
        let dir = tempfile::tempdir().unwrap();
        let history = history(&dir);
        let test = |path| TestCase::new(path, "A scenario.", "r.rs", 1, &());
        let tests = ["c::passed", "c::failed", "c::torn", "c::new"].map(test);
        for (name, seed) in [("passed", 1), ("failed", 2), ("torn", 3)] {
            let mut record = record(seed);
            record.name = name.to_owned();
            if name == "failed" {
                record.verdict = Verdict::ExitedEarly { code: 0 };
            }
            history.save(&record).unwrap();
        }
        let torn = history.record("torn");
        let text = fs::read(&torn).unwrap();
        fs::write(&torn, &text[..text.len() / 2]).unwrap();

        let failures = history.failures(tests.iter());
        let seeds: Vec<_> = failures.seeds.into_iter().collect();
        let expected = [("failed", Some(Seed::new(2))), ("torn", None)];
        assert_eq!(seeds, expected.map(|(name, seed)| (name.to_owned(), seed)));
        assert_eq!(failures.warnings.len(), 1);
        assert!(failures.warnings[0].contains(torn.to_str().unwrap()));
    }
}
