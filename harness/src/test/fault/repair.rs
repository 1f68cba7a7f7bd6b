//! What it takes to undo a fault when the process that injected it is gone.
//!
//! A test that is killed undoes nothing. What it has damaged in its own directory is removed with that; for damage elsewhere the way back is written
//! beside the test before the damage is done, and the runner goes it after the process has ended.

use super::{FaultError, UndoOutcome};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

/// The way back stands in a file of this name, in the folder of its fault.
const FILE: &str = "repair.json";

/// The way back from one fault.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Repair {
    /// Bytes of a file were changed, and are kept beside.
    Splice(super::splice::Kept),
    /// Something was moved aside.
    Move(super::aside::Aside),
    /// Rights of a file were changed.
    Rights(super::permissions::Kept),
}

impl Repair {
    /// Whether damage to this path outlives a test whose faults have their folders here.
    pub(super) fn is_needed(path: &Path, scratch: &Path) -> bool {
        // The folder of the fault is in that of all faults, and that in the test's.
        let of_test = scratch.parent().and_then(Path::parent);
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let of_test = of_test.map(|folder| fs::canonicalize(folder).unwrap_or(folder.to_owned()));
        of_test.is_none_or(|folder| !real.starts_with(folder))
    }

    /// Writes it down.
    pub(super) fn keep(&self, scratch: &Path) -> Result<(), FaultError> {
        let json = serde_json::to_vec(self).map_err(|error| FaultError::Other(Box::new(error)))?;
        let file = scratch.join(FILE);
        let draft = scratch.join("draft");
        fs::create_dir_all(scratch)
            .and_then(|()| fs::write(&draft, json))
            .and_then(|()| fs::rename(&draft, &file))
            .map_err(FaultError::file("write", &file))
    }

    /// It has been gone, or is not needed any more.
    pub(super) fn forget(scratch: &Path) {
        // Where it cannot be removed the damage is found to be mended already.
        let _ = fs::remove_file(scratch.join(FILE));
    }

    fn run(self, scratch: &Path) -> Result<UndoOutcome, FaultError> {
        match self {
            Self::Splice(kept) => kept.take_back(scratch),
            Self::Move(aside) => aside.put_back(),
            Self::Rights(kept) => kept.take_back(),
        }
    }
}

/// Undoes the faults that a process left in effect, the latest first, as far as it has written down how; gives their numbers. To be called when the
/// process has ended. What stands in the folder is believed, so it must have been free to do the same itself.
pub(crate) fn after_the_end(of_all_faults: &Path) -> Vec<(usize, UndoOutcome)> {
    let entries = fs::read_dir(of_all_faults).into_iter().flatten().flatten();
    let mut numbers: Vec<usize> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let undone = numbers.into_iter().filter_map(|number| {
        let scratch = of_all_faults.join(number.to_string());
        let file = scratch.join(FILE);
        let json = match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            read => read.map_err(FaultError::file("read", &file)),
        };
        let repaired = json.and_then(|json| {
            let repair: Repair = serde_json::from_slice(&json)
                .map_err(|error| FaultError::Other(Box::new(error)))?;
            repair.run(&scratch)
        });
        let undone = repaired.unwrap_or_else(|error| UndoOutcome::Failed {
            error: error.to_string(),
        });
        Some((number, undone))
    });
    undone.collect()
}
