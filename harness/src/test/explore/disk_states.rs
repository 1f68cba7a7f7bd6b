//! Checks the states that a disk can have after a loss of power.

use super::PowerLoss;
use super::call_failure::CallFailure;
use super::explorer::Explorer;
use super::progress::Progress;
use super::trace::Trace;
use crate::test::random::rng;
use clarity_chaos_disk::{Choice, SECTOR_SIZE, Snapshot, State, States};
use clarity_chaos_record::Seed;
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io;

/// The minimum of states that are checked at each point.
const MIN_SHARE: usize = 4;

/// The maximum number of representative states that are made, as a multiple of the share. Those
/// that were checked at earlier points do not count towards the share.
const REPRESENTATIVES: usize = 8;

/// The same for drawn states.
const DRAWS: usize = 2;
/// The maximum number of states that are checked to find fewer losses.
const MINIMIZING_CHECKS: usize = 64;

/// The settings for the exploration of power losses.
#[derive(Clone, Debug)]
pub(super) struct PowerCuts {
    pub(super) power_loss: PowerLoss,
    /// The approximate maximum of states that are checked.
    pub(super) maximum: usize,
    pub(super) seed: Seed,
}

/// The values that an invariant gets with a state: whether the operation had returned success, the
/// number of its acknowledgements, and the failure of a call with whether it lasts.
pub(super) type Circumstances = (bool, usize, Option<(CallFailure, bool)>);

/// The states of one exploration.
pub(super) struct DiskStates<'a> {
    explorer: &'a Explorer<'a>,
    settings: PowerCuts,
    rng: ChaCha8Rng,
    /// The hashes of the states that were checked, each with its circumstances.
    seen: HashSet<u64>,
}

impl<'a> DiskStates<'a> {
    pub(super) fn new(explorer: &'a Explorer<'a>, settings: &PowerCuts) -> Self {
        Self {
            explorer,
            settings: settings.clone(),
            rng: rng(settings.seed),
            seen: HashSet::new(),
        }
    }

    /// Goes on with another model. States that were checked are not checked again.
    pub(super) fn under(self, power_loss: PowerLoss) -> Self {
        let settings = PowerCuts {
            power_loss,
            ..self.settings
        };
        Self { settings, ..self }
    }

    pub(super) fn power_loss(&self) -> PowerLoss {
        self.settings.power_loss
    }

    /// Gives the number of states to check at the next of `points` points, when `checked` states
    /// were checked. The last point, where the operation has returned success, has at least a
    /// quarter of the maximum.
    pub(super) fn share(&self, checked: usize, points: usize) -> usize {
        let maximum = self.settings.maximum;
        let reserved = maximum / 4;
        let left = maximum.saturating_sub(checked);
        match points {
            1 => left.max(reserved),
            points => left.saturating_sub(reserved) / (points - 1),
        }
        .max(MIN_SHARE)
    }

    /// Gives the number of states that the maximum leaves, when `checked` states were checked.
    pub(super) fn left(&self, checked: usize) -> usize {
        self.settings.maximum.saturating_sub(checked)
    }

