//! Starts explorations from the context of a test.

use super::Context;
use crate::test::explore::{Crash, Errno, Exploration, ExploreError, Explored, InjectedFailure};
use crate::test::outcome::Result;
use std::path::Path;

impl Context {
    /// Returns an exploration that has not started yet. Each run of the explored operation starts
    /// with a copy of the test's directory.
    pub fn explore(&self) -> Exploration<'_> {
        Exploration::new(
            self.dir(),
            self.inner.seed,
            &self.inner.timeline,
            &self.inner.skip,
            self.inner.evidence.clone(),
        )
    }

    /// Runs the operation once for each of its calls that change files. In each run, the
    /// operation's process dies instead of executing one of these calls: see
    /// [`Exploration::crash_everywhere`].
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

    /// For each call that reads or changes files, runs the operation once with each error in
    /// `errnos`. In each run, one call fails with one error: see [`Exploration::fail_everywhere`].
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
