//! The calls of a program, made on files of the system.

use crate::reference::{Op, WriteSync};
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, OFlags, RenameFlags, fallocate, linkat, renameat_with,
};
use rustix::io::{Errno, ReadWriteFlags, pwritev2};
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;

/// Makes the calls of one program.
#[derive(Debug)]
pub(crate) struct Caller {
    root: PathBuf,
    /// The files of the calls so far that open one; none if the call was refused.
    handles: Vec<Option<File>>,
}

impl Caller {
    pub(crate) fn new(root: PathBuf) -> Self {
        let handles = Vec::new();
        Self { root, handles }
    }

    /// Makes a call. A call that the kernel refuses, because a name is missing or is there, does
    /// nothing.
    pub(crate) fn call(&mut self, op: &Op) -> io::Result<()> {
        match self.make(op) {
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::NOENT | Errno::EXIST) => Ok(()),
                _ => Err(error),
            },
            Ok(()) => Ok(()),
        }
    }

    fn make(&mut self, op: &Op) -> io::Result<()> {
        let at = |path: &String| self.root.join(path);
        match op {
            Op::Open {
                path,
                create,
                truncate,
            } => {
                let mut options = OpenOptions::new();
                let options = options.read(true).write(true).create(*create).mode(0o644);
                let opened = options.truncate(*truncate).open(at(path));
                let (file, result) = match opened {
                    Ok(file) => (Some(file), Ok(())),
                    Err(error) => (None, Err(error)),
                };
                self.handles.push(file);
                result
            }
            Op::OpenUnnamed => {
                let flags = i32::try_from(OFlags::TMPFILE.bits()).map_err(io::Error::other)?;
                let mut options = OpenOptions::new();
                let options = options.read(true).write(true).custom_flags(flags);
                let file = options.mode(0o644).open(&self.root)?;
                self.handles.push(Some(file));
                Ok(())
            }
            Op::LinkHandle { handle, to } => self.with(*handle, |file| {
                let from = format!("/proc/self/fd/{}", file.as_raw_fd());
                Ok(linkat(CWD, from, CWD, at(to), AtFlags::SYMLINK_FOLLOW)?)
            }),
            Op::Write {
                handle,
                at,
                bytes,
                sync,
            } => self.write(*handle, *at, bytes, *sync),
            Op::Truncate { handle, length } => self.with(*handle, |file| file.set_len(*length)),
            Op::Allocate { handle, length } => self.with(*handle, |file| {
                Ok(fallocate(file, FallocateFlags::empty(), 0, *length)?)
            }),
            Op::Chmod { path, mode } => {
                fs::set_permissions(at(path), fs::Permissions::from_mode(*mode))
            }
            Op::Rename { from, to } => fs::rename(at(from), at(to)),
            Op::Exchange { a, b } => Ok(renameat_with(
                CWD,
                at(a),
                CWD,
                at(b),
                RenameFlags::EXCHANGE,
            )?),
            Op::Link { from, to } => fs::hard_link(at(from), at(to)),
            Op::Unlink { path } => fs::remove_file(at(path)),
            Op::Mkdir { path } => fs::create_dir(at(path)),
            Op::Rmdir { path } => fs::remove_dir(at(path)),
            Op::Symlink { target, path } => std::os::unix::fs::symlink(target, at(path)),
            // No program of the tool has mappings.
            Op::Store { .. } | Op::Msync { .. } => Err(io::ErrorKind::Unsupported.into()),
            Op::Fsync { handle } => self.with(*handle, File::sync_all),
            Op::Fdatasync { handle } => self.with(*handle, File::sync_data),
            Op::FsyncDir { path } => File::open(at(path))?.sync_all(),
            Op::SyncAll => Ok(rustix::fs::syncfs(File::open(&self.root)?)?),
        }
    }

    fn with(&self, handle: usize, work: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        self.handles[handle].as_ref().map_or(Ok(()), work)
    }

    fn write(
        &self,
        handle: usize,
        at: Option<u64>,
        bytes: &[u8],
        sync: WriteSync,
    ) -> io::Result<()> {
        self.with(handle, |file| {
            let offset = match at {
                Some(offset) => offset,
                None => file.metadata()?.len(),
            };
            let flags = match sync {
                WriteSync::None => ReadWriteFlags::empty(),
                WriteSync::Data => ReadWriteFlags::DSYNC,
                WriteSync::Full => ReadWriteFlags::DSYNC | ReadWriteFlags::SYNC,
            };
            let written = pwritev2(file, &[IoSlice::new(bytes)], offset, flags)?;
            if written == bytes.len() {
                return Ok(());
            }
            Err(io::ErrorKind::WriteZero.into())
        })
    }
}
