//! The settings of an exploration, and the methods that start the exploration.

mod mapped_files;

#[cfg(target_os = "linux")]
use super::broken_points::BrokenPoints;
#[cfg(target_os = "linux")]
use super::checker::Checker;
#[cfg(target_os = "linux")]
use super::crash_points::CrashPoints;
#[cfg(target_os = "linux")]
use super::disk_states::PowerCuts;
use super::error::ExploreError;
#[cfg(target_os = "linux")]
use super::explorer::Explorer;
#[cfg(target_os = "linux")]
use super::failure_points::FailurePoints;
use super::kept_state::EvidencePaths;
#[cfg(target_os = "linux")]
use super::preparation;
#[cfg(target_os = "linux")]
use super::progress::Progress;
use super::volatile_files::VolatilePatterns;
use super::{Crash, Errno, Explored, InjectedFailure, PowerLoss};
use crate::test::outcome::Result;
use crate::test::process_scope::ProcessScope;
use crate::test::skip::SkipRequest;
use crate::test::timeline::Timeline;
use clarity_chaos_record::Seed;
use std::fmt;
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
    one_process_dies: bool,
    states: usize,
    crashes_recoveries: bool,
    every_broken_point: bool,
    evidence: EvidencePaths,
    volatile: VolatilePatterns,
    each_store: bool,
}

/// The default maximum of states of the disk that an exploration tries.
const STATES: usize = 1000;

impl<'a> Exploration<'a> {
    /// Makes an exploration whose runs start from the content of `before`. The random choices
    /// depend on `seed`. Copies of broken states go to `evidence`.
    pub(crate) fn new(
        before: &Path,
        seed: Seed,
        timeline: &'a Timeline,
        skip: &'a SkipRequest,
        evidence: EvidencePaths,
    ) -> Self {
        Self {
            before: before.to_owned(),
            seed,
            timeline,
            skip,
            power_loss: None,
            one_process_dies: false,
            states: STATES,
            crashes_recoveries: false,
            every_broken_point: false,
            evidence,
            volatile: VolatilePatterns::default(),
            each_store: false,
        }
    }

    /// Starts each run from the content of `directory`, instead of the content of the test's
    /// directory. The exploration reads `directory` once, and never changes it.
    pub fn starting_from(self, directory: impl Into<PathBuf>) -> Self {
        Self {
            before: directory.into(),
            ..self
        }
    }

    /// Makes [`crash_everywhere`](Self::crash_everywhere) and
    /// [`fail_everywhere`](Self::fail_everywhere) also explore the power losses that `model`
    /// allows.
    pub fn power_loss(self, model: PowerLoss) -> Self {
        Self {
            power_loss: Some(model),
            ..self
        }
    }

    /// Makes [`crash_everywhere`](Self::crash_everywhere) also let each process of the operation
    /// die alone, while the others go on. Without this, all processes die at once, as in a loss of
    /// power or a stopped container.
    ///
    /// At each call that changes or syncs files, one more run kills the process that makes the
    /// call. Its parent learns of the death as usual, and the operation may return an error. If the
    /// operation's own process dies, its children go on until they end, or until the time limit of
    /// a run. [`Crash::victim`] names the dead process. The process does not die inside of a call.
    ///
    /// Returns [`ExploreError::NotExplorable`] if a process has no name that two runs share:
    /// see [`OperationProcess::is_identified`](super::OperationProcess::is_identified).
    ///
    /// ```no_run
    /// # use clarity_chaos::{Context, Result, chaos};
    /// # use std::{fs, process::Command};
    /// /// The copy is complete, or the operation returns an error.
    /// #[chaos(non_destructive)]
    /// fn copying_is_never_half_done(cx: Context) -> Result {
    ///     fs::write(cx.dir().join("from"), "text")?;
    ///     cx.explore().one_process_dies().crash_everywhere(
    ///         |dir| {
    ///             let copied = Command::new("cp").args(["from", "to"]).current_dir(dir).status()?;
    ///             // Without this line, the death of `cp` would break the invariant.
    ///             copied.success().then_some(()).ok_or("cp failed")?;
    ///             Ok(())
    ///         },
    ///         |dir, crash| {
    ///             assert!(!crash.acknowledged() || fs::read_to_string(dir.join("to"))? == "text");
    ///             Ok(())
    ///         },
    ///     )?;
    ///     Ok(())
    /// }
    /// ```
    pub fn one_process_dies(self) -> Self {
        Self {
            one_process_dies: true,
            ..self
        }
    }

    /// Sets the approximate maximum of states of the disk that the exploration tries after losses
    /// of power. The default is 1,000.
    ///
    /// The points of the operation share the maximum. At a point with more possible states than its
    /// share, the exploration tries representative states, and states that the test's seed
    /// determines. Then [`Explored::all_states`] is false.
    pub fn states(self, maximum: usize) -> Self {
        Self {
            states: maximum,
            ..self
        }
    }

