//! Reads the arguments of a waiting system call: paths, descriptors and bytes of the calling
//! thread.

use crate::os::proc_text::read_lossy;
use crate::os::seccomp::process_memory::{self, Range};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The maximum length of a path in a system call, in bytes (`PATH_MAX`). The size of a memory page
/// is this number or a multiple of it.
const PATH_MAX: usize = 4096;

/// A thread that waits in a system call.
#[derive(Debug)]
pub(crate) struct Tracee {
    thread: u32,
    memory: File,
}

/// The state of an open descriptor, from `/proc`.
#[derive(Debug)]
pub(crate) struct OpenDescriptor {
    pub(crate) position: u64,
    pub(crate) flags: i32,
}

impl Tracee {
    /// Opens the memory of the thread with this number.
    ///
    /// Open the memory again for each waiting call: a process gets new memory when it executes
    /// another program.
    pub(crate) fn open(thread: u32) -> io::Result<Self> {
        Ok(Self {
            thread,
            memory: File::open(format!("/proc/{thread}/mem"))?,
        })
    }

    /// Reads `length` bytes at this address.
    pub(crate) fn bytes(&self, address: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.memory.read_exact_at(&mut bytes, address)?;
        Ok(bytes)
    }

    /// Reads a 64-bit integer at this address.
    pub(crate) fn long(&self, address: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.memory.read_exact_at(&mut bytes, address)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// Reads the bytes to which a `struct iovec[count]` at this address points.
    pub(crate) fn vectors(&self, address: u64, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (base, length) in self.vector_ranges(address, count)? {
            bytes.extend(self.bytes(base, usize::try_from(length).map_err(io::Error::other)?)?);
        }
        Ok(bytes)
    }

    /// Reads a `struct iovec[count]` at this address, of which the kernel accepts at most 1,024.
    pub(crate) fn vector_ranges(&self, address: u64, count: usize) -> io::Result<Vec<Range>> {
        let indices = 0..count.min(1024) as u64;
        let fields = indices.map(|index| address.saturating_add(16 * index));
        fields
            .map(|at| Ok((self.long(at)?, self.long(at.saturating_add(8))?)))
            .collect()
    }

    /// Writes bytes to these ranges of the thread's memory, in order.
    pub(crate) fn write(&self, ranges: &[Range], bytes: &[u8]) -> io::Result<()> {
        process_memory::write(self.id()?, ranges, bytes)
    }

    /// Reads the text at this address, up to its zero byte.
    pub(crate) fn text(&self, address: u64) -> io::Result<PathBuf> {
        // No single read crosses the end of a memory page: the next page may be unmapped.
        let mut text = Vec::new();
        let mut buffer = [0; PATH_MAX];
        while text.len() < PATH_MAX {
            let at = address + text.len() as u64;
            let to_page = PATH_MAX - usize::try_from(at % PATH_MAX as u64).unwrap_or(0);
            let count = self.memory.read_at(&mut buffer[..to_page], at)?;
            let read = &buffer[..count];
            match read.iter().position(|byte| *byte == 0) {
                Some(end) => {
                    text.extend_from_slice(&read[..end]);
                    return Ok(OsString::from_vec(text).into());
                }
                None if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => text.extend_from_slice(read),
            }
        }
        Err(Errno::NAMETOOLONG.into())
    }

    /// Reads the path at this address, and makes it absolute. A relative path starts at the
    /// directory with the descriptor `directory`. Keeps symlinks and `..`.
    pub(crate) fn path(&self, directory: i32, address: u64) -> io::Result<PathBuf> {
        let path = self.text(address)?;
        if path.is_absolute() {
            return Ok(self.in_own_view(path));
        }
        let directory = match directory {
            libc::AT_FDCWD => fs::read_link(format!("/proc/{}/cwd", self.thread))?,
            directory => self.link(directory)?,
        };
        Ok(directory.join(path))
    }

    /// Replaces a path that leads each process to its own descriptors.
    fn in_own_view(&self, path: PathBuf) -> PathBuf {
        let process = PathBuf::from(format!("/proc/{}", self.thread));
        for own in ["/proc/self", "/proc/thread-self"] {
            if let Ok(rest) = path.strip_prefix(own) {
                return process.join(rest);
            }
        }
        match path.strip_prefix("/dev/fd") {
            Ok(rest) => process.join("fd").join(rest),
            Err(_) => path,
        }
    }

    /// Gives the descriptor if the path is that of one of the thread's descriptors in `/proc`.
    pub(crate) fn descriptor_at(&self, path: &Path) -> Option<i32> {
        let number = path
            .strip_prefix(format!("/proc/{}/fd", self.thread))
            .ok()?;
        number.to_str()?.parse().ok()
    }

    /// Gives the current path of an open descriptor, as the kernel names it.
    pub(crate) fn link(&self, descriptor: i32) -> io::Result<PathBuf> {
        fs::read_link(self.proc(descriptor))
    }

    /// Reads the umask of the thread.
    pub(crate) fn umask(&self) -> io::Result<u32> {
        let path = format!("/proc/{}/status", self.thread);
        let status = read_lossy(&path)?;
        let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        umask
            .and_then(|text| u32::from_str_radix(text.trim(), 8).ok())
            .ok_or_else(|| io::Error::other(format!("{path} has no umask")))
    }

    /// Gives the state of an open descriptor.
    pub(crate) fn descriptor(&self, descriptor: i32) -> io::Result<OpenDescriptor> {
        let info = fs::read_to_string(format!("/proc/{}/fdinfo/{descriptor}", self.thread))?;
        let field = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim)
        };
        let position = field("pos:").and_then(|text| text.parse().ok());
        let flags = field("flags:").and_then(|text| i32::from_str_radix(text, 8).ok());
        match (position, flags) {
            (Some(position), Some(flags)) => Ok(OpenDescriptor { position, flags }),
            _ => Err(io::Error::other(format!(
                "/proc/{}/fdinfo/{descriptor} has no position or no flags",
                self.thread
            ))),
        }
    }

    /// Opens the file of a descriptor once more, for reading.
    pub(crate) fn reopen(&self, descriptor: i32) -> io::Result<File> {
        File::open(self.proc(descriptor))
    }

    /// Gives the metadata of a descriptor's file.
    pub(crate) fn metadata(&self, descriptor: i32) -> io::Result<Metadata> {
        fs::metadata(self.proc(descriptor))
    }

    /// Gives a duplicate of a descriptor. Both share the position and the flags of the file.
    ///
    /// # Errors
    ///
    /// When the system refuses the duplicate, or when the thread has descriptors of its own.
    pub(crate) fn duplicate(&self, descriptor: i32) -> io::Result<OwnedFd> {
        let process = pidfd_open(self.process()?, PidfdFlags::empty())?;
        let duplicate = pidfd_getfd(process, descriptor, PidfdGetfdFlags::empty())?;
        // A thread that has left its process's table of descriptors has another file here.
        let path = fs::read_link(format!("/proc/self/fd/{}", duplicate.as_raw_fd()))?;
        match path == self.link(descriptor)? {
            true => Ok(duplicate),
            false => Err(io::Error::other("a thread with its own descriptors")),
        }
    }

    /// Gives the process of the thread.
    pub(crate) fn process(&self) -> io::Result<Pid> {
        let path = format!("/proc/{}/status", self.thread);
        let status = read_lossy(&path)?;
        let number = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
        number
            .and_then(|text| Pid::from_raw(text.trim().parse().ok()?))
            .ok_or_else(|| io::Error::other(format!("{path} has no process")))
    }

    fn id(&self) -> io::Result<Pid> {
        let number = i32::try_from(self.thread).map_err(io::Error::other)?;
        Pid::from_raw(number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Gives the path of a descriptor in `/proc`. It leads to the file, also without a name.
    pub(crate) fn proc(&self, descriptor: i32) -> PathBuf {
        format!("/proc/{}/fd/{descriptor}", self.thread).into()
    }
}

/// Removes the mark of the kernel from the path of a descriptor whose name is gone. Returns `None`
/// if the path has no such mark. A name can end like the mark.
pub(crate) fn without_deleted_mark(path: &Path) -> Option<PathBuf> {
    let path = path.as_os_str().as_bytes();
    let plain = path.strip_suffix(b" (deleted)")?;
    Some(OsStr::from_bytes(plain).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_bytes_of_a_thread_are_read() {
        let tracee = Tracee::open(std::process::id()).unwrap();
        let text = c"some/./of/../these";
        let address = text.as_ptr().addr() as u64;
        assert_eq!(
            tracee.text(address).unwrap(),
            Path::new("some/./of/../these")
        );
        let here = std::env::current_dir().unwrap();
        assert_eq!(
            tracee.path(libc::AT_FDCWD, address).unwrap(),
            here.join("some/of/../these")
        );
        let own = c"/proc/self/fd/7";
        let own = tracee.path(0, own.as_ptr().addr() as u64).unwrap();
        assert_eq!(tracee.descriptor_at(&own), Some(7));
        assert_eq!(tracee.bytes(address, 4).unwrap(), b"some");
        assert!(tracee.text(8).is_err());
    }
}
