//! Lets each call of an operation fail.

use super::error::{ExploreError, ExploredState};
use super::explorer::{Explorer, Invariant, broken};
use super::failure_cause::{can_fail, lasts};
use super::operation_call::OperationEnd;
use super::operation_run::Intervention;
use super::progress::Progress;
use super::{Errno, InjectedFailure};

/// Lets each call fail once with each error in `errnos` that the call can return.
pub(super) fn explore(
    explorer: &Explorer<'_>,
    errnos: &[Errno],
    invariant: Invariant<'_, InjectedFailure>,
    progress: &mut Progress,
) -> Result<(), ExploreError> {
    let baseline = explorer.baseline()?;
    progress.begin(&baseline);
    for call in &mut progress.calls {
        call.exempt = true;
    }
    for (index, call) in baseline.calls().iter().enumerate() {
        for &errno in errnos {
            if !can_fail(&call.effect, errno) {
                continue;
            }
            progress.calls[index].exempt = false;
            for lasting in [false, true] {
                if lasting && !lasts(errno) {
                    continue;
                }
                let fail = |point| Intervention::Fail {
                    point,
                    errno,
                    lasts: lasting,
                };
                let end = explorer.intervene(&baseline, index, fail)?.operation_end();
                progress.calls[index].points += 1;
                let failure = InjectedFailure {
                    errno,
                    lasting,
                    acknowledged: end == OperationEnd::Succeeded,
                };
                if let Err(message) = explorer.check(invariant, failure) {
                    progress.calls[index].invariant_broken = true;
                    let call = explorer.locate(&baseline, index);
                    let state = ExploredState::CallFailed {
                        call,
                        errno,
                        lasting,
                        end,
                    };
                    return Err(broken(state, message));
                }
            }
        }
    }
    Ok(())
}
