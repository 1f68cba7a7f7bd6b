//! Exhaustive exploration: an operation is run again and again, and each time something else goes wrong with one of its system calls.
//!
//! A chaos test that kills a process at a random moment finds what is likely. Here every moment is tried that makes a difference on the disk: between
//! two calls that change files, nothing can. The code under test is not changed for it, and need not know: the kernel hands its calls over
//! ([seccomp_unotify(2)](https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html)).
//!
//! ```no_run
//! # use clarity_chaos::explore::PowerLoss;
//! # use clarity_chaos::{Context, Result, chaos};
//! # use std::{fs, io::Write as _, path::Path};
//! fn save(dir: &Path, text: &str) -> Result {
//!     let mut draft = fs::File::create(dir.join("draft"))?;
//!     draft.write_all(text.as_bytes())?;
//!     draft.sync_all()?;
//!     fs::rename(dir.join("draft"), dir.join("current"))?;
//!     fs::File::open(dir)?.sync_all()?;
//!     Ok(())
//! }
//!
//! /// Whenever the power fails, the old text is there or the new one.
//! #[chaos(non_destructive)]
//! fn saving_is_atomic(cx: Context) -> Result {
//!     save(cx.dir(), "old")?;
//!     cx.explore()
//!         .power_loss(PowerLoss::Posix)
//!         .crash_everywhere(
//!             |dir| save(dir, "new"),
//!             |dir, crash| {
//!                 let text = fs::read_to_string(dir.join("current"))?;
//!                 assert!(text == "new" || (text == "old" && !crash.acknowledged()));
//!                 Ok(())
//!             },
//!         )?;
//!     Ok(())
//! }
//! ```
//!
//! EventKind it needs, and what it does not see:
//!
//! - Linux 5.6 or later on x86-64 or 64-bit ARM, for any user; a container whose runtime is notified of system calls itself allows no other. Where it
//!   cannot be done the test is skipped with the reason, once its error is returned.
//! - Operation and invariant run in processes of their own, forked from the test's. EventKind they change in memory is gone. At the call the test must
//!   have no threads of its own, since a fork lacks them: build runtimes and pools inside. The runtime of an async test is such a pool, so a test that
//!   explores is a plain function.
//! - The operation's threads and processes are followed. With several threads a point is a call by its name, its file and how many like it came
//!   before; with one it is a call by its number.
//! - EventKind changes files without a call cannot be explored, and is an error and never a pass: shared mappings of files that can be written to. io_uring
//!   does not exist for the operation, so code that can do without it is explored without it.
//! - `fsync` and its like are believed and not done, which is what makes it quick.

#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod disk;
#[cfg(target_os = "linux")]
mod everywhere;
#[cfg(target_os = "linux")]
mod power;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod strays;
#[cfg(target_os = "linux")]
mod tree;

#[cfg(target_os = "linux")]
pub(crate) use self::everywhere::Progress;

pub use crate::syscalls::errno::Errno;
use crate::test::outcome::{Result, Skipped};
use crate::test::process_scope::ProcessScope;
use crate::test::skip::SkipRequest;
use crate::test::timeline::Timeline;
use clarity_chaos_record::{EventKind, Seed};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Where an explored operation was cut off.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Crash {
    acknowledged: bool,
    power_lost: bool,
}

impl Crash {
    /// Whether the operation had returned success before: its effects must then be there.
    #[must_use]
    pub fn acknowledged(&self) -> bool {
        self.acknowledged
    }

    /// Whether the power failed and not just the process: then what was not synced may be missing.
    #[must_use]
    pub fn power_lost(&self) -> bool {
        self.power_lost
    }
}

/// EventKind an explored operation made of a call that failed.
#[derive(Clone, Copy, Debug)]
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

/// EventKind a disk keeps of what was not synced when the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PowerLoss {
    /// Anything, in any order: what POSIX allows of file systems that keep a rename in one piece. A file's bytes are sure after `fsync` or `fdatasync`
    /// of the file, a name after `fsync` of its folder, and a name that moves from one folder to another after that of either. Bytes are there or
    /// not in sectors of 512.
    Posix,
    /// EventKind ext4 keeps in its default mode, `data=ordered`, as its
    /// [documentation](https://docs.kernel.org/admin-guide/ext4.html) has it: names change in order, any sync brings all names before it along, and a
    /// file that replaces another by rename is written out first (`auto_da_alloc`). Code that is right only here is not right elsewhere.
    Ext4Ordered,
}

/// EventKind an exploration covered.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Explored {
    /// How many calls of the operation concern its directory.
    pub calls: usize,
    /// How many points of the operation were tried.
    pub points: usize,
    /// How many states after a loss of power were tried, each once.
    pub states: usize,
}

/// Why an exploration did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExploreError {
    /// System calls cannot be explored here. A test that returns this is skipped.
    #[error(transparent)]
    Unavailable(Skipped),
    /// The operation does something that could not be followed: to explore the rest would prove nothing.
    #[error("not explorable: {0}")]
    NotExplorable(String),
    /// The operation fails when nothing is done to it.
    #[error("the operation does not succeed when it is left alone: {0}")]
    Operation(String),
    /// The operation does something else each time.
    #[error("the operation makes other calls each time: {0}")]
    Diverged(String),
    /// The invariant does not hold.
    #[error("{0}")]
    Broken(String),
    /// The exploration itself failed.
    #[error("the exploration failed: {0}")]
    Io(#[from] io::Error),
}

