//! The states that the models allow for a program.

use crate::programs::Program;
use clarity_chaos_disk::{Journal, PowerLoss, Snapshot};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::RangeInclusive;

/// Programs with more states than this at one point are drawn again.
const LIMIT: usize = 1 << 14;

/// The states of one model, for each number of calls.
#[derive(Debug)]
pub(crate) struct Admissible<'a> {
    history: &'a History,
    model: PowerLoss,
    /// The hashes of the states after each step.
    steps: Vec<HashSet<u64>>,
    sector_size: usize,
}

/// The journal of a program, in which a write with a sync is two steps.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) journal: Journal,
    /// The number of steps before each call, and of all steps.
    steps: Vec<usize>,
}

impl History {
    /// The power can fail between a write and its sync, although the program made one call.
    pub(crate) fn new(program: &Program) -> Self {
        let mut middles = HashSet::new();
        let journal = program.journal_with(&mut |journal| {
            journal.end_call();
            middles.insert(journal.calls());
        });
        let mut steps = vec![0];
        let mut step = 0;
        for _ in &program.calls {
            step += 1;
            step += usize::from(middles.contains(&step));
            steps.push(step);
        }
        Self { journal, steps }
    }

    fn steps(&self, calls: &RangeInclusive<usize>) -> RangeInclusive<usize> {
        self.steps[*calls.start()]..=self.steps[*calls.end()]
    }
}

impl<'a> Admissible<'a> {
    /// Lists all states, or returns `None` if there are too many at one point.
    pub(crate) fn list(history: &'a History, model: PowerLoss, sector_size: usize) -> Option<Self> {
        let of_step = |step| {
            history
                .journal
                .with_states(step, model, sector_size, |states| {
                    let all = states.all(16 * LIMIT)?;
                    let snapshots = all.iter().map(|choice| states.state(choice).snapshot);
                    let hashes: HashSet<u64> = snapshots.map(|state| hash(&state)).collect();
                    Some(hashes).filter(|hashes| hashes.len() <= LIMIT)
                })
        };
        let steps = (0..=history.journal.calls()).map(of_step);
        Some(Self {
            history,
            model,
            steps: steps.collect::<Option<_>>()?,
            sector_size,
        })
    }

    /// Whether the model has this state after one of these numbers of calls.
    pub(crate) fn has(&self, state: &Snapshot, calls: &RangeInclusive<usize>) -> bool {
        let hash = hash(state);
        self.steps[self.history.steps(calls)]
            .iter()
            .any(|states| states.contains(&hash))
    }

    /// Returns the states of the model that differ least from this one.
    pub(crate) fn nearest(
        &self,
        state: &Snapshot,
        calls: &RangeInclusive<usize>,
        difference: impl Fn(&Snapshot, &Snapshot) -> usize,
    ) -> Vec<Snapshot> {
        let mut nearest: (usize, Vec<Snapshot>) = (usize::MAX, Vec::new());
        for step in self.history.steps(calls) {
            let with_states = |states: &clarity_chaos_disk::States<'_>| {
                for choice in states.all(16 * LIMIT).unwrap_or_default() {
                    let other = states.state(&choice).snapshot;
                    let difference = difference(state, &other);
                    if difference < nearest.0 {
                        nearest = (difference, Vec::new());
                    }
                    if difference == nearest.0 && !nearest.1.contains(&other) {
                        nearest.1.push(other);
                    }
                }
            };
            let journal = &self.history.journal;
            journal.with_states(step, self.model, self.sector_size, with_states);
        }
        nearest.1
    }

    pub(crate) fn model(&self) -> PowerLoss {
        self.model
    }
}

// A set of hashes of 64 bits takes much less memory than the states. Of 10,000 states found, one
// outside of 2^14 passes by chance with a probability of 10^-10.
fn hash(state: &Snapshot) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}
