//! A fault that puts a directory or a symlink in the place of a file.

use super::move_aside::{Placeholder, move_aside};
use super::{Fault, FaultError, Injection, Undo};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;

/// Replaces a file or directory. The replacement is an empty directory or a symlink.
#[derive(Clone, Debug)]
pub struct Displace {
    path: PathBuf,
    by: DisplacePlan,
}

/// The plan of a [`Displace`] fault: the replacement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DisplacePlan {
    /// An empty directory.
    Directory,
    /// A symlink to this path.
    Symlink(PathBuf),
}

impl Displace {
    /// Replaces the file or directory at `path` with an empty directory. The path must be on the
    /// file system of the test's directory.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            by: DisplacePlan::Directory,
        }
    }

    /// Uses a symlink to `to` as the replacement. `to` need not exist.
    #[must_use]
    pub fn by_symlink(self, to: impl Into<PathBuf>) -> Self {
        Self {
            by: DisplacePlan::Symlink(to.into()),
            ..self
        }
    }
}

impl Fault for Displace {
    type Plan = DisplacePlan;
    const KIND: &'static str = "displace";

    fn describe(by: &DisplacePlan, target: &str) -> String {
        match by {
            DisplacePlan::Directory => format!("an empty directory in the place of {target}"),
            DisplacePlan::Symlink(to) => {
                let to = to.file_name().unwrap_or(to.as_os_str()).display();
                format!("a symlink to {to} in the place of {target}")
            }
        }
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<DisplacePlan, FaultError> {
        fs::symlink_metadata(&self.path).map_err(FaultError::file("look at", &self.path))?;
        Ok(self.by.clone())
    }

    fn apply(&self, by: &DisplacePlan, injection: &Injection) -> Result<Undo, FaultError> {
        let placeholder = match by {
            DisplacePlan::Directory => Placeholder::EmptyDirectory,
            DisplacePlan::Symlink(to) => Placeholder::SymlinkTo(to),
        };
        move_aside(&self.path, placeholder, injection)?;
        Ok(Undo::steps())
    }
}
