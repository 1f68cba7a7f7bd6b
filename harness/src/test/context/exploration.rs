//! Starts explorations from the context of a test.

use super::Context;
use crate::test::explore::{Crash, Errno, Exploration, ExploreError, Explored, InjectedFailure};
use crate::test::outcome::Result;
use std::path::Path;

impl Context {
    /// Runs `set_up` on the test's directory, in a process of its own. Then ends all threads and
    /// processes of the set-up.
    ///
    /// An exploration requires that the test has no threads of its own. A set-up with a Tokio
    /// runtime or a database can leave threads that never end, and these would forbid it. The
    /// test's process does not see the set-up's changes to memory. Logs of the set-up are not
    /// recorded.
    ///
    /// # Errors
    ///
    /// [`ExploreError::SetUp`] when `set_up` returns an error, panics, or ends its process.
    /// [`ExploreError::Unavailable`] when the test has no process of its own, or the system is not
    /// Linux. [`ExploreError::Io`] when the test already has threads of its own.
    ///
    /// ```no_run
    /// # use clarity_chaos::{Context, Result, chaos};
    /// # use std::{fs, thread};
    /// /// A crash leaves the old number or the new one.
    /// #[chaos(non_destructive)]
    /// fn counter_survives(cx: Context) -> Result {
    ///     cx.prepare(|dir| {
    ///         // A thread that would outlive the set-up.
    ///         thread::spawn(|| loop { thread::park() });
    ///         Ok(fs::write(dir.join("counter"), "1")?)
    ///     })?;
    ///     cx.crash_everywhere(
    ///         |dir| {
    ///             fs::write(dir.join("draft"), "2")?;
    ///             Ok(fs::rename(dir.join("draft"), dir.join("counter"))?)
    ///         },
    ///         |dir, _| {
    ///             assert!(["1", "2"].contains(&&*fs::read_to_string(dir.join("counter"))?));
    ///             Ok(())
    ///         },
    ///     )?;
    ///     Ok(())
    /// }
    /// ```
    pub fn prepare<T>(
        &self,
        set_up: impl FnOnce(&Path) -> Result<T> + Send,
    ) -> Result<(), ExploreError> {
        self.explore().prepare(set_up)
    }

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
    /// `errnos`. In each run, one call fails with one error, or reads or writes only a part of its
    /// bytes: see [`Exploration::fail_everywhere`].
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
