//! One attempt: which versions of a model can answer, as the disk is now.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::load::{self, Workshop};
use super::{LoadError, Loader, Memory, Occasion, refused};
use crate::executor::{JobError, JobKind, execute};
use crate::status::Loaded;
use crate::store::{ModelFingerprint, VersionFingerprint};
use crate::{Quarantine, QuarantineCause, Version, VersionStatus};

/// What a look at the disk has come to.
pub(super) struct Findings {
    pub(super) versions: BTreeMap<Version, VersionStatus>,
    /// Why the folder could not be looked at.
    pub(super) unreadable: Option<String>,
    /// What is to take over from what answers.
    pub(super) fresh: Option<Arc<Loaded>>,
    /// What goes on answering otherwise.
    pub(super) loaded: Option<Arc<Loaded>>,
    /// What answers beside it, by number.
    pub(super) others: BTreeMap<Version, Arc<Loaded>>,
}

/// An attempt under way.
struct Trial<'a> {
    loader: &'a Loader,
    fingerprint: &'a ModelFingerprint,
    occasion: Occasion,
    /// What answered before, by version.
    before: BTreeMap<Version, Arc<Loaded>>,
    quarantined: BTreeMap<Version, Quarantine>,
    found: BTreeMap<Version, VersionStatus>,
}

impl Loader {
    /// Tries versions from the newest down to the first good one, or to the last where several are to answer, and
    /// publishes what it has found; tells which versions are held back after it.
    pub(super) async fn attempt(
        &self,
        memory: &mut Memory,
        fingerprint: &ModelFingerprint,
        occasion: Occasion,
    ) -> BTreeMap<Version, Quarantine> {
        memory
            .good
            .retain(|version, _| fingerprint.versions.contains_key(version));
        let state = self.state.borrow().clone();
        let running = state.loaded;
        let before = running
            .clone()
            .into_iter()
            .chain(state.others.into_values());
        let mut trial = Trial {
            loader: self,
            fingerprint,
            occasion,
            before: before.map(|loaded| (loaded.version(), loaded)).collect(),
            quarantined: fingerprint.quarantined.clone(),
            found: BTreeMap::new(),
        };
        let running_version = running.as_ref().map(|running| running.version());
        // Of what answers memory has a better copy than any older version on disk, unless it is not to answer.
        let floor = running_version.filter(|&version| !trial.is_withdrawn(version));
        let mut first = None;
        let mut others = BTreeMap::new();
        for (&version, files) in fingerprint.versions.iter().rev() {
            let settled = first.is_some() || floor > Some(version);
            if trial.is_withdrawn(version)
                || !self.policy.admits(version)
                || (settled && !self.policy.serves_several())
            {
                trial.leave(version);
            } else if let Some(loaded) = trial.serve(memory, version, files).await {
                match settled {
                    true => drop(others.insert(version, loaded)),
                    false => first = Some(loaded),
                }
            } else if settled && let Some(loaded) = trial.before.get(&version) {
                // Refused on disk, and good in memory.
                others.insert(version, Arc::clone(loaded));
            }
        }
        let Trial {
            found, quarantined, ..
        } = trial;
        let same = |fresh: &Arc<Loaded>| {
            running
                .as_ref()
                .is_some_and(|running| Arc::ptr_eq(running, fresh))
        };
        let fresh = first.filter(|first| !same(first));
        match running_version {
            None if found.is_empty() => self.failed(None, &LoadError::NoVersion),
            Some(version) if fresh.is_none() && !found.contains_key(&version) => {
                self.failed(Some(version), &LoadError::Removed)
            }
            _ => {}
        }
        self.publish(
            memory,
            Findings {
                versions: found,
                unreadable: None,
                fresh,
                loaded: running,
                others,
            },
        );
        quarantined
    }

    async fn load(&self, version: Version, insists: bool) -> Result<load::Attempt, JobError> {
        let workshop = Workshop {
            store: self.store.clone(),
            vetting: Arc::clone(&self.vetting),
            runtime: Arc::clone(&self.runtime),
            model: self.model.clone(),
            allow_unverified: self.config.allow_unverified,
        };
        let work = move || workshop.load(version, insists);
        let attempt = {
            // Never closed; and were it, a load without a place is better than none.
            let _place = self.loads.acquire().await.ok();
            execute(&*self.executor, JobKind::Load, Some(&self.model), work).await?
        };
        if !matches!(attempt.result, Err(LoadError::Quarantined(_))) {
            self.metrics.verification_took(attempt.verification);
            self.metrics.load_took(attempt.total);
        }
        Ok(attempt)
    }
}

impl Trial<'_> {
    fn is_withdrawn(&self, version: Version) -> bool {
        let held = self.fingerprint.quarantined.get(&version);
        held.is_some_and(|held| held.cause() == QuarantineCause::Operator)
    }

    /// It is not looked into: another answers, or it is not to.
    fn leave(&mut self, version: Version) {
        let held = self.fingerprint.quarantined.get(&version);
        let status = held.map_or(VersionStatus::Standby, refused);
        self.found.insert(version, status);
    }

    /// What can answer as this version: what did before, if nothing has changed, or what is loaded now.
    async fn serve(
        &mut self,
        memory: &mut Memory,
        version: Version,
        files: &VersionFingerprint,
    ) -> Option<Arc<Loaded>> {
        let before = self.before.get(&version);
        let is_held = self.fingerprint.quarantined.contains_key(&version);
        let is_unchanged = memory.good.get(&version) == Some(files) && !is_held;
        if let (Some(before), Occasion::Due, true) = (before, self.occasion, is_unchanged) {
            self.found.insert(version, VersionStatus::Serving);
            return Some(Arc::clone(before));
        }
        let insists = self.occasion == Occasion::Asked;
        let attempt = self.loader.load(version, insists).await;
        if let Ok(attempt) = &attempt {
            match attempt.quarantine.clone() {
                Some(quarantine) => self.quarantined.insert(version, quarantine),
                None => self.quarantined.remove(&version),
            };
        }
        match attempt
            .map_err(LoadError::from)
            .and_then(|attempt| attempt.result)
        {
            Ok(fresh) => {
                self.found.insert(version, VersionStatus::Serving);
                memory.good.insert(version, files.clone());
                let same = before.filter(|before| before.manifest == fresh.manifest);
                Some(same.cloned().unwrap_or_else(|| Arc::new(fresh)))
            }
            Err(error) => {
                self.loader.failed(Some(version), &error);
                let (reason, detail) = (error.reason(), error.to_string());
                self.found
                    .insert(version, VersionStatus::Refused { reason, detail });
                None
            }
        }
    }
}
