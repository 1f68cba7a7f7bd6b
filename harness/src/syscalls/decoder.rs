//! Which system calls are explored, and how each is read.

use crate::os::listener::Waiting;
use crate::os::seccomp::Trap;
use crate::os::tracee::{Tracee, is_nameless};
use crate::syscalls::effect::{Call, Effect, split};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The calls that change files, and with `reading` those that read them, too.
pub(crate) fn traps(reading: bool) -> Vec<Trap> {
    // O_TMPFILE contains O_DIRECTORY, which says nothing.
    let making =
        (libc::O_CREAT | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY)).unsigned_abs();
    let opening = |argument| (!reading).then_some((argument, making));
    let mut traps = vec![
        Trap {
            number: libc::SYS_openat,
            only: opening(2),
        },
        Trap {
            number: libc::SYS_mmap,
            only: Some((3, libc::MAP_SHARED.unsigned_abs())),
        },
    ];
    #[cfg(target_arch = "x86_64")]
    traps.push(Trap {
        number: libc::SYS_open,
        only: opening(1),
    });
    let mut all = vec![
        libc::SYS_openat2,
        libc::SYS_write,
        libc::SYS_pwrite64,
        libc::SYS_writev,
        libc::SYS_pwritev,
        libc::SYS_pwritev2,
        libc::SYS_sendfile,
        libc::SYS_copy_file_range,
        libc::SYS_splice,
        libc::SYS_fallocate,
        libc::SYS_ftruncate,
        libc::SYS_truncate,
        libc::SYS_fsync,
        libc::SYS_fdatasync,
        libc::SYS_sync_file_range,
        libc::SYS_syncfs,
        libc::SYS_sync,
        libc::SYS_renameat2,
        libc::SYS_unlinkat,
        libc::SYS_mkdirat,
        libc::SYS_linkat,
        libc::SYS_symlinkat,
        libc::SYS_mknodat,
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        libc::SYS_fchmodat2,
        libc::SYS_fchown,
        libc::SYS_fchownat,
        libc::SYS_ioctl,
    ];
    #[cfg(target_arch = "x86_64")]
    all.extend([
        libc::SYS_creat,
        libc::SYS_rename,
        libc::SYS_unlink,
        libc::SYS_rmdir,
        libc::SYS_mkdir,
        libc::SYS_link,
        libc::SYS_symlink,
        libc::SYS_mknod,
        libc::SYS_chmod,
        libc::SYS_chown,
        libc::SYS_lchown,
    ]);
    // Machines that are younger than renameat2 have no other.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    all.push(libc::SYS_renameat);
    if reading {
        all.extend([
            libc::SYS_read,
            libc::SYS_pread64,
            libc::SYS_readv,
            libc::SYS_preadv,
            libc::SYS_preadv2,
            libc::SYS_getdents64,
        ]);
    }
    traps.extend(all.into_iter().map(|number| Trap { number, only: None }));
    traps
}

