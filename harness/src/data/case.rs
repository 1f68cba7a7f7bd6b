//! One run of one test: what its process is told, and the folders that all about it is in.

use crate::data::fault_selection::FaultSelection;
use clarity_chaos_record::Seed;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The order to run a test, as the runner hands it to the test's process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CaseSpec {
    /// The test's name.
    pub(crate) name: String,
    /// The path of its function, with the crate.
    pub(crate) path: String,
    /// The test's own seed.
    pub(crate) seed: Seed,
    /// How long it may take, in real time.
    pub(crate) timeout: Duration,
    /// How long it may take to end after it was asked to.
    pub(crate) grace: Duration,
    /// Which `tracing` events go on the timeline.
    pub(crate) log: String,
    /// Which of its faults take effect, if not all.
    pub(crate) fault_selection: Option<FaultSelection>,
    /// Whether some of its threads begin late.
    pub(crate) late_starts: bool,
    /// Whether its process is inside the walls of its supervisor, and is to narrow them to this case.
    pub(crate) sandboxed: bool,
    /// Prefixes of the names of threads that are no leak: they live as long as their process.
    pub(crate) lasting_threads: Vec<String>,
}

/// Whether the folder of a case that fails may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// As `--keep-dirs` says.
    AsAsked,
    /// It is not: there are others like it.
    Nothing,
}

/// The folder of a slot, which has one case after the other.
///
/// ```text
/// 1/
///   output             what its cases print, stdout and stderr in order, one after the other
///   timeline.jsonl     their events, likewise
///   work/              all that its tests may write to
///     slot-tmp/        temporary files of the case that runs: TMPDIR
///     NAME/            a case
///       dir/           the test's own directory: Context::dir()
///       undo/          what undoing its faults will need, if they need any
/// ```
///
/// No test's name has a hyphen, so the slot's names are its own.
/// Making and removing files is what costs most around an empty test, so the files are appended to, and the runner knows where the part of each case begins. In the folder
/// of a case that is kept are copies of its parts, and its temporary files. One whose `dir/` was left empty becomes the next one's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SlotDir {
    root: PathBuf,
}

impl SlotDir {
    /// Makes the folder, in that of the run.
    pub(crate) fn create(run: &Path, number: usize) -> io::Result<Self> {
        let slot = Self {
            root: run.join(number.to_string()),
        };
        fs::create_dir(&slot.root)?;
        fs::create_dir(slot.work())?;
        fs::create_dir(slot.tmp())?;
        File::create_new(slot.output())?;
        File::create_new(slot.timeline())?;
        Ok(slot)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What tests may write to, and no more.
    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.work().join("slot-tmp")
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
    slot: SlotDir,
    root: PathBuf,
}

impl Case {
    /// A case of a slot, whose folder is still to be made.
    pub(crate) fn new(slot: &SlotDir, spec: CaseSpec) -> Self {
        Self {
            root: slot.work().join(file_name(&spec.name)),
            slot: slot.clone(),
            spec,
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn slot(&self) -> &SlotDir {
        &self.slot
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.root.join("dir")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.slot.tmp()
    }

    pub(crate) fn undo(&self) -> PathBuf {
        self.root.join("undo")
    }

    /// The file that its events are appended to.
    pub(crate) fn timeline(&self) -> PathBuf {
        self.slot.timeline()
    }

    /// The file that what it prints is appended to.
    pub(crate) fn output(&self) -> PathBuf {
        self.slot.output()
    }
}

/// The longest name of a file that is taken over as it is, in bytes: file systems allow 255, and paths have a limit, too.
const LONG: usize = 120;

/// A test's name as the name of a file: `corruption::one_bit` becomes `corruption.one_bit`; of a long one, the beginning and a hash.
pub(crate) fn file_name(test: &str) -> String {
    let mut name = test.replace("::", ".").replace("r#", "");
    if name.len() > LONG {
        let mut cut = LONG;
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
    fn long_names_are_cut_and_stay_different() {
        let (a, b) = (
            "m::".to_owned() + &"a".repeat(300),
            "m::".to_owned() + &"a".repeat(301),
        );
        assert_eq!(file_name("corruption::one_bit"), "corruption.one_bit");
        assert!(file_name(&a).len() < 150);
        assert_ne!(file_name(&a), file_name(&b));
    }
}
