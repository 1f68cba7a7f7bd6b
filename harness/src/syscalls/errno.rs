//! Error numbers of the system.

use std::fmt;
use std::io;

/// An error number of the system, as in `errno.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

impl Errno {
    /// Interrupted by a signal.
    pub const EINTR: Self = Self(4);
    /// Input/output error.
    pub const EIO: Self = Self(5);
    /// Permission denied.
    pub const EACCES: Self = Self(13);
    /// Too many open files. Explorations inject this error only into calls that open a file.
    pub const EMFILE: Self = Self(24);
    /// Read-only file system.
    pub const EROFS: Self = Self(30);
    /// No space left on device. Explorations inject this error only into calls that need space.
    pub const ENOSPC: Self = Self(28);
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(f)
    }
}
