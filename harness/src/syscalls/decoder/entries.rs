//! Decodes calls that open, create, rename and link.

use super::{Decoded, Decoder};
use crate::os::seccomp::tracee::Tracee;
use crate::syscalls::arguments::permissions;
use crate::syscalls::file_call::{Effect, RenameKind};
use crate::syscalls::file_paths::FilePaths;
use std::io;
use std::path::{Path, PathBuf};

impl Decoder<'_> {
    pub(super) fn open(
        &self,
        tracee: &Tracee,
        path: PathBuf,
        flags: i32,
        mode: u64,
    ) -> io::Result<Option<Decoded>> {
        if flags & libc::O_TMPFILE == libc::O_TMPFILE {
            return self.on(tracee, path, |path| Effect::OpenUnnamed { path });
        }
        let has = |flag: i32| flags & flag == flag;
        let creates = has(libc::O_CREAT);
        let mode = if creates {
            self.new_mode(tracee, mode)?
        } else {
            0
        };
        let open = |path| Effect::Open {
            path,
            creates,
            truncates: has(libc::O_TRUNC),
            mode,
        };
        match has(libc::O_NOFOLLOW) || has(libc::O_CREAT | libc::O_EXCL) {
            true => Ok(self.at(&path, open)),
            false => self.on(tracee, path, open),
        }
    }

    pub(super) fn make_directory(
        &self,
        tracee: &Tracee,
        path: &Path,
        mode: u64,
    ) -> io::Result<Option<Decoded>> {
        let Some(path) = self.paths.below(path) else {
            return Ok(None);
        };
        let mode = self.new_mode(tracee, mode)?;
        Ok(Some(Effect::MakeDirectory { path, mode }.into()))
    }

    /// Gives the mode of a new file or directory. Without bytes of writes, gives the mode before
    /// the umask, since then no caller needs the content of the disk.
    fn new_mode(&self, tracee: &Tracee, mode: u64) -> io::Result<u32> {
        let umask = if self.with_bytes { tracee.umask()? } else { 0 };
        Ok(permissions(mode) & !umask)
    }

    pub(super) fn rename(&self, from: &Path, to: &Path, flags: u64) -> Option<Decoded> {
        let has = |flag: u32| flags & u64::from(flag) != 0;
        let is_elsewhere = || !FilePaths::are_on_one_device(from, to);
        let effect = match (self.paths.below(from), self.paths.below(to)) {
            (Some(path), Some(_)) if has(libc::RENAME_WHITEOUT) => special(path),
            (Some(from), Some(to)) => Effect::Rename {
                from,
                to,
                kind: match (has(libc::RENAME_EXCHANGE), has(libc::RENAME_NOREPLACE)) {
                    (true, _) => RenameKind::Exchange,
                    (false, true) => RenameKind::Keep,
                    (false, false) => RenameKind::Replace,
                },
            },
            (None, None) => return None,
            (Some(path), None) | (None, Some(path)) if is_elsewhere() => Effect::NoChange { path },
            (Some(from), None) => Effect::MoveOut { from },
            (None, Some(path)) => Effect::UnsupportedEntry {
                path,
                reason: "a file that came from outside of the directory",
            },
        };
        Some(effect.into())
    }

    pub(super) fn link(
        &self,
        tracee: &Tracee,
        from: PathBuf,
        to: &Path,
        follows: bool,
    ) -> io::Result<Option<Decoded>> {
        let is_elsewhere = !FilePaths::are_on_one_device(&from, to);
        let source = match follows {
            true => self.on(tracee, from, |path| Effect::NoChange { path })?,
            false => self.at(&from, |path| Effect::NoChange { path }),
        };
        let to = self.paths.below(to);
        let Some(source) = source else {
            return Ok(to.map(|path| {
                let reason = "a link to a file outside of the directory";
                Effect::UnsupportedEntry { path, reason }.into()
            }));
        };
        let from = source.effect.path().to_owned();
        let effect = match to {
            Some(to) => Effect::Link { from, to },
            None if is_elsewhere => Effect::NoChange { path: from },
            None => Effect::UnsupportedEntry {
                path: from,
                reason: "a name outside of the directory for a file of the directory",
            },
        };
        Ok(Some(Decoded { effect, ..source }))
    }
}

/// Gives the effect of `mknod`. The call makes a device, a FIFO, a socket or, rarely, a regular
/// file.
pub(super) fn special(path: PathBuf) -> Effect {
    Effect::UnsupportedEntry {
        path,
        reason: "a special file",
    }
}
