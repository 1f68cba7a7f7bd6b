//! Runs a chaos-test binary as a user would, and reads the output and the records.
//!
//! The binary `misbehaving` is a suite of tests that hang, abort, leak and lie. This package's
//! tests run that binary, and check verdicts, reports and exit codes. The checks are the *contract*
//! of the harness: every isolation must pass them.

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

/// The result of one run of a suite.
#[derive(Debug)]
pub struct RunOutput {
    /// The exit code; `None` if a signal ended the runner.
    pub code: Option<i32>,
    /// The complete standard output, with invalid UTF-8 replaced.
    pub stdout: String,
    /// The complete standard error, with invalid UTF-8 replaced.
    pub stderr: String,
    /// The latest record of each test in the suite's history. The keys are the tests' names.
    pub records: BTreeMap<String, Record>,
}

impl Suite {
    /// Creates a suite that runs `binary` with `isolation`. The suite's history and directories are
    /// empty.
    ///
    /// # Panics
    ///
    /// When the suite's temporary directories cannot be created.
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

    /// Prepares the suite for a runner that another user starts.
    ///
    /// `user` becomes the owner of the suite's directories. The binary is hard-linked or copied
    /// into one of these directories, and gets mode 755. The caller must start the runner as
    /// `user`.
    ///
    /// # Panics
    ///
    /// When this process cannot change owners or modes. Also when it can neither link nor copy the
    /// binary.
    #[cfg(unix)]
    #[must_use]
    pub fn for_user(mut self, user: u32) -> Self {
        use std::os::unix::fs::{PermissionsExt as _, chown};
        let home = self.home.path();
        let copy = home.join("suite");
        // `fs::copy` opens the new file for writing. If another thread forks meanwhile, the child
        // inherits the descriptor, and executing the copy fails with ETXTBSY. Linking opens no
        // file.
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

    /// Makes the suite run in a wrapper program: the words of `program` precede the suite's
    /// command.
    #[must_use]
    pub fn within<S: Into<OsString>>(mut self, program: impl IntoIterator<Item = S>) -> Self {
        self.wrapper = program.into_iter().map(Into::into).collect();
        self
    }

    /// Returns the command that runs the suite, without arguments.
    ///
    /// The command inherits no variable of an option (`CHAOS_*`, `RUST_TEST_*`), and no
    /// `RUST_BACKTRACE`. Isolation, history, regressions file and temporary directory are those of
    /// the suite. Standard input is empty.
    #[must_use]
    pub fn command(&self) -> Command {
        let binary = self.binary.as_os_str().to_owned();
        let mut words = self.wrapper.iter().cloned().chain([binary]);
        let mut command = Command::new(words.next().expect("the binary is a word"));
        command.args(words);
        for (name, _) in std::env::vars_os() {
            let name_bytes = name.as_encoded_bytes();
            let is_option =
                name_bytes.starts_with(b"CHAOS_") || name_bytes.starts_with(b"RUST_TEST_");
            if is_option || name == "RUST_BACKTRACE" {
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

    /// Runs the suite with `arguments`, for at most [`limits::RUN_LIMIT`].
    ///
    /// # Panics
    ///
    /// When the suite cannot be started, exceeds the limit, or leaves an unreadable record.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> RunOutput {
        self.run_command(self.command().args(arguments))
    }

    /// Runs a command from [`Suite::command`], for at most [`limits::RUN_LIMIT`].
    ///
    /// # Panics
    ///
    /// When the command cannot be started, exceeds the limit, or leaves an unreadable record.
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

    /// Runs only the test called `test`, and returns the test's record.
    ///
    /// # Panics
    ///
    /// When [`Suite::run`] panics, or the run leaves no record of the test.
    #[track_caller]
    #[must_use]
    pub fn record_of(&self, test: &str) -> Record {
        let mut ran = self.run(["--exact", test]);
        let record = ran.records.remove(test);
        record.unwrap_or_else(|| panic!("no record of {test}:\n{}\n{}", ran.stdout, ran.stderr))
    }

    /// Runs only the test called `test`, and returns the test's verdict.
    ///
    /// # Panics
    ///
    /// When [`Suite::run`] panics, or the run leaves no record of the test.
    #[track_caller]
    #[must_use]
    pub fn verdict_of(&self, test: &str) -> Verdict {
        self.record_of(test).verdict
    }

    /// Returns the number of tests that `--list` prints.
    #[must_use]
    pub fn tests(&self) -> usize {
        let listed = self.run(["--list", "--format", "terse"]);
        listed.stdout.lines().count()
    }

    /// Returns the isolation that [`Suite::new`] received.
    #[must_use]
    pub fn isolation(&self) -> &'static str {
        self.isolation
    }

    /// Returns the path of the suite's history directory.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.home.path().join("history")
    }

    /// Returns the path of the suite's regressions file, which lists failing seeds.
    #[must_use]
    pub fn regressions(&self) -> PathBuf {
        self.home.path().join("regressions.txt")
    }

    /// Returns the pid and the command line of each running process of this suite.
    ///
    /// A process belongs to the suite if its variable `CHAOS_HISTORY` names the suite's history.
    /// Processes in nested PID namespaces are included.
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

    /// Whether any file `timeline.jsonl` below [`Suite::tmp`] contains `text`. Each running test
    /// has such a file.
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

    /// Returns the path of the suite's `TMPDIR`, which contains the runner's temporary directories.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.home.path().join("tmp")
    }

    /// Returns the latest record of each test in the history. The keys are the tests' names.
    ///
    /// Records that are cut short are left out.
    ///
    /// # Panics
    ///
    /// When a file in the history's `records` directory cannot be read, or holds no record.
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

/// Reads a record. Returns `None` if the file is cut short, for example because the runner was
/// killed.
fn read_record(path: &Path) -> Option<Record> {
    let text = fs::read(path).expect("a record that is listed can be read");
    match serde_json::from_slice(&text) {
        Ok(record) => Some(record),
        Err(error) if error.is_eof() => None,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
