//! The calls on shared mappings of a running operation, and the stores through them.

use super::{Continuation, Monitor};
use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::call_details::CallDetails;
use crate::syscalls::file_call::FileCall;
use crate::test::explore::call_identity::CallContext;
use crate::test::explore::mapped_files::MappingAnswer;
use std::io;

impl Monitor<'_> {
    /// Gives the context of a waiting call, without its arguments.
    pub(super) fn context(
        &mut self,
        waiting: &WaitingCall,
        tracee: &Tracee,
        process: usize,
    ) -> CallContext {
        let name = self.processes.name(process);
        let callers = &mut self.callers;
        CallContext {
            caller: callers.identify(waiting.thread, tracee, process, &name),
            process: name,
            details: CallDetails::default(),
            divisible: 0,
        }
    }

    /// Answers a call on a shared mapping that is not one of the operation's calls.
    pub(super) fn answer_mapping(
        &self,
        waiting: &WaitingCall,
        answer: &MappingAnswer,
    ) -> io::Result<Continuation> {
        let Some(listener) = &self.child.listener else {
            return Ok(Continuation::GoesOn);
        };
        match *answer {
            MappingAnswer::Pretend => listener.pretend(waiting, 0)?,
            MappingAnswer::Fail(errno) => listener.fail(waiting, errno)?,
            MappingAnswer::Request(signals, request) => {
                signals.send(request)?;
                listener.fail(waiting, libc::EINTR)?;
            }
            _ => listener.proceed(waiting)?,
        }
        Ok(Continuation::GoesOn)
    }

    /// Records the stores through mappings that have happened since the last call.
    pub(super) fn take_stores(&mut self) -> io::Result<()> {
        for (thread, store) in self.mapped.take_stores() {
            self.add_store(thread, store)?;
        }
        self.look_at_volatile()
    }

    fn add_store(&mut self, thread: u32, store: FileCall) -> io::Result<()> {
        let (context, process) = self.storing.context(thread, &store)?;
        if let Some(identifier) = &mut self.identifier {
            identifier.identify(&context, &store);
        }
        self.calls.push((context, store));
        self.made_by.push(process);
        Ok(())
    }

    /// Gives the unsupported call that stands for the end of the operation's process by SIGSEGV, if
    /// the protection of mapped pages can be the cause.
    pub(super) fn fault(&self) -> io::Result<Option<(CallContext, usize, FileCall)>> {
        let (Some(call), Some(thread)) = (self.mapped.died_of_fault(), self.storing.last()) else {
            return Ok(None);
        };
        let (context, process) = self.storing.context(thread, &call)?;
        Ok(Some((context, process, call)))
    }

    pub(super) fn look_at_volatile(&mut self) -> io::Result<()> {
        for (path, bytes) in self.mapped.take_volatile()? {
            self.volatile.add(self.calls.len(), path, &bytes);
        }
        Ok(())
    }
}
