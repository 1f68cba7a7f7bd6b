//! Decodes a waiting system call into its effect on a directory.

mod entries;

use self::entries::special;
use crate::os::seccomp::acknowledgement::is_announcement;
use crate::os::seccomp::listener::WaitingCall;
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::arguments::{
    WriteFlags, copied_bytes, descriptor, flags, is_reflink, length, permissions, piped_bytes,
    sets_flags,
};
use crate::syscalls::file_call::{Effect, FileCall, Sync};
use crate::syscalls::file_paths::FilePaths;
use std::io;
use std::path::{Path, PathBuf};

/// Decodes the calls that concern one directory.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    paths: FilePaths<'a>,
    /// Whether a decoded write contains the written bytes.
    with_bytes: bool,
}

impl<'a> Decoder<'a> {
    /// Makes a decoder. `directory` is an absolute path without symlinks.
    pub(crate) fn new(directory: &'a Path, with_bytes: bool) -> Self {
        Self {
            paths: FilePaths::new(directory),
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
        Ok(effect.map(|decoded| FileCall::new(name, decoded.effect, decoded.descriptor)))
    }

    /// Gives the path of an open file, relative to the directory, or that of its last name if it
    /// has none any more. Gives none for files outside of the directory.
    pub(crate) fn path_of(&self, tracee: &Tracee, descriptor: i32) -> io::Result<Option<PathBuf>> {
        self.paths.of_descriptor(tracee, descriptor)
    }

    fn effect(&self, call: &WaitingCall, tracee: &Tracee) -> io::Result<Option<Decoded>> {
        let a = &call.arguments;
        if is_announcement(call.number, a) {
            return Ok(Some(Effect::Acknowledge.into()));
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
            libc::SYS_rename => return Ok(self.rename(&here(0)?, &here(1)?, 0)),
            libc::SYS_unlink => return Ok(self.at(&here(0)?, |path| Effect::Unlink { path })),
            libc::SYS_rmdir => {
                return Ok(self.at(&here(0)?, |path| Effect::RemoveDirectory { path }));
            }
            libc::SYS_mkdir => return self.make_directory(tracee, &here(0)?, a[1]),
            libc::SYS_link => return self.link(tracee, here(0)?, &here(1)?, false),
            libc::SYS_symlink => {
                let to = tracee.text(a[0])?;
                return Ok(self.at(&here(1)?, |path| Effect::Symlink { to, path }));
            }
            libc::SYS_mknod => return Ok(self.at(&here(0)?, special)),
            libc::SYS_chmod => return self.on(tracee, here(0)?, |path| change_mode(path, a[1])),
            libc::SYS_chown | libc::SYS_utimes | libc::SYS_utime => {
                return self.on(tracee, here(0)?, |path| Effect::ChangeAttributes { path });
            }
            libc::SYS_lchown => {
                return Ok(self.at(&here(0)?, |path| Effect::ChangeAttributes { path }));
            }
            libc::SYS_futimesat => return self.change(tracee, a[0], a[1], 0, change_attributes),
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
            libc::SYS_pwritev2 => match WriteFlags::read(a[5]) {
                None => self.unknown(tracee, a[0], "pwritev2 with such flags")?,
                Some(flags) => {
                    let offset = (a[3] != u64::MAX).then_some(a[3]);
                    let bytes = || tracee.vectors(a[1], length(a[2])?);
                    self.write_with(tracee, a[0], offset, &flags, bytes)?
                }
            },
            libc::SYS_sendfile => self.write(tracee, a[0], None, || {
                copied_bytes(tracee, a[1], a[2], a[3])
            })?,
            libc::SYS_copy_file_range => {
                let offset = self.offset_at(tracee, a[3])?;
                self.write(tracee, a[2], offset, || {
                    copied_bytes(tracee, a[0], a[1], a[4])
                })?
            }
            libc::SYS_splice => {
                let offset = self.offset_at(tracee, a[3])?;
                match self.write(tracee, a[2], offset, || piped_bytes(tracee, a[0], a[4])) {
                    Err(_) => self.unknown(tracee, a[2], "splice from an empty pipe")?,
                    decoded => decoded?,
                }
            }
            libc::SYS_ioctl if is_reflink(a[1]) => {
                self.of(tracee, a[0], |path| Effect::Reflink { path })?
            }
            libc::SYS_ioctl if sets_flags(a[1]) => {
                self.unknown(tracee, a[0], "flags of a file (FS_IOC_SETFLAGS)")?
            }
            libc::SYS_fallocate => {
                let length = a[2].saturating_add(a[3]);
                match a[1] {
                    0 => self.of(tracee, a[0], |path| Effect::Extend { path, length })?,
                    keeps if keeps == u64::from(libc::FALLOC_FL_KEEP_SIZE.unsigned_abs()) => {
                        self.of(tracee, a[0], |path| Effect::Extend { path, length: 0 })?
                    }
                    _ => {
                        self.unknown(tracee, a[0], "fallocate that changes the content of a file")?
                    }
                }
            }
            libc::SYS_ftruncate => {
                self.of(tracee, a[0], |path| Effect::Truncate { path, length: a[1] })?
            }
            libc::SYS_truncate => self.on(tracee, here(0)?, |path| Effect::Truncate {
                path,
                length: a[1],
            })?,
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
            libc::SYS_sync => Some(Effect::SyncAll.into()),
            libc::SYS_renameat => self.rename(&at(0, 1)?, &at(2, 3)?, 0),
            libc::SYS_renameat2 => self.rename(&at(0, 1)?, &at(2, 3)?, a[4]),
            libc::SYS_unlinkat if flags(a[2]) & libc::AT_REMOVEDIR != 0 => {
                self.at(&at(0, 1)?, |path| Effect::RemoveDirectory { path })
            }
            libc::SYS_unlinkat => self.at(&at(0, 1)?, |path| Effect::Unlink { path }),
            libc::SYS_mkdirat => self.make_directory(tracee, &at(0, 1)?, a[2])?,
            libc::SYS_linkat => {
                let flags = flags(a[4]);
                let is_descriptor =
                    flags & libc::AT_EMPTY_PATH != 0 && tracee.text(a[1])?.as_os_str().is_empty();
                let from = match is_descriptor {
                    true => tracee.proc(descriptor(a[0])),
                    false => at(0, 1)?,
                };
                let follows = is_descriptor || flags & libc::AT_SYMLINK_FOLLOW != 0;
                self.link(tracee, from, &at(2, 3)?, follows)?
            }
            libc::SYS_symlinkat => {
                let to = tracee.text(a[0])?;
                self.at(&at(1, 2)?, |path| Effect::Symlink { to, path })
            }
            libc::SYS_mknodat => self.at(&at(0, 1)?, special),
            libc::SYS_fchmod => self.of(tracee, a[0], |path| change_mode(path, a[1]))?,
            libc::SYS_fchown => self.of(tracee, a[0], change_attributes)?,
            libc::SYS_fchmodat => self.on(tracee, at(0, 1)?, |path| change_mode(path, a[2]))?,
            libc::SYS_fchmodat2 => {
                self.change(tracee, a[0], a[1], a[3], |path| change_mode(path, a[2]))?
            }
            libc::SYS_fchownat => self.change(tracee, a[0], a[1], a[4], change_attributes)?,
            libc::SYS_utimensat => self.change(tracee, a[0], a[1], a[3], change_attributes)?,
            libc::SYS_setxattr | libc::SYS_removexattr => {
                self.on(tracee, here(0)?, extended_attributes)?
            }
            libc::SYS_lsetxattr | libc::SYS_lremovexattr => self.at(&here(0)?, extended_attributes),
            libc::SYS_fsetxattr | libc::SYS_fremovexattr => {
                self.of(tracee, a[0], extended_attributes)?
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

    /// Decodes a change of mode, owner or times. The path can be empty or null, for the descriptor
    /// itself.
    fn change(
        &self,
        tracee: &Tracee,
        directory: u64,
        path: u64,
        flag_bits: u64,
        effect: impl FnOnce(PathBuf) -> Effect,
    ) -> io::Result<Option<Decoded>> {
        if path == 0 || tracee.text(path)?.as_os_str().is_empty() {
            return self.of(tracee, directory, effect);
        }
        let path = tracee.path(descriptor(directory), path)?;
        match flags(flag_bits) & libc::AT_SYMLINK_NOFOLLOW {
            0 => self.on(tracee, path, effect),
            _ => Ok(self.at(&path, effect)),
        }
    }

    fn write(
        &self,
        tracee: &Tracee,
        to: u64,
        offset: Option<u64>,
        bytes: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> io::Result<Option<Decoded>> {
        self.write_with(tracee, to, offset, &WriteFlags::NONE, bytes)
    }

    fn write_with(
        &self,
        tracee: &Tracee,
        to: u64,
        offset: Option<u64>,
        flags: &WriteFlags,
        bytes: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> io::Result<Option<Decoded>> {
        let Some(path) = self.paths.of_descriptor(tracee, descriptor(to))? else {
            return Ok(None);
        };
        let open = tracee.descriptor(descriptor(to))?;
        let appends = flags.appends.unwrap_or(open.flags & libc::O_APPEND != 0);
        let effect = match open.flags & libc::O_ACCMODE {
            // The kernel refuses the call.
            libc::O_RDONLY => Effect::NoChange { path },
            _ => Effect::Write {
                path,
                offset: (!appends).then_some(offset.unwrap_or(open.position)),
                bytes: if self.with_bytes {
                    bytes()?
                } else {
                    Vec::new()
                },
                sync: flags.sync.max(match open.flags & libc::O_SYNC {
                    libc::O_SYNC => Some(Sync::Full),
                    0 => None,
                    _ => Some(Sync::Data),
                }),
            },
        };
        Ok(Some(Decoded::of(effect, to)))
    }

    /// Reads the offset at this address; none for the null address.
    fn offset_at(&self, tracee: &Tracee, address: u64) -> io::Result<Option<u64>> {
        match address {
            0 => Ok(None),
            address => tracee.long(address).map(Some),
        }
    }

    fn unknown(
        &self,
        tracee: &Tracee,
        file: u64,
        reason: &'static str,
    ) -> io::Result<Option<Decoded>> {
        self.of(tracee, file, |path| Effect::Unsupported { path, reason })
    }

    /// Gives the effect on the file of a descriptor, if the file is in the directory.
    fn of(
        &self,
        tracee: &Tracee,
        file: u64,
        effect: impl FnOnce(PathBuf) -> Effect,
    ) -> io::Result<Option<Decoded>> {
        let path = self.paths.of_descriptor(tracee, descriptor(file))?;
        Ok(path.map(|path| Decoded::of(effect(path), file)))
    }

    /// Gives the effect on this path, if the path is in the directory. Follows no symlink at the
    /// end of the path.
    fn at(&self, path: &Path, effect: impl FnOnce(PathBuf) -> Effect) -> Option<Decoded> {
        self.paths.below(path).map(|path| effect(path).into())
    }

    /// Gives the effect on the file to which this path leads, if the file is in the directory.
    fn on(
        &self,
        tracee: &Tracee,
        path: PathBuf,
        effect: impl FnOnce(PathBuf) -> Effect,
    ) -> io::Result<Option<Decoded>> {
        match tracee.descriptor_at(&path) {
            Some(descriptor) => self.of(tracee, u64::from(descriptor.unsigned_abs()), effect),
            None => Ok(self.paths.followed(path).map(|path| effect(path).into())),
        }
    }
}

/// The effect of a call, and the descriptor through which the call acts on its file.
struct Decoded {
    effect: Effect,
    descriptor: Option<i32>,
}

impl Decoded {
    fn of(effect: Effect, file: u64) -> Self {
        Self {
            effect,
            descriptor: Some(descriptor(file)),
        }
    }
}

impl From<Effect> for Decoded {
    fn from(effect: Effect) -> Self {
        Self {
            effect,
            descriptor: None,
        }
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

fn change_attributes(path: PathBuf) -> Effect {
    Effect::ChangeAttributes { path }
}

fn extended_attributes(path: PathBuf) -> Effect {
    Effect::Unsupported {
        path,
        reason: "extended attributes",
    }
}
