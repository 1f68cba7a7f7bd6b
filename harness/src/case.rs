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
    /// Whether its process is inside the walls of its supervisor, and is to narrow them to this case.
    pub(crate) sandboxed: bool,
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
    /// Makes the folder of the case in that of its slot, and puts the order there.
    pub(crate) fn create(slot: &Path, spec: &CaseSpec) -> io::Result<Self> {
        let case = Self::at(slot.join(file_name(&spec.name)));
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

/// Removes a folder, also one whose owner has taken the rights to it from itself.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_accessible(folder)?;
            fs::remove_dir_all(folder)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(unix)]
fn make_accessible(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_accessible(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_accessible(_folder: &Path) -> io::Result<()> {
    Ok(())
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
