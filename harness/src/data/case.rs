//! The specification and the directories of a case. A case is one run of one test.

use crate::data::fault_selection::FaultSelection;
use crate::data::service::VisibleServices;
use clarity_chaos_record::Seed;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The specification of a case: the runner sends it to the test's process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CaseSpec {
    /// The test's name.
    pub(crate) name: String,
    /// The path of the test's function, including the crate.
    pub(crate) path: String,
    /// The test's own seed, derived from the root seed.
    pub(crate) seed: Seed,
    /// The timeout of the test, in real time.
    pub(crate) timeout: Duration,
    /// The time within which the test must end after the supervisor's request. After this time the
    /// test is killed.
    pub(crate) grace: Duration,
    /// The filter that selects `tracing` events for the timeline.
    pub(crate) log: String,
    /// The faults that take effect. `None` if all faults take effect.
    pub(crate) fault_selection: Option<FaultSelection>,
    /// Whether every second thread of the test starts late.
    pub(crate) late_starts: bool,
    /// Whether the case's supervisor is in the sandbox. If so, the test's process restricts itself
    /// further, to this case's directory.
    pub(crate) sandboxed: bool,
    /// Whether the test has a home directory of its own.
    pub(crate) own_home: bool,
    /// The directory to which the runner moves copies of states with a broken invariant. `None` if
    /// the case keeps no copies.
    pub(crate) kept_states: Option<PathBuf>,
    /// Prefixes of thread names. A thread with one of these prefixes may last as long as its
    /// process, and is not a leak.
    pub(crate) lasting_threads: Vec<String>,
    /// The services and values of the run's set-up.
    pub(crate) services: VisibleServices,
}

/// Whether the directory of a case is kept after the case has ended. A directory with an unfinished
/// undo journal is always kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeepPolicy {
    /// Keeps the directory if `--keep-dirs` requires it.
    AsConfigured,
    /// Removes the directory: the case is one of many similar runs.
    Never,
}

/// The directory of a worker. A worker runs one case after another.
///
/// The name of the directory says whether the worker is in the sandbox: `1`, or `1o` outside of the
/// sandbox. Sandboxed tests cannot change the name. A later run trusts only the undo journals of
/// workers outside of the sandbox.
///
/// ```text
/// 1/
///   output             stdout and stderr of its cases, interleaved, one case after another
///   timeline.jsonl     the events of its cases, one case after another
///   gitconfig          Git's settings of the system, for sandboxed tests
///   resolv.conf        the name server of its cases, in the sandbox
///   work/              the only directory that its tests may write to
///     t/               temporary files of the running case: TMPDIR
///     c/               the running case
///       dir/           the test's own directory: Context::dir()
///       home/          the home directory of a sandboxed test: HOME
///       undo/          the journal and copies for undoing faults, if any
///       exploring      the progress of a running exploration
///       states/        copies of states in which an invariant does not hold, if any
/// ```
///
/// No path depends on the test's name. A kept case directory also gets copies of `output` and
/// `timeline.jsonl`, the temporary files, and a file `test` with the test's name. The runner
/// empties `output` and `timeline.jsonl` before each case. If the `dir/` and the `home/` of a case
/// are empty, the next case reuses the directory of that case.
//
// The path of a Unix socket holds at most 107 bytes. The names are therefore short: a run's
// directory, a worker's name of up to 6 bytes, and `work/c/home` have 40 bytes together.
// Creating and removing files is the largest overhead of an empty test. So all cases use the same
// two files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkerDir {
    root: PathBuf,
}

/// The name of the directory of a case's undo journals.
const UNDO: &str = "undo";

/// The end of the names of workers outside of the sandbox.
const OPEN: &str = "o";

/// The name of the directory of the run's set-up, without [`OPEN`].
const SETUP: &str = "s";

impl WorkerDir {
    /// Creates the directory of the worker `name` inside the run's directory, `run`.
    pub(crate) fn create(run: &Path, name: &str, is_sandboxed: bool) -> io::Result<Self> {
        let end = if is_sandboxed { "" } else { OPEN };
        let worker = Self {
            root: run.join(format!("{name}{end}")),
        };
        fs::create_dir(&worker.root)?;
        fs::create_dir(worker.work())?;
        fs::create_dir(worker.tmp())?;
        File::create_new(worker.output())?;
        File::create_new(worker.timeline())?;
        Ok(worker)
    }

    /// Creates the directory of the run's set-up, inside the run's directory, `run`. The set-up is
    /// outside of the sandbox, and is recovered as a worker is.
    pub(crate) fn create_for_setup(run: &Path) -> io::Result<Self> {
        Self::create(run, SETUP, false)
    }

