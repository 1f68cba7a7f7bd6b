//! Making the names in a directory durable.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes the names in a directory durable.
///
/// Windows has no such call: there a rename is as durable as the file system makes it.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}
