//! Lets each call of an operation fail.

use super::disk_states::{DiskStates, PowerCuts};
use super::error::{ExploreError, ExploredState};
use super::explorer::{Explorer, Invariant, broken};
use super::failure_cause::{can_fail, lasts};
use super::operation_call::OperationEnd;
use super::operation_run::Intervention;
use super::progress::Progress;
use super::trace::Trace;
use super::{Errno, InjectedFailure};

/// The settings of an exploration of failures.
pub(super) struct FailurePoints<'a> {
    pub(super) errnos: &'a [Errno],
    /// The settings for losses of power, if these are explored.
    pub(super) power_cuts: Option<PowerCuts>,
}

impl FailurePoints<'_> {
    /// Lets each call fail with each error that the call can return.
    pub(super) fn explore(
        &self,
        explorer: &Explorer<'_>,
        invariant: Invariant<'_, InjectedFailure>,
        progress: &mut Progress,
    ) -> Result<(), ExploreError> {
        let baseline = explorer.baseline()?;
        progress.begin(&baseline);
        for call in &mut progress.calls {
            call.exempt = true;
        }
        let calls = baseline.calls().iter().enumerate();
        let points: Vec<(usize, Errno, bool)> = calls
            .flat_map(|(index, call)| {
                let errnos = self
                    .errnos
                    .iter()
                    .filter(|errno| can_fail(&call.effect, **errno));
                errnos.flat_map(move |errno| {
                    let lasting = [false, true]
                        .into_iter()
                        .filter(|last| !last || lasts(*errno));
                    lasting.map(move |lasting| (index, *errno, lasting))
                })
            })
            .collect();
        let mut states = self
            .power_cuts
            .as_ref()
            .map(|cuts| DiskStates::new(explorer, cuts));
        for (number, (index, errno, lasting)) in points.iter().copied().enumerate() {
            let fail = |point| Intervention::Fail {
                point,
                errno,
                lasts: lasting,
            };
            let run = explorer.intervene(&baseline, index, fail)?;
            progress.calls[index].exempt = false;
            progress.calls[index].points += 1;
            let end = run.operation_end();
            let failure = InjectedFailure {
                errno,
                lasting,
                acknowledged: end == OperationEnd::Succeeded,
                acknowledgements: run.acknowledgements(),
                power_lost: false,
            };
            // The invariant may change the directory, so the trace comes first.
            let states = states
                .as_mut()
                .filter(|_| failure.acknowledged || failure.acknowledgements > 0);
            let mut lost = None;
            let trace = match &states {
                Some(_) => {
                    let trace = Trace::of_failed(explorer, run)?;
                    progress.all_states &= trace.is_some();
                    trace
                }
                None => None,
            };
            let mut checked = explorer.check(invariant, failure);
            if let (Ok(()), Some(states), Some(trace)) = (&checked, states, &trace) {
                let failure = InjectedFailure {
                    power_lost: true,
                    ..failure
                };
                let share = states.share(progress.states, points.len() - number);
                let check = || explorer.check(invariant, failure);
                let circumstances = (
                    failure.acknowledged,
                    failure.acknowledgements,
                    Some((errno.0, lasting)),
                );
                let calls = trace.baseline.calls().len();
                let found = states.check(trace, calls, circumstances, share, progress, check)?;
                if let Some((state, message)) = found {
                    let describe = |call: &usize| trace.baseline.describe(*call);
                    lost = Some(state.missing.iter().map(describe).collect());
                    checked = Err(message);
                }
            }
            if let Err(message) = checked {
                progress.calls[index].invariant_broken = true;
                let state = ExploredState::CallFailed {
                    call: explorer.locate(&baseline, index),
                    errno,
                    lasting,
                    end,
                    lost,
                };
                return Err(broken(state, message));
            }
        }
        Ok(())
    }
}
