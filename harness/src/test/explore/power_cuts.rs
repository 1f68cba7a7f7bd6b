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
    let baseline = &trace.baseline;
    let calls = baseline.calls();
    // After the last call, the operation may not have returned yet.
    let ends = [(calls.len(), false), (calls.len(), true)];
    let points: Vec<(usize, bool)> = (0..calls.len())
        .filter(|made| calls[*made].effect.is_point())
        .map(|made| (made, false))
        .chain(ends)
        .collect();
    let mut states = DiskStates::new(explorer, settings);
    for (number, (made, acknowledged)) in points.iter().enumerate() {
        let crash = Crash {
            acknowledged: *acknowledged,
            acknowledgements: baseline.acknowledgements(*made),
            power_lost: true,
        };
        let share = states.share(progress.states, points.len() - number);
        let check = || explorer.check(invariant, crash);
        let circumstances = (*acknowledged, crash.acknowledgements, None);
        let checked = states.check(trace, *made, circumstances, share, progress, check)?;
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
            next: (*made < calls.len()).then(|| locate(*made)),
            acknowledged: *acknowledged,
            lost: state.missing.into_iter().map(locate).collect(),
        };
        return Err(broken(state, message));
    }
    Ok(())
}