    /// Writes possible states of the disk after the first `calls` calls to the explorer's
    /// directory, at most `share`. Calls `check` for each one. If the check of a state fails,
    /// returns a state with few losses whose check fails, with the error.
    pub(super) fn check(
        &mut self,
        trace: &Trace,
        calls: usize,
        circumstances: Circumstances,
        share: usize,
        progress: &mut Progress,
        check: impl Fn(&State) -> Result<(), String>,
    ) -> io::Result<Option<(State, String)>> {
        let model = self.settings.power_loss;
        let explorer = self.explorer;
        let seed = self.settings.seed.child("explore", "volatile");
        // A state with each content that its volatile files can have.
        let variants = |snapshot: Snapshot| {
            let observed = trace.baseline.volatile.apply(calls, snapshot.clone());
            explorer.volatile.states(snapshot, observed, &mut rng(seed))
        };
        trace
            .journal
            .with_states(calls, model, SECTOR_SIZE, |states| {
                let representatives = states.representatives();
                let all = states.all(share.saturating_mul(4));
                let are_all = all.is_some();
                let mut is_complete = are_all;
                let before = progress.states;
                let order = order(representatives.len(), share, are_all, &mut self.rng);
                let mut rest = all.unwrap_or_default();
                rest.shuffle(&mut self.rng);
                let draws = if are_all { 0 } else { share * DRAWS };
                let rng = &mut self.rng;
                // Makes one choice at a time: a choice of many files needs much memory.
                let candidates = order
                    .into_iter()
                    .map(|number| representatives.get(number))
                    .chain(rest)
                    .chain(
                        (0..draws).map(|_| states.draw(&mut |limit| rng.random_range(0..limit))),
                    );
                let mut left = share;
                'choices: for choice in candidates {
                    if left == 0 && !are_all {
                        break;
                    }
                    let State { snapshot, missing } = states.state(&choice);
                    for (variant, snapshot) in variants(snapshot).into_iter().enumerate() {
                        let key = hash(&(circumstances, &snapshot));
                        if self.seen.contains(&key) {
                            continue;
                        }
                        // Equal states count once, so more states than the share show only now.
                        if left == 0 {
                            is_complete = false;
                            break 'choices;
                        }
                        self.seen.insert(key);
                        left -= 1;
                        progress.reach(calls);
                        progress.states += 1;
                        self.explorer.write(&snapshot)?;
                        let missing = missing.clone();
                        let state = State { snapshot, missing };
                        if let Err(message) = check(&state) {
                            progress.all_states = false;
                            progress.possible_states =
                                progress.possible_states.saturating_add(states.estimate());
                            let other = |other| variants(other).into_iter().nth(variant);
                            let found = (choice, state, message);
                            return self
                                .minimize(states, calls, found, progress, &check, other)
                                .map(Some);
                        }
                    }
                }
                let checked = (progress.states - before) as u64;
                let possible = match is_complete {
                    true => checked,
                    false => states.estimate().max(checked),
                };
                progress.all_states &= is_complete;
                progress.possible_states = progress.possible_states.saturating_add(possible);
                Ok(None)
            })
    }

    /// Searches a broken state after `calls` calls with fewer losses than `found`. Returns the one
    /// with the fewest among at most [`MINIMIZING_CHECKS`] checked states. `variant` gives a
    /// snapshot the contents that the volatile files have in `found`.
    fn minimize(
        &self,
        states: &States<'_>,
        calls: usize,
        found: (Choice, State, String),
        progress: &mut Progress,
        check: &impl Fn(&State) -> Result<(), String>,
        variant: impl Fn(Snapshot) -> Option<Snapshot>,
    ) -> io::Result<(State, String)> {
        let (mut choice, mut state, mut message) = found;
        let mut left = MINIMIZING_CHECKS;
        let mut tried = HashSet::new();
        loop {
            let mut fewer = None;
            for candidate in states.fewer_losses(&choice) {
                let State { snapshot, missing } = states.state(&candidate);
                let has_fewer = missing.len() < state.missing.len();
                let Some(snapshot) = variant(snapshot) else {
                    continue;
                };
                let other = State { snapshot, missing };
                if !has_fewer || !tried.insert(hash(&other.snapshot)) {
                    continue;
                }
                if left == 0 {
                    return Ok((state, message));
                }
                left -= 1;
                progress.reach(calls);
                progress.states += 1;
                self.explorer.write(&other.snapshot)?;
                if let Err(message) = check(&other) {
                    fewer = Some((candidate, other, message));
                    break;
                }
            }
            match fewer {
                Some(found) => (choice, state, message) = found,
                None => return Ok((state, message)),
            }
        }
    }
}

/// Gives the order in which the representative states are checked. The first one loses nothing.
fn order(count: usize, share: usize, are_all: bool, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    // Of more states than the share, those about the last calls come first: states about earlier
    // calls resemble those of earlier points. Of these others, a random part has a fair chance.
    if !are_all && count > share {
        order[share.div_ceil(2)..].shuffle(rng);
        order.truncate(share * REPRESENTATIVES);
    }
    order
}

pub(super) fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
