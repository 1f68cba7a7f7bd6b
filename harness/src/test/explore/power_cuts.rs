//! Lets the power fail between the calls of an operation.

use super::baseline::Baseline;
use super::calls_journal;
use super::directory_content::{self, DirectoryContent};
use super::error::{ExploreError, ExploredState, UnsupportedOperation};
use super::explorer::{Explorer, Invariant, broken};
use super::operation_call::OperationCall;
use super::operation_run::Intervention;
use super::progress::Progress;
use super::{Crash, PowerLoss};
use crate::test::random::rng;
use clarity_chaos_disk::{Choice, Entry, SECTOR_SIZE, Snapshot, States};
use clarity_chaos_record::Seed;
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::Path;

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
        invariant: Invariant<'_, Crash>,
        progress: &mut Progress,
    ) -> Result<(), ExploreError> {
        // Runs the operation again, since each run can choose other random names. The calls, and
        // the content of the directory that is read below, must come from the same run.
        let run = explorer.run(&Intervention::None)?;
        let baseline = Baseline::new(run);
        let calls = baseline.calls();
        let found = DirectoryContent::read(&explorer.directory)?.snapshot;
        let journal = calls_journal::journal(&explorer.before.snapshot, calls)
            .map_err(|(index, reason)| not_explorable(reason, Some(baseline.describe(index))))?;
        if let Some(path) = first_difference(&journal.live(), &found) {
            let path = path.display();
            let reason = format!("its calls do not explain {path} as it is after its end");
            return Err(not_explorable(&reason, None));
        }
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
            let locate = |index: usize| explorer.locate(&baseline, index);
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

fn not_explorable(reason: &str, call: Option<OperationCall>) -> ExploreError {
    ExploreError::NotExplorable(Box::new(UnsupportedOperation {
        reason: reason.to_owned(),
        call,
    }))
}

/// Gives the first path whose entry differs, with its bytes and mode.
fn first_difference<'a>(explained: &'a Snapshot, found: &'a Snapshot) -> Option<&'a Path> {
    if explained == found {
        return None;
    }
    let paths: BTreeSet<&Path> = [explained, found]
        .into_iter()
        .flat_map(|snapshot| snapshot.entries().map(|(path, _)| path))
        .collect();
    let file = |snapshot: &Snapshot, path: &Path| match snapshot.entry(path) {
        Some(Entry::File(number)) => Some(snapshot.file(*number).clone()),
        _ => None,
    };
    let differs = |path: &&Path| {
        let (first, second) = (explained.entry(path), found.entry(path));
        first != second || file(explained, path) != file(found, path)
    };
    paths.into_iter().find(differs)
}
