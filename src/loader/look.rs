//! Looks at the versions that are still arriving, between the passes.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::arrivals::ArrivalVerdict;
use super::{Loader, LoaderState, Trigger};
use crate::executor::{JobError, JobKind, execute};
use crate::store::ModelFingerprint;
use crate::{Version, VersionStatus};

/// The verdicts of one poll, by version.
pub(super) type Verdicts = BTreeMap<Version, ArrivalVerdict>;

impl Loader {
    /// Looks at a version that is not loaded. Fails if the executor did not run the look.
    pub(super) async fn look(
        &self,
        state: &mut LoaderState,
        version: Version,
        trigger: Trigger,
    ) -> Result<ArrivalVerdict, JobError> {
        let (store, model) = (self.store.clone(), self.model.clone());
        let look = move || store.look(&model, version);
        let look = execute(&*self.executor, JobKind::Scan, Some(&self.model), look).await?;
        let (now, forced) = (Instant::now(), trigger == Trigger::Requested);
        Ok(state.arrivals.judge(version, look, now, forced))
    }

    /// Looks again at all arriving versions that are still on disk. Skips a look that the executor
    /// did not run.
    pub(super) async fn look_again(
        &self,
        state: &mut LoaderState,
        fingerprint: &ModelFingerprint,
        trigger: Trigger,
    ) -> Verdicts {
        let mut verdicts = Verdicts::new();
        for version in state.arrivals.versions() {
            if fingerprint.versions.contains_key(&version)
                && let Ok(verdict) = self.look(state, version, trigger).await
            {
                verdicts.insert(version, verdict);
            }
        }
        verdicts
    }

    /// Updates the status of the arriving versions, without a pass.
    pub(super) fn still_arriving(&self, state: &LoaderState, verdicts: Verdicts) {
        let mut status = (*self.status()).clone();
        for (version, verdict) in verdicts {
            if let ArrivalVerdict::Arriving(detail) = verdict {
                let arriving = VersionStatus::Arriving { detail };
                status.versions.insert(version, arriving);
            }
        }
        if self.waits_for_arrivals() {
            status.next_attempt = state.arrivals.next_look(Instant::now(), self.config.poll);
        }
        if status != *self.status() {
            self.state
                .send_modify(|state| state.status = std::sync::Arc::new(status));
        }
    }

    /// Whether the model waits for arriving versions only, so a retry of others is of no use.
    pub(super) fn waits_for_arrivals(&self) -> bool {
        let status = self.status();
        let mut versions = status.versions.values();
        let is_refused = |status: &VersionStatus| matches!(status, VersionStatus::Refused { .. });
        status.serving.is_none()
            && status.unreadable.is_none()
            && status.arriving() > 0
            && !versions.any(is_refused)
    }

    /// Logs a version that was not arriving before.
    pub(super) fn report_arriving(&self, version: Version, detail: &str) {
        let status = self.status();
        match status.versions.get(&version) {
            Some(VersionStatus::Arriving { .. }) => {}
            _ => {
                tracing::info!(model = %self.model, %version, detail, "model version arriving");
            }
        }
    }
}