/// EventKind is to be explored, and how.
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

/// How many calls of an explored operation stand on the timeline.
#[cfg(target_os = "linux")]
const TOLD_CALLS: usize = 2000;

/// How many combinations of losses are drawn for each point, beside those that are always tried.
const DRAWS: usize = 8;

impl<'a> Exploration<'a> {
    /// An exploration that starts from what is in `before`, and draws from `seed`.
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

    /// Starts from what is in another directory. It is read once, and never changed.
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

    /// How many combinations of losses are drawn from the test's seed for each point, 8 if nothing is said. To lose all, all but one, and each one by
    /// itself is tried always.
    pub fn draws(self, draws: usize) -> Self {
        Self { draws, ..self }
    }

    /// Runs `operation` once for each of its calls that change files, lets its process die in the place of that call, and checks `invariant` on what is
    /// left; and once to its end. With [`power_loss`](Self::power_loss) also on what the disk may have kept.
    ///
    /// Both get the same directory, which holds what was there at the start before the operation begins. The first point that breaks the
    /// invariant ends the exploration: by an error or a panic.
    ///
    /// # Errors
    ///
    /// [`ExploreError::Broken`] names the point: the call, its file, and where in the code it is made, as far as the program has symbols. Others
    /// say why nothing is proven.
    pub fn crash_everywhere<T>(
        self,
        operation: impl Fn(&Path) -> Result<T> + Sync,
        invariant: impl Fn(&Path, Crash) -> Result + Sync,
    ) -> Result<Explored, ExploreError> {
        self.refuse_where_it_cannot_be()?;
        #[cfg(target_os = "linux")]
        return self.conclude(|progress| {
            everywhere::crash(
                &self,
                &|dir| told(operation(dir)),
                &|dir, crash| told(invariant(dir, crash)),
                progress,
            )
        });
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (operation, invariant);
            Err(self.unavailable(&NOT_HERE))
        }
    }

    /// Runs `operation` once for each of its calls that read or change files and each of `errnos`, lets that call fail with it, and checks
    /// `invariant` on what is left. Only that one call fails, so the operation may try again.
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
        self.refuse_where_it_cannot_be()?;
        #[cfg(target_os = "linux")]
        return self.conclude(|progress| {
            everywhere::fail(
                &self,
                &errnos,
                &|dir| told(operation(dir)),
                &|dir, failure| told(invariant(dir, failure)),
                progress,
            )
        });
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (errnos, operation, invariant);
            Err(self.unavailable(&NOT_HERE))
        }
    }

    /// The runner has threads, which a fork would lack.
    fn refuse_where_it_cannot_be(&self) -> Result<(), ExploreError> {
        if !ProcessScope::is_dedicated() {
            return Err(
                self.unavailable(&"the test has no process of its own (--isolation thread)")
            );
        }
        #[cfg(target_os = "linux")]
        if crate::syscalls::interceptor::Attendants::are_in_use() {
            return Err(ExploreError::Io(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "the test has injected faults into its system calls, and they can be handed over once",
            )));
        }
        Ok(())
    }

    /// Explores, and tells how far that came.
    #[cfg(target_os = "linux")]
    fn conclude(
        &self,
        explore: impl FnOnce(&mut Progress) -> Result<(), ExploreError>,
    ) -> Result<Explored, ExploreError> {
        let mut progress = Progress::default();
        let explored = explore(&mut progress);
        let covered = Explored {
            calls: progress.calls.len(),
            points: progress.calls.iter().map(|call| call.points).sum(),
            states: progress.states,
        };
        if matches!(explored, Ok(()) | Err(ExploreError::Broken(_))) {
            self.record(progress);
        }
        match explored {
            Ok(()) => Ok(covered),
            Err(ExploreError::Io(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Err(self.unavailable(&error))
            }
            Err(other) => Err(other),
        }
    }

    /// Puts on the timeline how far the exploration came.
    #[cfg(target_os = "linux")]
    fn record(&self, progress: everywhere::Progress) {
        let points = progress.calls.iter().map(|call| call.points).sum();
        let total_calls = progress.calls.len();
        let mut calls = progress.calls;
        calls.truncate(TOLD_CALLS);
        self.timeline.record(EventKind::Explored {
            total_calls,
            points,
            states: progress.states,
            calls,
        });
    }

    /// The error of a test that is skipped for this reason.
    fn unavailable(&self, why: &dyn fmt::Display) -> ExploreError {
        let reason = format!("system calls cannot be explored: {why}");
        ExploreError::Unavailable(self.skip.skip(reason))
    }
}

#[cfg(not(target_os = "linux"))]
const NOT_HERE: &str = "that is done by seccomp, which Linux alone has";

#[cfg(target_os = "linux")]
fn told<T>(result: Result<T>) -> Result<(), String> {
    result
        .map(|_| ())
        .map_err(|error| crate::test::outcome::with_sources(&*error))
}
