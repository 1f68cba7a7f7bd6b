//! Reads files in `/proc`, whose text need not be UTF-8.

use std::fs;
use std::io;
use std::path::Path;

/// Reads a file. Replaces bytes that are not UTF-8.
// The kernel cuts the name of a thread after 15 bytes, also inside a character.
pub(crate) fn read_lossy(path: impl AsRef<Path>) -> io::Result<String> {
    let bytes = fs::read(path)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
