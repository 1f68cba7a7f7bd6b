//! The writable shared mappings of an operation's files.
//!
//! A program changes a mapped file without system calls. So a writable mapping is made without the
//! right to write, at an address in [`WINDOW`]. A store then stops its thread, as a system call
//! does, and one page becomes writable. Before the next call, and before a store to another page,
//! the page is protected again, and its changes are recorded as one store.

mod open_pages;
mod pointers;

use self::open_pages::OpenPages;
use self::pointers::{points_into, vectors_point_into};
use crate::os::mapped_pages::page_event::PageEvent;
use crate::os::mapped_pages::request::{Request, ThreadSignals};
use crate::os::mapped_pages::{IS_SUPPORTED, PAGE, WINDOW, is_own_handler};
use crate::os::memory_map::{FileMapping, file_mappings};
use crate::os::seccomp::filter::SyscallPattern;
use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::decoder::{Decoder, name};
use crate::syscalls::file_call::{Effect, FileCall};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The shared mappings of the files in an operation's directory.
#[derive(Debug)]
pub(super) struct MappedFiles<'a> {
    directory: &'a Path,
    /// The process that has writable mappings.
    owner: Option<u32>,
    /// The address of the next writable mapping.
    next: u64,
    mappings: Vec<Mapping>,
    open: OpenPages,
    /// Whether a process has made a shared mapping that is not writable.
    has_readable: bool,
    /// Whether calls that read files are recorded.
    reads: bool,
}

/// A mapping in [`WINDOW`].
#[derive(Clone, Debug)]
struct Mapping {
    addresses: Range<u64>,
    file: Rc<File>,
    /// The offset of the mapping in the file, in bytes.
    offset: u64,
    /// Whether the program may store through the mapping.
    is_writable: bool,
}

/// The answer to a waiting call.
#[derive(Debug)]
pub(super) enum MappingAnswer {
    /// The call concerns no followed mapping.
    Unconcerned,
    /// The kernel executes the call, which is not counted.
    Proceed,
    /// The call returns 0, and is not counted.
    Pretend,
    /// The call fails with this error, and is not counted.
    Fail(i32),
    /// The thread makes another call in the place of this one.
    Request(ThreadSignals, Request),
    /// The call is one of the operation's calls.
    Call(FileCall),
    /// The thread is about to change a page. The store is empty, since its bytes are not known.
    Store(FileCall),
}

use MappingAnswer::{Call, Fail, Pretend, Proceed, Unconcerned};

impl<'a> MappedFiles<'a> {
    /// Makes the mappings of a process that has none. Calls that match `patterns` are intercepted.
    pub(super) fn new(directory: &'a Path, patterns: &[SyscallPattern]) -> Self {
        Self {
            reads: patterns
                .iter()
                .any(|pattern| pattern.number == libc::SYS_read),
            directory,
            owner: None,
            next: WINDOW.start,
            mappings: Vec::new(),
            open: OpenPages::default(),
            has_readable: false,
        }
    }

    /// Gives the stores that were found since the last call, with the threads that made them.
    pub(super) fn take_stores(&mut self) -> Vec<(u32, FileCall)> {
        self.open.take_stores()
    }

    /// Looks for stores to the pages that are writable now.
    pub(super) fn look(&mut self) -> io::Result<()> {
        self.open.look(self.directory)
    }

    /// Gives the call to record, or the answer to a call that is not recorded.
    pub(super) fn answer(
        &mut self,
        waiting: &WaitingCall,
        tracee: &Tracee,
        decoder: &Decoder<'_>,
    ) -> io::Result<MappingAnswer> {
        match self.mapping_answer(waiting, tracee, decoder)? {
            Unconcerned => {}
            answer => return Ok(answer),
        }
        let call = decoder.decode(waiting, tracee)?;
        // Vectors are looked at because of mappings alone.
        let is_counted =
            |call: &FileCall| self.reads || !matches!(call.effect, Effect::Read { .. });
        let Some(call) = call.filter(is_counted) else {
            return Ok(Proceed);
        };
        let first = self.close_first(waiting, Some(&call.effect))?;
        Ok(first.unwrap_or(Call(call)))
    }

    /// Answers a call by which a program makes, changes or uses a shared mapping.
    fn mapping_answer(
        &mut self,
        waiting: &WaitingCall,
        tracee: &Tracee,
        decoder: &Decoder<'_>,
    ) -> io::Result<MappingAnswer> {
        let a = &waiting.arguments;
        if let Some(event) = PageEvent::announced(waiting.number, a) {
            return self.page_event(event, waiting);
        }
        let range = a[0]..a[0].saturating_add(a[1]);
        match waiting.number {
            libc::SYS_mmap => self.map(waiting, tracee, decoder),
            libc::SYS_rt_sigaction => self.handle_signal(waiting, tracee),
            libc::SYS_munmap
            | libc::SYS_mprotect
            | libc::SYS_pkey_mprotect
            | libc::SYS_msync
            | libc::SYS_madvise
            | libc::SYS_mremap
            | libc::SYS_remap_file_pages => match self.mapping_at(a[0]) {
                Some(mapping) => {
                    let mapping = mapping.clone();
                    self.change(waiting, &mapping, range)
                }
                None if WINDOW.contains(&a[0]) || !self.has_readable => Ok(Proceed),
                None => outside(waiting, range, decoder),
            },
            _ => self.use_pointer(waiting, tracee),
        }
    }

