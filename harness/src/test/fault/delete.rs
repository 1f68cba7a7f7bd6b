//! A fault that deletes a file or directory.

use super::move_aside::{Placeholder, move_aside};
use super::{Fault, FaultError, Injection, Undo};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;

/// Deletes a file, or a directory with all its content. Undoing the fault restores the original
/// file or directory.
#[derive(Clone, Debug)]
pub struct Delete {
    path: PathBuf,
}

/// The plan of a [`Delete`] fault. The plan is empty, since the fault draws nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeletePlan {}

impl Delete {
    /// Deletes the file or directory at `path`. The path must be on the file system of the test's
    /// directory.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Fault for Delete {
    type Plan = DeletePlan;
    const KIND: &'static str = "delete";

    fn describe(_plan: &DeletePlan, target: &str) -> String {
        format!("{target} deleted")
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<DeletePlan, FaultError> {
        fs::symlink_metadata(&self.path).map_err(FaultError::file("look at", &self.path))?;
        Ok(DeletePlan {})
    }

    fn apply(&self, _plan: &DeletePlan, injection: &Injection) -> Result<Undo, FaultError> {
        move_aside(&self.path, Placeholder::Nothing, injection)?;
        Ok(Undo::steps())
    }
}
