//! One run of one test: the specification for its process, and its directories.

use crate::data::fault_selection::FaultSelection;
use clarity_chaos_record::Seed;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The specification of a case, from the runner to the test's process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CaseSpec {
    /// The test's name.
    pub(crate) name: String,
    /// The path of its function, with the crate.
    pub(crate) path: String,
    /// The test's own seed.
    pub(crate) seed: Seed,
    /// The time limit, in real time.
    pub(crate) timeout: Duration,
    /// The limit for its end after the request to end.
    pub(crate) grace: Duration,
    /// The filter of `tracing` events for the timeline.
    pub(crate) log: String,
    /// The faults that take effect, if not all.
    pub(crate) fault_selection: Option<FaultSelection>,
    /// Whether to delay the start of every other thread.
    pub(crate) late_starts: bool,
    /// Whether its supervisor is in the sandbox. The test's process then restricts itself further,
    /// to this case.
    pub(crate) sandboxed: bool,
    /// Prefixes of the names of threads that are no leak: they live as long as their process.
    pub(crate) lasting_threads: Vec<String>,
}

/// Whether to keep the directory of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeepPolicy {
    /// As `--keep-dirs` says.
    AsConfigured,
    /// Never, for one of many similar runs.
    Never,
}

/// The directory of a worker, which runs one case after another.
///
/// ```text
/// 1/
///   output             stdout and stderr of its cases, interleaved, one case after another
///   timeline.jsonl     the events of its cases, one case after another
///   work/              the only directory that its tests may write to
///     worker-tmp/      temporary files of the running case: TMPDIR
///     NAME/            a case
///       dir/           the test's own directory: Context::dir()
///       undo/          the journal and copies for undoing faults, if any
/// ```
///
/// No test's name contains a hyphen, so no case is called `worker-tmp`. A kept case directory gets
/// copies of the case's parts of the files, and the temporary files. A case directory with an empty
/// `dir/` is reused for the next case.
// Creating and removing files is the largest cost around an empty test. So cases append to the same
// files, and the runner remembers the start of each case's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkerDir {
    root: PathBuf,
}

impl WorkerDir {
    /// Creates the directory, in the directory `run` of the run.
    pub(crate) fn create(run: &Path, number: usize) -> io::Result<Self> {
        let worker = Self {
            root: run.join(number.to_string()),
        };
        fs::create_dir(&worker.root)?;
        fs::create_dir(worker.work())?;
        fs::create_dir(worker.tmp())?;
        File::create_new(worker.output())?;
        File::create_new(worker.timeline())?;
        Ok(worker)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The only directory that the worker's tests may write to.
    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.work().join("worker-tmp")
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
    /// A case of a worker. Its directory does not exist yet.
    pub(crate) fn new(worker: &WorkerDir, spec: CaseSpec) -> Self {
        Self {
            root: worker.work().join(file_name(&spec.name)),
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

    pub(crate) fn undo(&self) -> PathBuf {
        self.root.join("undo")
    }

    /// The file of its events, appended.
    pub(crate) fn timeline(&self) -> PathBuf {
        self.worker.timeline()
    }

    /// The file of its output, appended.
    pub(crate) fn output(&self) -> PathBuf {
        self.worker.output()
    }
}

/// The longest file name without a hash, in bytes. File systems allow 255, and paths have a limit
/// too.
const MAX_NAME: usize = 120;

/// A test's name as a file name: `corruption::one_bit` becomes `corruption.one_bit`. A long name is
/// cut and gets a hash.
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