    fn mapping_at(&self, address: u64) -> Option<&Mapping> {
        let contains = |mapping: &&Mapping| mapping.addresses.contains(&address);
        self.mappings.iter().find(contains)
    }

    /// Answers the announcement of a process that protects its pages.
    fn page_event(&mut self, event: PageEvent, waiting: &WaitingCall) -> io::Result<MappingAnswer> {
        let page = match event {
            PageEvent::Protects(_) => return Ok(Proceed),
            PageEvent::Stepped(page) => {
                if let Some(mapping) = self.mapping_at(page).cloned() {
                    let offset = mapping.offset_of(page);
                    self.open.close_one(&mapping.file, offset, self.directory)?;
                }
                return Ok(Pretend);
            }
            PageEvent::Closed => {
                self.look()?;
                self.open.close();
                return Ok(Pretend);
            }
            PageEvent::Opens(page) | PageEvent::OpensBeside(page) => page,
        };
        let mapping = self.mapping_at(page).cloned();
        let signals = ThreadSignals::read(waiting.thread)?;
        if Some(signals.process) != self.owner {
            let path = mapping.and_then(|mapping| mapping.path(self.directory));
            let reason = "a mapping that a forked process uses";
            return Ok(unsupported("store", path.unwrap_or_default(), reason));
        }
        let Some(mapping) = mapping.filter(|mapping| mapping.is_writable) else {
            return Ok(Fail(libc::EACCES));
        };
        self.look()?;
        if matches!(event, PageEvent::Opens(_)) {
            self.open.close();
        }
        let offset = mapping.offset_of(page);
        self.open.open(&mapping.file, offset, waiting.thread)?;
        Ok(match mapping.path(self.directory) {
            Some(path) => MappingAnswer::Store(open_pages::store(path, offset, Vec::new())),
            None => Proceed,
        })
    }

