//! Rules for intercepted calls. Each rule has an action for the calls to which the rule applies.

use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::call_kind::CallKind;
use crate::syscalls::decoder::Decoder;
use crate::syscalls::file_call::{Effect, FileCall};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The call that lists a directory.
const LISTING: &str = "getdents64";

/// Whether a call is of this kind.
fn is_of(kind: CallKind, call: &FileCall) -> bool {
    match kind {
        CallKind::Open => {
            matches!(
                call.effect,
                Effect::Open { .. } | Effect::OpenUnnamed { .. }
            )
        }
        CallKind::Read => matches!(call.effect, Effect::Read { .. }) && call.name != LISTING,
        CallKind::List => call.name == LISTING,
        CallKind::Write => matches!(call.effect, Effect::Write { .. } | Effect::Extend { .. }),
        CallKind::Sync => call.effect.is_sync(),
        CallKind::Rename => matches!(call.effect, Effect::Rename { .. } | Effect::MoveOut { .. }),
        CallKind::Remove => matches!(
            call.effect,
            Effect::Unlink { .. } | Effect::RemoveDirectory { .. }
        ),
    }
}

/// The action that a rule takes on a call.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// The call fails with this error, without being executed.
    Fail(i32),
    /// The call is executed after this delay.
    Delay(Duration),
    /// The call reads or writes at most this number of bytes.
    Shorten {
        limit: u64,
        /// A call that cannot be shortened fails with this error. If this field is none, such a
        /// call is executed in full.
        otherwise: Option<i32>,
    },
    /// All calls to which the rule applies can together write at most this number of bytes. A call
    /// that needs more than the remaining bytes is shortened, or fails with `ENOSPC`, as on a full
    /// disk.
    LimitSpace(u64),
    /// The hook runs first. Then the call is executed.
    RunBefore(CallHook),
}

/// A function that runs before a call.
#[derive(Clone)]
pub(crate) struct CallHook(Arc<dyn Fn() + Send + Sync>);

impl CallHook {
    pub(crate) fn new(hook: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }

    pub(super) fn run(&self) {
        (self.0)();
    }
}

impl fmt::Debug for CallHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallHook").finish_non_exhaustive()
    }
}

/// A rule for calls of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) kind: CallKind,
    /// The file or directory of the rule, as a path without symlinks. The rule matches calls on
    /// this file, or on files below this directory.
    pub(crate) below: PathBuf,
    /// The rule applies only to the matching call with this number, from 1. If none, the rule
    /// applies to all matching calls.
    pub(crate) nth: Option<u64>,
    pub(crate) action: Action,
    /// The number of matching calls that the rule has counted so far.
    pub(crate) seen: u64,
}

impl Rule {
    /// Counts the call if the call matches. Gives the action on the call. Gives none if the rule
    /// does not apply to the call.
    pub(super) fn apply(&mut self, waiting: &WaitingCall, tracee: &Tracee) -> Option<Action> {
        // If the call's arguments cannot be read, for example at an invalid address, the rule does
        // not apply. The kernel then makes the call fail.
        let decoder = Decoder::new(&self.below, matches!(self.action, Action::LimitSpace(_)));
        let call = decoder.decode(waiting, tracee).ok().flatten()?;
        if !is_of(self.kind, &call) {
            return None;
        }
        self.seen += 1;
        let applies = self.nth.is_none_or(|nth| nth == self.seen);
        match &mut self.action {
            _ if !applies => None,
            Action::LimitSpace(left) => take_space(left, &call.effect),
            action => Some(action.clone()),
        }
    }
}

/// Reduces `left` by the space that a call needs. Gives an action if the call needs more than
/// `left`.
fn take_space(left: &mut u64, effect: &Effect) -> Option<Action> {
    let needed = match effect {
        Effect::Write { bytes, .. } => bytes.len() as u64,
        // For other calls, the needed space is unknown. Such a call fails only if no space is left.
        _ => u64::from(*left == 0),
    };
    let available = *left;
    *left = available.saturating_sub(needed);
    match available {
        _ if needed <= available => None,
        0 => Some(Action::Fail(libc::ENOSPC)),
        limit => Some(Action::Shorten {
            limit,
            otherwise: Some(libc::ENOSPC),
        }),
    }
}
