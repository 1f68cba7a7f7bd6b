//! Renames that overwrite nothing.

use std::fs;
use std::io;
use std::path::Path;

/// Renames `from` to `to`.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] when `to` exists. [`io::ErrorKind::NotFound`] when `from` or
/// the parent of `to` does not exist.
pub(crate) fn rename_to_new_path(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // The file system, or the kernel, does not have this flag.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            renamed => return Ok(renamed?),
        }
    }
    match fs::symlink_metadata(to) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
        Err(error) => Err(error),
    }
}
