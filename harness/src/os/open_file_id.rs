//! Recognises the file behind a descriptor.

use std::fs::File;
use std::io;

/// The identity of an open file: its device and its number on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenFileId {
    device: u64,
    number: u64,
}

impl OpenFileId {
    /// Reads the identity of the file that the descriptor of `file` leads to now.
    ///
    /// The descriptor can be closed, or lead to another file, if other code has closed it.
    ///
    /// # Errors
    ///
    /// When the descriptor is closed.
    #[cfg(unix)]
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = file.metadata()?;
        Ok(Self {
            device: metadata.dev(),
            number: metadata.ino(),
        })
    }

    /// Gives the same identity for all files: on this system, no code closes handles by number.
    #[cfg(not(unix))]
    pub(crate) fn of(_file: &File) -> io::Result<Self> {
        Ok(Self {
            device: 0,
            number: 0,
        })
    }
}
