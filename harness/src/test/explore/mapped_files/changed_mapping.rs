//! The calls that change or sync shared mappings.

use super::{Call, MappedFiles, Mapping, MappingAnswer, Pretend, Proceed, call_on, unsupported};
use crate::os::mapped_pages::PAGE;
use crate::os::memory_map::{FileMapping, file_mappings};
use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::{Tracee, without_deleted_mark};
use crate::syscalls::decoder::name;
use crate::syscalls::file_call::{Effect, FileCall};
use crate::syscalls::file_status::FileStatus;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

impl MappedFiles<'_> {
    /// Answers a call that changes or syncs a part of a followed mapping.
    pub(super) fn change(
        &mut self,
        waiting: &WaitingCall,
        tracee: &Tracee,
        mapping: &Mapping,
        range: Range<u64>,
    ) -> io::Result<MappingAnswer> {
        let (number, third) = (waiting.number, waiting.arguments[2] as i32);
        let Some(path) = mapping.path(self.directory) else {
            // The file has left the directory, so no state has its bytes.
            return Ok(Proceed);
        };
        if let Some(answer) = self.close_first(waiting, tracee, None)? {
            return Ok(answer);
        }
        let range = range.start..range.end.next_multiple_of(PAGE);
        let is_whole = mapping.addresses.end >= range.end;
        let refuse = |reason| Ok(unsupported(name(number), path.clone(), reason));
        match number {
            // The handlers themselves ask for this, right after they have made a mapping.
            libc::SYS_madvise if third == libc::MADV_DONTFORK => Ok(Proceed),
            _ if range.start % PAGE != 0 => Ok(Proceed),
            libc::SYS_munmap => {
                self.cut(&range);
                Ok(Proceed)
            }
            libc::SYS_mprotect | libc::SYS_pkey_mprotect => {
                let is_writable = match third {
                    libc::PROT_READ => false,
                    both if both == libc::PROT_READ | libc::PROT_WRITE => true,
                    _ => return refuse("a writable shared mapping without the right to read"),
                };
                if !is_whole {
                    return refuse("a change of several writable shared mappings");
                }
                for part in self.cut(&range) {
                    self.mappings.push(Mapping {
                        is_writable,
                        ..part
                    });
                }
                Ok(Pretend)
            }
            libc::SYS_msync if !is_whole => refuse("a sync of several writable shared mappings"),
            libc::SYS_msync => {
                let length = range.end - range.start;
                let effect = sync(third, path, mapping.offset_of(range.start), length);
                Ok(Call(call_on(&mapping.file, name(number), effect)))
            }
            libc::SYS_madvise if is_harmless(third) => Ok(Proceed),
            _ => refuse("a change of a writable shared mapping"),
        }
    }

    /// Removes these addresses from all mappings. Gives the removed parts.
    fn cut(&mut self, range: &Range<u64>) -> Vec<Mapping> {
        let mut removed = Vec::new();
        for mapping in std::mem::take(&mut self.mappings) {
            let Range { start, end } = mapping.addresses;
            let middle = range.start.clamp(start, end)..range.end.clamp(start, end);
            if middle.is_empty() {
                self.mappings.push(mapping);
                continue;
            }
            let part = |addresses: Range<u64>| Mapping {
                offset: mapping.offset_of(addresses.start),
                addresses,
                ..mapping.clone()
            };
            let kept = [start..middle.start, middle.end..end];
            let kept = kept.into_iter().filter(|addresses| !addresses.is_empty());
            self.mappings.extend(kept.map(part));
            removed.push(part(middle));
        }
        removed
    }

    /// Answers a call on mappings that are not followed, since they are not writable.
    pub(super) fn outside(
        &self,
        waiting: &WaitingCall,
        range: Range<u64>,
    ) -> io::Result<MappingAnswer> {
        let name = name(waiting.number);
        let overlaps = |mapping: &FileMapping| {
            let Range { start, end } = mapping.addresses;
            mapping.is_shared && start < range.end && range.start < end
        };
        let mappings = file_mappings(waiting.thread)?;
        for mapping in mappings.into_iter().filter(overlaps) {
            let Ok(path) = mapping.path.strip_prefix(self.directory) else {
                continue;
            };
            let path = path.to_owned();
            let start = range.start.max(mapping.addresses.start);
            let length = range.end.min(mapping.addresses.end) - start;
            return Ok(match waiting.number {
                libc::SYS_msync => {
                    let offset = mapping.offset + (start - mapping.addresses.start);
                    let status = FileStatus::at(&mapping.path);
                    if status.is_none() && without_deleted_mark(&path).is_some() {
                        let reason = "a sync of a file without a name through a read-only mapping";
                        return Ok(unsupported(name, path, reason));
                    }
                    let effect = sync(waiting.arguments[2] as i32, path, offset, length);
                    Call(FileCall::new(name, effect, None))
                }
                libc::SYS_mprotect | libc::SYS_pkey_mprotect if !self.patterns.matches(&path) => {
                    unsupported(name, path, "a shared mapping that becomes writable later")
                }
                _ => Proceed,
            });
        }
        Ok(Proceed)
    }
}

/// Gives the effect of `msync`. Only `MS_SYNC` makes the bytes durable.
fn sync(flags: i32, path: PathBuf, offset: u64, length: u64) -> Effect {
    if flags & libc::MS_SYNC == 0 {
        return Effect::NoChange { path };
    }
    Effect::SyncRange {
        path,
        offset,
        length,
    }
}

/// Whether this advice leaves the bytes and the protection of a shared mapping as they are.
fn is_harmless(advice: i32) -> bool {
    [
        libc::MADV_NORMAL,
        libc::MADV_RANDOM,
        libc::MADV_SEQUENTIAL,
        libc::MADV_WILLNEED,
        libc::MADV_DONTNEED,
        libc::MADV_DONTDUMP,
        libc::MADV_DODUMP,
        libc::MADV_HUGEPAGE,
        libc::MADV_NOHUGEPAGE,
    ]
    .contains(&advice)
}
