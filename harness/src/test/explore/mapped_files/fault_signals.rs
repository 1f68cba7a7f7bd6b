//! The signals that the protection of pages needs.

use super::{MappedFiles, MappingAnswer, Proceed, unsupported};
use crate::os::mapped_pages::is_own_handler;
use crate::os::mapped_pages::request::{ThreadSignals, request_signal};
use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::decoder::name;
use crate::syscalls::file_call::{Effect, FileCall};
use std::io;
use std::path::PathBuf;

impl MappedFiles<'_> {
    /// Answers a call that sets the handler of a signal. The protection of pages has its own
    /// handlers.
    pub(super) fn handle_signal(
        &mut self,
        waiting: &WaitingCall,
        tracee: &Tracee,
    ) -> io::Result<MappingAnswer> {
        let [signal, action, ..] = waiting.arguments;
        let signal = signal as i32;
        let is_request = signal == request_signal();
        if action == 0 || !is_request && ![libc::SIGSEGV, libc::SIGTRAP].contains(&signal) {
            return Ok(Proceed);
        }
        let handler = tracee.long(action)?;
        // The default action ends the process, which `died_of_fault` reports.
        if handler == 0 || is_own_handler(handler) {
            return Ok(Proceed);
        }
        self.ignores_requests |= is_request;
        let process = ThreadSignals::read(waiting.thread)?.process;
        if self.mappings.is_empty() || Some(process) != self.owner {
            return Ok(Proceed);
        }
        let reason = "a handler of SIGSEGV, SIGTRAP or the real-time signal of explorations, \
                      beside a writable shared mapping";
        Ok(unsupported(name(waiting.number), self.any_path(), reason))
    }

    pub(super) fn any_path(&self) -> PathBuf {
        let mut mappings = self.mappings.iter();
        let path = mappings.find_map(|mapping| mapping.path(self.directory));
        path.unwrap_or_default()
    }

    /// Gives an unsupported call for the end of a process by SIGSEGV, if the process had followed
    /// mappings: the protection of their pages can be the cause.
    pub(in crate::test::explore) fn died_of_fault(&self) -> Option<FileCall> {
        let reason = "its process was ended by signal 11 (SIGSEGV) beside a writable shared \
                      mapping, whose pages the exploration protects";
        let path = self.any_path();
        let effect = Effect::Unsupported { path, reason };
        self.owner
            .is_some()
            .then(|| FileCall::new("store", effect, None))
    }
}
