//! Makes the names in a directory durable.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes the names in a directory durable.
///
/// Does nothing outside of Unix. Windows has no such call: there the file system decides about
/// durability.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}
