//! Kills an operation at each of its calls that change files.

use super::Crash;
use super::error::{ExploreError, ExploredState};
use super::explorer::{Explorer, Invariant, broken};
use super::operation_run::Intervention;
use super::power_cuts::PowerCuts;
use super::progress::Progress;
use crate::syscalls::file_call::FileCall;

/// Kills the operation at each crash point. Then explores power losses if `power_cuts` is given.
pub(super) fn explore(
    explorer: &Explorer<'_>,
    power_cuts: Option<PowerCuts>,
    invariant: Invariant<'_, Crash>,
    progress: &mut Progress,
) -> Result<(), ExploreError> {
    let baseline = explorer.baseline()?;
    progress.begin(&baseline);
    for (call, explored) in baseline.calls().iter().zip(&mut progress.calls) {
        explored.exempt = !is_crash_point(call);
    }
    let acknowledged = Crash {
        acknowledged: true,
        power_lost: false,
    };
    explorer
        .check(invariant, acknowledged)
        .map_err(|message| broken(ExploredState::Completed, message))?;
    let crash = Crash {
        acknowledged: false,
        power_lost: false,
    };
    for (index, call) in baseline.calls().iter().enumerate() {
        if !is_crash_point(call) {
            continue;
        }
        explorer.intervene(&baseline, index, Intervention::Kill)?;
        progress.calls[index].points += 1;
        if let Err(message) = explorer.check(invariant, crash) {
            progress.calls[index].invariant_broken = true;
            let call = explorer.locate(&baseline, index);
            return Err(broken(ExploredState::ProcessDied { call }, message));
        }
    }
    match power_cuts {
        Some(power_cuts) => power_cuts.explore(explorer, invariant, progress),
        None => Ok(()),
    }
}

/// Whether the call is a crash point. A crash point changes files. A sync is not a crash point,
/// since a sync only makes earlier changes durable.
fn is_crash_point(call: &FileCall) -> bool {
    call.effect.changes() && !call.effect.is_sync()
}
