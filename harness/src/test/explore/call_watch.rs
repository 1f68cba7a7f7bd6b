//! Looks at the files of a call, before and after the kernel executes it.

use crate::syscalls::file_call::{Effect, FileCall};
use crate::syscalls::file_status::{FileStatus, Sighting};
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The files of a call that the kernel is about to execute.
// A listener does not learn the result of a call. What the call has changed shows whether it
// succeeded, also where that depends on permissions, limits, default ACLs or set-group-ID bits.
#[derive(Debug)]
pub(super) struct CallWatch {
    file: Option<Subject>,
    target: Option<PathBuf>,
    /// The thread that makes the call.
    thread: u32,
    number: i64,
}

#[derive(Debug)]
enum Subject {
    /// The file of a descriptor. It stays open here, since the program may close it.
    Open(File),
    Name(PathBuf),
}

impl CallWatch {
    /// Prepares to look at the files of a waiting call with this system call number.
    pub(super) fn new(directory: &Path, thread: u32, number: i64, call: &FileCall) -> Self {
        let file = match call.descriptor {
            Some(descriptor) => File::options()
                .read(true)
                .custom_flags(libc::O_PATH)
                .open(format!("/proc/{thread}/fd/{descriptor}"))
                .ok()
                .map(Subject::Open),
            None => Some(Subject::Name(directory.join(call.effect.path()))),
        };
        let target = match &call.effect {
            Effect::Rename { to, .. } | Effect::Link { to, .. } => Some(directory.join(to)),
            _ => None,
        };
        Self {
            file,
            target,
            thread,
            number,
        }
    }

    pub(super) fn look(&self) -> Sighting {
        let at = |path: &PathBuf| FileStatus::at(path);
        Sighting {
            file: match &self.file {
                Some(Subject::Open(file)) => {
                    file.metadata().ok().map(|found| FileStatus::of(&found))
                }
                Some(Subject::Name(path)) => at(path),
                None => None,
            },
            target: self.target.as_ref().and_then(at),
        }
    }

    /// Whether the kernel has surely executed the call when the next call comes from the thread
    /// `next`.
    pub(super) fn is_over(&self, next: u32) -> bool {
        if next == self.thread {
            return true;
        }
        // The number of the system call in which the thread waits, or "running".
        match fs::read_to_string(format!("/proc/{}/syscall", self.thread)) {
            Ok(text) => match text.split_whitespace().next().map(str::parse::<i64>) {
                Some(Ok(number)) => number != self.number,
                _ => false,
            },
            // The thread has ended.
            Err(_) => !Path::new(&format!("/proc/{}", self.thread)).exists(),
        }
    }
}
