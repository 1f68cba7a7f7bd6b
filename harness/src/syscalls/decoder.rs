//! Decodes a waiting system call into its effect on a directory.

use crate::os::seccomp::acknowledgement::is_announcement;
use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::{Tracee, is_deleted};
use crate::syscalls::arguments::{
    copied_bytes, descriptor, flags, is_reflink, length, permissions,
};
use crate::syscalls::file_call::{Effect, FileCall, Sync, split};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Decodes the calls that concern one directory.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    directory: &'a Path,
    /// Whether a decoded write contains the written bytes.
    with_bytes: bool,
}

impl<'a> Decoder<'a> {
    /// Makes a decoder. `directory` is an absolute path without symlinks.
    pub(crate) fn new(directory: &'a Path, with_bytes: bool) -> Self {
        Self {
            directory,
            with_bytes,
        }
    }

    /// Gives the call and its effect on the directory. Gives none if the call does not concern the
    /// directory.
    ///
    /// # Errors
    ///
    /// When the arguments of the call cannot be read.
    pub(crate) fn decode(
        &self,
        call: &WaitingCall,
        tracee: &Tracee,
    ) -> io::Result<Option<FileCall>> {
        let name = name(call.number);
        let effect = self.effect(call, tracee)?;
        Ok(effect.map(|effect| FileCall { name, effect }))
    }

