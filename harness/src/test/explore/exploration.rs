//! The settings of an exploration, and its start.

use super::error::ExploreError;
#[cfg(target_os = "linux")]
use super::explorer::Explorer;
#[cfg(target_os = "linux")]
use super::power_cuts::PowerCuts;
#[cfg(target_os = "linux")]
use super::progress::Progress;
use super::{Crash, Errno, Explored, InjectedFailure, PowerLoss};
#[cfg(target_os = "linux")]
use super::{crash_points, failure_points};
use crate::test::outcome::Result;
use crate::test::process_scope::ProcessScope;
use crate::test::skip::SkipRequest;
use crate::test::timeline::Timeline;
use clarity_chaos_record::Seed;
use std::fmt;
#[cfg(target_os = "linux")]
use std::io;
use std::path::{Path, PathBuf};

/// An exploration that has not started yet.
#[derive(Clone, Debug)]
#[must_use = "nothing is explored yet"]
pub struct Exploration<'a> {
    before: PathBuf,
    seed: Seed,
    timeline: &'a Timeline,
    skip: &'a SkipRequest,
    power_loss: Option<PowerLoss>,
    draws: usize,
}

/// The default number of drawn combinations of losses for each point.
const DRAWS: usize = 8;

impl<'a> Exploration<'a> {
    /// Makes an exploration that starts from the content of `before`, and draws from `seed`.
    pub(crate) fn new(
        before: &Path,
        seed: Seed,
        timeline: &'a Timeline,
        skip: &'a SkipRequest,
    ) -> Self {
        Self {
            before: before.to_owned(),
            seed,
            timeline,
            skip,
            power_loss: None,
            draws: DRAWS,
        }
    }

    /// Starts from the content of another directory. It is read once, and never changed.
    pub fn starting_from(self, directory: impl Into<PathBuf>) -> Self {
        Self {
            before: directory.into(),
            ..self
        }
    }

    /// Lets the power fail, too, and not the process alone.
    pub fn power_loss(self, model: PowerLoss) -> Self {
        Self {
            power_loss: Some(model),
            ..self
        }
    }

    /// Sets the number of combinations of losses that are drawn from the test's seed for each
    /// point.
    ///
    /// The default is 8. Three kinds of losses are always tried: everything, everything but one
    /// change, and each single change.
    pub fn draws(self, draws: usize) -> Self {
        Self { draws, ..self }
    }

    /// Runs `operation` once for each of its calls that change files. Its process dies in the place
    /// of that call, then `invariant` checks the directory.
    ///
    /// The operation also runs to its end, with the same check. With
    /// [`power_loss`](Self::power_loss), the invariant also checks the states that the disk may
    /// have kept.
    ///
    /// Both get the same directory, with the initial content before the operation begins. The first
    /// point at which the invariant returns an error or panics ends the exploration.
    ///
    /// # Errors
    ///
    /// [`ExploreError::Broken`] names the point: the call, its file, and its place in the code, if
    /// the program has symbols. Other errors give the reason why nothing is proven.
    pub fn crash_everywhere<T>(
        self,
        operation: impl Fn(&Path) -> Result<T> + Sync,
        invariant: impl Fn(&Path, Crash) -> Result + Sync,
    ) -> Result<Explored, ExploreError> {
        self.require_own_calls()?;
        #[cfg(target_os = "linux")]
        return self.conclude(|progress| {
            let operation = |dir: &Path| to_text(operation(dir));
            let explorer = Explorer::prepare(&self.before, &operation, false)?;
            crash_points::explore(
                &explorer,
                self.power_loss.map(|power_loss| PowerCuts {
                    power_loss,
                    draws: self.draws,
                    seed: self.seed.child("explore", "power loss"),
                }),
                &|dir, crash| to_text(invariant(dir, crash)),
                progress,
            )
        });
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (operation, invariant);
            Err(self.unavailable(&UNSUPPORTED))
        }
    }

    /// Runs `operation` once for each of its calls that read or change files, and each of `errnos`.
    /// That call fails with the error, then `invariant` checks the directory.
    ///
    /// Only that one call fails, so the operation may retry.
    ///
    /// # Errors
    ///
    /// As [`crash_everywhere`](Self::crash_everywhere).
    pub fn fail_everywhere<T>(
        self,
        errnos: impl IntoIterator<Item = Errno>,
        operation: impl Fn(&Path) -> Result<T> + Sync,
        invariant: impl Fn(&Path, InjectedFailure) -> Result + Sync,
    ) -> Result<Explored, ExploreError> {
        let errnos: Vec<Errno> = errnos.into_iter().collect();
        self.require_own_calls()?;
        #[cfg(target_os = "linux")]
        return self.conclude(|progress| {
            let operation = |dir: &Path| to_text(operation(dir));
            let explorer = Explorer::prepare(&self.before, &operation, true)?;
            failure_points::explore(
                &explorer,
                &errnos,
                &|dir, failure| to_text(invariant(dir, failure)),
                progress,
            )
        });
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (errnos, operation, invariant);
            Err(self.unavailable(&UNSUPPORTED))
        }
    }

    /// Fails unless the test has a process of its own, whose calls are not intercepted yet.
    fn require_own_calls(&self) -> Result<(), ExploreError> {
        // The runner has threads, which a fork would lack.
        if !ProcessScope::is_dedicated() {
            return Err(
                self.unavailable(&"the test has no process of its own (--isolation thread)")
            );
        }
        #[cfg(target_os = "linux")]
        if crate::syscalls::interceptor::SyscallInterceptor::is_in_use() {
            return Err(ExploreError::Io(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "faults of the test intercept its system calls already, and only one part of a test \
                 can; explore in a test without system-call faults",
            )));
        }
        Ok(())
    }

    /// Explores, and records the extent.
    #[cfg(target_os = "linux")]
    fn conclude(
        &self,
        explore: impl FnOnce(&mut Progress) -> Result<(), ExploreError>,
    ) -> Result<Explored, ExploreError> {
        let mut progress = Progress::default();
        let explored = explore(&mut progress);
        let extent = progress.extent();
        if matches!(explored, Ok(()) | Err(ExploreError::Broken(_))) {
            self.timeline.record(progress.into_event());
        }
        match explored {
            Ok(()) => Ok(extent),
            Err(ExploreError::Io(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Err(self.unavailable(&error))
            }
            Err(other) => Err(other),
        }
    }

    /// Makes the error that skips the test for this reason.
    fn unavailable(&self, reason: &dyn fmt::Display) -> ExploreError {
        let reason = format!("system calls cannot be explored: {reason}");
        ExploreError::Unavailable(self.skip.skip(reason))
    }
}

#[cfg(not(target_os = "linux"))]
const UNSUPPORTED: &str = "explorations need seccomp, which only Linux has";

/// Converts an error to a text that another process can send.
#[cfg(target_os = "linux")]
fn to_text<T>(result: Result<T>) -> Result<(), String> {
    result
        .map(|_| ())
        .map_err(|error| crate::test::outcome::with_sources(&*error))
}
