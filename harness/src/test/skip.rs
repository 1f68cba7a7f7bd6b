//! A test's request to be skipped.

use crate::test::outcome::Skipped;
use crate::test::timeline::Timeline;
use clarity_chaos_record::EventKind;
use std::sync::{Arc, OnceLock};

/// A test's request to be skipped. Clones share one request.
#[derive(Clone, Debug)]
pub(crate) struct SkipRequest {
    timeline: Timeline,
    reason: Arc<OnceLock<String>>,
}

impl SkipRequest {
    pub(crate) fn new(timeline: Timeline) -> Self {
        Self {
            timeline,
            reason: Arc::default(),
        }
    }

    /// Records the request, and returns the error that the test must return.
    pub(crate) fn skip(&self, reason: String) -> Skipped {
        self.timeline.record(EventKind::Skipped {
            reason: reason.clone(),
        });
        let _ = self.reason.set(reason.clone());
        Skipped(reason)
    }

    /// The reason of the first request. `None` without a request.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.get().map(String::as_str)
    }
}
