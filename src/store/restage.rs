//! Stages the files of a version once more, as the next version of the model.

use std::collections::BTreeMap;

use thiserror::Error;

use super::verified_file::compare_digest;
use super::{PublishError, Source, Staged, Store, VerifyError};
use crate::{ModelName, Version};

/// The reason why a version was not staged again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RestageError {
    /// The version has no valid manifest, or its files differ from the manifest.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The copy could not be written.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl Store {
    /// Copies a version to a staging directory, as the next version of the model. Verifies the
    /// copied bytes. Omits the probe, so that another one can be [added](Staged::add_probe).
    ///
    /// # Errors
    ///
    /// See [`RestageError`].
    // A version is immutable once published: its manifest's digest is its identity in quarantine
    // markers, and servers, copies and caches rely on it. So a version gets a probe as a new
    // version, which is published, verified, scrubbed and rolled back like any other.
    pub fn stage_again(&self, model: &ModelName, version: Version) -> Result<Staged, RestageError> {
        let manifest = self.manifest(model, version)?;
        let directory = self.version_directory(model, version);
        let kept = manifest
            .files()
            .keys()
            .filter(|path| Some(*path) != manifest.probe());
        let sources: BTreeMap<_, _> = kept
            .map(|path| (path.clone(), Source::File(directory.join(path.as_str()))))
            .collect();
        let mut staged = self.stage(model, manifest.entry(), &sources)?;
        for (path, found) in staged.manifest().files() {
            let expected = &manifest.files()[path];
            if found.size != expected.size {
                return Err(RestageError::Verify(VerifyError::SizeMismatch {
                    file: path.clone(),
                    expected: expected.size,
                    found: found.size,
                }));
            }
            compare_digest((), found.sha256, path, expected)?;
        }
        if !manifest.output_ranks().is_empty() {
            staged.set_output_ranks(manifest.output_ranks().clone())?;
        }
        if let Some(outputs) = manifest.allow_nonfinite() {
            staged.allow_nonfinite(outputs.clone())?;
        }
        if manifest.allow_random() {
            staged.allow_random()?;
        }
        Ok(staged)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Probe;
    use crate::store::tests::models::{COLE_KRIPKE, Models};

    #[test]
    fn version_is_staged_again_without_its_probe() {
        let models = Models::cole_kripke();
        let model = "cole_kripke".parse().unwrap();
        let probe = Probe::parse(br#"{"inputs": []}"#).unwrap();
        let mut staged = models.store.stage_again(&model, Version::FIRST).unwrap();
        staged
            .set_output_ranks(BTreeMap::from([("y".to_owned(), Some(3))]))
            .unwrap();
        staged.add_probe(&probe).unwrap();
        staged.add_probe(&probe).unwrap();
        let second = staged.publish().unwrap();
        assert_eq!(second.version().get(), 2);
        assert_eq!(second.files().len(), 2);
        let third = models.store.stage_again(&model, second.version()).unwrap();
        let third = third.publish().unwrap();
        assert_eq!(third.probe(), None);
        assert_eq!(third.output_ranks(), second.output_ranks());
        let first = models.store.manifest(&model, Version::FIRST).unwrap();
        assert_eq!(third.files(), first.files());
    }

    #[test]
    fn changed_version_is_not_staged_again() {
        let models = Models::cole_kripke();
        let model = "cole_kripke".parse().unwrap();
        let again = || models.store.stage_again(&model, Version::FIRST);
        let mut rotten = COLE_KRIPKE.to_vec();
        rotten[7] ^= 1;
        fs::write(models.path("1/model.onnx"), &rotten).unwrap();
        let refused = again().unwrap_err();
        assert!(
            matches!(
                refused,
                RestageError::Verify(VerifyError::DigestMismatch { .. })
            ),
            "{refused}"
        );
        fs::write(models.path("1/model.onnx"), &rotten[1..]).unwrap();
        let refused = again().unwrap_err();
        assert!(
            matches!(
                refused,
                RestageError::Verify(VerifyError::SizeMismatch { .. })
            ),
            "{refused}"
        );
        assert!(
            fs::read_dir(models.root()).unwrap().count() == 1,
            "leftovers"
        );
    }
}
