//! The calls that make shared mappings.

use super::{MappedFiles, Mapping, MappingAnswer, Unconcerned, unsupported};
use crate::os::mapped_pages::request::{Request, ThreadSignals};
use crate::os::mapped_pages::{IS_SUPPORTED, PAGE, WINDOW};
use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::decoder::{Decoder, name};
use std::fs;
use std::io;
use std::rc::Rc;

impl MappedFiles<'_> {
    /// Answers `mmap`.
    pub(super) fn map(
        &mut self,
        waiting: &WaitingCall,
        tracee: &Tracee,
        decoder: &Decoder<'_>,
    ) -> io::Result<MappingAnswer> {
        let [address, length, protection, flags, file, offset] = waiting.arguments;
        let has = |bits: i32| flags & u64::from(bits.unsigned_abs()) != 0;
        let descriptor = (file & 0xffff_ffff) as u32 as i32;
        if !has(libc::MAP_SHARED) || has(libc::MAP_ANONYMOUS) || descriptor < 0 {
            return Ok(Unconcerned);
        }
        let Some(path) = decoder.path_of(tracee, descriptor)? else {
            return Ok(Unconcerned);
        };
        let access = tracee.descriptor(descriptor)?.flags & libc::O_ACCMODE;
        let is_writable = protection & u64::from(libc::PROT_WRITE.unsigned_abs()) != 0;
        if self.patterns.matches(&path) {
            self.volatile.add(tracee.reopen(descriptor)?)?;
            self.has_readable = true;
            return Ok(Unconcerned);
        }
        self.has_readable |= !is_writable && !WINDOW.contains(&address);
        // The kernel refuses the other calls.
        if !is_writable || access != libc::O_RDWR || length == 0 || offset % PAGE != 0 {
            return Ok(Unconcerned);
        }
        let signals = ThreadSignals::read(waiting.thread)?;
        let end = self.next.saturating_add(length.next_multiple_of(PAGE));
        let reason = if !IS_SUPPORTED {
            "a writable shared mapping, which can be followed on x86-64 alone"
        } else if !pauses_signals() {
            "a writable shared mapping, which can be followed on Linux 5.19 and later"
        } else if has(libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE) {
            "a writable shared mapping at a fixed address"
        } else if protection & u64::from(libc::PROT_EXEC.unsigned_abs()) != 0 {
            "a writable shared mapping of code"
        } else if !signals.handles_requests() {
            "a writable shared mapping of a program that `exec` started"
        } else if self.ignores_requests {
            "a writable shared mapping beside a handler of the real-time signal that explorations use"
        } else if signals.is_blocking() {
            "a writable shared mapping in a thread that blocks SIGSEGV, SIGTRAP or a real-time \
             signal"
        } else if self.has_other_owner(signals.process)? {
            "writable shared mappings of several processes"
        } else if end >= WINDOW.end {
            "writable shared mappings of more than 16 TiB"
        } else if let Ok(file) = tracee.reopen(descriptor) {
            let address = self.next;
            self.owner = Some(signals.process);
            self.mappings.push(Mapping {
                addresses: address..end,
                file: Rc::new(file),
                offset,
                is_writable,
            });
            // A page without a mapping is between two mappings.
            self.next = end + PAGE;
            return Ok(MappingAnswer::Request(signals, Request::MapAt(address)));
        } else {
            "a writable shared mapping of a file that cannot be opened again"
        };
        Ok(unsupported(name(waiting.number), path, reason))
    }

    /// Whether another process has writable mappings. Forgets the mappings of a process that has
    /// ended.
    fn has_other_owner(&mut self, process: u32) -> io::Result<bool> {
        let Some(owner) = self.owner.filter(|owner| *owner != process) else {
            return Ok(false);
        };
        // A process that was not reaped yet has no mappings either.
        if fs::read(format!("/proc/{owner}/maps")).is_ok_and(|maps| !maps.is_empty()) {
            return Ok(true);
        }
        self.look()?;
        self.open.close();
        self.mappings.clear();
        self.owner = None;
        Ok(false)
    }
}

/// Whether a signal leaves a thread that waits for an answer waiting, as since Linux 5.19.
fn pauses_signals() -> bool {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(5), Some(19))
}
