//! The progress of an exploration.

use super::Explored;
use super::PowerLoss;
use super::baseline::Baseline;
use super::broken_invariant::BrokenInvariant;
use super::progress_file::ProgressFile;
use clarity_chaos_record::{EventKind, ExploredCall};
use std::path::Path;
use std::time::Instant;

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
    /// About how many states are possible at the points so far.
    pub(super) possible_states: u64,
    /// About how many points and states the exploration tries.
    pub(super) expected: usize,
    pub(super) breaks_under_posix: Option<Box<BrokenInvariant>>,
    /// The number of attempts so far.
    reached: usize,
    power_loss: Option<PowerLoss>,
    several_threads: bool,
    began: Instant,
    file: ProgressFile,
}

impl Progress {
    /// Begins an exploration with this model of a power loss. `file` has the progress until the
    /// exploration ends.
    pub(super) fn new(power_loss: Option<PowerLoss>, file: &Path) -> Self {
        let mut file = ProgressFile::open(file);
        file.write("in the first, undisturbed run of the operation");
        Self {
            calls: Vec::new(),
            states: 0,
            recoveries: 0,
            all_states: true,
            possible_states: 0,
            expected: 0,
            breaks_under_posix: None,
            reached: 0,
            power_loss,
            several_threads: false,
            began: Instant::now(),
            file,
        }
    }

    pub(super) fn begin(&mut self, baseline: &Baseline) {
        self.several_threads = !baseline.is_sequential();
        let calls = baseline.calls().iter().enumerate();
        self.calls = calls
            .map(|(index, call)| match baseline.process(index) {
                Some(process) => ExploredCall::new(format!("{call} by {process}")),
                None => ExploredCall::new(call.to_string()),
            })
            .collect();
    }

    /// The number of checks of the invariant so far.
    pub(super) fn tried(&self) -> usize {
        self.reached
    }

    /// Writes to the progress file that the exploration is about to try a point at this call. A
    /// number after the last call stands for the end of the operation.
    pub(super) fn reach(&mut self, index: usize) {
        let (tried, expected, total) = (self.reached, self.expected, self.calls.len());
        self.reached += 1;
        let expected = expected.max(tried);
        let place = match self.calls.get(index) {
            Some(call) => format!("at call {} of {total}, {}", index + 1, call.call),
            None => format!("after the last of {total} calls"),
        };
        let text = format!("after {tried} of up to about {expected} points and states, {place}");
        self.file.write(&text);
    }

    pub(super) fn extent(&self) -> Explored {
        Explored {
            calls: self.calls.len(),
            points: self.calls.iter().map(|call| call.points).sum(),
            states: self.states,
            recoveries: self.recoveries,
            all_states: self.all_states,
            possible_states: self.possible_states,
            power_loss: self.power_loss,
            took: self.began.elapsed(),
            breaks_under_posix: self.breaks_under_posix.clone(),
        }
    }

    /// Makes the event for the timeline, with the first [`RECORDED_CALLS`] calls.
    pub(super) fn into_event(self) -> EventKind {
        let extent = self.extent();
        let several_threads = self.several_threads;
        let mut calls = self.calls;
        calls.truncate(RECORDED_CALLS);
        let posix = extent.breaks_under_posix.map(|broken| broken.summary());
        EventKind::Explored {
            total_calls: extent.calls,
            points: extent.points,
            states: extent.states,
            power_loss: extent.power_loss.map(|model| model.to_string()),
            all_states: extent.all_states,
            possible_states: extent.possible_states,
            recoveries: extent.recoveries,
            took_us: crate::data::duration::microseconds(extent.took),
            several_threads,
            breaks_under_posix: posix,
            calls,
        }
    }
}
