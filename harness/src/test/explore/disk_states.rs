//! Checks the states that a disk can have after a loss of power.

use super::PowerLoss;
use super::explorer::Explorer;
use super::progress::Progress;
use super::trace::Trace;
use crate::test::random::rng;
use clarity_chaos_disk::{Choice, SECTOR_SIZE, State, States};
use clarity_chaos_record::Seed;
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io;

/// The minimum of states that are checked at each point.
const MIN_SHARE: usize = 4;

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
    settings: &'a PowerCuts,
    rng: ChaCha8Rng,
    /// The hashes of the states that were checked, each with its circumstances.
    seen: HashSet<u64>,
}

impl<'a> DiskStates<'a> {
    pub(super) fn new(explorer: &'a Explorer<'a>, settings: &'a PowerCuts) -> Self {
        Self {
            explorer,
            settings,
            rng: rng(settings.seed),
            seen: HashSet::new(),
        }
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
    /// directory, at most `share`. Calls `check` for each one. Returns the first state whose check
    /// fails, with the error.
    pub(super) fn check(
        &mut self,
        trace: &Trace,
        calls: usize,
        circumstances: Circumstances,
        share: usize,
        progress: &mut Progress,
        check: impl Fn() -> Result<(), String>,
    ) -> io::Result<Option<(State, String)>> {
        let model = self.settings.power_loss;
        let volatile = &self.explorer.volatile;
        trace
            .journal
            .with_states(calls, model, SECTOR_SIZE, |states| {
                let (choices, are_all, draws) = choose(states, share, &mut self.rng);
                let mut volatile_rng = self.rng.clone();
                let rng = &mut self.rng;
                // Draws one choice at a time: a choice of large files needs much memory.
                let drawn =
                    (0..draws).map(|_| states.draw(&mut |limit| rng.random_range(0..limit)));
                let mut left = share;
                'choices: for choice in choices.into_iter().chain(drawn) {
                    let state = states.state(&choice);
                    let observed = trace.baseline.volatile.apply(calls, state.snapshot.clone());
                    for snapshot in
                        volatile.states(state.snapshot.clone(), observed, &mut volatile_rng)
                    {
                        let key = hash(&(circumstances, &snapshot));
                        if self.seen.contains(&key) {
                            continue;
                        }
                        // Equal states count once, so more states than the share show only now.
                        if left == 0 {
                            progress.all_states = false;
                            break 'choices;
                        }
                        self.seen.insert(key);
                        left -= 1;
                        progress.states += 1;
                        self.explorer.write(&snapshot)?;
                        if let Err(message) = check() {
                            return Ok(Some((state, message)));
                        }
                    }
                }
                progress.all_states &= are_all;
                Ok(None)
            })
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
