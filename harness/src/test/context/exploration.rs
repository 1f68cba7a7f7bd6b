//! Explorations from a context.

use super::Context;
use crate::test::explore::{Crash, Errno, Exploration, ExploreError, Explored, InjectedFailure};
use crate::test::outcome::Result;
use std::path::Path;

impl Context {
    /// An exploration that starts from the contents of the test's directory.
    pub fn explore(&self) -> Exploration<'_> {
        Exploration::new(
            self.dir(),
            self.inner.seed,
            &self.inner.timeline,
            &self.inner.skip,
        )
    }

    /// Kills the operation's process at each of its points: [`Exploration::crash_everywhere`].
    ///
    /// # Errors
    ///
    /// See [`ExploreError`].
    pub fn crash_everywhere<T>(
        &self,
        operation: impl Fn(&Path) -> Result<T> + Sync,
        invariant: impl Fn(&Path, Crash) -> Result + Sync,
    ) -> Result<Explored, ExploreError> {
        self.explore().crash_everywhere(operation, invariant)
    }

    /// Makes each system call of the operation fail with each of `errnos`:
    /// [`Exploration::fail_everywhere`].
    ///
    /// # Errors
    ///
    /// See [`ExploreError`].
    pub fn fail_everywhere<T>(
        &self,
        errnos: impl IntoIterator<Item = Errno>,
        operation: impl Fn(&Path) -> Result<T> + Sync,
        invariant: impl Fn(&Path, InjectedFailure) -> Result + Sync,
    ) -> Result<Explored, ExploreError> {
        self.explore().fail_everywhere(errnos, operation, invariant)
    }
}
