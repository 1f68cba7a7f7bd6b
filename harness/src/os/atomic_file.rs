//! Atomic replacement of files.

use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Replaces a file: a reader sees either the old or the new content. Creates missing directories.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(content)?;
    make_readable(file.as_file())?;
    file.persist(path)?;
    Ok(())
}

/// Replaces a file's content with a value as JSON, in the same way as [`write_atomically`].
pub(crate) fn write_json_atomically(path: &Path, value: &impl Serialize) -> io::Result<()> {
    write_atomically(path, &serde_json::to_vec(value)?)
}

/// Lets every user read the file, as with other build products. Temporary files are private by
/// default.
#[cfg(unix)]
fn make_readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_file: &File) -> io::Result<()> {
    Ok(())
}
