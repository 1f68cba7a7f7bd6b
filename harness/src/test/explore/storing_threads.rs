//! The threads that store through shared mappings.

use super::call_identity::CallContext;
use crate::syscalls::call_details::CallDetails;
use crate::syscalls::file_call::FileCall;
use std::collections::HashMap;
use std::io;

/// The threads of a run that use followed mappings, with their contexts.
// A store is found later than it happens, when its thread may have ended.
#[derive(Debug, Default)]
pub(super) struct StoringThreads {
    threads: HashMap<u32, (CallContext, usize)>,
    last: Option<u32>,
}

impl StoringThreads {
    /// Notes a thread that uses a mapping. `process` is the index of its process in this run.
    pub(super) fn note(&mut self, thread: u32, context: &CallContext, process: usize) {
        self.threads.insert(thread, (context.clone(), process));
        self.last = Some(thread);
    }

    /// Gives the context of a store by this thread, and the index of the thread's process.
    ///
    /// # Errors
    ///
    /// When the thread is not noted.
    pub(super) fn context(
        &self,
        thread: u32,
        store: &FileCall,
    ) -> io::Result<(CallContext, usize)> {
        let Some((context, process)) = self.threads.get(&thread) else {
            return Err(io::Error::other("a store of an unknown thread"));
        };
        let context = CallContext {
            details: CallDetails::of_mapped(&store.effect),
            divisible: 0,
            ..context.clone()
        };
        Ok((context, *process))
    }

    /// Gives the thread that was noted last.
    pub(super) fn last(&self) -> Option<u32> {
        self.last
    }
}
