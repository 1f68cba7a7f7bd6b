//! A folder on another file system than a test's directory.

use std::io;
use std::path::Path;
use tempfile::TempDir;

/// An empty folder on a file system in memory; none where there is none, or where that is the directory's own.
///
/// # Errors
///
/// When it cannot be made.
#[cfg(target_os = "linux")]
pub(crate) fn folder_beside(dir: &Path) -> io::Result<Option<TempDir>> {
    use std::os::unix::fs::MetadataExt as _;
    // In the sandbox it is the test's own.
    let there = Path::new("/dev/shm");
    let Ok(found) = there.metadata() else {
        return Ok(None);
    };
    if found.dev() == dir.metadata()?.dev() {
        return Ok(None);
    }
    let folder = tempfile::Builder::new()
        .prefix("chaos-")
        .tempdir_in(there)?;
    Ok(Some(folder))
}

/// Elsewhere nobody knows of any.
#[cfg(not(target_os = "linux"))]
pub(crate) fn folder_beside(_dir: &Path) -> io::Result<Option<TempDir>> {
    Ok(None)
}
