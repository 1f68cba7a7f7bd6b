//! Moves a file or directory aside, and records the steps that move it back.

use super::{FaultError, Injection, UndoCondition, UndoStep};
use crate::os::resource_limit::with_limits_lifted;
use std::fs;
use std::io;
use std::path::Path;

/// The replacement that a fault puts at the path of a moved file or directory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Placeholder<'a> {
    Nothing,
    EmptyDirectory,
    SymlinkTo(&'a Path),
}

/// Moves the file or directory at `path` aside, and puts the placeholder at `path`.
///
/// The moved file or directory keeps its owner, mode, times and links. The undo step moves the file
/// or directory back, and so restores all of them.
pub(super) fn move_aside(
    path: &Path,
    placeholder: Placeholder<'_>,
    injection: &Injection,
) -> Result<(), FaultError> {
    with_limits_lifted(|| {
        let aside = injection.scratch()?.join("aside");
        injection.record(UndoStep::rename(&aside, path))?;
        fs::rename(path, &aside).map_err(FaultError::file("move aside", path))?;
        let at = path.to_owned();
        let condition = match placeholder {
            Placeholder::Nothing => return Ok(()),
            Placeholder::EmptyDirectory => UndoCondition::EmptyDirectory { path: at },
            Placeholder::SymlinkTo(to) => UndoCondition::Symlink {
                path: at,
                to: to.to_owned(),
            },
        };
        injection.record(UndoStep::remove(path).only_if(condition))?;
        placeholder
            .put(path)
            .map_err(FaultError::file("put a placeholder at", path))?;
        injection.created(path)
    })
}

impl Placeholder<'_> {
    fn put(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::EmptyDirectory => fs::create_dir(path),
            #[cfg(unix)]
            Self::SymlinkTo(to) => std::os::unix::fs::symlink(to, path),
            #[cfg(windows)]
            Self::SymlinkTo(to) => std::os::windows::fs::symlink_file(to, path),
        }
    }
}
