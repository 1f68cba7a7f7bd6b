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
use clarity_chaos_disk::{Entry, Journal, SECTOR_SIZE, Snapshot, State};
use clarity_chaos_record::Seed;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;

/// If a point has at most this number of possible states, all are checked.
const FEW: usize = 32;

/// The settings for the exploration of power losses.
pub(super) struct PowerCuts {
    pub(super) power_loss: PowerLoss,
    /// The number of random combinations of lost changes at each point where the power can fail.
    pub(super) draws: usize,
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
        let mut rng = rng(self.seed);
        let mut seen = HashSet::new();
        for made in 0..=calls.len() {
            let acknowledged = made == calls.len();
            if !acknowledged && !calls[made].effect.changes() {
                continue;
            }
            let crash = Crash {
                acknowledged,
                power_lost: true,
            };
            for state in self.states(&journal, made, &mut rng) {
                if !seen.insert((acknowledged, state.snapshot.clone())) {
                    continue;
                }
                progress.states += 1;
                directory_content::write(&state.snapshot, &explorer.directory)?;
                let Err(message) = explorer.check(invariant, crash) else {
                    continue;
                };
                for index in &state.missing {
                    if let Some(call) = progress.calls.get_mut(*index) {
                        call.invariant_broken = true;
                    }
                }
                let locate = |index: usize| explorer.locate(&baseline, index);
                let state = ExploredState::PowerLost {
                    next: (!acknowledged).then(|| locate(made)),
                    lost: state.missing.into_iter().map(locate).collect(),
                };
                return Err(broken(state, message));
            }
        }
        Ok(())
    }
}

impl PowerCuts {
    /// Gives the states to check if the power fails after these calls: all possible ones if they
    /// are few, or else representative ones and drawn ones.
    fn states(&self, journal: &Journal, calls: usize, rng: &mut ChaCha8Rng) -> Vec<State> {
        journal.with_states(calls, self.power_loss, SECTOR_SIZE, |states| {
            let mut chosen: Vec<State> = states.representatives().collect();
            match states.all(FEW) {
                Some(all) => {
                    let known: HashSet<Snapshot> =
                        chosen.iter().map(|state| state.snapshot.clone()).collect();
                    chosen.extend(all.into_iter().filter(|state| !known.contains(&state.snapshot)));
                }
                None => chosen.extend((0..self.draws).map(|_| {
                    states.draw(&mut |limit| rng.random_range(0..limit))
                })),
            }
            chosen
        })
    }
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
