//! A cheap sign that something on disk may have changed.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::{Listing, Mistake, Quarantine, Store};
use crate::manifest::{MAX_DEPTH, Manifest};
use crate::{ModelName, Version};

/// What can be told of a model's folder without reading a file of a version: its versions, and of each file the size, the
/// time of modification and, on Unix, the inode and the time of its last change; and which versions are held back.
///
/// Equal signatures do not prove equal bytes (two writes within one tick of the file system's clock look alike), which
/// is why bytes are verified at every load and a bad version is tried again even when nothing seems to have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) versions: BTreeMap<Version, VersionSignature>,
    pub(crate) quarantined: BTreeMap<Version, Quarantine>,
    pub(crate) mistakes: Vec<Mistake>,
}

/// The part of a [`Signature`] that is about one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VersionSignature(Vec<(String, Option<Stamp>)>);

type Stamp = (bool, u64, Option<SystemTime>, [i64; 4]);

impl Store {
    /// The signature of a model. A folder that is not there has no versions.
    pub(crate) fn signature(&self, model: &ModelName) -> io::Result<Signature> {
        let Listing { entries, mistakes } = match self.versions(model) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Signature {
                    versions: BTreeMap::new(),
                    quarantined: BTreeMap::new(),
                    mistakes: Vec::new(),
                });
            }
            listing => listing?,
        };
        let of_version = |version| {
            (
                version,
                VersionSignature::of(&self.version_folder(model, version)),
            )
        };
        let held = |&version: &Version| Some((version, self.quarantined(model, version)?));
        Ok(Signature {
            quarantined: entries.iter().filter_map(held).collect(),
            versions: entries.into_iter().map(of_version).collect(),
            mistakes,
        })
    }
}

impl VersionSignature {
    /// What cannot be read is part of the signature too: it changes when it can be read again.
    fn of(folder: &Path) -> Self {
        let mut found = Vec::new();
        let mut folders = vec![(folder.to_owned(), String::new(), 0)];
        while let Some((folder, prefix, depth)) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                // Enough to see that there is too much.
                if found.len() > 2 * Manifest::MAX_FILES {
                    break;
                }
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                let metadata = entry.metadata().ok();
                if depth < MAX_DEPTH && metadata.as_ref().is_some_and(Metadata::is_dir) {
                    folders.push((entry.path(), format!("{name}/"), depth + 1));
                }
                found.push((name, metadata.map(|metadata| stamp(&metadata))));
            }
        }
        found.sort();
        Self(found)
    }
}

fn stamp(metadata: &Metadata) -> Stamp {
    #[cfg(unix)]
    let more = {
        use std::os::unix::fs::MetadataExt;
        [
            metadata.ino().cast_signed(),
            metadata.ctime(),
            metadata.ctime_nsec(),
            metadata.mode().into(),
        ]
    };
    #[cfg(not(unix))]
    let more = [0; 4];
    (
        metadata.is_file(),
        metadata.len(),
        metadata.modified().ok(),
        more,
    )
}
