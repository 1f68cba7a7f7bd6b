//! What a thread that waits in a call has given it: paths, descriptors, bytes.

use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path, PathBuf};

/// The longest path that a call takes (`PATH_MAX`).
const LONGEST: usize = 4096;

/// A thread that waits in a call.
#[derive(Debug)]
pub(crate) struct Tracee {
    thread: u32,
    memory: File,
}

/// How a descriptor is open, as `/proc` tells of it.
#[derive(Debug)]
pub(crate) struct Descriptor {
    pub(crate) position: u64,
    pub(crate) flags: i32,
}

impl Tracee {
    /// The thread with this number. To be made anew for each call: a program that becomes another has other memory then.
    pub(crate) fn of(thread: u32) -> io::Result<Self> {
        Ok(Self {
            thread,
            memory: File::open(format!("/proc/{thread}/mem"))?,
        })
    }

    /// So many bytes from this address.
    pub(crate) fn bytes(&self, address: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.memory.read_exact_at(&mut bytes, address)?;
        Ok(bytes)
    }

    pub(crate) fn long(&self, address: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.memory.read_exact_at(&mut bytes, address)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// The bytes of a `struct iovec[count]`.
    pub(crate) fn vectors(&self, address: u64, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for place in 0..count.min(1024) as u64 {
            let (base, length) = (
                self.long(address + 16 * place)?,
                self.long(address + 16 * place + 8)?,
            );
            bytes.extend(self.bytes(base, usize::try_from(length).map_err(io::Error::other)?)?);
        }
        Ok(bytes)
    }

    /// The text at this address, up to its zero, as it is.
    pub(crate) fn text(&self, address: u64) -> io::Result<PathBuf> {
        // Not more than the page at a time: the next one need not be there.
        let mut text = Vec::new();
        let mut buffer = [0; LONGEST];
        while text.len() < LONGEST {
            let at = address + text.len() as u64;
            let to_page = LONGEST - usize::try_from(at % LONGEST as u64).unwrap_or(0);
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

    /// The absolute path that the text at this address means, with a folder that relative ones are from. Links are not followed.
    pub(crate) fn path(&self, folder: i32, address: u64) -> io::Result<PathBuf> {
        let path = self.text(address)?;
        if path.is_absolute() {
            return Ok(without_dots(&path));
        }
        let folder = match folder {
            libc::AT_FDCWD => fs::read_link(format!("/proc/{}/cwd", self.thread))?,
            folder => self.link(folder)?,
        };
        Ok(without_dots(&folder.join(path)))
    }

    /// What a descriptor is open on, as the kernel names it now.
    pub(crate) fn link(&self, descriptor: i32) -> io::Result<PathBuf> {
        fs::read_link(self.proc(descriptor))
    }

    /// A descriptor with all that is known of it.
    pub(crate) fn descriptor(&self, descriptor: i32) -> io::Result<Descriptor> {
        let info = fs::read_to_string(format!("/proc/{}/fdinfo/{descriptor}", self.thread))?;
        let field = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim)
        };
        let position = field("pos:").and_then(|text| text.parse().ok());
        let flags = field("flags:").and_then(|text| i32::from_str_radix(text, 8).ok());
        match (position, flags) {
            (Some(position), Some(flags)) => Ok(Descriptor { position, flags }),
            _ => Err(io::Error::other("/proc tells nothing of a descriptor")),
        }
    }

    /// The file that a descriptor is open on, opened anew to read.
    pub(crate) fn reopen(&self, descriptor: i32) -> io::Result<File> {
        File::open(self.proc(descriptor))
    }

    fn proc(&self, descriptor: i32) -> PathBuf {
        format!("/proc/{}/fd/{descriptor}", self.thread).into()
    }
}

/// The path without `.` and `..`, as far as its text tells.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// Whether the kernel says of a descriptor's path that the file has no name any more.
pub(crate) fn is_nameless(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b" (deleted)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_s_paths_and_bytes_are_read_as_it_has_them() {
        let tracee = Tracee::of(std::process::id()).unwrap();
        let text = c"some/./of/../these";
        let address = text.as_ptr().addr() as u64;
        assert_eq!(
            tracee.text(address).unwrap(),
            Path::new("some/./of/../these")
        );
        let here = std::env::current_dir().unwrap();
        assert_eq!(
            tracee.path(libc::AT_FDCWD, address).unwrap(),
            here.join("some/these")
        );
        assert_eq!(tracee.bytes(address, 4).unwrap(), b"some");
        assert!(tracee.text(8).is_err());
    }
}
