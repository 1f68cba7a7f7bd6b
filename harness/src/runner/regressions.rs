//! The regressions file: seeds with which tests have failed. The file is meant to be committed.
//! Later runs try the file's cases first.
//!
//! Each line contains the name of a test and a root seed. A comment starts with `#`:
//!
//! ```text
//! corruption::one_flipped_bit_is_refused 42  # panicked at chaos_tests/corruption.rs:12:5: …
//! ```

use crate::os::atomic_file::write_durably;
use crate::registration::TestCase;
use crate::registration::origin::Origin;
use clarity_chaos_record::Seed;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The first lines of a new regressions file.
const HEADER: &str = "\
# Seeds that chaos tests have failed with. They run first; commit this file.
# Each line is the name of a test and a root seed. Remove lines that are no longer useful.
";

/// The maximum length of the comment in an added line, in characters.
const COMMENT: usize = 120;

/// The content of the regressions file at the start of the run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Regressions {
    path: PathBuf,
    text: String,
    seeds: BTreeMap<String, Vec<Seed>>,
}

impl Regressions {
    /// Reads the file `given`. Without `given`, reads the default file for the tests of `origin`:
    /// `chaos_regressions/TARGET.txt` in the package's directory. A missing file counts as empty.
    /// So does the default file in a directory that this user may not search, with a warning.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or a line is malformed. The error names the file. If a line is
    /// malformed, the error also names the line's number.
    pub(crate) fn load(origin: &Origin, given: Option<&Path>) -> Result<Self, String> {
        let default = || {
            let manifest = std::env::var_os("CARGO_MANIFEST_DIR");
            let directory =
                manifest.map_or_else(|| PathBuf::from(origin.package_dir), PathBuf::from);
            directory
                .join("chaos_regressions")
                .join(format!("{}.txt", origin.target))
        };
        if let Some(given) = given {
            return Self::read(given.to_owned());
        }
        // The package's directory belongs to the machine that compiled the tests.
        let path = default();
        match path.try_exists() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                eprintln!(
                    "warning: no known failing seeds are tried: {}: {error}; \
                     --regressions FILE (CHAOS_REGRESSIONS) sets another file",
                    path.display()
                );
                Ok(Self {
                    path,
                    ..Self::default()
                })
            }
            _ => Self::read(path),
        }
    }

    fn read(path: PathBuf) -> Result<Self, String> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                String::new()
            }
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let mut seeds: BTreeMap<String, Vec<Seed>> = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let content = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = content.split_whitespace().collect();
            let (test, seed) = match words[..] {
                [] => continue,
                [test, seed] => (test, seed.parse::<Seed>()),
                _ => ("", Err("expected the name of a test and a seed".to_owned())),
            };
            let wrong = |error| format!("{}:{}: {error}", path.display(), number + 1);
            let of_test = seeds.entry(test.to_owned()).or_default();
            let seed = seed.map_err(wrong)?;
            if !of_test.contains(&seed) {
                of_test.push(seed);
            }
        }
        Ok(Self { path, text, seeds })
    }

    /// Adds the seeds under each test's `seed_name` to the seeds under the test's name.
    pub(crate) fn with_former_names<'a>(
        mut self,
        tests: impl IntoIterator<Item = &'a TestCase>,
    ) -> Self {
        // Uses only the seeds in the file, and not the seeds that this loop adds: two tests may
        // have exchanged their names.
        let in_file = self.seeds.clone();
        for test in tests {
            let former = in_file.get(test.seed_name()).into_iter().flatten();
            for seed in former {
                let seeds = self.seeds.entry(test.name().to_owned()).or_default();
                if !seeds.contains(seed) {
                    seeds.push(*seed);
                }
            }
        }
        self
    }

    /// Returns the known failing seeds of this test, in the order of the file.
    pub(crate) fn seeds_of(&self, name: &str) -> &[Seed] {
        self.seeds.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the names of the tests in the file.
    pub(crate) fn tests(&self) -> impl Iterator<Item = &str> {
        self.seeds.keys().map(String::as_str)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends the failures (test, seed, message) that the file does not contain yet. Returns the
    /// number of added lines. Keeps all existing lines, including comments.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(crate) fn add<'a>(
        &self,
        failures: impl IntoIterator<Item = (&'a str, Seed, String)>,
    ) -> io::Result<usize> {
        let mut text = if self.text.is_empty() {
            HEADER.to_owned()
        } else {
            self.text.clone()
        };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let mut added = 0;
        for (test, seed, message) in failures {
            if self.seeds_of(test).contains(&seed) {
                continue;
            }
            let first = message.lines().next().unwrap_or_default();
            let comment: String = first.chars().take(COMMENT).collect();
            let _ = writeln!(text, "{test} {seed}  # {comment}");
            added += 1;
        }
        if added > 0 {
            write_durably(&self.path, text.as_bytes())?;
        }
        Ok(added)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn add_appends_new_seeds_once_and_keeps_comments() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/regressions.txt");
        let empty = Regressions::read(path.clone()).unwrap();
        assert!(empty.seeds_of("a::b").is_empty());
        let failure = |seed| ("a::b", Seed::new(seed), "failed: x\ny # z".to_owned());
        assert_eq!(empty.add([failure(7), failure(3)]).unwrap(), 2);

        let text = format!("{}# mine\n", fs::read_to_string(&path).unwrap());
        fs::write(&path, text).unwrap();
        let first = Regressions::read(path.clone()).unwrap();
        assert_eq!(first.seeds_of("a::b"), [Seed::new(7), Seed::new(3)]);
        assert_eq!(first.add([failure(7), failure(9)]).unwrap(), 1);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("# mine\n"), "{text}");
        let second = Regressions::read(path).unwrap();
        assert_eq!(second.seeds_of("a::b"), [7, 3, 9].map(Seed::new));
    }

    #[test]
    fn with_former_names_adds_seeds_of_the_derivation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r");
        fs::write(&path, "old 7\nold 8\nnew 8\nnew 9\nother 1\n").unwrap();
        let test = |path| TestCase::new(path, "A scenario.", "r.rs", 1, &());
        let (new, other) = (
            test("chaos::new").with_seed_name("old"),
            test("chaos::other"),
        );
        let read = Regressions::read(path.clone()).unwrap();
        let regressions = read.with_former_names([&new, &other]);
        assert_eq!(regressions.seeds_of("new"), [8, 9, 7].map(Seed::new));
        assert_eq!(regressions.seeds_of("other"), [Seed::new(1)]);
        // A seed recorded under the old name is not added a second time.
        let failures = [7, 10].map(|seed| ("new", Seed::new(seed), "failed".to_owned()));
        assert_eq!(regressions.add(failures).unwrap(), 1);
        assert!(
            fs::read_to_string(&path)
                .unwrap()
                .ends_with("new 10  # failed\n")
        );
    }

    #[test]
    fn with_former_names_exchanged_names_share_seeds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r");
        fs::write(&path, "a 1\nb 2\n").unwrap();
        let test = |path| TestCase::new(path, "A scenario.", "r.rs", 1, &());
        let (a, b) = (
            test("chaos::a").with_seed_name("b"),
            test("chaos::b").with_seed_name("a"),
        );
        let regressions = Regressions::read(path).unwrap().with_former_names([&a, &b]);
        assert_eq!(regressions.seeds_of("a"), [1, 2].map(Seed::new));
        assert_eq!(regressions.seeds_of("b"), [2, 1].map(Seed::new));
    }

    #[test]
    fn read_malformed_line_is_named_in_the_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r");
        for wrong in ["a::b", "a::b x", "a::b 1 2"] {
            fs::write(&path, format!("# fine\n{wrong}\n")).unwrap();
            let error = Regressions::read(path.clone()).unwrap_err();
            assert!(error.contains("r:2: "), "{error}");
        }
    }
}