    fn effect(&self, call: &WaitingCall, tracee: &Tracee) -> io::Result<Option<Effect>> {
        let a = &call.arguments;
        if is_announcement(call.number, a) {
            return Ok(Some(Effect::Acknowledge));
        }
        let at = |directory: usize, path: usize| tracee.path(descriptor(a[directory]), a[path]);
        let here = |path: usize| tracee.path(libc::AT_FDCWD, a[path]);
        #[cfg(target_arch = "x86_64")]
        match call.number {
            libc::SYS_open => return self.open(tracee, here(0)?, flags(a[1]), a[2]),
            libc::SYS_creat => {
                let flags = libc::O_CREAT | libc::O_TRUNC | libc::O_WRONLY;
                return self.open(tracee, here(0)?, flags, a[1]);
            }
            libc::SYS_rename => return Ok(self.rename(here(0)?, here(1)?, false)),
            libc::SYS_unlink => return Ok(self.at(here(0)?, |path| Effect::Unlink { path })),
            libc::SYS_rmdir => {
                return Ok(self.at(here(0)?, |path| Effect::RemoveDirectory { path }));
            }
            libc::SYS_mkdir => return self.make_directory(tracee, here(0)?, a[1]),
            libc::SYS_link => return Ok(self.link(here(0)?, here(1)?)),
            libc::SYS_symlink => {
                let to = tracee.text(a[0])?;
                return Ok(self.at(here(1)?, |path| Effect::Symlink { to, path }));
            }
            libc::SYS_mknod => return Ok(self.at(here(0)?, special)),
            libc::SYS_chmod => return Ok(self.at(here(0)?, |path| change_mode(path, a[1]))),
            libc::SYS_chown | libc::SYS_lchown | libc::SYS_utimes | libc::SYS_utime => {
                return Ok(self.at(here(0)?, |path| Effect::ChangeAttributes { path }));
            }
            libc::SYS_futimesat => return self.change_attributes(tracee, a[0], a[1]),
            _ => {}
        }
        Ok(match call.number {
            libc::SYS_openat => self.open(tracee, at(0, 1)?, flags(a[2]), a[3])?,
            libc::SYS_openat2 => {
                // The fields of `struct open_how`.
                let (how, mode) = (tracee.long(a[2])?, tracee.long(a[2] + 8)?);
                self.open(tracee, at(0, 1)?, flags(how), mode)?
            }
            libc::SYS_write => {
                self.write(tracee, a[0], None, || tracee.bytes(a[1], length(a[2])?))?
            }
            libc::SYS_pwrite64 => self.write(tracee, a[0], Some(a[3]), || {
                tracee.bytes(a[1], length(a[2])?)
            })?,
            libc::SYS_writev => {
                self.write(tracee, a[0], None, || tracee.vectors(a[1], length(a[2])?))?
            }
            libc::SYS_pwritev => self.write(tracee, a[0], Some(a[3]), || {
                tracee.vectors(a[1], length(a[2])?)
            })?,
            libc::SYS_pwritev2 => {
                // The flags of `pwritev2` can change the offset and the mode of the write. Writes
                // with such flags are therefore unsupported.
                if a[5] != 0 {
                    self.unknown(tracee, a[0], "pwritev2 with flags")?
                } else {
                    let offset = (a[3] != u64::MAX).then_some(a[3]);
                    self.write(tracee, a[0], offset, || tracee.vectors(a[1], length(a[2])?))?
                }
            }
            libc::SYS_sendfile => self.write(tracee, a[0], None, || {
                copied_bytes(tracee, a[1], a[2], a[3])
            })?,
            libc::SYS_copy_file_range => {
                let offset = match a[3] {
                    0 => None,
                    address => Some(tracee.long(address)?),
                };
                self.write(tracee, a[2], offset, || {
                    copied_bytes(tracee, a[0], a[1], a[4])
                })?
            }
            libc::SYS_splice => self.unknown(tracee, a[2], "splice")?,
            libc::SYS_ioctl if is_reflink(a[1]) => {
                self.of(tracee, a[0], |path| Effect::Reflink { path })?
            }
            libc::SYS_fallocate => {
                let length = a[2].saturating_add(a[3]);
                match a[1] {
                    0 => self.of(tracee, a[0], |path| Effect::Extend { path, length })?,
                    keeps if keeps == u64::from(libc::FALLOC_FL_KEEP_SIZE.unsigned_abs()) => None,
                    _ => {
                        self.unknown(tracee, a[0], "fallocate that changes the content of a file")?
                    }
                }
            }
            libc::SYS_ftruncate => {
                self.of(tracee, a[0], |path| Effect::Truncate { path, length: a[1] })?
            }
            libc::SYS_truncate => self.at(here(0)?, |path| Effect::Truncate { path, length: a[1] }),
            libc::SYS_fsync => self.of(tracee, a[0], |path| Effect::Sync {
                path,
                sync: Sync::Full,
            })?,
            libc::SYS_fdatasync => self.of(tracee, a[0], |path| Effect::Sync {
                path,
                sync: Sync::Data,
            })?,
            // This call only starts to write cached bytes to the disk, and guarantees nothing
            // (sync_file_range(2)).
            libc::SYS_sync_file_range => self.of(tracee, a[0], |path| Effect::NoChange { path })?,
            libc::SYS_syncfs => self.of(tracee, a[0], |_| Effect::SyncAll)?,
            libc::SYS_sync => Some(Effect::SyncAll),
            libc::SYS_renameat => self.rename(at(0, 1)?, at(2, 3)?, false),
            libc::SYS_renameat2 => {
                let exchange = a[4] & u64::from(libc::RENAME_EXCHANGE) != 0;
                self.rename(at(0, 1)?, at(2, 3)?, exchange)
            }
            libc::SYS_unlinkat if flags(a[2]) & libc::AT_REMOVEDIR != 0 => {
                self.at(at(0, 1)?, |path| Effect::RemoveDirectory { path })
            }
            libc::SYS_unlinkat => self.at(at(0, 1)?, |path| Effect::Unlink { path }),
            libc::SYS_mkdirat => self.make_directory(tracee, at(0, 1)?, a[2])?,
            libc::SYS_linkat if flags(a[4]) != 0 => {
                self.at(at(2, 3)?, |path| Effect::Unsupported {
                    path,
                    reason: "a link to a file without a name",
                })
            }
            libc::SYS_linkat => self.link(at(0, 1)?, at(2, 3)?),
            libc::SYS_symlinkat => {
                let to = tracee.text(a[0])?;
                self.at(at(1, 2)?, |path| Effect::Symlink { to, path })
            }
            libc::SYS_mknodat => self.at(at(0, 1)?, special),
            libc::SYS_fchmod => self.of(tracee, a[0], |path| change_mode(path, a[1]))?,
            libc::SYS_fchown => self.of(tracee, a[0], |path| Effect::ChangeAttributes { path })?,
            libc::SYS_fchmodat | libc::SYS_fchmodat2 => {
                self.at(at(0, 1)?, |path| change_mode(path, a[2]))
            }
            libc::SYS_fchownat | libc::SYS_utimensat => {
                self.change_attributes(tracee, a[0], a[1])?
            }
            libc::SYS_read
            | libc::SYS_pread64
            | libc::SYS_readv
            | libc::SYS_preadv
            | libc::SYS_preadv2
            | libc::SYS_getdents64 => self.of(tracee, a[0], |path| Effect::Read { path })?,
            _ => None,
        })
    }

    fn open(
        &self,
        tracee: &Tracee,
        path: PathBuf,
        flags: i32,
        mode: u64,
    ) -> io::Result<Option<Effect>> {
        if flags & libc::O_TMPFILE == libc::O_TMPFILE {
            return Ok(self.at(path, |path| Effect::Unsupported {
                path,
                reason: "a file without a name (O_TMPFILE)",
            }));
        }
        let Some(path) = self.below(path) else {
            return Ok(None);
        };
        let creates = flags & libc::O_CREAT != 0;
        Ok(Some(Effect::Open {
            path,
            creates,
            truncates: flags & libc::O_TRUNC != 0,
            mode: if creates {
                self.new_mode(tracee, mode)?
            } else {
                0
            },
        }))
    }

    fn make_directory(
        &self,
        tracee: &Tracee,
        path: PathBuf,
        mode: u64,
    ) -> io::Result<Option<Effect>> {
        let Some(path) = self.below(path) else {
            return Ok(None);
        };
        let mode = self.new_mode(tracee, mode)?;
        Ok(Some(Effect::MakeDirectory { path, mode }))
    }

