//! The calls of a running operation that transfer a part of their bytes.

use super::Monitor;
use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::file_call::Effect;
use crate::syscalls::transfer::Transfer;
use crate::test::explore::operation_run::ShortTransfer;
use std::io;

impl Monitor<'_> {
    /// Executes half of the call in the place of its thread. The kernel executes a call that cannot
    /// be split.
    pub(super) fn shorten(
        &mut self,
        waiting: &WaitingCall,
        tracee: &Tracee,
        transfer: Option<&Transfer>,
    ) -> io::Result<()> {
        let Some(listener) = &self.child.listener else {
            return Ok(());
        };
        let divided = transfer.map(|transfer| (transfer, transfer.divisible(tracee)));
        let Some((transfer, Ok(total @ 2..))) = divided else {
            return listener.proceed(waiting);
        };
        let cannot =
            |error| io::Error::other(format!("cannot execute a part of a system call: {error}"));
        match transfer.execute(tracee, total / 2).map_err(cannot)? {
            Ok(transferred) => {
                // The file can have become shorter since the call was decoded.
                if transferred < total {
                    self.short = Some(ShortTransfer { transferred, total });
                }
                if let Some((_, call)) = self.calls.last_mut()
                    && let Effect::Write { bytes, .. } = &mut call.effect
                {
                    bytes.truncate(usize::try_from(transferred).unwrap_or(usize::MAX));
                }
                listener.pretend(waiting, transferred.cast_signed())
            }
            Err(errno) => listener.fail(waiting, errno.raw_os_error()),
        }
    }
}
