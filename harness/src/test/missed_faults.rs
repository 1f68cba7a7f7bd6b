//! The faults in effect that could not act.

use crate::test::timeline::Timeline;
use clarity_chaos_record::EventKind;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

/// The largest number of recorded sentences.
const MOST: usize = 16;

/// The faults in effect that could not act. Each of them fails the test. Clones share one list.
#[derive(Clone, Debug)]
pub(crate) struct MissedFaults {
    timeline: Timeline,
    missed: Arc<Mutex<BTreeSet<String>>>,
}

impl MissedFaults {
    pub(crate) fn new(timeline: Timeline) -> Self {
        Self {
            timeline,
            missed: Arc::default(),
        }
    }

    /// Records a fault that could not act, and the reason. The timeline shows each sentence once,
    /// also if the test then hangs. Drops further sentences when 16 are recorded.
    pub(crate) fn add(&self, sentence: String) {
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        if missed.len() < MOST && missed.insert(sentence.clone()) {
            let text = describe(&sentence);
            self.timeline.record(EventKind::Note { text });
        }
    }

    pub(crate) fn sentences(&self) -> Vec<String> {
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.iter().cloned().collect()
    }
}

/// Describes a fault that could not act.
pub(crate) fn describe(sentence: impl Display) -> String {
    format!("a fault could not act: {sentence}")
}

/// Adds the descriptions of faults that could not act to the message of a failed test. They can be
/// the cause of the failure.
pub(crate) fn added_to(message: String, missed: &[String]) -> String {
    let mut lines = vec![message];
    lines.extend_from_slice(missed);
    lines.join("\n")
}
