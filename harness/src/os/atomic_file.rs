//! Files that readers see whole or not at all.

use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Writes a file so that a reader sees the old one or the new one, never half of it. Missing folders are made.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    make_readable(file.as_file())?;
    file.persist(path)?;
    Ok(())
}

/// Writes a value as JSON, as [`write_atomically`] does.
pub(crate) fn write_json_atomically(path: &Path, value: &impl Serialize) -> io::Result<()> {
    write_atomically(path, &serde_json::to_vec(value)?)
}

/// Temporary files are the owner's alone; reports are for everybody, as other build products are.
#[cfg(unix)]
fn make_readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_file: &File) -> io::Result<()> {
    Ok(())
}
