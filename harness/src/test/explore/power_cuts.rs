//! Lets the power fail between the calls of an operation.

use super::Crash;
use super::baseline::Baseline;
use super::broken_points::BrokenPoints;
use super::disk_states::DiskStates;
use super::error::ExploreError;
use super::explored_state::ExploredState;
use super::explorer::{Explorer, Invariant};
use super::progress::Progress;
use super::trace::Trace;
use clarity_chaos_disk::State;

/// Lets the power fail before each call that changes the disk, and after the last call. Checks
/// possible states of the disk after each of these power losses. Stops at the first broken point,
/// unless the exploration goes on.
pub(super) fn explore(
    states: &mut DiskStates<'_>,
    explorer: &Explorer<'_>,
    trace: &Trace,
    invariant: Invariant<'_, Crash>,
    progress: &mut Progress,
    broken: &mut BrokenPoints<'_>,
) -> Result<(), ExploreError> {
    let baseline = &trace.baseline;
    let calls = baseline.calls();
    let points = points(baseline);
    // Whether a death breaks the invariant already.
    let died = !broken.is_empty();
    for (number, (made, acknowledged)) in points.iter().enumerate() {
        let crash = Crash {
            acknowledged: *acknowledged,
            acknowledgements: baseline.acknowledgements(*made),
            power_lost: true,
            victim: None,
            during_recovery: false,
        };
        let share = states.share(progress.states, points.len() - number);
        // A state without losses is the content that a death leaves.
        let is_known = died && explorer.volatile.is_empty();
        let check = |state: &State| match state.missing.is_empty() && is_known {
            true => Ok(()),
            false => explorer.check(invariant, crash),
        };
        let circumstances = (*acknowledged, crash.acknowledgements, None);
        let checked = states.check(trace, *made, circumstances, share, progress, check)?;
        let Some((found, message)) = checked else {
            continue;
        };
        for index in &found.missing {
            if let Some(call) = progress.calls.get_mut(*index) {
                call.invariant_broken = true;
            }
        }
        let state = ExploredState::PowerLost {
            next: (*made < calls.len()).then(|| broken.locate(baseline, *made)),
            acknowledged: *acknowledged,
            lost: broken.locate_lost(baseline, &found.missing),
        };
        broken.add(baseline, *made, state, message, &found.snapshot);
        if !broken.goes_on() {
            return Ok(());
        }
    }
    Ok(())
}

/// Lists the points at which the power can fail: the number of calls before, and whether the
/// operation has returned success.
pub(super) fn points(baseline: &Baseline) -> Vec<(usize, bool)> {
    let calls = baseline.calls();
    // After the last call, the operation may not have returned yet.
    let ends = [(calls.len(), false), (calls.len(), true)];
    (0..calls.len())
        .filter(|made| calls[*made].effect.is_point())
        .map(|made| (made, false))
        .chain(ends)
        .collect()
}
