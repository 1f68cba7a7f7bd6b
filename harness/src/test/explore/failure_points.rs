//! Lets each call of an operation fail.

use super::baseline::Baseline;
use super::broken_points::BrokenPoints;
use super::call_failure::CallFailure;
use super::checker::Checker;
use super::directory_content::DirectoryContent;
use super::disk_states::{DiskStates, PowerCuts};
use super::error::ExploreError;
use super::explored_state::ExploredState;
use super::explorer::Explorer;
use super::failure_cause::{can_fail, can_last};
use super::intervention::{CallPoint, Intervention};
use super::operation_call::OperationEnd;
use super::operation_run::ShortTransfer;
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
    /// Lets each call fail with each error that the call can return. Lets each call that can be
    /// split transfer half of its bytes. Adds broken points to `broken`.
    pub(super) fn explore(
        &self,
        explorer: &Explorer<'_>,
        checker: &Checker<'_, InjectedFailure>,
        progress: &mut Progress,
        broken: &mut BrokenPoints<'_>,
    ) -> Result<(), ExploreError> {
        let baseline = explorer.baseline()?;
        progress.begin(&baseline);
        for call in &mut progress.calls {
            call.exempt = true;
        }
        let points: Vec<(usize, FailureKind)> = (0..baseline.calls().len())
            .flat_map(|index| {
                let injections = self.injections(&baseline, index);
                injections.into_iter().map(move |how| (index, how))
            })
            .collect();
        let cuts = self.power_cuts.as_ref();
        progress.expected = points.len() + cuts.map_or(0, |cuts| cuts.maximum);
        let mut states = self
            .power_cuts
            .as_ref()
            .map(|cuts| DiskStates::new(explorer, cuts));
        for (number, (index, injection)) in points.iter().copied().enumerate() {
            progress.reach(index);
            let intervention = |point| injection.intervention(point);
            let run = explorer.intervene_patiently(&baseline, index, intervention)?;
            let (failure, lasting) = match (injection, run.short) {
                (FailureKind::Error { errno, lasts }, _) => (CallFailure::Error(errno), lasts),
                (FailureKind::Short, Some(short)) => (short.into(), false),
                // In this run, the call could not be split.
                (FailureKind::Short, None) => continue,
            };
            progress.calls[index].exempt = false;
            progress.calls[index].points += 1;
            let end = run.operation_end();
            let timed_out = run.timed_out;
            let failure = InjectedFailure {
                failure,
                lasting,
                acknowledged: end == OperationEnd::Succeeded,
                acknowledgements: run.acknowledgements(),
                power_lost: false,
            };
            let states = states
                .as_mut()
                .filter(|_| !timed_out && (failure.acknowledged || failure.acknowledgements > 0));
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
                failure: failure.failure,
                lasting,
                end: end.clone(),
                lost,
            };
            let listed = broken.len();
            // An operation that hangs has neither succeeded nor returned the error.
            if timed_out {
                let message = "the operation does not end".to_owned();
                let state = state(broken, None);
                broken.add(&baseline, index, state, message, &content);
            } else if let Err(message) = checker.check(failure) {
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
                let check = |_: &State| checker.check(failure);
                let circumstances = (
                    failure.acknowledged,
                    failure.acknowledgements,
                    Some((failure.failure, lasting)),
                );
                let calls = trace.baseline.calls().len();
                let found = states.check(trace, calls, circumstances, share, progress, check)?;
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

    /// Gives the ways in which this call fails.
    fn injections(&self, baseline: &Baseline, index: usize) -> Vec<FailureKind> {
        let effect = &baseline.calls()[index].effect;
        let errnos = self.errnos.iter().copied();
        let errors = errnos
            .filter(|errno| can_fail(effect, *errno))
            .flat_map(|errno| {
                let lasting = [false, true].into_iter();
                let lasting = lasting.filter(move |lasts| !lasts || can_last(errno));
                lasting.map(move |lasts| FailureKind::Error { errno, lasts })
            });
        let short = baseline.is_divisible(index).then_some(FailureKind::Short);
        errors.chain(short).collect()
    }
}

/// A way in which a call is to fail.
#[derive(Clone, Copy, Debug)]
enum FailureKind {
    Error { errno: Errno, lasts: bool },
    Short,
}

impl FailureKind {
    fn intervention(self, point: CallPoint) -> Intervention {
        match self {
            Self::Error { errno, lasts } => Intervention::Fail {
                point,
                errno,
                lasts,
            },
            Self::Short => Intervention::Shorten(point),
        }
    }
}

impl From<ShortTransfer> for CallFailure {
    fn from(short: ShortTransfer) -> Self {
        Self::Short {
            transferred: short.transferred,
            total: short.total,
        }
    }
}
