//! Lets the power fail between the calls of an operation.

use super::baseline::Baseline;
use super::disk_journal::DiskJournal;
use super::error::{ExploreError, ExploredState, UnsupportedOperation};
use super::explorer::{Explorer, Invariant, broken};
use super::operation_call::OperationCall;
use super::operation_run::Intervention;
use super::progress::Progress;
use super::snapshot::Snapshot;
use super::{Crash, PowerLoss};
use crate::test::random::rng;
use clarity_chaos_record::Seed;
use std::collections::HashSet;

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
        let found = Snapshot::read(&explorer.directory)?;
        let journal = DiskJournal::follow(&explorer.before, calls)
            .map_err(|(index, reason)| not_explorable(reason, Some(baseline.describe(index))))?;
        let explained = journal.complete();
        if explained.contents() != found.contents() {
            let path = first_difference(&explained, &found);
            let reason = format!("its calls do not explain the content of {path} after its end");
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
            for state in journal.crash_states(made, self.power_loss, self.draws, &mut rng) {
                if !seen.insert((acknowledged, state.snapshot.clone())) {
                    continue;
                }
                progress.states += 1;
                state.snapshot.write(&explorer.directory)?;
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

fn not_explorable(reason: &str, call: Option<OperationCall>) -> ExploreError {
    ExploreError::NotExplorable(Box::new(UnsupportedOperation {
        reason: reason.to_owned(),
        call,
    }))
}

/// Gives the first path whose content differs. Gives an empty text if no content differs.
fn first_difference(explained: &Snapshot, found: &Snapshot) -> String {
    let (explained, found) = (explained.contents(), found.contents());
    let mut paths = explained.keys().chain(found.keys());
    let other = paths.find(|path| explained.get(*path) != found.get(*path));
    other.map_or_else(String::new, |path| path.display().to_string())
}
