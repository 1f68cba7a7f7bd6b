//! A look at a few states of the model `posix`, after all was right under a stricter model.

use super::broken_invariant::BrokenInvariant;
use super::broken_points::{BrokenPoints, describe};
use super::checker::Checker;
use super::disk_states::DiskStates;
use super::error::ExploreError;
use super::explored_state::ExploredState;
use super::power_cuts;
use super::progress::Progress;
use super::trace::Trace;
use super::{Crash, PowerLoss};
use std::path::Path;

/// The part of the points and states so far that the look adds at most.
const PART: usize = 4;

/// The number of states that the look may always try.
const MIN_STATES: usize = 8;

/// Tries states that only `posix` allows. Returns the first one in which the invariant breaks.
/// `states` has the states that were checked under the stricter model.
pub(super) fn look(
    states: DiskStates<'_>,
    trace: &Trace,
    checker: &Checker<'_, Crash>,
    progress: &Progress,
    broken: &mut BrokenPoints<'_>,
) -> Result<Option<Box<BrokenInvariant>>, ExploreError> {
    let baseline = &trace.baseline;
    let mut budget = MIN_STATES.max(progress.tried() / PART);
    let mut states = states.under(PowerLoss::Posix);
    // The numbers of the exploration are those of its own model.
    let mut tried = Progress::new(None, Path::new(""));
    // After the last call, the most changes are unsynced.
    for (made, acknowledged) in power_cuts::points(baseline).into_iter().rev() {
        if budget == 0 {
            break;
        }
        let crash = Crash {
            acknowledged,
            acknowledgements: baseline.acknowledgements(made),
            power_lost: true,
            victim: None,
            during_recovery: false,
        };
        let circumstances = (acknowledged, crash.acknowledgements, None);
        let before = tried.states;
        let share = budget.div_ceil(2);
        let check = |_: &_| checker.check(crash);
        let found = states.check(trace, made, circumstances, share, &mut tried, check)?;
        budget = budget.saturating_sub(tried.states - before);
        if let Some((found, message)) = found {
            let next = (made < baseline.calls().len()).then(|| baseline.describe(made));
            let state = ExploredState::PowerLost {
                next,
                acknowledged,
                lost: broken.locate_lost(baseline, &found.missing),
            };
            return Ok(Some(Box::new(describe(baseline, made, state, message))));
        }
    }
    Ok(None)
}
