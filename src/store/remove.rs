//! Removes a version, only on the operator's command.

use std::fs;
use std::io;

use super::Store;
use super::staging::StagingDir;
use super::sync::sync_directory;
use crate::{ModelName, Version};

impl Store {
    /// Removes a version and its quarantine marker.
    ///
    /// Hides the version with one durable rename, then deletes the version. If this process dies
    /// after the rename, the next call of `Store::clean` finishes the deletion. A server that
    /// serves this version continues to answer from memory, and reports the model as degraded.
    ///
    /// # Errors
    ///
    /// When the version does not exist ([`io::ErrorKind::NotFound`]) or a system call fails. Also
    /// when the directory of the model is a symlink.
    pub fn remove(&self, model: &ModelName, version: Version) -> io::Result<()> {
        self.refuse_linked(model)?;
        let staging = StagingDir::create(&self.root, "remove")?;
        let directory = self.model_directory(model);
        fs::rename(
            self.version_directory(model, version),
            staging.path().join("version"),
        )?;
        sync_directory(&directory)?;
        self.release(model, version)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::models::Models;

    #[test]
    fn remove_deletes_a_version_and_its_marker_only() {
        let models = Models::cole_kripke();
        models.publish("cole_kripke", b"other");
        let model = "cole_kripke".parse().unwrap();
        let (first, second) = (Version::FIRST, Version::new(2).unwrap());
        models.store.quarantine(&model, first, "why").unwrap();
        models.store.remove(&model, first).unwrap();
        assert_eq!(models.store.versions(&model).unwrap().entries, [second]);
        assert_eq!(models.store.quarantined(&model, first), None);
        let error = models.store.remove(&model, first).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let entries = fs::read_dir(models.root()).unwrap();
        assert_eq!(entries.count(), 1, "only the model is left");
    }
}