    /// Gives the mode of a new file or directory. Without bytes of writes, gives the mode before
    /// the umask, since then no caller needs the content of the disk.
    fn new_mode(&self, tracee: &Tracee, mode: u64) -> io::Result<u32> {
        let umask = if self.with_bytes { tracee.umask()? } else { 0 };
        Ok(permissions(mode) & !umask)
    }

    /// Decodes a change of owner or times. The path can be empty or null, for the descriptor
    /// itself.
    fn change_attributes(
        &self,
        tracee: &Tracee,
        directory: u64,
        path: u64,
    ) -> io::Result<Option<Effect>> {
        let directory = descriptor(directory);
        let is_descriptor = path == 0 || tracee.text(path)?.as_os_str().is_empty();
        let path = match is_descriptor {
            true => tracee.link(directory)?,
            false => tracee.path(directory, path)?,
        };
        Ok(self.at(path, |path| Effect::ChangeAttributes { path }))
    }

    fn write(
        &self,
        tracee: &Tracee,
        to: u64,
        offset: Option<u64>,
        bytes: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> io::Result<Option<Effect>> {
        let to = descriptor(to);
        let Some(path) = self.below(tracee.link(to)?) else {
            return Ok(None);
        };
        let open = tracee.descriptor(to)?;
        let offset = match open.flags & libc::O_APPEND {
            0 => Some(offset.unwrap_or(open.position)),
            _ => None,
        };
        Ok(Some(Effect::Write {
            path,
            offset,
            bytes: if self.with_bytes {
                bytes()?
            } else {
                Vec::new()
            },
            sync: match open.flags & libc::O_SYNC {
                libc::O_SYNC => Some(Sync::Full),
                0 => None,
                _ => Some(Sync::Data),
            },
        }))
    }

    fn rename(&self, from: PathBuf, to: PathBuf, exchange: bool) -> Option<Effect> {
        let same_file_system = || {
            let device = |path: &Path| path.parent()?.metadata().ok().map(|found| found.dev());
            device(&from) == device(&to)
        };
        match (self.below(from.clone()), self.below(to.clone())) {
            (Some(from), Some(to)) => Some(Effect::Rename { from, to, exchange }),
            (None, None) => None,
            (Some(path), None) | (None, Some(path)) if !same_file_system() => {
                Some(Effect::NoChange { path })
            }
            (Some(from), None) => Some(Effect::MoveOut { from }),
            (None, Some(path)) => Some(Effect::Unsupported {
                path,
                reason: "a file that came from outside of the directory",
            }),
        }
    }

    fn link(&self, from: PathBuf, to: PathBuf) -> Option<Effect> {
        match (self.below(from), self.below(to)) {
            (Some(from), Some(to)) => Some(Effect::Link { from, to }),
            (None, Some(path)) => Some(Effect::Unsupported {
                path,
                reason: "a link to a file outside of the directory",
            }),
            _ => None,
        }
    }

    fn unknown(
        &self,
        tracee: &Tracee,
        file: u64,
        reason: &'static str,
    ) -> io::Result<Option<Effect>> {
        self.of(tracee, file, |path| Effect::Unsupported { path, reason })
    }

    /// Gives the effect on the file of a descriptor, if the file is in the directory.
    fn of(
        &self,
        tracee: &Tracee,
        file: u64,
        effect: impl FnOnce(PathBuf) -> Effect,
    ) -> io::Result<Option<Effect>> {
        Ok(self.below(tracee.link(descriptor(file))?).map(effect))
    }

    /// Gives the effect on this path, if the path is in the directory.
    fn at(&self, path: PathBuf, effect: impl FnOnce(PathBuf) -> Effect) -> Option<Effect> {
        self.below(path).map(effect)
    }

    /// Makes a path relative to the directory. Gives none for a deleted file and for a path outside
    /// of the directory.
    pub(crate) fn below(&self, path: PathBuf) -> Option<PathBuf> {
        if is_deleted(&path) {
            return None;
        }
        if let Ok(path) = path.strip_prefix(self.directory) {
            return Some(path.to_owned());
        }
        // A path that contains symlinks can lead into the directory.
        let (parent, name) = split(&path)?;
        let parent = parent.canonicalize().ok()?;
        let path = parent.strip_prefix(self.directory).ok()?.join(name);
        Some(path)
    }
}

/// Gives the name of the system call with this number.
pub(crate) fn name(number: i64) -> &'static str {
    let known = usize::try_from(number)
        .ok()
        .and_then(::syscalls::Sysno::new);
    known.map_or("an unknown call", |known| known.name())
}

fn change_mode(path: PathBuf, mode: u64) -> Effect {
    let mode = permissions(mode);
    Effect::ChangeMode { path, mode }
}

/// Gives the effect of `mknod`. The call makes a device, a FIFO, a socket or, rarely, a regular
/// file.
fn special(path: PathBuf) -> Effect {
    Effect::Unsupported {
        path,
        reason: "a special file",
    }
}
