//! What runs leave for later ones, in Cargo's target folder: the last seed, and the latest record of each test.
//!
//! ```text
//! target/chaos/PACKAGE/TARGET/
//!   last-seed
//!   records/NAME.json
//! ```

use crate::data::case::file_name;
use crate::os::atomic_file::write_atomically;
use crate::registration::TestCase;
use crate::registration::origin::Origin;
use clarity_chaos_record::{Record, Seed, Verdict};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The folder of a test target's history.
#[derive(Clone, Debug)]
pub(crate) struct History {
    root: PathBuf,
}

impl History {
    /// The history in the folder `given`, or else in the usual place for the tests of `origin`.
    pub(crate) fn of(origin: &Origin, given: Option<&Path>) -> Self {
        let root = given.map(Path::to_owned).unwrap_or_else(|| {
            let target = target_folder(origin).unwrap_or_else(env::temp_dir);
            target
                .join("chaos")
                .join(origin.package)
                .join(origin.target)
        });
        Self { root }
    }

    /// The seed of the last run.
    ///
    /// # Errors
    ///
    /// When there was none, or its file is damaged; the text says what to do.
    pub(crate) fn last_seed(&self) -> Result<Seed, String> {
        let path = self.last_seed_file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(format!(
                    "--seed last: there was no run before this one ({} does not exist); leave the option out for a fresh seed",
                    path.display()
                ));
            }
            Err(error) => return Err(format!("--seed last: {}: {error}", path.display())),
        };
        text.trim()
            .parse()
            .map_err(|error| format!("--seed last: {}: {error}", path.display()))
    }

    /// Remembers the seed of the run that begins.
    pub(crate) fn set_last_seed(&self, seed: Seed) -> io::Result<()> {
        let path = self.last_seed_file();
        write_atomically(&path, format!("{seed}\n").as_bytes())
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    /// The tests that failed in their last run, each with the root seed of that run.
    ///
    /// A test without a record of its own has that of the name that its seed is derived from. A missing or unreadable record counts as no failure.
    pub(crate) fn failures<'a>(
        &self,
        tests: impl Iterator<Item = &'a TestCase>,
    ) -> BTreeMap<String, Seed> {
        let failed = |test: &'a TestCase| {
            let text = fs::read(self.record(test.name()))
                .or_else(|_| fs::read(self.record(test.seed_name())));
            let last: Last = serde_json::from_slice(&text.ok()?).ok()?;
            last.verdict
                .is_failure()
                .then(|| (test.name().to_owned(), last.root_seed))
        };
        tests.filter_map(failed).collect()
    }

    fn record(&self, test: &str) -> PathBuf {
        let name = format!("{}.json", file_name(test));
        self.root.join("records").join(name)
    }

    /// Puts a record in the place of the test's last one.
    pub(crate) fn keep(&self, record: &Record) -> io::Result<()> {
        let path = self.record(&record.name);
        let mut text = serde_json::to_vec(record)?;
        // In place, and not beside and then moved over it: a file that replaces another is written to the disk at once, which takes longer than
        // all else around an empty test. Whoever reads while this writes, or after it was killed, finds that it is no JSON.
        let open = || {
            File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
        };
        let mut file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(self.root.join("records"))?;
                open()
            }
            opened => opened,
        }?;
        // What is left of a longer old one becomes spaces, which JSON does not mind, and which costs less than to cut it.
        let old = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        if old > text.len() && old < 2 * text.len() {
            text.resize(old, b' ');
        } else if old > text.len() {
            file.set_len(0)?;
        }
        file.write_all(&text)
    }

    fn last_seed_file(&self) -> PathBuf {
        self.root.join("last-seed")
    }
}

/// What counts of a test's last record.
#[derive(Deserialize)]
struct Last {
    root_seed: Seed,
    #[serde(flatten)]
    verdict: Verdict,
}

/// Cargo's target folder: from the folder for temporary files that it gives integration tests, or by its mark above the binary.
fn target_folder(origin: &Origin) -> Option<PathBuf> {
    if let Some(tmpdir) = origin.target_tmpdir {
        return Path::new(tmpdir).parent().map(Path::to_owned);
    }
    let binary = env::current_exe().ok()?;
    let mut folders = binary.ancestors().skip(1);
    folders
        .find(|folder| folder.join("CACHEDIR.TAG").exists())
        .map(Path::to_owned)
}
