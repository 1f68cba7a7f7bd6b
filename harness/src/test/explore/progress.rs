//! The progress of an exploration.

use super::Explored;
use super::baseline::Baseline;
use clarity_chaos_record::{EventKind, ExploredCall};

/// The maximum number of calls that one exploration records on the timeline.
const RECORDED_CALLS: usize = 2000;

/// The calls, points and states that an exploration has tried so far.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) calls: Vec<ExploredCall>,
    /// The number of checked states of the disk after a power loss.
    pub(super) states: usize,
    /// The number of contents that were checked after a crash during recovery.
    pub(super) recoveries: usize,
    /// Whether these are all possible states.
    pub(super) all_states: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            calls: Vec::new(),
            states: 0,
            recoveries: 0,
            all_states: true,
        }
    }
}

impl Progress {
    pub(super) fn begin(&mut self, baseline: &Baseline) {
        let calls = baseline.calls().iter().enumerate();
        self.calls = calls
            .map(|(index, call)| match baseline.process(index) {
                Some(process) => ExploredCall::new(format!("{call} by {process}")),
                None => ExploredCall::new(call.to_string()),
            })
            .collect();
    }

    pub(super) fn extent(&self) -> Explored {
        Explored {
            calls: self.calls.len(),
            points: self.calls.iter().map(|call| call.points).sum(),
            states: self.states,
            recoveries: self.recoveries,
            all_states: self.all_states,
        }
    }

    /// Makes the event for the timeline, with the first [`RECORDED_CALLS`] calls.
    pub(super) fn into_event(self) -> EventKind {
        let extent = self.extent();
        let mut calls = self.calls;
        calls.truncate(RECORDED_CALLS);
        EventKind::Explored {
            total_calls: extent.calls,
            points: extent.points,
            states: extent.states,
            calls,
        }
    }
}
