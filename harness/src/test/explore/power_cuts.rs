//! Lets the power fail between the calls of an operation.

use super::Crash;
use super::baseline::Baseline;
use super::broken_points::BrokenPoints;
use super::checker::Checker;
use super::disk_states::DiskStates;
use super::error::ExploreError;
use super::explored_state::ExploredState;
use super::explorer::Explorer;
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
    checker: &Checker<'_, Crash>,
    progress: &mut Progress,
    broken: &mut BrokenPoints<'_>,
) -> Result<(), ExploreError> {
    let cuts = Cuts {
        explorer,
        trace,
        checker,
        died: !broken.is_empty(),
    };
    let points = points(&trace.baseline);
    let mut are_all = true;
    let mut open = Vec::new();
    for (number, point) in points.iter().enumerate() {
        let share = states.share(progress.states, points.len() - number);
        match cuts.cut(states, *point, share, progress, broken)? {
            Cut::Complete => {}
            Cut::Open => open.push(*point),
            Cut::Broken if broken.goes_on() => are_all = false,
            Cut::Broken => return Ok(()),
        }
    }
    // Points with few states leave a part of the maximum to the others.
    let count = open.len();
    for (number, point) in open.into_iter().enumerate() {
        let share = states.left(progress.states).div_ceil(count - number);
        if share == 0 {
            are_all = false;
            break;
        }
        let possible = progress.possible_states;
        let cut = cuts.cut(states, point, share, progress, broken)?;
        progress.possible_states = possible;
        are_all &= cut == Cut::Complete;
        if cut == Cut::Broken && !broken.goes_on() {
            return Ok(());
        }
    }
    progress.all_states = are_all;
    Ok(())
}

/// The result of a loss of power at one point.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// All states were checked.
    Complete,
    /// Other states are possible.
    Open,
    /// A state broke the invariant.
    Broken,
}

/// The losses of power of one exploration.
struct Cuts<'a> {
    explorer: &'a Explorer<'a>,
    trace: &'a Trace,
    checker: &'a Checker<'a, Crash>,
    /// Whether a death breaks the invariant already.
    died: bool,
}

impl Cuts<'_> {
    /// Checks up to `share` states after a loss of power at one point.
    fn cut(
        &self,
        states: &mut DiskStates<'_>,
        (made, acknowledged): (usize, bool),
        share: usize,
        progress: &mut Progress,
        broken: &mut BrokenPoints<'_>,
    ) -> Result<Cut, ExploreError> {
        let baseline = &self.trace.baseline;
        let crash = Crash {
            acknowledged,
            acknowledgements: baseline.acknowledgements(made),
            power_lost: true,
            victim: None,
            during_recovery: false,
        };
        // A state without losses is the content that a death leaves.
        let is_known = self.died && self.explorer.volatile.is_empty();
        let check = |state: &State| match state.missing.is_empty() && is_known {
            true => Ok(()),
            false => self.checker.check(crash),
        };
        let circumstances = (acknowledged, crash.acknowledgements, None);
        progress.all_states = true;
        let checked = states.check(self.trace, made, circumstances, share, progress, check)?;
        let Some((found, message)) = checked else {
            return Ok(match progress.all_states {
                true => Cut::Complete,
                false => Cut::Open,
            });
        };
        for index in &found.missing {
            if let Some(call) = progress.calls.get_mut(*index) {
                call.invariant_broken = true;
            }
        }
        let calls = baseline.calls().len();
        let state = ExploredState::PowerLost {
            next: (made < calls).then(|| broken.locate(baseline, made)),
            acknowledged,
            lost: broken.locate_lost(baseline, &found.missing),
        };
        broken.add(baseline, made, state, message, &found.snapshot);
        Ok(Cut::Broken)
    }
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
