//! The file `checksums.json`, an older format of manifests: one file for all models.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Result, read};
use crate::{Digest, FileEntry, FilePath};

/// The models in the file, in the order of the file.
pub(super) struct Checksums(pub(super) Vec<(String, ModelChecksums)>);

/// The size and the files of one model.
#[derive(Deserialize)]
pub(super) struct ModelChecksums {
    total_size_bytes: u64,
    files: OrderedObject<FileChecksum>,
}

#[derive(Deserialize)]
struct FileChecksum {
    checksum: String,
    size_bytes: u64,
    algorithm: String,
}

impl Checksums {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let OrderedObject(models) = serde_json::from_slice(&read(path)?)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(models))
    }
}

impl ModelChecksums {
    /// Converts the files to manifest entries. Refuses algorithms other than SHA-256, and a wrong
    /// total size.
    pub(super) fn files(&self) -> Result<BTreeMap<FilePath, FileEntry>> {
        let mut files = BTreeMap::new();
        for (path, file) in &self.files.0 {
            if file.algorithm != "sha256" {
                let found = &file.algorithm;
                return Err(
                    format!("{path}: expected the algorithm sha256, found {found:?}").into(),
                );
            }
            let sha256: Digest = file
                .checksum
                .to_ascii_lowercase()
                .parse()
                .map_err(|error| format!("{path}: {error}"))?;
            let size = file.size_bytes;
            files.insert(path.parse()?, FileEntry::new(size, sha256));
        }
        let sizes = files.values().map(|file| file.size);
        let (expected, found) = (self.total_size_bytes, sizes.fold(0, u64::saturating_add));
        match expected == found {
            true => Ok(files),
            false => Err(format!(
                "total_size_bytes: expected {found}, the sum of the sizes, found {expected}"
            )
            .into()),
        }
    }
}

/// A JSON object that keeps the order of its members and refuses duplicate names.
// A plain map would silently keep the last of two members with the same name.
struct OrderedObject<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrderedObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct OrderedObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OrderedObjectVisitor<T> {
            type Value = OrderedObject<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<OrderedObject<T>, A::Error> {
                let mut seen = BTreeSet::new();
                let mut entries = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, T>()? {
                    if !seen.insert(name.clone()) {
                        return Err(A::Error::custom(format_args!("{name} is listed twice")));
                    }
                    entries.push((name, value));
                }
                Ok(OrderedObject(entries))
            }
        }

        deserializer.deserialize_map(OrderedObjectVisitor(PhantomData))
    }
}
