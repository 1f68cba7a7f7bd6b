//! A verified version in memory.

use std::collections::BTreeMap;
use std::io::Read;

use super::VerifyError;
use super::verified_file::{compare_digest, read_and_hash};
use crate::manifest::{FilePath, Manifest};
use crate::{Probe, ProbeError};

/// A version in memory whose bytes all match its manifest.
///
/// Only [`Store::open_unverified`](crate::Store::open_unverified) makes a `VerifiedVersion` from
/// unverified bytes. A later change on disk does not change the bytes in memory.
// Every other way to make a `VerifiedVersion` verifies the bytes. So code that takes a
// `VerifiedVersion` never receives unverified bytes by accident.
#[derive(Clone, Debug)]
pub struct VerifiedVersion {
    manifest: Manifest,
    files: BTreeMap<FilePath, Vec<u8>>,
    is_unverified: bool,
}

impl VerifiedVersion {
    pub(super) fn new(manifest: Manifest, files: BTreeMap<FilePath, Vec<u8>>) -> Self {
        Self {
            manifest,
            files,
            is_unverified: false,
        }
    }

    /// Creates a version whose manifest was derived from its files.
    pub(super) fn unverified(manifest: Manifest, files: BTreeMap<FilePath, Vec<u8>>) -> Self {
        Self {
            is_unverified: true,
            ..Self::new(manifest, files)
        }
    }

    /// Whether the version has no manifest on disk.
    ///
    /// Only [`Store::open_unverified`](crate::Store::open_unverified) returns a version without a
    /// manifest.
    pub fn is_unverified(&self) -> bool {
        self.is_unverified
    }

    /// The manifest, which all bytes match.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes of each file, by path.
    pub fn files(&self) -> &BTreeMap<FilePath, Vec<u8>> {
        &self.files
    }

    /// Reads a version that another process sends, and verifies it again.
    ///
    /// Expects the bytes of the files in path order, without separators.
    pub(crate) fn receive(manifest: Manifest, mut from: impl Read) -> Result<Self, VerifyError> {
        let mut files = BTreeMap::new();
        for (path, entry) in manifest.files() {
            let (bytes, found) = read_and_hash(&mut from, path, entry.size)?;
            files.insert(path.clone(), compare_digest(bytes, found, path, entry)?);
        }
        Ok(Self::new(manifest, files))
    }

    /// The probe, if the version has one.
    ///
    /// # Errors
    ///
    /// When the file of the probe is not a valid probe.
    pub fn probe(&self) -> Result<Option<Probe>, ProbeError> {
        let file = self.manifest.probe().and_then(|path| self.files.get(path));
        file.map(|json| Probe::parse(json)).transpose()
    }

    /// Splits the version into its manifest and the bytes of each file.
    pub fn into_parts(self) -> (Manifest, BTreeMap<FilePath, Vec<u8>>) {
        (self.manifest, self.files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;
    use crate::store::tests::models::Models;

    #[test]
    fn received_version_is_verified_again() {
        let models = Models::cole_kripke();
        let model = "cole_kripke".parse().unwrap();
        let opened = models.store.open(&model, Version::FIRST).unwrap();
        assert!(!opened.is_unverified());
        assert_eq!(opened.probe().unwrap(), None);
        let (manifest, files) = opened.into_parts();
        let sent: Vec<u8> = files.values().flatten().copied().collect();
        let received = VerifiedVersion::receive(manifest.clone(), sent.as_slice()).unwrap();
        assert_eq!(*received.files(), files);
        assert_eq!(*received.manifest(), manifest);
        let mut rotten = sent.clone();
        rotten[3] ^= 1;
        let refused = VerifiedVersion::receive(manifest.clone(), rotten.as_slice());
        assert!(matches!(refused, Err(VerifyError::DigestMismatch { .. })));
        let short = VerifiedVersion::receive(manifest, &sent[1..]);
        assert!(matches!(
            short,
            Err(VerifyError::Changed { grew: false, .. })
        ));
    }
}
