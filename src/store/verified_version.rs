//! What was verified, held in memory.

use std::collections::BTreeMap;
use std::io::Read;

use super::VerifyError;
use super::verified_file::{compare_digest, read_and_hash};
use crate::manifest::{FilePath, Manifest};
use crate::{Probe, ProbeError};

/// A version whose every byte, as held here in memory, is what its manifest promises.
///
/// There is no other way to make one, but for those who insist ([`Store::open_unverified`](crate::Store::open_unverified)): whatever takes a `VerifiedVersion` cannot be handed bytes that were not verified,
/// and a change on disk after this cannot reach it.
#[derive(Debug)]
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

    /// What has no manifest but one made up from the files themselves.
    pub(super) fn unverified(manifest: Manifest, files: BTreeMap<FilePath, Vec<u8>>) -> Self {
        Self {
            is_unverified: true,
            ..Self::new(manifest, files)
        }
    }

    /// Whether nobody has promised these bytes: only [`Store::open_unverified`](crate::Store::open_unverified) gives such a version.
    pub fn is_unverified(&self) -> bool {
        self.is_unverified
    }

    /// What was promised and kept.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes of each file.
    pub fn files(&self) -> &BTreeMap<FilePath, Vec<u8>> {
        &self.files
    }

    /// Reads what another process has verified and sent, file after file in the order of their paths, and verifies it
    /// again: there is no other way to make one.
    pub(crate) fn receive(manifest: Manifest, mut from: impl Read) -> Result<Self, VerifyError> {
        let mut files = BTreeMap::new();
        for (path, entry) in manifest.files() {
            let (bytes, found) = read_and_hash(&mut from, path, entry.size)?;
            files.insert(path.clone(), compare_digest(bytes, found, path, entry)?);
        }
        Ok(Self::new(manifest, files))
    }

    /// The input whose answer is known, if the version has one.
    ///
    /// # Errors
    ///
    /// When its file is no probe.
    pub fn probe(&self) -> Result<Option<Probe>, ProbeError> {
        let file = self.manifest.probe().and_then(|path| self.files.get(path));
        file.map(|json| Probe::parse(json)).transpose()
    }

    /// The parts: the manifest and the bytes of each file.
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
    fn what_was_sent_is_verified_again() {
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
