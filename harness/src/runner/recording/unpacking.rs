//! Unpacks a recording into a directory of its own.

use super::archive::Archive;
use super::trailer;
use crate::os::directory;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tar::EntryType;

/// The number of digits of the digest that name the directory.
const DIGITS: usize = 16;

/// The directory of an unpacked recording.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) path: PathBuf,
    /// The symlinks that this system cannot have.
    pub(super) left_out: Vec<PathBuf>,
}

/// Unpacks a recording into a directory below `parent` whose name is the recording's digest. If
/// there is such a directory, the recording is unpacked already.
///
/// # Errors
///
/// When a file cannot be created. Nothing is left then.
pub(super) fn unpack(archive: &Archive, parent: &Path) -> io::Result<Unpacked> {
    let name = &trailer::digest(&archive.bytes)[..DIGITS];
    let path = std::path::absolute(parent)?.join(name);
    let mut unpacked = Unpacked {
        path,
        left_out: Vec::new(),
    };
    if fs::symlink_metadata(&unpacked.path).is_ok_and(|found| found.is_dir()) {
        return Ok(unpacked);
    }
    fs::create_dir_all(parent)?;
    let temporary = tempfile::Builder::new()
        .prefix(".unpacking-")
        .tempdir_in(parent)?
        .keep();
    let filled = fill(archive, &temporary, &mut unpacked.left_out);
    let moved = filled.and_then(|()| match fs::rename(&temporary, &unpacked.path) {
        // Another run has unpacked the same recording.
        Err(_) if unpacked.path.is_dir() => directory::remove(&temporary),
        renamed => renamed,
    });
    if let Err(error) = moved {
        let _ = directory::remove(&temporary);
        return Err(error);
    }
    Ok(unpacked)
}

/// Creates the files of a recording in the empty directory `to`.
///
/// Writes each file into a directory that this function has created, and creates symlinks last: no
/// file can be written through a symlink.
fn fill(archive: &Archive, to: &Path, left_out: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut reader = tar::Archive::new(archive.bytes.as_slice());
    reader.set_overwrite(false);
    let (mut symlinks, mut modes) = (Vec::new(), Vec::new());
    for top in [super::manifest::KEPT, super::manifest::RECORDS] {
        fs::create_dir(to.join(top))?;
    }
    for entry in reader.entries()? {
        let mut entry = entry?;
        let path = to.join(entry.path()?);
        match entry.header().entry_type() {
            EntryType::Directory => {
                fs::create_dir(&path)?;
                modes.push((path, entry.header().mode()?));
            }
            EntryType::Symlink => {
                let target = entry.link_name()?.unwrap_or_default().into_owned();
                symlinks.push((path, target));
            }
            // `Archive::parse` accepts files of these two kinds only.
            _ => {
                entry.unpack(&path)?;
            }
        }
    }
    for (path, target) in symlinks {
        create_symlink(&target, path, left_out)?;
    }
    // Without their permissions, nothing could be created in the directories.
    for (path, mode) in modes.into_iter().rev() {
        set_mode(&path, mode)?;
    }
    Ok(())
}

#[cfg(unix)]
fn create_symlink(target: &Path, path: PathBuf, _left_out: &mut Vec<PathBuf>) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "fails on Unix")]
fn create_symlink(_target: &Path, path: PathBuf, left_out: &mut Vec<PathBuf>) -> io::Result<()> {
    left_out.push(path);
    Ok(())
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o777))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "fails on Unix")]
fn set_mode(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}
