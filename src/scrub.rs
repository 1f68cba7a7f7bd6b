//! Re-reads all versions in the background, to detect bit rot before it makes a restart fail.

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

/// The maximum number of bytes per read; between reads, the disk is free for other work.
const CHUNK: u64 = 256 << 10;

/// Re-reads versions slowly and quarantines corrupt ones.
///
/// A loaded version that is quarantined continues to answer from memory. The model's loader sees
/// the quarantine marker and reports the model as degraded.
pub(crate) struct Scrubber {
    pub(crate) store: Store,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) config: ScrubConfig,
    /// Damage in a version that changed less than this time ago is left to the model's loader: the
    /// version may still be arriving.
    pub(crate) settle: Duration,
}

impl Scrubber {
    /// Runs forever, unless the scrub is disabled. Starts with a pause, because the loaders have
    /// just read all files.
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

    /// The versions of a model that are not quarantined; empty if the directory cannot be read.
    async fn versions(&self, model: &ModelName) -> Vec<Version> {
        let (store, name) = (self.store.clone(), model.clone());
        let list = move || {
            let mut versions = store.versions(&name).map(|listing| listing.entries)?;
            versions.retain(|&version| store.quarantined(&name, version).is_none());
            std::io::Result::Ok(versions)
        };
        // Ignores an unreadable directory, because the model's loader reports it.
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
            Err(
                VerifyError::NoVersion
                | VerifyError::NoManifest
                | VerifyError::LinkNotAllowed { .. },
            ) => ScrubStep::Clean,
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
                Ok(ScrubStep::Corrupt(..) | ScrubStep::InvalidManifest(_))
                    if self.changes(model, version).await =>
                {
                    return tracing::debug!(%model, %version, "scrub of a changing version aborted");
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
                // The executor did not finish the step, for example because it was overloaded. The
                // next round tries again.
                Err(error) => {
                    return tracing::debug!(%model, %version, detail = %error, "scrub of the version aborted");
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

    /// Whether a file of the version changed less than the settle time ago.
    async fn changes(&self, model: &ModelName, version: Version) -> bool {
        let (store, name, settle) = (self.store.clone(), model.clone(), self.settle);
        let look = move || store.changed_within(&name, version, settle);
        let looked = execute(&*self.executor, JobKind::Scrub, Some(model), look).await;
        looked.unwrap_or(false)
    }

    /// Counts and logs damage. Also quarantines the version if `quarantine` is given. The next
    /// round skips a quarantined version.
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
                tracing::warn!(%model, %version, detail = %error, "cannot write the quarantine marker")
            }
            Err(error) => {
                tracing::warn!(%model, %version, detail = %error, "cannot write the quarantine marker")
            }
        }
    }
}

/// The quarantine for corrupt bytes; `None` for missing or unreadable files.
fn quarantine(error: &VerifyError, manifest: Option<&crate::Manifest>) -> Option<Quarantine> {
    let corrupt = error.reason() == Reason::ModelCorrupt;
    corrupt.then(|| Quarantine::new(QuarantineCause::Corrupt, &error.to_string(), manifest))
}
