//! A cache of models with the layout of Hugging Face's client.

use crate::Payload;
use clarity::Digest;
use clarity_chaos::Result;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The commit of the only snapshot.
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A cache with one repository.
///
/// ```text
/// models--org--name/refs/main                     the commit
/// models--org--name/blobs/<digest>                the files
/// models--org--name/snapshots/<commit>/model.onnx -> ../../blobs/<digest>
/// ```
#[derive(Debug)]
pub struct HubCache {
    repository: PathBuf,
}

impl HubCache {
    /// A cache at `root`, whose only snapshot has these files.
    ///
    /// # Errors
    ///
    /// When a file cannot be written or linked.
    pub fn with_snapshot(root: &Path, files: &Payload) -> Result<Self> {
        let repository = root.join("models--org--name");
        for directory in ["refs", "blobs", "snapshots"] {
            fs::create_dir_all(repository.join(directory))?;
        }
        fs::write(repository.join("refs/main"), COMMIT)?;
        let cache = Self { repository };
        for (path, bytes) in files {
            let digest = Digest::of(bytes).to_string();
            fs::write(cache.blob(&digest), bytes)?;
            let link = cache.snapshot().join(path);
            fs::create_dir_all(link.parent().unwrap_or(root))?;
            let up = "../".repeat(path.split('/').count() + 1);
            symlink(format!("{up}blobs/{digest}"), link)?;
        }
        Ok(cache)
    }

    /// The directory of the snapshot.
    #[must_use]
    pub fn snapshot(&self) -> PathBuf {
        self.repository.join("snapshots").join(COMMIT)
    }

    /// The path of the blob with this digest.
    #[must_use]
    pub fn blob(&self, digest: &str) -> PathBuf {
        self.repository.join("blobs").join(digest)
    }
}
