//! Lets the power fail between the calls of an operation.

use super::Crash;
use super::disk_states::{DiskStates, PowerCuts};
use super::error::{ExploreError, ExploredState};
use super::explorer::{Explorer, Invariant, broken};
use super::progress::Progress;
use super::trace::Trace;

/// Lets the power fail before each call that changes the disk, and after the last call. Checks
/// possible states of the disk after each of these power losses.
pub(super) fn explore(
    settings: &PowerCuts,
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
    let mut states = DiskStates::new(explorer, settings);
    for (number, made) in points.iter().enumerate() {
        let crash = Crash {
            acknowledged: *made == calls.len(),
            acknowledgements: baseline.acknowledgements(*made),
            power_lost: true,
        };
        let share = states.share(progress.states, points.len() - number);
        let check = || explorer.check(invariant, crash);
        let acknowledged = (crash.acknowledged, crash.acknowledgements);
        let checked = states.check(journal, *made, acknowledged, share, progress, check)?;
        let Some((state, message)) = checked else {
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
