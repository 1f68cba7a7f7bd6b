//! Creates a directory on a file system other than the one that holds the test's directory.

use std::io;
use std::path::Path;
use tempfile::TempDir;

/// Creates an empty directory on a file system in memory.
///
/// Returns `None` when no file system in memory is mounted. Also returns `None` when `test_dir` is
/// on that file system.
///
/// # Errors
///
/// When the directory cannot be created.
#[cfg(target_os = "linux")]
pub(crate) fn create_dir(test_dir: &Path) -> io::Result<Option<TempDir>> {
    use std::os::unix::fs::MetadataExt as _;
    // In the sandbox, each test has its own `/dev/shm`.
    let parent = Path::new("/dev/shm");
    let Ok(metadata) = parent.metadata() else {
        return Ok(None);
    };
    if metadata.dev() == test_dir.metadata()?.dev() {
        return Ok(None);
    }
    let directory = tempfile::Builder::new()
        .prefix("chaos-")
        .tempdir_in(parent)?;
    Ok(Some(directory))
}

/// Returns `None`: only Linux has a known path to another file system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn create_dir(_test_dir: &Path) -> io::Result<Option<TempDir>> {
    Ok(None)
}
