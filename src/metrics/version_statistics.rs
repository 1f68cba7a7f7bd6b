//! The statistics of a loaded version.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The statistics of one version since it was loaded. A reload of the same version continues them.
///
/// Recording takes only atomic additions. The values are read one by one, so values that are read
/// during a request can differ by this request.
#[derive(Debug, Default)]
pub(crate) struct VersionStatistics {
    /// The time of the last recorded request in milliseconds since the Unix epoch; 0 for none.
    last_request: AtomicU64,
    /// The valid requests that were answered, from the decoding to the encoded answer.
    pub(crate) success: TotalTime,
    /// The valid requests that failed, from the decoding to the failure. Excludes requests that
    /// were refused before their body was decoded, and requests whose client has disconnected.
    pub(crate) fail: TotalTime,
    /// The successful runs of the model: the time between admission and the start of the run.
    pub(crate) queue: TotalTime,
    /// The successful runs of the model: the time of the run.
    pub(crate) run: TotalTime,
    /// The answered requests: the time to decode the inputs.
    pub(crate) decoding: TotalTime,
    /// The answered requests: the time to encode the outputs.
    pub(crate) encoding: TotalTime,
}

/// A number of measurements and the sum of the measured times.
#[derive(Debug, Default)]
pub(crate) struct TotalTime {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

impl VersionStatistics {
    /// Records a request that was answered after the time `took`.
    pub(crate) fn answered(&self, took: Duration, decoding: Duration, encoding: Duration) {
        self.success.add(took);
        self.decoding.add(decoding);
        self.encoding.add(encoding);
        self.requested_now();
    }

    /// Records a valid request that failed after the time `took`.
    pub(crate) fn failed(&self, took: Duration) {
        self.fail.add(took);
        self.requested_now();
    }

    /// Records a successful run of the model.
    pub(crate) fn executed(&self, queued: Duration, took: Duration) {
        self.queue.add(queued);
        self.run.add(took);
    }

    /// The time of the last recorded request in milliseconds since the Unix epoch; 0 for none.
    pub(crate) fn last_request(&self) -> u64 {
        self.last_request.load(Ordering::Relaxed)
    }

    fn requested_now(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        self.last_request.store(now, Ordering::Relaxed);
    }
}

impl TotalTime {
    fn add(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of measurements.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The sum of the measured times in nanoseconds.
    pub(crate) fn nanoseconds(&self) -> u64 {
        self.nanoseconds.load(Ordering::Relaxed)
    }
}