/// Reads calls of an operation in this directory.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    directory: &'a Path,
    /// Whether the bytes that are written are wanted, too.
    with_bytes: bool,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(directory: &'a Path, with_bytes: bool) -> Self {
        Self {
            directory,
            with_bytes,
        }
    }

    /// What the waiting call would do in the directory; none if that is no concern of it.
    pub(crate) fn decode(&self, call: &Waiting, tracee: &Tracee) -> io::Result<Option<Call>> {
        let name = name(call.number);
        let effect = self.effect(call, tracee)?;
        Ok(effect.map(|effect| Call { name, effect }))
    }

    fn effect(&self, call: &Waiting, tracee: &Tracee) -> io::Result<Option<Effect>> {
        let a = &call.arguments;
        let at = |folder: usize, path: usize| tracee.path(descriptor(a[folder]), a[path]);
        let here = |path: usize| tracee.path(libc::AT_FDCWD, a[path]);
        #[cfg(target_arch = "x86_64")]
        match call.number {
            libc::SYS_open => return Ok(self.open(here(0)?, flags(a[1]))),
            libc::SYS_creat => {
                return Ok(self.open(here(0)?, libc::O_CREAT | libc::O_TRUNC | libc::O_WRONLY));
            }
            libc::SYS_rename => return Ok(self.rename(here(0)?, here(1)?, false)),
            libc::SYS_unlink => return Ok(self.at(here(0)?, |path| Effect::Unlink { path })),
            libc::SYS_rmdir => return Ok(self.at(here(0)?, |path| Effect::RemoveFolder { path })),
            libc::SYS_mkdir => return Ok(self.at(here(0)?, |path| Effect::MakeFolder { path })),
            libc::SYS_link => return Ok(self.link(here(0)?, here(1)?)),
            libc::SYS_symlink => {
                let to = tracee.text(a[0])?;
                return Ok(self.at(here(1)?, |path| Effect::Symlink { to, path }));
            }
            libc::SYS_mknod => return Ok(self.at(here(0)?, special)),
            libc::SYS_chmod | libc::SYS_chown | libc::SYS_lchown => {
                return Ok(self.at(here(0)?, |path| Effect::Rights { path }));
            }
            _ => {}
        }
        Ok(match call.number {
            libc::SYS_openat => self.open(at(0, 1)?, flags(a[2])),
            libc::SYS_openat2 => self.open(at(0, 1)?, flags(tracee.long(a[2])?)),
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
                // Its flags can change where and how it writes.
                if a[5] != 0 {
                    self.unknown(tracee, a[0], "pwritev2 with flags")?
                } else {
                    let at = (a[3] != u64::MAX).then_some(a[3]);
                    self.write(tracee, a[0], at, || tracee.vectors(a[1], length(a[2])?))?
                }
            }
            libc::SYS_sendfile => {
                self.write(tracee, a[0], None, || copied(tracee, a[1], a[2], a[3]))?
            }
            libc::SYS_copy_file_range => {
                let at = match a[3] {
                    0 => None,
                    address => Some(tracee.long(address)?),
                };
                self.write(tracee, a[2], at, || copied(tracee, a[0], a[1], a[4]))?
            }
            libc::SYS_splice => self.unknown(tracee, a[2], "splice")?,
            libc::SYS_ioctl if is_clone(a[1]) => {
                self.of(tracee, a[0], |path| Effect::Clone { path })?
            }
            libc::SYS_fallocate => {
                let length = a[2].saturating_add(a[3]);
                match a[1] {
                    0 => self.of(tracee, a[0], |path| Effect::Extend { path, length })?,
                    keeps if keeps == u64::from(libc::FALLOC_FL_KEEP_SIZE.unsigned_abs()) => None,
                    _ => self.unknown(tracee, a[0], "fallocate that changes what is in a file")?,
                }
            }
            libc::SYS_ftruncate => {
                self.of(tracee, a[0], |path| Effect::Truncate { path, length: a[1] })?
            }
            libc::SYS_truncate => self.at(here(0)?, |path| Effect::Truncate { path, length: a[1] }),
            libc::SYS_fsync | libc::SYS_fdatasync => {
                self.of(tracee, a[0], |path| Effect::Sync { path })?
            }
            // It begins to write and promises nothing (sync_file_range(2)).
            libc::SYS_sync_file_range => self.of(tracee, a[0], |path| Effect::Nothing { path })?,
            libc::SYS_syncfs => self.of(tracee, a[0], |_| Effect::SyncAll)?,
            libc::SYS_sync => Some(Effect::SyncAll),
            libc::SYS_renameat => self.rename(at(0, 1)?, at(2, 3)?, false),
            libc::SYS_renameat2 => {
                let exchange = a[4] & u64::from(libc::RENAME_EXCHANGE) != 0;
                self.rename(at(0, 1)?, at(2, 3)?, exchange)
            }
            libc::SYS_unlinkat if flags(a[2]) & libc::AT_REMOVEDIR != 0 => {
                self.at(at(0, 1)?, |path| Effect::RemoveFolder { path })
            }
            libc::SYS_unlinkat => self.at(at(0, 1)?, |path| Effect::Unlink { path }),
            libc::SYS_mkdirat => self.at(at(0, 1)?, |path| Effect::MakeFolder { path }),
            libc::SYS_linkat if flags(a[4]) != 0 => self.at(at(2, 3)?, |path| Effect::Unknown {
                path,
                why: "a link to a file without a name",
            }),
            libc::SYS_linkat => self.link(at(0, 1)?, at(2, 3)?),
            libc::SYS_symlinkat => {
                let to = tracee.text(a[0])?;
                self.at(at(1, 2)?, |path| Effect::Symlink { to, path })
            }
            libc::SYS_mknodat => self.at(at(0, 1)?, special),
            libc::SYS_fchmod | libc::SYS_fchown => {
                self.of(tracee, a[0], |path| Effect::Rights { path })?
            }
            libc::SYS_fchmodat | libc::SYS_fchmodat2 | libc::SYS_fchownat => {
                self.at(at(0, 1)?, |path| Effect::Rights { path })
            }
            libc::SYS_mmap => self.map(tracee, a[2], a[4])?,
            libc::SYS_read
            | libc::SYS_pread64
            | libc::SYS_readv
            | libc::SYS_preadv
            | libc::SYS_preadv2
            | libc::SYS_getdents64 => self.of(tracee, a[0], |path| Effect::Read { path })?,
            _ => None,
        })
    }

    fn open(&self, path: PathBuf, flags: i32) -> Option<Effect> {
        if flags & libc::O_TMPFILE == libc::O_TMPFILE {
            return self.at(path, |path| Effect::Unknown {
                path,
                why: "a file without a name (O_TMPFILE)",
            });
        }
        self.at(path, |path| Effect::Open {
            path,
            creates: flags & libc::O_CREAT != 0,
            truncates: flags & libc::O_TRUNC != 0,
        })
    }

    fn write(
        &self,
        tracee: &Tracee,
        to: u64,
        at: Option<u64>,
        bytes: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> io::Result<Option<Effect>> {
        let to = descriptor(to);
        let Some(path) = self.below(tracee.link(to)?) else {
            return Ok(None);
        };
        let open = tracee.descriptor(to)?;
        let at = match open.flags & libc::O_APPEND {
            0 => Some(at.unwrap_or(open.position)),
            _ => None,
        };
        Ok(Some(Effect::Write {
            path,
            at,
            bytes: if self.with_bytes {
                bytes()?
            } else {
                Vec::new()
            },
            durable: open.flags & libc::O_DSYNC != 0,
        }))
    }

    fn rename(&self, from: PathBuf, to: PathBuf, exchange: bool) -> Option<Effect> {
        let same_disk = || {
            let device = |path: &Path| path.parent()?.metadata().ok().map(|found| found.dev());
            device(&from) == device(&to)
        };
        match (self.below(from.clone()), self.below(to.clone())) {
            (Some(from), Some(to)) => Some(Effect::Rename { from, to, exchange }),
            (None, None) => None,
            (Some(path), None) | (None, Some(path)) if !same_disk() => {
                Some(Effect::Nothing { path })
            }
            (Some(from), None) => Some(Effect::MoveOut { from }),
            (None, Some(path)) => Some(Effect::Unknown {
                path,
                why: "a file that came from outside of the directory",
            }),
        }
    }

    fn link(&self, from: PathBuf, to: PathBuf) -> Option<Effect> {
        match (self.below(from), self.below(to)) {
            (Some(from), Some(to)) => Some(Effect::Link { from, to }),
            (None, Some(path)) => Some(Effect::Unknown {
                path,
                why: "a link to a file outside of the directory",
            }),
            _ => None,
        }
    }

    /// A mapping through which a file can be changed by no call at all.
    fn map(&self, tracee: &Tracee, rights: u64, file: u64) -> io::Result<Option<Effect>> {
        let file = descriptor(file);
        if file < 0 {
            return Ok(None);
        }
        let Some(path) = self.below(tracee.link(file)?) else {
            return Ok(None);
        };
        // One that can only be read now can be made writable if the file is open for that.
        let writable = flags(rights) & libc::PROT_WRITE != 0
            || tracee.descriptor(file)?.flags & libc::O_ACCMODE != libc::O_RDONLY;
        Ok(writable.then_some(Effect::Unknown {
            path,
            why: "a shared mapping that can be written to, which changes the file without any call",
        }))
    }

    fn unknown(&self, tracee: &Tracee, file: u64, why: &'static str) -> io::Result<Option<Effect>> {
        self.of(tracee, file, |path| Effect::Unknown { path, why })
    }

    /// The effect on the file that is open here, if it is one of the directory.
    fn of(
        &self,
        tracee: &Tracee,
        file: u64,
        effect: impl FnOnce(PathBuf) -> Effect,
    ) -> io::Result<Option<Effect>> {
        Ok(self.below(tracee.link(descriptor(file))?).map(effect))
    }

    /// The effect on what is at this path, if that is in the directory.
    fn at(&self, path: PathBuf, effect: impl FnOnce(PathBuf) -> Effect) -> Option<Effect> {
        self.below(path).map(effect)
    }

    /// The path relative to the directory, of what is in it and has a name.
    fn below(&self, path: PathBuf) -> Option<PathBuf> {
        if is_nameless(&path) {
            return None;
        }
        if let Ok(path) = path.strip_prefix(self.directory) {
            return Some(path.to_owned());
        }
        // It may lead there by links.
        let (folder, name) = split(&path)?;
        let folder = folder.canonicalize().ok()?;
        let path = folder.strip_prefix(self.directory).ok()?.join(name);
        Some(path)
    }
}

