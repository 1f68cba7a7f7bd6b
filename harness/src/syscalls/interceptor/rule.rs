//! Rules for intercepted calls. Each rule has an action for the calls to which the rule applies.

use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::call_kind::CallKind;
use crate::syscalls::decoder::Decoder;
use crate::syscalls::file_call::{Effect, FileCall};
use crate::syscalls::unreadable_call::is_refused_by_kernel;
use std::fmt;
use std::io;
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

/// Whether a call with this number can be of this kind.
fn can_be_of(kind: CallKind, number: i64) -> bool {
    let numbers: &[i64] = match kind {
        #[cfg(target_arch = "x86_64")]
        CallKind::Open => &[
            libc::SYS_open,
            libc::SYS_creat,
            libc::SYS_openat,
            libc::SYS_openat2,
        ],
        #[cfg(not(target_arch = "x86_64"))]
        CallKind::Open => &[libc::SYS_openat, libc::SYS_openat2],
        CallKind::Read => &[
            libc::SYS_read,
            libc::SYS_pread64,
            libc::SYS_readv,
            libc::SYS_preadv,
            libc::SYS_preadv2,
        ],
        CallKind::List => &[libc::SYS_getdents64],
        CallKind::Write => &[
            libc::SYS_write,
            libc::SYS_pwrite64,
            libc::SYS_writev,
            libc::SYS_pwritev,
            libc::SYS_pwritev2,
            libc::SYS_sendfile,
            libc::SYS_copy_file_range,
            libc::SYS_fallocate,
        ],
        CallKind::Sync => &[
            libc::SYS_fsync,
            libc::SYS_fdatasync,
            libc::SYS_syncfs,
            libc::SYS_sync,
        ],
        #[cfg(target_arch = "x86_64")]
        CallKind::Rename => &[libc::SYS_rename, libc::SYS_renameat, libc::SYS_renameat2],
        #[cfg(not(target_arch = "x86_64"))]
        CallKind::Rename => &[libc::SYS_renameat, libc::SYS_renameat2],
        #[cfg(target_arch = "x86_64")]
        CallKind::Remove => &[libc::SYS_unlink, libc::SYS_rmdir, libc::SYS_unlinkat],
        #[cfg(not(target_arch = "x86_64"))]
        CallKind::Remove => &[libc::SYS_unlinkat],
    };
    numbers.contains(&number)
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
    ///
    /// # Errors
    ///
    /// When the arguments of the call cannot be read, so that the rule may apply.
    pub(super) fn apply(
        &mut self,
        waiting: &WaitingCall,
        tracee: &Tracee,
    ) -> io::Result<Option<Action>> {
        let decoder = Decoder::new(&self.below, matches!(self.action, Action::LimitSpace(_)));
        let call = match decoder.decode(waiting, tracee) {
            Ok(call) => call,
            Err(error) if is_refused_by_kernel(&error) => None,
            Err(error) => return Err(error),
        };
        let Some(call) = call.filter(|call| is_of(self.kind, call)) else {
            return Ok(None);
        };
        self.seen += 1;
        let applies = self.nth.is_none_or(|nth| nth == self.seen);
        Ok(match &mut self.action {
            _ if !applies => None,
            Action::LimitSpace(left) => take_space(left, &call.effect),
            action => Some(action.clone()),
        })
    }

    /// Whether the rule can apply to a call with unknown arguments.
    pub(super) fn can_apply(&self, waiting: &WaitingCall) -> bool {
        self.nth.is_none_or(|nth| self.seen < nth) && can_be_of(self.kind, waiting.number)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscalls::patterns::file_calls;

    #[test]
    fn each_kind_has_intercepted_calls_only() {
        let kinds = [
            CallKind::Open,
            CallKind::Read,
            CallKind::List,
            CallKind::Write,
            CallKind::Sync,
            CallKind::Rename,
            CallKind::Remove,
        ];
        let patterns = file_calls(true);
        for number in 0..600 {
            let kinds = kinds.iter().filter(|kind| can_be_of(**kind, number));
            let is_intercepted = patterns.iter().any(|pattern| pattern.number == number);
            assert!(kinds.count() <= usize::from(is_intercepted), "{number}");
        }
    }
}
