//! Finding and removing what tests have left, also in folders whose rights they have taken away.
//!
//! A test can leave a link in the place of a folder, and who follows it does to others what the test could not: no link is followed here.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

/// The names of what is in a folder that is our own, sorted. Its owner can read it afterwards.
pub(crate) fn names_in(folder: &Path) -> io::Result<Vec<OsString>> {
    if fs::symlink_metadata(folder)?.is_symlink() {
        return Err(io::Error::other("a link in the place of a folder"));
    }
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(folder)?;
            fs::read_dir(folder)
        }
        other => other,
    }?;
    let names = entries.map(|entry| Ok(entry?.file_name()));
    let mut names: Vec<OsString> = names.collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

/// Makes a folder in which its owner may write, unless it is there; in the place of whatever else is there.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    if !is_folder(path) {
        remove(path)?;
        fs::create_dir(path)?;
    }
    open_up(path)
}

/// Removes whatever is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    if is_folder(path) {
        return remove_folder(path);
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Removes a folder, also one whose owner has taken the rights to it from itself.
pub(crate) fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_accessible(folder)?;
            fs::remove_dir_all(folder)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(unix)]
fn make_accessible(folder: &Path) -> io::Result<()> {
    open_up(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_accessible(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn open_up(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if !is_folder(folder) {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    let rights = fs::metadata(folder)?.permissions().mode();
    fs::set_permissions(folder, fs::Permissions::from_mode(rights | 0o700))
}

#[cfg(not(unix))]
fn open_up(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn make_accessible(_folder: &Path) -> io::Result<()> {
    Ok(())
}
