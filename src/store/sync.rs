//! Makes the names in a directory durable.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes the names in a directory durable.
///
/// Does nothing on systems other than Unix. Windows has no call that syncs a directory: its file
/// systems decide about durability.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}