    /// Makes [`crash_everywhere`](Self::crash_everywhere) also explore a second crash: one while
    /// the invariant recovers from the first.
    ///
    /// A restarted program often repairs its files, and can crash again before the end. So the
    /// calls of the invariant that change files are followed like those of the operation, and the
    /// invariant is run again on the contents that a death at each of them leaves. With
    /// [`power_loss`](Self::power_loss), it is also run on states that a loss of power leaves. The
    /// invariant then gets the same [`Crash`], and [`Crash::during_recovery`] is true. A third
    /// crash is not explored.
    ///
    /// At most about as many contents are tried as [`states`](Self::states) says.
    /// [`Explored::recoveries`] has their number. [`fail_everywhere`](Self::fail_everywhere)
    /// returns an error.
    pub fn crash_during_recovery(self) -> Self {
        Self {
            crashes_recoveries: true,
            ..self
        }
    }

    /// Makes the exploration go on after a state in which the invariant does not hold.
    ///
    /// The error has the first broken point, and up to 19 others in [`BrokenInvariant::others`].
    /// At each call, the exploration goes on to the next call. Equal losses at several points are
    /// listed once.
    ///
    /// [`BrokenInvariant::others`]: super::BrokenInvariant::others
    pub fn every_broken_point(self) -> Self {
        Self {
            every_broken_point: true,
            ..self
        }
    }

