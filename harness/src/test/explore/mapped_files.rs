//! The writable shared mappings of an operation's files.
//!
//! A program changes a mapped file without system calls. So a writable mapping is made without the
//! right to write, at an address in [`WINDOW`]. A store then stops its thread, as a system call
//! does, and one page becomes writable. Before the next call, and before a store to another page,
//! the page is protected again, and its changes are recorded as one store.

mod changed_mapping;
mod fault_signals;
mod new_mapping;
mod open_pages;
mod pointers;
mod volatile_mappings;

use self::open_pages::OpenPages;
use self::pointers::{points_into, vectors_point_into};
use self::volatile_mappings::VolatileMappings;
use super::volatile_files::VolatilePatterns;
use crate::os::mapped_pages::WINDOW;
use crate::os::mapped_pages::page_event::PageEvent;
use crate::os::mapped_pages::request::{Request, ThreadSignals};
use crate::os::mapped_pages::robust_list::holds_mapped_mutex;
use crate::os::seccomp::filter::SyscallPattern;
use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::decoder::{Decoder, name};
use crate::syscalls::file_call::{Effect, FileCall};
use crate::syscalls::file_paths::FilePaths;
use crate::syscalls::file_status::{FileStatus, Sighting};
use rustix::process::Pid;
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
    patterns: &'a VolatilePatterns,
    volatile: VolatileMappings,
    /// Whether calls that read files are recorded.
    reads: bool,
    /// Whether a program has replaced the handler of requests.
    ignores_requests: bool,
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

/// The reason why a followed mapping has no robust mutexes.
const ROBUST_MUTEX: &str =
    "a robust mutex in a writable shared mapping; name the file with `volatile`";

use MappingAnswer::{Call, Fail, Pretend, Proceed, Unconcerned};

impl<'a> MappedFiles<'a> {
    /// Makes the mappings of a process that has none. Calls that match `patterns` are intercepted.
    pub(super) fn new(
        directory: &'a Path,
        patterns: &[SyscallPattern],
        volatile: &'a VolatilePatterns,
    ) -> Self {
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
            ignores_requests: false,
            patterns: volatile,
            volatile: VolatileMappings::default(),
        }
    }

    /// Gives the stores that were found since the last call, with the threads that made them.
    pub(super) fn take_stores(&mut self) -> Vec<(u32, FileCall)> {
        self.open.take_stores()
    }

    /// Gives the contents of volatile files that have changed since the last call of this method.
    pub(super) fn take_volatile(&mut self) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
        self.volatile.take(self.directory)
    }

    /// Looks for stores to the pages that are writable now.
    pub(super) fn look(&mut self) -> io::Result<()> {
        self.open.look(self.directory)
    }

    /// Forgets the mappings of a process that was killed.
    pub(super) fn lose(&mut self, process: Pid) {
        let process = process.as_raw_nonzero().get().unsigned_abs();
        if self.owner == Some(process) {
            self.open.close();
            self.mappings.clear();
            self.owner = None;
        }
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
        let first = self.close_first(waiting, tracee, Some(&call.effect))?;
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
            let answer = self.page_event(event, waiting, tracee);
            // Without the right to write, the thread gets a SIGSEGV, which is reported.
            return Ok(answer.unwrap_or(Fail(libc::EACCES)));
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
                    self.change(waiting, tracee, &mapping, range)
                }
                None if WINDOW.contains(&a[0]) || !self.has_readable => Ok(Proceed),
                None => self.outside(waiting, range),
            },
            _ => self.use_pointer(waiting, tracee),
        }
    }

    fn mapping_at(&self, address: u64) -> Option<&Mapping> {
        let contains = |mapping: &&Mapping| mapping.addresses.contains(&address);
        self.mappings.iter().find(contains)
    }

    /// Answers the announcement of a process that protects its pages.
    fn page_event(
        &mut self,
        event: PageEvent,
        waiting: &WaitingCall,
        tracee: &Tracee,
    ) -> io::Result<MappingAnswer> {
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
        if holds_mapped_mutex(waiting.thread, tracee)? {
            return Ok(unsupported("store", self.any_path(), ROBUST_MUTEX));
        }
        self.look()?;
        if matches!(event, PageEvent::Opens(_)) {
            self.open.close();
        }
        let offset = mapping.offset_of(page);
        self.open.open(&mapping.file, offset, waiting.thread)?;
        Ok(match mapping.path(self.directory) {
            Some(path) => {
                let store = open_pages::store(&mapping.file, path, offset, Vec::new());
                MappingAnswer::Store(store)
            }
            None => Proceed,
        })
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
        tracee: &Tracee,
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
        if holds_mapped_mutex(waiting.thread, tracee)? {
            return Ok(Some(unsupported(name(waiting.number), path, ROBUST_MUTEX)));
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
        path_below(&self.file, directory)
    }
}

fn unsupported(name: &'static str, path: PathBuf, reason: &'static str) -> MappingAnswer {
    Call(FileCall::new(
        name,
        Effect::Unsupported { path, reason },
        None,
    ))
}

/// Makes a call on a file that this process has open.
fn call_on(file: &File, name: &'static str, effect: Effect) -> FileCall {
    let metadata = file.metadata().ok();
    FileCall {
        before: Sighting {
            file: metadata.as_ref().map(FileStatus::of),
            target: None,
        },
        ..FileCall::new(name, effect, None)
    }
}

/// Gives the present path of an open file, relative to `directory`, or that of its last name if it
/// has none any more. Gives none if the file has left the directory.
fn path_below(file: &File, directory: &Path) -> Option<PathBuf> {
    FilePaths::new(directory).of_file(file).ok().flatten()
}
