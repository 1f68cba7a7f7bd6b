//! Checks the states that a disk can have after a loss of power.

use super::PowerLoss;
use super::explorer::Explorer;
use super::progress::Progress;
use crate::test::random::rng;
use clarity_chaos_disk::{Choice, Journal, SECTOR_SIZE, State, States};
use clarity_chaos_record::Seed;
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io;

/// The minimum of states that are checked at each point.
const MIN_SHARE: usize = 4;

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
/// number of its acknowledgements, and the failed call's error with whether it lasts.
pub(super) type Circumstances = (bool, usize, Option<(i32, bool)>);

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

    /// Writes possible states of the disk after the first `calls` calls to the explorer's
    /// directory, at most `share`. Calls `check` for each one. If the check of a state fails,
    /// returns a state with few losses whose check fails, with the error.
    pub(super) fn check(
        &mut self,
        journal: &Journal,
        calls: usize,
        circumstances: Circumstances,
        share: usize,
        progress: &mut Progress,
        check: impl Fn(&State) -> Result<(), String>,
    ) -> io::Result<Option<(State, String)>> {
        let model = self.settings.power_loss;
        journal.with_states(calls, model, SECTOR_SIZE, |states| {
            let (choices, are_all, draws) = choose(states, share, &mut self.rng);
            let mut is_complete = are_all;
            let before = progress.states;
            let rng = &mut self.rng;
            // Draws one choice at a time: a choice of large files needs much memory.
            let drawn = (0..draws).map(|_| states.draw(&mut |limit| rng.random_range(0..limit)));
            let mut left = share;
            for choice in choices.into_iter().chain(drawn) {
                let state = states.state(&choice);
                let key = hash(&(circumstances, &state.snapshot));
                if self.seen.contains(&key) {
                    continue;
                }
                // Equal states count once, so more states than the share show only now.
                if left == 0 {
                    is_complete = false;
                    break;
                }
                self.seen.insert(key);
                left -= 1;
                progress.reach(calls);
                progress.states += 1;
                self.explorer.write(&state.snapshot)?;
                if let Err(message) = check(&state) {
                    progress.all_states = false;
                    progress.possible_states =
                        progress.possible_states.saturating_add(states.estimate());
                    let found = (choice, state, message);
                    return self
                        .minimize(states, calls, found, progress, &check)
                        .map(Some);
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
    /// with the fewest among at most [`MINIMIZING_CHECKS`] checked states.
    fn minimize(
        &self,
        states: &States<'_>,
        calls: usize,
        found: (Choice, State, String),
        progress: &mut Progress,
        check: &impl Fn(&State) -> Result<(), String>,
    ) -> io::Result<(State, String)> {
        let (mut choice, mut state, mut message) = found;
        let mut left = MINIMIZING_CHECKS;
        let mut tried = HashSet::new();
        loop {
            let mut fewer = None;
            for candidate in states.fewer_losses(&choice) {
                let other = states.state(&candidate);
                let has_fewer = other.missing.len() < state.missing.len();
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

/// Gives the choices of states to check, whether they are all, and the number of choices to draw
/// besides.
fn choose(states: &States<'_>, share: usize, rng: &mut ChaCha8Rng) -> (Vec<Choice>, bool, usize) {
    if let Some(all) = states.all(share.saturating_mul(4)) {
        // The representatives come first: they show a broken invariant with few losses.
        let choices = states.representatives().into_iter().chain(all);
        return (choices.collect(), true, 0);
    }
    let mut choices = states.representatives();
    // The first choice loses nothing. Of the others, a random part has a fair chance.
    if choices.len() > share {
        let (_, others) = choices.split_at_mut(1);
        let (kept, _) = others.partial_shuffle(rng, share - 1);
        let kept = kept.to_vec();
        choices.splice(1.., kept);
    }
    let draws = share - choices.len().min(share);
    (choices, false, draws)
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
