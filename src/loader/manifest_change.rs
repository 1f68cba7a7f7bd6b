//! Reports a manifest that was changed on disk after its version was loaded.

use super::{Loader, LoaderState};
use crate::status::Loaded;
use crate::{Digest, Manifest};

impl Loader {
    /// Counts and logs a manifest on disk that differs from the one of the loaded version. Reports
    /// each changed manifest once.
    ///
    /// Compares the content of the manifests, not their layout. Ignores a missing or invalid
    /// manifest, and a version that was loaded without one.
    pub(super) fn report_changed_manifest(
        &self,
        state: &mut LoaderState,
        loaded: &Loaded,
        on_disk: Option<&Manifest>,
    ) {
        let version = loaded.version();
        let Some(on_disk) = on_disk.filter(|_| !loaded.is_unverified) else {
            return;
        };
        if *on_disk == loaded.manifest {
            state.changed_manifests.remove(&version);
            return;
        }
        let (before, after) = (digest(&loaded.manifest), digest(on_disk));
        if state.changed_manifests.insert(version, after) == Some(after) {
            return;
        }
        self.metrics.manifest_changed();
        tracing::warn!(
            model = %self.model,
            %version,
            %before,
            %after,
            "the manifest of a loaded version changed on disk"
        );
    }
}

fn digest(manifest: &Manifest) -> Digest {
    Digest::of(manifest.to_json().as_bytes())
}
