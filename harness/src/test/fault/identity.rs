//! How to tell whether a file is still as a fault has left it.

use super::FaultError;
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata};
use std::path::Path;
use std::time::SystemTime;

/// Which file it is, how long, and when it was last written. Any write by somebody else changes it, and so does a new file in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    #[cfg(unix)]
    inode: (u64, u64),
    size: u64,
    modified: Option<SystemTime>,
}

impl Identity {
    pub(super) fn of(file: &File, path: &Path) -> Result<Self, FaultError> {
        let metadata = file.metadata();
        Ok(Self::from(
            &metadata.map_err(FaultError::file("look at", path))?,
        ))
    }
}

impl From<&Metadata> for Identity {
    fn from(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            #[cfg(unix)]
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            modified: metadata.modified().ok(),
        }
    }
}
