//! Collects the points at which the invariant does not hold.

use super::baseline::Baseline;
use super::broken_invariant::BrokenInvariant;
use super::error::ExploreError;
use super::explored_state::ExploredState;
use super::explorer::Explorer;
use super::kept_state::{EvidencePaths, KeptState};
use super::operation_call::OperationCall;
use super::recovery_crash::RecoveryCrash;
use clarity_chaos_disk::Snapshot;
use std::collections::BTreeMap;

/// The maximum number of broken points that one error lists.
const MAX_LISTED: usize = 20;

/// The number of calls before a point that an error shows.
const EARLIER: usize = 3;

/// The maximum number of lost calls whose places are searched.
const MAX_LOCATED: usize = 8;

/// The broken points of one exploration.
pub(super) struct BrokenPoints<'a> {
    explorer: &'a Explorer<'a>,
    evidence: &'a EvidencePaths,
    /// Whether the exploration goes on after a broken point.
    goes_on: bool,
    found: Vec<BrokenInvariant>,
    omitted: usize,
    /// The calls whose places are known, by index.
    located: BTreeMap<usize, OperationCall>,
}

impl<'a> BrokenPoints<'a> {
    pub(super) fn new(
        explorer: &'a Explorer<'a>,
        evidence: &'a EvidencePaths,
        goes_on: bool,
    ) -> Self {
        Self {
            explorer,
            evidence,
            goes_on,
            found: Vec::new(),
            omitted: 0,
            located: BTreeMap::new(),
        }
    }

    /// Whether the exploration goes on to other points of the same kind after a broken one.
    pub(super) fn goes_on(&self) -> bool {
        self.goes_on
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The number of broken points so far.
    pub(super) fn len(&self) -> usize {
        let repeats = self.found.iter().map(|found| found.repeats);
        self.found.len() + self.omitted + repeats.sum::<usize>()
    }

    /// Describes a call with its place in the code.
    pub(super) fn locate(&mut self, baseline: &Baseline, index: usize) -> OperationCall {
        let locate = || self.explorer.locate(baseline, index);
        self.located.entry(index).or_insert_with(locate).clone()
    }

    /// Describes calls whose changes are lost. Only the first ones have their places in the code.
    pub(super) fn locate_lost(
        &mut self,
        baseline: &Baseline,
        calls: &[usize],
    ) -> Vec<OperationCall> {
        let (first, others) = calls.split_at(calls.len().min(MAX_LOCATED));
        let mut lost: Vec<OperationCall> = first
            .iter()
            .map(|index| self.locate(baseline, *index))
            .collect();
        lost.extend(others.iter().map(|index| baseline.describe(*index)));
        lost
    }

    /// Adds a state in which the invariant does not hold. `made` is the number of calls before the
    /// point, and `content` the state as it was before the invariant ran.
    pub(super) fn add(
        &mut self,
        baseline: &Baseline,
        made: usize,
        state: ExploredState,
        message: String,
        content: &Snapshot,
    ) {
        self.push(baseline, made, state, message, None, content);
    }

    /// Adds a state that a second crash has left.
    pub(super) fn add_recovery(
        &mut self,
        baseline: &Baseline,
        made: usize,
        state: ExploredState,
        (recovery, message): (RecoveryCrash, String),
        content: &Snapshot,
    ) {
        self.push(baseline, made, state, message, Some(recovery), content);
    }

    fn push(
        &mut self,
        baseline: &Baseline,
        made: usize,
        state: ExploredState,
        message: String,
        recovery: Option<RecoveryCrash>,
        content: &Snapshot,
    ) {
        // The same losses at a later point are the same mistake.
        if let Some(lost) = state.lost().filter(|lost| !lost.is_empty())
            && recovery.is_none()
            && let Some(same) = self
                .found
                .iter_mut()
                .find(|found| found.state.lost() == Some(lost) && found.message == message)
        {
            same.repeats += 1;
            return;
        }
        if self.found.len() >= MAX_LISTED {
            self.omitted += 1;
            return;
        }
        let mut broken = describe(baseline, made, state, message);
        broken.recovery = recovery;
        for call in &mut broken.earlier {
            *call = self.locate(baseline, call.number - 1);
        }
        broken.kept = self.evidence.keep(content, &self.explorer.before);
        self.found.push(broken);
    }

    /// Returns the broken points as an error, or `explored` if there are none.
    pub(super) fn conclude(self, explored: Result<(), ExploreError>) -> Result<(), ExploreError> {
        let mut found = self.found.into_iter();
        match found.next() {
            None => explored,
            Some(mut first) => {
                first.others = found.collect();
                first.omitted = self.omitted;
                Err(ExploreError::Broken(Box::new(first)))
            }
        }
    }
}

/// Describes a state in which the invariant does not hold. Keeps no copy of the state, and searches
/// no places in the code.
pub(super) fn describe(
    baseline: &Baseline,
    made: usize,
    state: ExploredState,
    message: String,
) -> BrokenInvariant {
    let earlier = made.saturating_sub(EARLIER)..made;
    BrokenInvariant {
        state,
        message,
        recovery: None,
        earlier: earlier.map(|index| baseline.describe(index)).collect(),
        kept: KeptState::Disabled,
        repeats: 0,
        others: Vec::new(),
        omitted: 0,
    }
}
