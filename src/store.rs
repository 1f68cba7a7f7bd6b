//! Versions on disk: what there is, opened verified, published, held back, removed.
//!
//! ```text
//! models/                 the store
//!   cole_kripke/          a model
//!     1/                  a version
//!       manifest.json     what it promises
//!       model.onnx        its files
//!     1.quarantine.json   why it is held back, if it is
//!     2/…
//! ```

mod error;
mod hidden;
mod listing;
mod opening;
mod parallel;
mod publish;
mod quarantine;
mod read;
mod remove;
mod scrub;
mod signature;
#[cfg(test)]
mod tests;
mod unverified;
mod verified_version;

use std::path::{Path, PathBuf};

pub use self::error::VerifyError;
pub use self::listing::{Listing, Mistake};
pub use self::publish::{PublishError, Source, Staged};
pub use self::quarantine::{Quarantine, QuarantineCause};
pub(crate) use self::scrub::{Scrubbing, Step};
pub(crate) use self::signature::{Signature, VersionSignature};
pub use self::verified_version::VerifiedVersion;
use crate::{ModelName, Version};

/// A folder of models, each a folder of versions, each with its manifest.
///
/// All calls block on the file system: servers make them on an [`Executor`](crate::Executor).
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store in the folder `root`, which need not exist yet: only publishing creates it.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn model_folder(&self, model: &ModelName) -> PathBuf {
        self.root.join(model.as_str())
    }

    fn version_folder(&self, model: &ModelName, version: Version) -> PathBuf {
        self.model_folder(model).join(version.to_string())
    }
}
