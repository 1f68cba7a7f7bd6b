//! Lets each call of an operation fail.

use super::error::{ExploreError, ExploredState};
use super::explorer::{Explorer, Invariant, broken};
use super::operation_call::OperationEnd;
use super::operation_run::Intervention;
use super::progress::Progress;
use super::{Errno, InjectedFailure};
use crate::syscalls::file_call::{Effect, FileCall};

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
            if !can_give(call, errno) {
                continue;
            }
            progress.calls[index].exempt = false;
            let fail = |point| Intervention::Fail(point, errno.0);
            let end = explorer.intervene(&baseline, index, fail)?.operation_end();
            progress.calls[index].points += 1;
            let failure = InjectedFailure {
                errno,
                acknowledged: end == OperationEnd::Succeeded,
            };
            if let Err(message) = explorer.check(invariant, failure) {
                progress.calls[index].invariant_broken = true;
                let call = explorer.locate(&baseline, index);
                let state = ExploredState::CallFailed { call, errno, end };
                return Err(broken(state, message));
            }
        }
    }
    Ok(())
}

/// Whether the call can return this error. Only calls that allocate space return `ENOSPC`; only
/// calls that open a file return `EMFILE`.
fn can_give(call: &FileCall, errno: Errno) -> bool {
    match errno {
        Errno::ENOSPC => call.effect.allocates(),
        Errno::EMFILE => matches!(call.effect, Effect::Open { .. }),
        _ => true,
    }
}
