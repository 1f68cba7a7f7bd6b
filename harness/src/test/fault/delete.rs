//! A file that is gone.

use super::aside::{Aside, StandIn};
use super::limit::lifted;
use super::{Fault, FaultError, Undo};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Takes a file or a folder, with all it holds, out of its place.
#[derive(Clone, Debug)]
pub struct Delete {
    path: PathBuf,
}

/// Nothing is drawn: a file is there or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {}

impl Delete {
    /// Deletes what stands at `path`. It must be on the same file system as the test's directory.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Fault for Delete {
    type Plan = Gone;
    const KIND: &'static str = "delete";

    fn describe(_plan: &Gone, target: &str) -> String {
        format!("{target} deleted")
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<Gone, FaultError> {
        fs::symlink_metadata(&self.path).map_err(FaultError::file("look at", &self.path))?;
        Ok(Gone {})
    }

    fn apply(&self, _plan: &Gone, scratch: &Path) -> Result<Undo, FaultError> {
        lifted(|| Aside::take(&self.path, StandIn::Nothing, scratch))
    }
}
