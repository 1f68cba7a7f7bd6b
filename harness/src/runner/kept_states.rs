//! The directory with copies of states in which the invariant of an exploration did not hold.

use crate::data::case::{Case, file_name};
use crate::os::directory;
use clarity_chaos_record::Seed;
use std::io;
use std::path::{Path, PathBuf};

/// The copies of one test target. Each case has a directory of its own: `NAME/ROOT-SEED`.
#[derive(Clone, Debug)]
pub(crate) struct KeptStates {
    root: PathBuf,
}

impl KeptStates {
    /// Describes the copies in the directory `root`. Creates nothing.
    pub(crate) fn new(root: &Path) -> io::Result<Self> {
        Ok(Self {
            root: std::path::absolute(root)?,
        })
    }

    /// Returns the directory for the copies of a case.
    pub(crate) fn of_case(&self, test: &str, root_seed: Seed) -> PathBuf {
        self.root.join(file_name(test)).join(root_seed.to_string())
    }

    /// Removes the copies that earlier runs of these tests left.
    pub(crate) fn clear<'a>(&self, tests: impl Iterator<Item = &'a str>) -> io::Result<()> {
        for test in tests {
            let states = self.root.join(file_name(test));
            match directory::remove(&states) {
                // A file is where the history should be, so there are no states.
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
                removed => removed.map_err(|error| with_path(&states, &error))?,
            }
        }
        Ok(())
    }

    /// Moves the copies of a failed case out of the case's directory. Does nothing if there are
    /// none.
    ///
    /// # Errors
    ///
    /// When the copies cannot be moved. They stay in the case's directory.
    pub(crate) fn collect(case: &Case) -> io::Result<()> {
        #[cfg(unix)]
        if let Some(to) = &case.spec.kept_states
            && std::fs::symlink_metadata(case.states()).is_ok_and(|found| found.is_dir())
        {
            let moved = crate::os::directory_move::move_directory(&case.states(), to);
            moved.map_err(|error| with_path(to, &error))?;
        }
        #[cfg(not(unix))]
        let _ = case;
        Ok(())
    }
}

fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
