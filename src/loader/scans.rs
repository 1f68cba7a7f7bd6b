//! The scans of the models' directories, over all models.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

use super::{LoadError, Loader};
use crate::executor::{JobKind, execute};
use crate::store::ModelFingerprint;

/// The maximum number of scans at the same time. Each one takes a thread.
const PARALLEL: usize = 4;

/// The number of scans in a second above which the polls of each model become rarer.
// A scan of a model with one version takes about 0.1 ms of a processor.
const PER_SECOND: u32 = 80;

/// Bounds the cost of the polls, however many models there are.
#[derive(Debug)]
pub(crate) struct Scans {
    models: AtomicUsize,
    permits: Semaphore,
}

impl Scans {
    /// Sets the number of models that are polled.
    pub(crate) fn set_models(&self, models: usize) {
        self.models.store(models, Ordering::Relaxed);
    }

    /// The interval between polls of one model: `poll`, or longer with many models.
    pub(super) fn interval(&self, poll: Duration) -> Duration {
        let models = self.models.load(Ordering::Relaxed);
        let models = u32::try_from(models).unwrap_or(u32::MAX);
        poll.max(Duration::from_secs(1) * models / PER_SECOND)
    }

    /// Waits for the permission to begin a scan.
    pub(super) async fn begin(&self) -> Option<SemaphorePermit<'_>> {
        // `acquire` fails only if the semaphore is closed, which never happens.
        self.permits.acquire().await.ok()
    }
}

impl Default for Scans {
    fn default() -> Self {
        Self {
            models: AtomicUsize::new(0),
            permits: Semaphore::new(PARALLEL),
        }
    }
}

impl Loader {
    /// Scans the model's directory. With many models, also watches the directory, so that a change
    /// need not wait for the next poll.
    // With few models, the polls are as frequent as configured: a watch would find nothing earlier.
    pub(super) async fn scan(&self) -> Result<ModelFingerprint, LoadError> {
        let (store, model) = (self.store.clone(), self.model.clone());
        let (disk, changed) = (Arc::clone(&self.disk), Arc::clone(&self.changed));
        let is_rare = self.scans.interval(self.config.poll) > self.config.poll;
        let scan = move || {
            let fingerprint = store.fingerprint(&model)?;
            if !is_rare {
                return Ok(fingerprint);
            }
            let directory = store.root().join(model.as_str());
            let mut is_new = disk.watch(&directory, &changed);
            for version in fingerprint.versions.keys() {
                is_new |= disk.watch(&directory.join(version.to_string()), &changed);
            }
            // A new watch does not report earlier changes.
            match is_new {
                true => store.fingerprint(&model),
                false => Ok(fingerprint),
            }
        };
        let _permit = self.scans.begin().await;
        let scanned = execute(&*self.executor, JobKind::Scan, Some(&self.model), scan).await;
        scanned?.map_err(|error| LoadError::of_scan(&error))
    }
}

/// Waits for a change of a watched directory, and then until `earliest`.
pub(super) async fn change_after(changed: &Notify, earliest: Instant) {
    changed.notified().await;
    sleep_until(earliest).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_become_rarer_with_many_models() {
        let scans = Scans::default();
        let second = Duration::from_secs(1);
        for (models, expected) in [(0, 1), (1, 1), (80, 1), (160, 2), (2_000, 25)] {
            scans.set_models(models);
            assert_eq!(scans.interval(second), second * expected, "{models} models");
        }
        assert_eq!(scans.interval(60 * second), 60 * second, "as configured");
        scans.set_models(usize::MAX);
        assert!(scans.interval(second) > second);
    }

    #[tokio::test]
    async fn scans_wait_for_each_other_beyond_the_limit() {
        let scans = Scans::default();
        let mut running = Vec::new();
        for _ in 0..PARALLEL {
            running.push(scans.begin().await);
        }
        assert_eq!(scans.permits.available_permits(), 0);
        running.pop();
        assert!(scans.begin().await.is_some());
    }
}
