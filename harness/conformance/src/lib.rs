//! Runs a chaos-test binary as a user would, and reads its output and its records.
//!
//! The binary is `misbehaving`: a suite of tests that hang, abort, leak and lie. The tests of this
//! package run it and check each verdict, report and exit code. They test the *contract* of the
//! harness: every isolation must pass them.

pub mod limits;

use clarity_chaos::{Record, Verdict};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A chaos-test binary with its own history and its own directory for temporary files.
#[derive(Debug)]
pub struct Suite {
    binary: PathBuf,
    wrapper: Vec<OsString>,
    isolation: &'static str,
    home: TempDir,
}

/// The result of a run of the binary.
#[derive(Debug)]
pub struct RunOutput {
    /// The exit code; `None` when a signal ended the runner.
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
    /// When its temporary directories cannot be created.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>, isolation: &'static str) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory can be created");
        fs::create_dir(home.path().join("tmp")).expect("a new directory is writable");
        Self {
            binary: binary.into(),
            wrapper: Vec::new(),
            isolation,
            home,
        }
    }

    /// The same suite for another user, who owns its directories and a copy of the binary.
    ///
    /// # Panics
    ///
    /// When the caller is not root, and so cannot change owners.
    #[cfg(unix)]
    #[must_use]
    pub fn for_user(mut self, user: u32) -> Self {
        use std::os::unix::fs::{PermissionsExt as _, chown};
        let home = self.home.path();
        let copy = home.join("suite");
        // While another thread forks, its child holds a copy open for writing, and executing the
        // copy fails with ETXTBSY. A hard link has no writer.
        if fs::hard_link(&self.binary, &copy).is_err() {
            fs::copy(&self.binary, &copy).expect("the binary can be copied");
        }
        for path in [home.to_owned(), self.tmp()] {
            chown(&path, Some(user), Some(user)).expect("root can change owners");
        }
        for path in [home, &copy] {
            let permissions = fs::Permissions::from_mode(0o755);
            fs::set_permissions(path, permissions).expect("these files are ours");
        }
        self.binary = copy;
        self
    }

    /// The same suite, run by a wrapper program: the binary and its arguments follow these words.
    #[must_use]
    pub fn within<S: Into<OsString>>(mut self, program: impl IntoIterator<Item = S>) -> Self {
        self.wrapper = program.into_iter().map(Into::into).collect();
        self
    }

    /// The command that runs the suite, without arguments.
    ///
    /// It inherits no variable that configures the harness.
    #[must_use]
    pub fn command(&self) -> Command {
        let binary = self.binary.as_os_str().to_owned();
        let mut words = self.wrapper.iter().cloned().chain([binary]);
        let mut command = Command::new(words.next().expect("the binary is a word"));
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

    /// Runs the suite with these arguments to its end, for at most [`limits::RUN_LIMIT`].
    ///
    /// # Panics
    ///
    /// When it cannot be started, exceeds the limit, or leaves records that cannot be read.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> RunOutput {
        self.run_command(self.command().args(arguments))
    }

    /// Runs a command that [`Suite::command`] has made, as [`Suite::run`] does.
    ///
    /// # Panics
    ///
    /// As [`Suite::run`].
    #[track_caller]
    pub fn run_command(&self, command: &mut Command) -> RunOutput {
        let output = limits::output_of(command);
        RunOutput {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            records: self.records(),
        }
    }

    /// Runs exactly one test, and returns its record.
    ///
    /// # Panics
    ///
    /// When the run leaves no record of it.
    #[track_caller]
    #[must_use]
    pub fn record_of(&self, test: &str) -> Record {
        let mut ran = self.run(["--exact", test]);
        let record = ran.records.remove(test);
        record.unwrap_or_else(|| panic!("no record of {test}:\n{}\n{}", ran.stdout, ran.stderr))
    }

    /// Runs exactly one test, and returns its verdict.
    ///
    /// # Panics
    ///
    /// When the run leaves no record of it.
    #[track_caller]
    #[must_use]
    pub fn verdict_of(&self, test: &str) -> Verdict {
        self.record_of(test).verdict
    }

    /// The number of tests in the suite.
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

    /// The directory of the suite's history.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.home.path().join("history")
    }

    /// The file of the seeds that the suite's tests have failed with.
    #[must_use]
    pub fn regressions(&self) -> PathBuf {
        self.home.path().join("regressions.txt")
    }

    /// The living processes of this suite with their command lines, in every namespace.
    ///
    /// A process belongs to the suite when its environment names the suite's history.
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

    /// Whether the timeline of a case that is still running contains this text.
    #[must_use]
    pub fn timeline_contains(&self, text: &str) -> bool {
        let mut directories = vec![self.tmp()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.ends_with("timeline.jsonl")
                    && fs::read_to_string(&path).is_ok_and(|events| events.contains(text))
                {
                    return true;
                }
            }
        }
        false
    }

    /// The directory that the suite creates its temporary directories in.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.home.path().join("tmp")
    }

    /// The latest record of each test that has run, by name.
    ///
    /// # Panics
    ///
    /// When a file cannot be read, or is not a record.
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

/// Reads a record; `None` when it is cut short, as a killed runner may leave it.
fn read_record(path: &Path) -> Option<Record> {
    let text = fs::read(path).expect("a record that is listed can be read");
    match serde_json::from_slice(&text) {
        Ok(record) => Some(record),
        Err(error) if error.is_eof() => None,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
