//! Removing a version, which nothing does unless it is told to.

use std::fs;
use std::io;

use super::Store;
use super::hidden::Hidden;
use super::publish::sync;
use crate::{ModelName, Version};

impl Store {
    /// Removes a version and the marker of its quarantine: one rename, made durable, after which nobody sees it, and then
    /// the deletion, which the next command finishes if this one is killed.
    ///
    /// A server that answers from this version goes on doing so from memory, and says that it is degraded.
    ///
    /// # Errors
    ///
    /// When there is no such version ([`io::ErrorKind::NotFound`]), or the operating system refuses.
    pub fn remove(&self, model: &ModelName, version: Version) -> io::Result<()> {
        let hidden = Hidden::create(&self.root, "remove")?;
        let folder = self.model_folder(model);
        fs::rename(
            self.version_folder(model, version),
            hidden.path().join("version"),
        )?;
        sync(&folder)?;
        self.release(model, version)?;
        Ok(())
    }
}
