//! Lets each call of an operation fail.

use super::broken_invariant::ExploredState;
use super::broken_points::BrokenPoints;
use super::directory_content::DirectoryContent;
use super::disk_states::{DiskStates, PowerCuts};
use super::error::ExploreError;
use super::explorer::{Explorer, Invariant};
use super::failure_cause::{can_fail, lasts};
use super::operation_call::OperationEnd;
use super::operation_run::Intervention;
use super::progress::Progress;
use super::trace::Trace;
use super::{Errno, InjectedFailure};
use clarity_chaos_disk::State;

/// The settings of an exploration of failures.
pub(super) struct FailurePoints<'a> {
    pub(super) errnos: &'a [Errno],
    /// The settings for losses of power, if these are explored.
    pub(super) power_cuts: Option<PowerCuts>,
}

impl FailurePoints<'_> {
    /// Lets each call fail with each error that the call can return. Adds broken points to
    /// `broken`.
    pub(super) fn explore(
        &self,
        explorer: &Explorer<'_>,
        invariant: Invariant<'_, InjectedFailure>,
        progress: &mut Progress,
        broken: &mut BrokenPoints<'_>,
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
        let cuts = self.power_cuts.as_ref();
        progress.expected = points.len() + cuts.map_or(0, |cuts| cuts.maximum);
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
            progress.reach(index);
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
            let states = states
                .as_mut()
                .filter(|_| failure.acknowledged || failure.acknowledgements > 0);
            // The invariant may change the directory, so its content is read first.
            let content = DirectoryContent::read(&explorer.directory)?.snapshot;
            let trace = match &states {
                Some(_) => {
                    let trace = Trace::of_failed(explorer, run)?;
                    progress.all_states &= trace.is_some();
                    trace
                }
                None => None,
            };
            let state = |broken: &mut BrokenPoints<'_>, lost| ExploredState::CallFailed {
                call: broken.locate(&baseline, index),
                errno,
                lasting,
                end: end.clone(),
                lost,
            };
            let listed = broken.len();
            if let Err(message) = explorer.check(invariant, failure) {
                let state = state(broken, None);
                broken.add(&baseline, index, state, message, &content);
            }
            // A broken invariant after the failed call does not hide the loss of power.
            if let (Some(states), Some(trace)) = (states, &trace) {
                let failure = InjectedFailure {
                    power_lost: true,
                    ..failure
                };
                let share = states.share(progress.states, points.len() - number);
                let check = |_: &State| explorer.check(invariant, failure);
                let circumstances = (
                    failure.acknowledged,
                    failure.acknowledgements,
                    Some((errno.0, lasting)),
                );
                let calls = trace.baseline.calls().len();
                let found =
                    states.check(&trace.journal, calls, circumstances, share, progress, check)?;
                if let Some((found, message)) = found {
                    let lost = found.missing.iter().map(|lost| {
                        // Up to the failed call, both runs made the same calls.
                        match *lost < index && baseline.is_sequential() {
                            true => broken.locate(&baseline, *lost),
                            false => trace.baseline.describe(*lost),
                        }
                    });
                    let lost = lost.collect();
                    let state = state(broken, Some(lost));
                    broken.add(&baseline, index, state, message, &found.snapshot);
                }
            }
            if broken.len() > listed {
                progress.calls[index].invariant_broken = true;
                if !broken.goes_on() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
