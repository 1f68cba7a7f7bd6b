//! Lets the power fail between the calls of an operation.

use super::directory_content;
use super::error::{ExploreError, ExploredState};
use super::explorer::{Explorer, Invariant, broken};
use super::progress::Progress;
use super::trace::Trace;
use super::{Crash, PowerLoss};
use crate::test::random::rng;
use clarity_chaos_disk::{Choice, SECTOR_SIZE, States};
use clarity_chaos_record::Seed;
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::io;

/// The minimum of states that are checked at each point.
const MIN_SHARE: usize = 4;

/// The settings for the exploration of power losses.
pub(super) struct PowerCuts {
    pub(super) power_loss: PowerLoss,
    /// The approximate maximum of states that are checked.
    pub(super) maximum: usize,
    pub(super) seed: Seed,
}

impl PowerCuts {
    /// Lets the power fail before each call that changes the disk, and after the last call. Checks
    /// possible states of the disk after each of these power losses.
    pub(super) fn explore(
        &self,
        explorer: &Explorer<'_>,
        trace: &Trace,
        invariant: Invariant<'_, Crash>,
        progress: &mut Progress,
    ) -> Result<(), ExploreError> {
        let Trace { baseline, journal } = trace;
        let calls = baseline.calls();
        let points: Vec<usize> = (0..=calls.len())
            .filter(|made| calls.get(*made).is_none_or(|next| next.effect.changes()))
            .collect();
        let mut rng = rng(self.seed);
        let mut seen = HashSet::new();
        for (number, made) in points.iter().enumerate() {
            let crash = Crash {
                acknowledged: *made == calls.len(),
                power_lost: true,
            };
            let share = self.share(progress.states, points.len() - number);
            let tried = journal.with_states(*made, self.power_loss, SECTOR_SIZE, |states| {
                let (choices, are_all) = choose(states, share, &mut rng);
                let mut left = share;
                for choice in choices {
                    let state = states.state(&choice);
                    if !seen.insert((crash.acknowledged, state.snapshot.clone())) {
                        continue;
                    }
                    // Equal states count once, so more states than the share show only now.
                    if left == 0 {
                        progress.all_states = false;
                        break;
                    }
                    left -= 1;
                    progress.states += 1;
                    directory_content::write(&state.snapshot, &explorer.directory)?;
                    if let Err(message) = explorer.check(invariant, crash) {
                        return Ok(Some((state, message)));
                    }
                }
                progress.all_states &= are_all;
                io::Result::Ok(None)
            })?;
            let Some((state, message)) = tried else {
                continue;
            };
            for index in &state.missing {
                if let Some(call) = progress.calls.get_mut(*index) {
                    call.invariant_broken = true;
                }
            }
            let locate = |index: usize| explorer.locate(baseline, index);
            let state = ExploredState::PowerLost {
                next: (!crash.acknowledged).then(|| locate(*made)),
                lost: state.missing.into_iter().map(locate).collect(),
            };
            return Err(broken(state, message));
        }
        Ok(())
    }

    /// Gives the number of states to check at the next point. The last point, where the operation
    /// has returned success, has at least a quarter of the maximum.
    fn share(&self, checked: usize, points: usize) -> usize {
        let reserved = self.maximum / 4;
        let left = self.maximum.saturating_sub(checked);
        match points {
            1 => left.max(reserved),
            points => left.saturating_sub(reserved) / (points - 1),
        }
        .max(MIN_SHARE)
    }
}

/// Gives the choices of states to check, and whether they are all.
fn choose(states: &States<'_>, share: usize, rng: &mut ChaCha8Rng) -> (Vec<Choice>, bool) {
    if let Some(all) = states.all(share.saturating_mul(4)) {
        // The representatives come first: they show a broken invariant with few losses.
        let choices = states.representatives().into_iter().chain(all);
        return (choices.collect(), true);
    }
    let mut choices = states.representatives();
    // The first choice loses nothing. Of the others, a random part has a fair chance.
    if choices.len() > share {
        let (_, others) = choices.split_at_mut(1);
        let (kept, _) = others.partial_shuffle(rng, share - 1);
        let kept = kept.to_vec();
        choices.splice(1.., kept);
    }
    let drawn = share - choices.len().min(share);
    let mut pick = |limit| rng.random_range(0..limit);
    choices.extend((0..drawn).map(|_| states.draw(&mut pick)));
    (choices, false)
}
