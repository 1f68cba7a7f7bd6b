//! The ways in which an exploration lets a call fail.

use crate::syscalls::errno::Errno;
use std::fmt;

/// The way in which a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallFailure {
    /// The call was not executed, and returned this error.
    Error(Errno),
    /// The call read or wrote only a part of its bytes, as the system may do at any time. It
    /// returned the number of these bytes.
    #[non_exhaustive]
    Short {
        /// The number of bytes that the call read or wrote, at least 1.
        transferred: u64,
        /// The number of bytes that the whole call reads or writes.
        total: u64,
    },
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(errno) => write!(f, "failed ({errno})"),
            Self::Short { transferred, total } => {
                write!(f, "transferred only {transferred} of {total} bytes")
            }
        }
    }
}
