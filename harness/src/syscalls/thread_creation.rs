//! Calls that create a thread.

use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::arguments::descriptor;

/// The address at which the kernel stores the number of a new thread, before the thread starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadNumberAddress(u64);

impl ThreadNumberAddress {
    /// Gives the address that a call names. Gives none if the call creates no thread, or names no
    /// address.
    pub(crate) fn of(call: &WaitingCall, tracee: &Tracee) -> Option<Self> {
        let a = &call.arguments;
        let (flags, address) = match call.number {
            libc::SYS_clone => (a[0], a[2]),
            // The first and the fourth field of `struct clone_args`.
            libc::SYS_clone3 => {
                let field = |offset| tracee.long(a[0].saturating_add(offset)).ok();
                (field(0)?, field(24)?)
            }
            _ => return None,
        };
        let has = |flag: i32| flags & u64::from(flag.unsigned_abs()) != 0;
        (has(libc::CLONE_THREAD) && has(libc::CLONE_PARENT_SETTID)).then_some(Self(address))
    }

    /// Whether this thread's memory has the number of the thread at the address.
    pub(crate) fn is_of(self, thread: u32, tracee: &Tracee) -> bool {
        let stored = tracee.long(self.0);
        stored.is_ok_and(|stored| descriptor(stored) == thread.cast_signed())
    }
}
