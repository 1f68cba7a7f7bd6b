//! Something of another kind in a file's place.

use super::aside::{Aside, StandIn};
use super::limit::lifted;
use super::{Fault, FaultError, Undo};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Takes a file or a folder out of its place, and puts an empty folder or a symbolic link there.
#[derive(Clone, Debug)]
pub struct Displace {
    path: PathBuf,
    by: DisplacedBy,
}

/// What stands in the place now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DisplacedBy {
    /// An empty folder.
    Folder,
    /// A symbolic link to there.
    Link(PathBuf),
}

impl Displace {
    /// Puts an empty folder in the place of what stands at `path`, which must be on the same file system as the test's directory.
    pub fn by_folder(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            by: DisplacedBy::Folder,
        }
    }

    /// Puts a symbolic link to `to` there, which need not lead anywhere.
    pub fn by_link(path: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            by: DisplacedBy::Link(to.into()),
        }
    }
}

impl Fault for Displace {
    type Plan = DisplacedBy;
    const KIND: &'static str = "displace";

    fn describe(by: &DisplacedBy, target: &str) -> String {
        match by {
            DisplacedBy::Folder => format!("an empty folder in the place of {target}"),
            DisplacedBy::Link(to) => {
                let to = to.file_name().unwrap_or(to.as_os_str()).display();
                format!("a symbolic link to {to} in the place of {target}")
            }
        }
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<DisplacedBy, FaultError> {
        fs::symlink_metadata(&self.path).map_err(FaultError::file("look at", &self.path))?;
        Ok(self.by.clone())
    }

    fn apply(&self, by: &DisplacedBy, scratch: &Path) -> Result<Undo, FaultError> {
        let stand_in = match by {
            DisplacedBy::Folder => StandIn::Folder,
            DisplacedBy::Link(to) => StandIn::Link(to.clone()),
        };
        lifted(|| Aside::take(&self.path, stand_in, scratch))
    }
}