    /// Whether this is the directory of the run's set-up.
    pub(crate) fn is_setup(&self) -> bool {
        let name = self.root.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.strip_suffix(OPEN)) == Some(SETUP)
    }

    /// Returns the directories of all workers in the run's directory, `run`.
    pub(crate) fn all_in(run: &Path) -> Vec<Self> {
        let entries = fs::read_dir(run).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| Self { root: entry.path() })
            .collect()
    }

    /// Whether the worker is outside of the sandbox.
    pub(crate) fn is_open(&self) -> bool {
        let name = self.root.file_name();
        name.is_some_and(|name| name.as_encoded_bytes().ends_with(OPEN.as_bytes()))
    }

    /// Returns the directories of the undo journals of all cases.
    pub(crate) fn undo_dirs(&self) -> Vec<PathBuf> {
        let cases = fs::read_dir(self.work()).into_iter().flatten().flatten();
        cases.map(|case| case.path().join(UNDO)).collect()
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The only directory that the worker's tests may write to.
    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.work().join("t")
    }

    /// The directory of the running case.
    pub(crate) fn case(&self) -> PathBuf {
        self.work().join("c")
    }

    /// The directory of the undo journals of the running case.
    pub(crate) fn undo(&self) -> PathBuf {
        self.case().join(UNDO)
    }

    /// The home directory of the running test, if the test is in the sandbox.
    pub(crate) fn home(&self) -> PathBuf {
        self.case().join("home")
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn git_settings(&self) -> PathBuf {
        self.root.join("gitconfig")
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.root.join("output")
    }

    pub(crate) fn timeline(&self) -> PathBuf {
        self.root.join("timeline.jsonl")
    }
}

/// One run of one test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) spec: CaseSpec,
    worker: WorkerDir,
    root: PathBuf,
}

impl Case {
    /// Describes a case of `worker`. Does not create the case's directory.
    pub(crate) fn new(worker: &WorkerDir, spec: CaseSpec) -> Self {
        Self {
            root: worker.case(),
            worker: worker.clone(),
            spec,
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn worker_dir(&self) -> &WorkerDir {
        &self.worker
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.root.join("dir")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.worker.tmp()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.worker.home()
    }

    /// The file that says how far a running exploration is.
    pub(crate) fn exploring(&self) -> PathBuf {
        self.root.join("exploring")
    }

    pub(crate) fn states(&self) -> PathBuf {
        self.root.join("states")
    }

    pub(crate) fn undo(&self) -> PathBuf {
        self.root.join(UNDO)
    }

    /// The file to which the case's events are appended.
    pub(crate) fn timeline(&self) -> PathBuf {
        self.worker.timeline()
    }

    /// The file to which the case's output is appended.
    pub(crate) fn output(&self) -> PathBuf {
        self.worker.output()
    }
}

/// The maximum length of a file name without its hash, in bytes. File systems allow 255 bytes for a
/// name, and also limit the length of whole paths.
const MAX_NAME: usize = 120;

/// Converts a test's name to a file name: `corruption::one_bit` becomes `corruption.one_bit`. A
/// name over `MAX_NAME` bytes is cut and gets a hash.
pub(crate) fn file_name(test: &str) -> String {
    let mut name = test.replace("::", ".").replace("r#", "");
    if name.len() > MAX_NAME {
        let mut cut = MAX_NAME;
        while !name.is_char_boundary(cut) {
            cut -= 1;
        }
        name.truncate(cut);
        let hash = Seed::new(0).child("file name", test).get();
        name.push_str(&format!("-{hash:016x}"));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worker_dir_adds_few_bytes_to_a_run() {
        let run = tempfile::tempdir().unwrap();
        for (name, is_sandboxed) in [("999999", true), ("99999", false)] {
            let worker = WorkerDir::create(run.path(), name, is_sandboxed).unwrap();
            assert_eq!(worker.is_open(), !is_sandboxed);
            for path in [worker.home(), worker.case().join("dir"), worker.tmp()] {
                let added = path.strip_prefix(run.path()).unwrap();
                assert!(added.as_os_str().len() <= 18, "{}", added.display());
            }
        }
    }

    #[test]
    fn file_name_of_a_long_name_is_cut_and_stays_unique() {
        let (a, b) = (
            "m::".to_owned() + &"a".repeat(300),
            "m::".to_owned() + &"a".repeat(301),
        );
        assert_eq!(file_name("corruption::one_bit"), "corruption.one_bit");
        assert!(file_name(&a).len() < 150);
        assert_ne!(file_name(&a), file_name(&b));
    }
}
