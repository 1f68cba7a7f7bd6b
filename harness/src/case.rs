//! One run of one test: what its process is told, and the folder that all about it is in.

use crate::seed::Seed;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The order to run a test, as the runner hands it to the test's process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CaseSpec {
    /// The test's name.
    pub(crate) name: String,
    /// The test's own seed.
    pub(crate) seed: Seed,
    /// How long it may take, in real time.
    pub(crate) timeout: Duration,
    /// How long it may take to end after it was asked to.
    pub(crate) grace: Duration,
    /// Which `tracing` events go on the timeline.
    pub(crate) log: String,
}

/// The folder of a case.
///
/// ```text
/// NAME/
///   dir/             the test's own directory: Context::dir()
///   tmp/             its temporary files: TMPDIR
///   undo/            what undoing its faults will need
///   spec.json        the order to run it
///   timeline.jsonl   its events, written as they happen
///   output           what it printed, stdout and stderr in order
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CaseDir {
    root: PathBuf,
}

impl CaseDir {
    /// Makes the folder of the case below `run`, and puts the order there.
    pub(crate) fn create(run: &Path, spec: &CaseSpec) -> io::Result<Self> {
        let case = Self::at(run.join(file_name(&spec.name)));
        fs::create_dir(&case.root)?;
        fs::create_dir(case.dir())?;
        fs::create_dir(case.tmp())?;
        fs::create_dir(case.undo())?;
        fs::write(case.spec(), serde_json::to_vec(spec)?)?;
        Ok(case)
    }

    /// The folder that a process of the case was told.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Reads the order back.
    pub(crate) fn read_spec(&self) -> io::Result<CaseSpec> {
        Ok(serde_json::from_slice(&fs::read(self.spec())?)?)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.root.join("dir")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(crate) fn undo(&self) -> PathBuf {
        self.root.join("undo")
    }

    pub(crate) fn spec(&self) -> PathBuf {
        self.root.join("spec.json")
    }

    pub(crate) fn timeline(&self) -> PathBuf {
        self.root.join("timeline.jsonl")
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.root.join("output")
    }
}

/// A test's name as the name of a file, on every system: `corruption::one_bit` becomes `corruption.one_bit`.
pub(crate) fn file_name(test: &str) -> String {
    test.replace("::", ".")
}