    /// Runs `operation` once, undisturbed. Then `invariant` checks the content that the directory
    /// has if the operation's process dies at each call that changes files.
    ///
    /// A process dies before a call. It can also die inside a write across the border of a page of
    /// 4,096 bytes, and then leaves a part of the write. The exploration makes these contents from
    /// the calls of the one run. At a few calls, which the test's seed determines, the process
    /// really dies in another run, and must leave the content that its calls explain.
    ///
    /// The invariant also checks the directory after the undisturbed run. With
    /// [`power_loss`](Self::power_loss), the invariant also checks states of the disk that a power
    /// loss can leave.
    ///
    /// The operation and the invariant get the same directory. Before each run of the operation,
    /// the directory is reset to the initial content. The exploration ends as soon as the invariant
    /// returns an error or panics. If that is after a death, the losses of power are explored too.
    ///
    /// # Errors
    ///
    /// [`ExploreError::Broken`] when the invariant returns an error or panics. This error names the
    /// disturbed call and the call's file. If the program has symbols, the error also names the
    /// call's place in the code. Any other error contains the reason why the exploration proves
    /// nothing.
    pub fn crash_everywhere<T>(
        self,
        operation: impl Fn(&Path) -> Result<T> + Sync,
        invariant: impl Fn(&Path, Crash) -> Result + Sync,
    ) -> Result<Explored, ExploreError> {
        self.require_own_calls()?;
        #[cfg(target_os = "linux")]
        return self.conclude(|progress| {
            let operation = |dir: &Path| to_text(operation(dir));
            let mut explorer = Explorer::prepare(&self.before, &operation, false)?;
            self.map_files(&mut explorer);
            let points = CrashPoints {
                power_cuts: self.power_cuts(),
                one_process_dies: self.one_process_dies,
                recoveries: self.crashes_recoveries.then_some(self.states),
                seed: self.seed.child("explore", "deaths"),
            };
            let invariant = |dir: &Path, crash| to_text(invariant(dir, crash));
            let checker = Checker::new(&explorer, &invariant)?;
            let mut broken = BrokenPoints::new(&explorer, &self.evidence, self.every_broken_point);
            let explored = points.explore(&explorer, &checker, progress, &mut broken);
            broken.conclude(explored)
        });
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (operation, invariant);
            Err(self.unavailable(&UNSUPPORTED))
        }
    }

    /// For each call that reads or changes files, runs `operation` with each error in `errnos`. In
    /// that run, the call fails with that error, without being executed. Then `invariant` checks
    /// the directory.
    ///
    /// In one run only this call fails, so a retry can succeed. But after a failed sync of a
    /// directory with `EIO`, the file system is read-only, so later changes fail with `EROFS`. For
    /// `ENOSPC`, `EIO` and `EMFILE`, in another run later calls fail too: with `ENOSPC` until the
    /// operation removes or shortens a file that has bytes, with `EMFILE` until it closes a
    /// descriptor, with `EIO` until its end.
    /// Leaves out `ENOSPC` for calls that need no space, and `EMFILE` for calls that open no file.
    ///
    /// In one more run, each call that reads or writes at least 2 bytes of a file transfers only
    /// half of them, as the system may do at any time. This needs no error in `errnos`. Calls with
    /// `O_DIRECT` and listings of directories are never short. Code that repeats a call for the
    /// rest of the bytes, as `write_all` and `read_exact` do, passes.
    ///
    /// An operation that does not end is broken too. The limit of a run is 5 s, or 20 times the
    /// longest run so far. The operation gets a second run with twice the limit.
    ///
    /// With [`power_loss`](Self::power_loss), the power also fails after each run in which the
    /// operation returned success. A failed `fsync` of a file loses the bytes that it could not
    /// write: a second `fsync` succeeds without writing them. After a failed `fsync` of a
    /// directory, no later change of names is durable.
    ///
    /// # Errors
    ///
    /// The same as for [`crash_everywhere`](Self::crash_everywhere).
    pub fn fail_everywhere<T>(
        self,
        errnos: impl IntoIterator<Item = Errno>,
        operation: impl Fn(&Path) -> Result<T> + Sync,
        invariant: impl Fn(&Path, InjectedFailure) -> Result + Sync,
    ) -> Result<Explored, ExploreError> {
        let errnos: Vec<Errno> = errnos.into_iter().collect();
        if self.crashes_recoveries {
            return Err(ExploreError::Io(io::Error::new(
                io::ErrorKind::InvalidInput,
                "crash_during_recovery applies to crash_everywhere, not to fail_everywhere",
            )));
        }
        self.require_own_calls()?;
        #[cfg(target_os = "linux")]
        return self.conclude(|progress| {
            let operation = |dir: &Path| to_text(operation(dir));
            let mut explorer = Explorer::prepare(&self.before, &operation, true)?;
            explorer.records_bytes = self.power_loss.is_some();
            self.map_files(&mut explorer);
            let invariant = |dir: &Path, failure| to_text(invariant(dir, failure));
            let points = FailurePoints {
                errnos: &errnos,
                power_cuts: self.power_cuts(),
            };
            let checker = Checker::new(&explorer, &invariant)?;
            let mut broken = BrokenPoints::new(&explorer, &self.evidence, self.every_broken_point);
            let explored = points.explore(&explorer, &checker, progress, &mut broken);
            broken.conclude(explored)
        });
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (errnos, operation, invariant);
            Err(self.unavailable(&UNSUPPORTED))
        }
    }

    /// Runs `set_up` on the initial content: see [`Context::prepare`](crate::Context::prepare).
    pub(crate) fn prepare<T>(
        &self,
        set_up: impl FnOnce(&Path) -> Result<T> + Send,
    ) -> Result<(), ExploreError> {
        self.require_own_process()?;
        #[cfg(target_os = "linux")]
        return preparation::run(|| to_text(set_up(&self.before)));
        #[cfg(not(target_os = "linux"))]
        {
            let _ = set_up;
            Err(self.unavailable(&UNSUPPORTED))
        }
    }

    #[cfg(target_os = "linux")]
    fn power_cuts(&self) -> Option<PowerCuts> {
        Some(PowerCuts {
            power_loss: self.power_loss?,
            maximum: self.states,
            seed: self.seed.child("explore", "power loss"),
        })
    }

    /// Returns an error if the test has no process of its own.
    fn require_own_process(&self) -> Result<(), ExploreError> {
        // A test without its own process runs in the runner's process. A child that is forked from
        // the runner would lack the runner's threads.
        if !ProcessScope::is_dedicated() {
            return Err(
                self.unavailable(&"the test has no process of its own (--isolation thread)")
            );
        }
        Ok(())
    }

    /// Returns an error if the test has no process of its own, or if faults already intercept that
    /// process's calls.
    fn require_own_calls(&self) -> Result<(), ExploreError> {
        self.require_own_process()?;
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

    /// Calls `explore`. Records the progress on the timeline if `explore` succeeds, or if `explore`
    /// fails because the invariant does not hold.
    #[cfg(target_os = "linux")]
    fn conclude(
        &self,
        explore: impl FnOnce(&mut Progress) -> Result<(), ExploreError>,
    ) -> Result<Explored, ExploreError> {
        let mut progress = Progress::new(self.power_loss, &self.evidence.progress);
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

    /// Requests a skip of the test with this reason. Returns the error that the test must return.
    fn unavailable(&self, reason: &dyn fmt::Display) -> ExploreError {
        let reason = format!("system calls cannot be explored: {reason}");
        ExploreError::Unavailable(self.skip.skip(reason))
    }
}

#[cfg(not(target_os = "linux"))]
const UNSUPPORTED: &str = "explorations need seccomp, which only Linux has";

/// Converts the error of a result to text. A child process can send the text to its parent.
#[cfg(target_os = "linux")]
fn to_text<T>(result: Result<T>) -> Result<(), String> {
    result
        .map(|_| ())
        .map_err(|error| crate::test::outcome::with_sources(&*error))
}