/// What the call of this number is called.
fn name(number: i64) -> &'static str {
    let known = usize::try_from(number)
        .ok()
        .and_then(::syscalls::Sysno::new);
    known.map_or("an unknown call", |known| known.name())
}

/// A device, a FIFO or a socket: a file of mode 0 is one, too, and is made rarely enough.
fn special(path: PathBuf) -> Effect {
    Effect::Unknown {
        path,
        why: "a special file",
    }
}

/// Whether an ioctl makes a file share the blocks of another (`FICLONE`, `FICLONERANGE`).
fn is_clone(request: u64) -> bool {
    const CLONE: u64 = 0x4004_9409;
    const CLONE_RANGE: u64 = 0x4020_940d;
    matches!(request & 0xffff_ffff, CLONE | CLONE_RANGE)
}

/// The bytes that a call copies from another file, from this place or where that stands.
fn copied(tracee: &Tracee, from: u64, place: u64, most: u64) -> io::Result<Vec<u8>> {
    let from = descriptor(from);
    let at = match place {
        0 => tracee.descriptor(from)?.position,
        address => tracee.long(address)?,
    };
    let file = tracee.reopen(from)?;
    let left = file.metadata()?.len().saturating_sub(at).min(most);
    let mut bytes = vec![0; length(left)?];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

/// An argument that is a descriptor: 32 bits, of which the sign counts.
fn descriptor(argument: u64) -> i32 {
    (argument & 0xffff_ffff) as u32 as i32
}

/// An argument of flags, of which the kernel looks at 32 bits.
fn flags(argument: u64) -> i32 {
    descriptor(argument)
}

fn length(argument: u64) -> io::Result<usize> {
    usize::try_from(argument).map_err(io::Error::other)
}
