//! Reading everything on disk again in the background, before a restart does.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::executor::{Executor, JobError, JobKind, execute};
use crate::metrics::{Metrics, ModelMetrics};
use crate::store::{ScrubStep, VersionScrub};
use crate::{
    ModelName, Quarantine, QuarantineCause, Reason, ScrubConfig, Store, VerifyError, Version,
};

/// Bytes read in one go at most: at any rate the disk is free for others in between.
const CHUNK: u64 = 256 << 10;

/// Reads versions again, slowly, and holds back those that have rotted. What answers does so from memory and is not
/// touched; its loader sees the marker, and says that it is degraded.
pub(crate) struct Scrubber {
    pub(crate) store: Store,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) config: ScrubConfig,
}

impl Scrubber {
    /// Goes round without end; what is there at the start was just read by its loader, so a pause comes first.
    pub(crate) async fn run(self, models: impl Fn() -> Vec<(ModelName, Arc<ModelMetrics>)>) {
        let Some(rate) = self.config.rate else { return };
        loop {
            sleep(self.config.pause).await;
            for (model, metrics) in models() {
                for version in self.versions(&model).await {
                    self.version(&model, version, rate, &metrics).await;
                }
            }
            self.metrics.scrub_ended();
        }
    }

    /// The versions that are not known to be bad.
    async fn versions(&self, model: &ModelName) -> Vec<Version> {
        let (store, name) = (self.store.clone(), model.clone());
        let list = move || {
            let mut versions = store.versions(&name).map(|listing| listing.entries)?;
            versions.retain(|&version| store.quarantined(&name, version).is_none());
            std::io::Result::Ok(versions)
        };
        // What cannot be listed is the loader's to tell.
        let listed = execute(&*self.executor, JobKind::Scrub, Some(model), list).await;
        listed.ok().and_then(Result::ok).unwrap_or_default()
    }

    async fn version(
        &self,
        model: &ModelName,
        version: Version,
        rate: NonZeroU64,
        metrics: &ModelMetrics,
    ) {
        let (store, name) = (self.store.clone(), model.clone());
        let begin = move || match store.scrub(&name, version) {
            Ok(scrubbing) => ScrubStep::InProgress(scrubbing, 0),
            Err(VerifyError::NoVersion | VerifyError::NoManifest) => ScrubStep::Clean,
            Err(error) => ScrubStep::InvalidManifest(error),
        };
        let mut step = self.work(model, begin).await;
        loop {
            match step {
                Ok(ScrubStep::InProgress(scrubbing, bytes)) => {
                    self.metrics.scrubbed(bytes);
                    if bytes > 0 {
                        sleep(Duration::from_secs_f64(bytes as f64 / rate.get() as f64)).await;
                    }
                    step = self.next(model, scrubbing, rate).await;
                }
                Ok(ScrubStep::Corrupt(manifest, error)) => {
                    let quarantine = quarantine(&error, Some(&manifest));
                    return self
                        .found(model, version, &error, quarantine, metrics)
                        .await;
                }
                Ok(ScrubStep::InvalidManifest(error)) => {
                    let quarantine = quarantine(&error, None);
                    return self
                        .found(model, version, &error, quarantine, metrics)
                        .await;
                }
                Ok(ScrubStep::Clean) => return,
                // There was no time for it now; there will be another round.
                Err(error) => {
                    return tracing::debug!(%model, %version, detail = %error, "scrub given up");
                }
            }
        }
    }

    async fn next(
        &self,
        model: &ModelName,
        scrubbing: VersionScrub,
        rate: NonZeroU64,
    ) -> Result<ScrubStep, JobError> {
        self.work(model, move || scrubbing.step(CHUNK.min(rate.get())))
            .await
    }

    async fn work(
        &self,
        model: &ModelName,
        work: impl FnOnce() -> ScrubStep + Send + 'static,
    ) -> Result<ScrubStep, JobError> {
        execute(&*self.executor, JobKind::Scrub, Some(model), work).await
    }

    /// Rot is told once: what is held back is not read again by the next round.
    async fn found(
        &self,
        model: &ModelName,
        version: Version,
        error: &VerifyError,
        quarantine: Option<Quarantine>,
        metrics: &ModelMetrics,
    ) {
        let (reason, (expected, found)) = (error.reason(), error.expected_and_found().unzip());
        metrics.scrub_failed();
        tracing::error!(%model, %version, %reason, file = error.file(), expected, found, detail = %error, "scrub found damage");
        let Some(quarantine) = quarantine else { return };
        let (store, name) = (self.store.clone(), model.clone());
        let mark = move || store.mark(&name, version, &quarantine);
        match execute(&*self.executor, JobKind::Scrub, Some(model), mark).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%model, %version, detail = %error, "quarantine not changed on disk")
            }
            Err(error) => {
                tracing::warn!(%model, %version, detail = %error, "quarantine not changed on disk")
            }
        }
    }
}

/// Damage is a reason to hold a version back; a disk that is away or a file that may not be read is not.
fn quarantine(error: &VerifyError, manifest: Option<&crate::Manifest>) -> Option<Quarantine> {
    let corrupt = error.reason() == Reason::ModelCorrupt;
    corrupt.then(|| Quarantine::new(QuarantineCause::Corrupt, &error.to_string(), manifest))
}
