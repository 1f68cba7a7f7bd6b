//! Deserializes the table of files in a manifest. Refuses duplicates and tables that are too long.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::Deserializer;
use serde::de::{Error as _, MapAccess, Visitor};

use super::{FileEntry, FilePath, Manifest};

/// Deserializes the table. Refuses duplicate paths and more than `Manifest::MAX_FILES` files.
// A plain map would silently keep only the last of several files with the same path.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<FilePath, FileEntry>, D::Error> {
    deserializer.deserialize_map(FileTableVisitor)
}

struct FileTableVisitor;

impl<'de> Visitor<'de> for FileTableVisitor {
    type Value = BTreeMap<FilePath, FileEntry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of files")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut files = BTreeMap::new();
        while let Some((path, file)) = map.next_entry::<FilePath, FileEntry>()? {
            if files.len() == Manifest::MAX_FILES {
                return Err(A::Error::custom(format_args!(
                    "more than {} files",
                    Manifest::MAX_FILES
                )));
            }
            match files.entry(path) {
                Entry::Vacant(place) => place.insert(file),
                Entry::Occupied(place) => {
                    return Err(A::Error::custom(format_args!(
                        "the file {} is listed twice",
                        place.key()
                    )));
                }
            };
        }
        Ok(files)
    }
}