    fn map(
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
        let Some(path) = decoder.below(tracee.link(descriptor)?) else {
            return Ok(Unconcerned);
        };
        let access = tracee.descriptor(descriptor)?.flags & libc::O_ACCMODE;
        let is_writable = protection & u64::from(libc::PROT_WRITE.unsigned_abs()) != 0;
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
        } else if signals.is_blocking() {
            "a writable shared mapping in a thread that blocks SIGSEGV, SIGTRAP or a real-time \
             signal"
        } else if self.owner.is_some_and(|owner| owner != signals.process) {
            "writable shared mappings of several processes"
        } else if end >= WINDOW.end {
            "writable shared mappings of more than 16 TiB"
        } else {
            let address = self.next;
            self.owner = Some(signals.process);
            self.mappings.push(Mapping {
                addresses: address..end,
                file: Rc::new(tracee.reopen(descriptor)?),
                offset,
                is_writable,
            });
            // A page without a mapping is between two mappings.
            self.next = end + PAGE;
            return Ok(MappingAnswer::Request(signals, Request::MapAt(address)));
        };
        Ok(unsupported(name(waiting.number), path, reason))
    }

    /// Answers a call that sets the handler of a signal. The protection of pages has handlers of its
    /// own.
    fn handle_signal(&self, waiting: &WaitingCall, tracee: &Tracee) -> io::Result<MappingAnswer> {
        let [signal, action, ..] = waiting.arguments;
        let is_needed = [libc::SIGSEGV, libc::SIGTRAP].contains(&(signal as i32));
        if !is_needed || action == 0 || self.mappings.is_empty() {
            return Ok(Proceed);
        }
        let handler = tracee.long(action)?;
        let process = ThreadSignals::read(waiting.thread)?.process;
        // The default action ends the process, which `died_of_fault` reports.
        if handler == 0 || is_own_handler(handler) || Some(process) != self.owner {
            return Ok(Proceed);
        }
        let reason = "a handler of SIGSEGV or SIGTRAP beside a writable shared mapping";
        Ok(unsupported(name(waiting.number), self.any_path(), reason))
    }

    fn any_path(&self) -> PathBuf {
        let mut mappings = self.mappings.iter();
        let path = mappings.find_map(|mapping| mapping.path(self.directory));
        path.unwrap_or_default()
    }

    /// Gives an unsupported call for the end of a process by SIGSEGV, if the process had followed
    /// mappings: the protection of their pages can be the cause.
    pub(super) fn died_of_fault(&self) -> Option<FileCall> {
        let reason = "its process was ended by signal 11 (SIGSEGV) beside a writable shared \
                      mapping, whose pages the exploration protects";
        let path = self.any_path();
        self.owner.is_some().then(|| FileCall {
            name: "store",
            effect: Effect::Unsupported { path, reason },
        })
    }

    /// Answers a call that changes or syncs a part of a followed mapping.
    fn change(
        &mut self,
        waiting: &WaitingCall,
        mapping: &Mapping,
        range: Range<u64>,
    ) -> io::Result<MappingAnswer> {
        let (number, third) = (waiting.number, waiting.arguments[2] as i32);
        let Some(path) = mapping.path(self.directory) else {
            // The file has no name any more, so no state has its bytes.
            return Ok(Proceed);
        };
        if let Some(answer) = self.close_first(waiting, None)? {
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
            libc::SYS_msync => Ok(sync(
                third,
                path,
                mapping.offset_of(range.start),
                range.end - range.start,
            )),
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

    /// Answers a call with a pointer into a followed mapping: the kernel itself can write there.
    fn use_pointer(&self, waiting: &WaitingCall, tracee: &Tracee) -> io::Result<MappingAnswer> {
        let is_mapped = |address: u64| self.mapping_at(address).is_some();
        let found = match points_into(waiting, is_mapped) {
            Some(address) => Some(address),
            None if self.mappings.is_empty() => None,
            None => vectors_point_into(waiting, tracee, is_mapped)?,
        };
        let mapping = found.and_then(|address| self.mapping_at(address));
        Ok(
            match mapping.and_then(|mapping| mapping.path(self.directory)) {
                Some(path) => {
                    let reason = "a call that can write into a writable shared mapping";
                    unsupported(name(waiting.number), path, reason)
                }
                None => Unconcerned,
            },
        )
    }

    /// Gives the answer to a call before which the writable pages must be protected. Gives none if
    /// no page is writable. `effect` is the effect of the call on the directory.
    fn close_first(
        &mut self,
        waiting: &WaitingCall,
        effect: Option<&Effect>,
    ) -> io::Result<Option<MappingAnswer>> {
        let Some(path) = self.open.path(self.directory) else {
            return Ok(None);
        };
        let signals = ThreadSignals::read(waiting.thread)?;
        if self.owner != Some(signals.process) {
            // Stores of the other process can come before or after the call.
            self.look()?;
            let is_changed = effect.is_some_and(|effect| effect.changes() && effect.path() == path);
            let reason = "a file that one process writes while another one has it mapped";
            return Ok(is_changed.then(|| unsupported(name(waiting.number), path, reason)));
        }
        if !signals.handles_requests() {
            // The process executes another program, so its mappings are gone.
            self.look()?;
            self.open.close();
            self.mappings.clear();
            return Ok(None);
        }
        if signals.is_blocking() {
            let reason = "a thread that blocks signals beside a writable shared mapping";
            return Ok(Some(unsupported(name(waiting.number), path, reason)));
        }
        let request = Request::Repeat(waiting.number);
        Ok(Some(MappingAnswer::Request(signals, request)))
    }
}

impl Mapping {
    /// Gives the offset in the file of this address, in bytes.
    fn offset_of(&self, address: u64) -> u64 {
        self.offset + (address - self.addresses.start)
    }

    fn path(&self, directory: &Path) -> Option<PathBuf> {
        open_pages::path_below(&self.file, directory)
    }
}

/// Answers a call on mappings that are not followed, since they are not writable.
fn outside(
    waiting: &WaitingCall,
    range: Range<u64>,
    decoder: &Decoder<'_>,
) -> io::Result<MappingAnswer> {
    let name = name(waiting.number);
    let overlaps = |mapping: &FileMapping| {
        let Range { start, end } = mapping.addresses;
        mapping.is_shared && start < range.end && range.start < end
    };
    let mappings = file_mappings(waiting.thread)?;
    for mapping in mappings.into_iter().filter(overlaps) {
        let Some(path) = decoder.below(mapping.path) else {
            continue;
        };
        let start = range.start.max(mapping.addresses.start);
        let length = range.end.min(mapping.addresses.end) - start;
        return Ok(match waiting.number {
            libc::SYS_msync => {
                let offset = mapping.offset + (start - mapping.addresses.start);
                sync(waiting.arguments[2] as i32, path, offset, length)
            }
            libc::SYS_mprotect | libc::SYS_pkey_mprotect => {
                unsupported(name, path, "a shared mapping that becomes writable later")
            }
            _ => Proceed,
        });
    }
    Ok(Proceed)
}

/// Answers `msync`. Only `MS_SYNC` makes the bytes durable.
fn sync(flags: i32, path: PathBuf, offset: u64, length: u64) -> MappingAnswer {
    Call(FileCall {
        name: name(libc::SYS_msync),
        effect: if flags & libc::MS_SYNC == 0 {
            Effect::NoChange { path }
        } else {
            Effect::SyncRange {
                path,
                offset,
                length,
            }
        },
    })
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

fn unsupported(name: &'static str, path: PathBuf, reason: &'static str) -> MappingAnswer {
    Call(FileCall {
        name,
        effect: Effect::Unsupported { path, reason },
    })
}
