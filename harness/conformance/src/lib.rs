//! Runs a chaos-test binary as a user would, and reads what came of it.
//!
//! The binary is `misbehaving`: a suite of tests that hang, abort, leak and lie. The tests of this package run it and check that the harness makes
//! of each what it should. They are tests of the *contract* of the harness: every way of isolation must pass them.

use clarity_chaos::{Record, Verdict};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A chaos-test binary with a history and a folder for temporary files of its own.
#[derive(Debug)]
pub struct Suite {
    binary: PathBuf,
    surroundings: Vec<OsString>,
    isolation: &'static str,
    home: TempDir,
}

/// What a run of the binary gave.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; none when a signal ended the runner.
    pub code: Option<i32>,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
    /// The latest record of each test, by name.
    pub records: BTreeMap<String, Record>,
}

impl Suite {
    /// The suite in this binary, to be run with this isolation.
    ///
    /// # Panics
    ///
    /// When there is no room for its folders.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>, isolation: &'static str) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        fs::create_dir(home.path().join("tmp")).expect("a new folder takes another");
        Self {
            binary: binary.into(),
            surroundings: Vec::new(),
            isolation,
            home,
        }
    }

    /// The same suite, in folders that this user can use: a copy of the binary, and all that it writes. Only root can do that.
    ///
    /// # Panics
    ///
    /// When the folders cannot be given away.
    #[cfg(unix)]
    #[must_use]
    pub fn for_user(mut self, user: u32) -> Self {
        use std::os::unix::fs::{PermissionsExt as _, chown};
        let home = self.home.path();
        let copy = home.join("suite");
        // A copy cannot be executed while another thread forks, whose child then has it open to write to it; a link can.
        if fs::hard_link(&self.binary, &copy).is_err() {
            fs::copy(&self.binary, &copy).expect("the binary can be copied");
        }
        for path in [home.to_owned(), self.tmp()] {
            chown(&path, Some(user), Some(user)).expect("root gives folders away");
        }
        for path in [home, &copy] {
            let rights = fs::Permissions::from_mode(0o755);
            fs::set_permissions(path, rights).expect("our own files");
        }
        self.binary = copy;
        self
    }

    /// The same suite, run by a program with these arguments, to which the binary and its own arguments are added.
    #[must_use]
    pub fn within<S: Into<OsString>>(mut self, program: impl IntoIterator<Item = S>) -> Self {
        self.surroundings = program.into_iter().map(Into::into).collect();
        self
    }

    /// The command that runs the suite, before arguments: nothing of the caller's environment that the harness listens to is in it.
    #[must_use]
    pub fn command(&self) -> Command {
        let binary = self.binary.as_os_str().to_owned();
        let mut words = self.surroundings.iter().cloned().chain([binary]);
        let mut command = Command::new(words.next().expect("the binary is one"));
        command.args(words);
        for (name, _) in std::env::vars_os() {
            let ours = name.as_encoded_bytes().starts_with(b"CHAOS_");
            if ours || name == "RUST_BACKTRACE" {
                command.env_remove(name);
            }
        }
        command
            .env("CHAOS_ISOLATION", self.isolation)
            .env("CHAOS_HISTORY", self.history())
            .env("CHAOS_REGRESSIONS", self.regressions())
            .env("TMPDIR", self.tmp())
            .stdin(Stdio::null());
        command
    }

    /// Runs the suite with these arguments to its end.
    ///
    /// # Panics
    ///
    /// When it cannot be started or its records cannot be read.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        let output = self
            .command()
            .args(arguments)
            .output()
            .expect("the suite can be started");
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            records: self.records(),
        }
    }

    /// Runs exactly one test, and gives its record.
    ///
    /// # Panics
    ///
    /// When there is no record of it.
    #[must_use]
    pub fn record_of(&self, test: &str) -> Record {
        let mut ran = self.run(["--exact", test]);
        let record = ran.records.remove(test);
        record.unwrap_or_else(|| panic!("no record of {test}:\n{}\n{}", ran.stdout, ran.stderr))
    }

    /// Runs exactly one test, and gives its verdict.
    #[must_use]
    pub fn verdict_of(&self, test: &str) -> Verdict {
        self.record_of(test).verdict
    }

    /// How many tests the suite has.
    #[must_use]
    pub fn tests(&self) -> usize {
        let listed = self.run(["--list", "--format", "terse"]);
        listed.stdout.lines().count()
    }

    /// The isolation that the suite runs with.
    #[must_use]
    pub fn isolation(&self) -> &'static str {
        self.isolation
    }

    /// Where the suite leaves its history.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.home.path().join("history")
    }

    /// Where the suite keeps the seeds that it has failed with.
    #[must_use]
    pub fn regressions(&self) -> PathBuf {
        self.home.path().join("regressions.txt")
    }

    /// The living processes that were started for this suite, by whomever, in whatever namespace, with their command lines: its history's
    /// folder stands in their environment.
    #[must_use]
    pub fn processes(&self) -> Vec<(u32, String)> {
        let mark = format!("CHAOS_HISTORY={}", self.history().display());
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                let environment = fs::read(entry.path().join("environ")).ok()?;
                let mut variables = environment.split(|byte| *byte == 0);
                variables.find(|variable| *variable == mark.as_bytes())?;
                let arguments = fs::read(entry.path().join("cmdline")).ok()?;
                Some((pid, String::from_utf8_lossy(&arguments).replace('\0', " ")))
            })
            .collect()
    }

    /// Whether the timeline of a case that has not ended holds this text.
    #[must_use]
    pub fn is_told(&self, text: &str) -> bool {
        let mut folders = vec![self.tmp()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.ends_with("timeline.jsonl")
                    && fs::read_to_string(&path).is_ok_and(|told| told.contains(text))
                {
                    return true;
                }
            }
        }
        false
    }

    /// Where the suite makes its temporary folders.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.home.path().join("tmp")
    }

    /// The latest record of each test that has run, by name.
    ///
    /// # Panics
    ///
    /// When one cannot be read, or is no record.
    #[must_use]
    pub fn records(&self) -> BTreeMap<String, Record> {
        let files = fs::read_dir(self.history().join("records"));
        let files = files.into_iter().flatten().flatten();
        files
            .map(|file| file.path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "json")
            })
            .filter_map(|path| read_record(&path))
            .map(|record| (record.name.clone(), record))
            .collect()
    }
}

/// Reads a record. A runner that was killed may have left half of one.
fn read_record(path: &Path) -> Option<Record> {
    let text = fs::read(path).expect("a record that is listed can be read");
    match serde_json::from_slice(&text) {
        Ok(record) => Some(record),
        Err(error) if error.is_eof() => None,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
