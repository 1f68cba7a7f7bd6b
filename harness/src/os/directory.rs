//! Lists and removes directories that a test may have damaged.
//!
//! A test can remove its own permissions to a directory. This module restores the permissions. A
//! test can also replace a directory with a symlink. If the harness followed the symlink, it would
//! change files that the test could not change. So this module follows no symlinks.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

/// Gives the sorted names of a directory's entries. Restores the owner's permissions to the
/// directory if necessary.
///
/// # Errors
///
/// When `directory` is not a directory, or is a symlink. Also when the owner's permissions to the
/// directory cannot be restored.
pub(crate) fn entry_names(directory: &Path) -> io::Result<Vec<OsString>> {
    if fs::symlink_metadata(directory)?.is_symlink() {
        return Err(io::Error::other(format!(
            "{} is a symlink and not a directory",
            directory.display()
        )));
    }
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            grant_owner(directory)?;
            fs::read_dir(directory)
        }
        other => other,
    }?;
    let names = entries.map(|entry| Ok(entry?.file_name()));
    let mut names: Vec<OsString> = names.collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

/// Creates the directory `path` unless it exists. Gives the directory's owner all permissions.
/// Replaces a file or a symlink at `path`.
pub(crate) fn ensure_directory(path: &Path) -> io::Result<()> {
    if !is_directory(path) {
        remove(path)?;
        fs::create_dir(path)?;
    }
    grant_owner(path)
}

/// Removes a file, a symlink or a whole directory. A missing file is not an error.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    if is_directory(path) {
        return remove_directory(path);
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Removes a directory and its content. Restores the owner's permissions first if necessary.
pub(crate) fn remove_directory(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            grant_owner_below(directory)?;
            fs::remove_dir_all(directory)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(unix)]
fn grant_owner_below(directory: &Path) -> io::Result<()> {
    grant_owner(directory)?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            grant_owner_below(&entry.path())?;
        }
    }
    Ok(())
}

/// Gives the owner of a directory all permissions to it.
#[cfg(unix)]
fn grant_owner(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if !is_directory(directory) {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    let mode = fs::metadata(directory)?.permissions().mode();
    fs::set_permissions(directory, fs::Permissions::from_mode(mode | 0o700))
}

#[cfg(not(unix))]
fn grant_owner(_directory: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn grant_owner_below(_directory: &Path) -> io::Result<()> {
    Ok(())
}
