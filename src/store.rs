//! Versions on disk: listing, verified opening, publishing, quarantine and removal.
//!
//! ```text
//! models/                 the store
//!   cole_kripke/          a model
//!     1/                  a version
//!       manifest.json     the size and digest of each file of the version
//!       model.onnx        a file of the version
//!     1.quarantine.json   the reason, if version 1 is quarantined
//!     2/…
//! ```

mod arrival;
mod clean;
mod error;
mod exposure;
mod fingerprint;
mod links;
mod listing;
mod open;
mod parallel;
mod publish;
mod quarantine;
mod regular_file;
mod remove;
mod restage;
mod scrub;
mod staging;
mod sync;
#[cfg(test)]
pub(crate) mod tests;
mod unlisted;
mod unverified;
mod verified_file;
mod verified_version;
mod version_directory;
mod walk;

use std::io;
use std::path::{Path, PathBuf};

pub(crate) use self::arrival::{Inventory, Look};
pub use self::error::VerifyError;
pub(crate) use self::exposure::Exposure;
pub(crate) use self::fingerprint::{ModelFingerprint, VersionFingerprint};
use self::links::LinkRoots;
pub use self::listing::{IgnoredEntry, Listing};
pub use self::publish::{PublishError, Source, Staged};
pub use self::quarantine::{Quarantine, QuarantineCause};
pub use self::restage::RestageError;
pub(crate) use self::scrub::{ScrubStep, VersionScrub};
pub use self::verified_version::VerifiedVersion;
use crate::{ModelName, Version};

/// A directory with one directory per model. A model's directory has one directory per version,
/// each with a manifest.
///
/// All calls block on the file system; servers run them on an [`Executor`](crate::Executor).
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    links: LinkRoots,
}

impl Store {
    /// Creates a handle to the store in the directory `root`, and touches no file. If the directory
    /// does not exist, publishing creates it.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            links: LinkRoots::default(),
        }
    }

    /// Also follows symlinks whose targets lie inside of one of these directories. By default, no
    /// symlink below the directory of the store is followed.
    ///
    /// Links that leave all of these directories stay refused. The links of a version are read once
    /// per load, so a link that is swapped in between never mixes two versions.
    ///
    /// A path that begins with `/proc/PID/root` names the files of another process, for example of
    /// another container. It is opened once, by this call. Absolute links inside of it begin at
    /// that root.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let cache = dir.path();
    /// let store = clarity::Store::new("models");
    /// # #[cfg(unix)]
    /// let store = store.follow_links_under(&[cache.to_owned()])?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When a path is no readable directory. Also on systems other than Unix, where no symlink is
    /// followed.
    pub fn follow_links_under(self, roots: &[PathBuf]) -> io::Result<Self> {
        Ok(Self {
            links: LinkRoots::open(roots)?,
            ..self
        })
    }

    /// The directory of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn model_directory(&self, model: &ModelName) -> PathBuf {
        self.root.join(model.as_str())
    }

    fn version_directory(&self, model: &ModelName, version: Version) -> PathBuf {
        self.model_directory(model).join(version.to_string())
    }
}
