//! Exhaustive exploration of an operation's system calls. **Not built yet**: the signatures stand, so that suites can be
//! written against them, and every call says [`ExploreError::NotBuilt`].

use crate::context::Context;
use crate::outcome::Result;
use std::path::Path;

/// Where an explored operation was cut off.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Crash {
    acknowledged: bool,
}

impl Crash {
    /// Whether the operation had returned success before the process died: its effects must then be there.
    #[must_use]
    pub fn acknowledged(&self) -> bool {
        self.acknowledged
    }
}

/// Which call of an explored operation failed, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InjectedFailure {
    errno: Errno,
    acknowledged: bool,
}

impl InjectedFailure {
    /// The error that the call gave.
    #[must_use]
    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// Whether the operation returned success all the same.
    #[must_use]
    pub fn acknowledged(&self) -> bool {
        self.acknowledged
    }
}

/// An error number of the system, as `errno.h` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// Input/output error.
    pub const EIO: Self = Self(5);
    /// No space left on device.
    pub const ENOSPC: Self = Self(28);
}

/// What an exploration covered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explored {
    /// How many points of the operation were tried.
    pub points: usize,
}

/// Why an exploration did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExploreError {
    /// This release has the signature and not the exploration.
    #[error("{0} is not built yet: this release has its signature only, and explores nothing")]
    NotBuilt(&'static str),
}

impl Context {
    /// Runs `operation` once for each of its file-system calls, ends its process there, and checks `invariant` on what is left.
    ///
    /// Both get a directory of their own: the operation's, as it was when the process died. The first point that breaks the
    /// invariant ends the exploration with an error that names it.
    ///
    /// # Errors
    ///
    /// [`ExploreError::NotBuilt`], always, in this release.
    pub fn crash_everywhere<T>(
        &self,
        operation: impl Fn(&Path) -> Result<T>,
        invariant: impl Fn(&Path, Crash) -> Result,
    ) -> Result<Explored, ExploreError> {
        let _ = (operation, invariant);
        Err(ExploreError::NotBuilt("crash_everywhere"))
    }

    /// Runs `operation` once for each of its file-system calls and each of `errnos`, lets that call fail with it, and checks
    /// `invariant` on what is left.
    ///
    /// # Errors
    ///
    /// [`ExploreError::NotBuilt`], always, in this release.
    pub fn fail_everywhere<T>(
        &self,
        errnos: impl IntoIterator<Item = Errno>,
        operation: impl Fn(&Path) -> Result<T>,
        invariant: impl Fn(&Path, InjectedFailure) -> Result,
    ) -> Result<Explored, ExploreError> {
        let _ = (errnos.into_iter().count(), operation, invariant);
        Err(ExploreError::NotBuilt("fail_everywhere"))
    }
}
