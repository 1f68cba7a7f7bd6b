//! Exhaustive exploration: tries a death, a failure or a loss of power at each system call.
//!
//! A chaos test that kills a process at a random time finds only the bugs that are likely to occur.
//! An exploration tries every point at which a crash can leave a different state on the disk. The
//! disk changes only at system calls on files, so these system calls are the points. The code under
//! test needs no changes: the kernel intercepts its system calls
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
//! The error of a broken invariant names the point, its call, and the call's places in the code. It
//! also has the calls before, and a copy of the directory as the invariant found it:
//! [`BrokenInvariant`].
//!
//! Requirements and limits:
//!
//! - Explorations need at least Linux 5.6. The architecture must be x86-64 or 64-bit ARM. Any user
//!   can run explorations. Explorations do not work in a container if the container runtime already
//!   receives notifications of system calls. If calls cannot be intercepted, explorations return
//!   `ExploreError::Unavailable`. A test that returns this error is skipped, and reports show the
//!   reason.
//! - The operation and the invariant run in child processes that are forked from the test's
//!   process. The test's process does not see the children's changes to memory.
//! - When an exploration starts, the test must have no threads of its own: a fork would lack these
//!   threads. Build Tokio runtimes and thread pools inside the operation. Run a set-up that leaves
//!   threads in [`Context::prepare`](crate::Context::prepare). A test that explores must be a plain
//!   function, since the Tokio runtime of an async test is a thread pool.
//! - Explorations follow all threads and processes that the operation starts.
//! - Runs of the operation may differ. A call of one run is the same call in another run if it has
//!   the same thread, name, paths, offset, length and flags, and as many equal calls before it.
//!   Threads are numbered by the threads that create them. File names that are drawn anew in each
//!   run are compared by the order of their appearance in each thread. If no run makes such a call
//!   again, a call of any thread and with any drawn name counts. If there is none either, the
//!   exploration returns `ExploreError::Diverged`.
//! - A process is named by the order in which its parent creates its children, for example `child 2
//!   of child 1 (cp)`. [`OperationProcess::is_identified`] tells when this is not possible. A crash
//!   kills all processes. With [`Exploration::one_process_dies`], each process also dies alone.
//! - The kernel hides the memory of some processes: of a program that may be executed and not read,
//!   or after `prctl(PR_SET_DUMPABLE, 0)`. Their calls cannot be read, so the test is skipped.
//! - An exploration returns an error if the operation leaves a socket, a FIFO or a device. It also
//!   returns an error if the operation makes a file longer than 1 GiB.
//! - Files are known by identity, so an open file is followed while its names change. A file
//!   without a name (`O_TMPFILE`) gets its first name like any other change.
//! - A call that the kernel refuses changes nothing, since the files after a call show whether it
//!   succeeded. With several threads this can be unknown; then the tree of files decides.
//! - An exploration returns an error if the operation changes extended attributes, ACLs, owners or
//!   the flags of `FS_IOC_SETFLAGS`. It also returns an error if a file gets a name outside of the
//!   directory.
//! - States have the times of modification that the operation sets. They have no other times.
//! - Stores through a shared mapping are calls named `store`: the changes of one page until the
//!   next call, or until a store to another page. A process can die between two of them. Following
//!   stores needs x86-64 and Linux 5.19. Only one process of the operation can have writable
//!   mappings at a time.
//! - An exploration returns an error that names the call if it cannot follow a mapping. So writable
//!   mappings cannot be at a fixed address, in a program that `exec` started, or in a thread that
//!   blocks `SIGSEGV`. They cannot move, lose bytes by `MADV_REMOVE`, become writable later, or
//!   contain a robust mutex. Calls such as `read` cannot write into them. [`Exploration::volatile`]
//!   lifts these limits for files that the program rebuilds.
//! - The operation cannot use io_uring: the setup of a ring fails with `ENOSYS`, as on a kernel
//!   without io_uring. If the code under test has a fallback, the exploration covers the fallback.
//! - Sync calls, such as `fsync`, return success without being executed. This makes explorations
//!   fast.

#[cfg(target_os = "linux")]
mod baseline;
mod broken_invariant;
#[cfg(target_os = "linux")]
mod broken_points;
mod call_failure;
#[cfg(target_os = "linux")]
mod call_identity;
#[cfg(target_os = "linux")]
mod call_watch;
#[cfg(target_os = "linux")]
mod callers;
#[cfg(target_os = "linux")]
mod calls_journal;
#[cfg(target_os = "linux")]
mod check_server;
#[cfg(target_os = "linux")]
mod checker;
#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod child_report;
#[cfg(target_os = "linux")]
mod crash_points;
#[cfg(target_os = "linux")]
mod death_points;
#[cfg(target_os = "linux")]
mod decoded_call;
#[cfg(target_os = "linux")]
mod directory_content;
#[cfg(target_os = "linux")]
mod disk_states;
mod error;
mod exploration;
mod explored_state;
#[cfg(target_os = "linux")]
mod explorer;
#[cfg(target_os = "linux")]
mod failure_cause;
#[cfg(target_os = "linux")]
mod failure_points;
#[cfg(target_os = "linux")]
mod intercepted_call;
#[cfg(target_os = "linux")]
mod intervention;
pub(crate) mod kept_state;
mod mapped_files;
#[cfg(target_os = "linux")]
mod monitor;
#[cfg(target_os = "linux")]
mod operation;
mod operation_call;
mod operation_process;
#[cfg(target_os = "linux")]
mod operation_run;
#[cfg(target_os = "linux")]
mod orphans;
#[cfg(target_os = "linux")]
mod posix_look;
#[cfg(target_os = "linux")]
mod power_cuts;
#[cfg(target_os = "linux")]
mod preparation;
#[cfg(target_os = "linux")]
mod process_deaths;
#[cfg(target_os = "linux")]
mod process_identity;
#[cfg(target_os = "linux")]
mod progress;
#[cfg(target_os = "linux")]
mod progress_file;
#[cfg(target_os = "linux")]
mod recorder;
mod recovery_crash;
#[cfg(target_os = "linux")]
mod recovery_points;
#[cfg(target_os = "linux")]
mod run_limit;
#[cfg(target_os = "linux")]
mod second_crash;
#[cfg(target_os = "linux")]
mod sparse_file;
#[cfg(target_os = "linux")]
mod state_directory;
#[cfg(target_os = "linux")]
mod storing_threads;
#[cfg(target_os = "linux")]
mod trace;
mod volatile_files;

pub use self::broken_invariant::BrokenInvariant;
pub use self::call_failure::CallFailure;
pub use self::error::{Divergence, ExploreError, UnsupportedOperation};
pub use self::exploration::Exploration;
pub use self::explored_state::ExploredState;
pub use self::kept_state::KeptState;
pub use self::operation_call::{OperationCall, OperationEnd};
pub use self::operation_process::OperationProcess;
pub use self::recovery_crash::RecoveryCrash;
pub use crate::syscalls::code_location::CodeLocation;
pub use crate::syscalls::errno::Errno;
pub use clarity_chaos_disk::PowerLoss;

use std::time::Duration;

/// Acknowledges the effects of an explored operation so far, as a server does that answers a
/// request.
///
/// The invariant gets the number of acknowledgements before a crash. So it can require the effects
/// of each request, while the operation makes several. Does nothing outside of an exploration.
///
/// ```no_run
/// # use clarity_chaos::explore::acknowledge;
/// # use clarity_chaos::{Context, Result, chaos};
/// # use std::fs::{self, File};
/// /// Each acknowledged file is there after a crash.
/// #[chaos(non_destructive)]
/// fn acknowledged_files_survive(cx: Context) -> Result {
///     cx.crash_everywhere(
///         |dir| {
///             for number in 0..3 {
///                 File::create(dir.join(number.to_string()))?.sync_all()?;
///                 File::open(dir)?.sync_all()?;
///                 acknowledge();
///             }
///             Ok(())
///         },
///         |dir, crash| {
///             assert!(fs::read_dir(dir)?.count() >= crash.acknowledgements());
///             Ok(())
///         },
///     )?;
///     Ok(())
/// }
/// ```
pub fn acknowledge() {
    #[cfg(target_os = "linux")]
    crate::os::seccomp::acknowledgement::announce();
}

/// The circumstances of a crash, for the invariant of an exploration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Crash {
    acknowledged: bool,
    acknowledgements: usize,
    power_lost: bool,
    victim: Option<OperationProcess>,
    during_recovery: bool,
}

impl Crash {
    /// Whether the operation had returned success before the crash. If so, the operation's effects
    /// must be in the directory.
    #[must_use]
    pub fn acknowledged(&self) -> bool {
        self.acknowledged
    }

    /// The number of calls of [`acknowledge`] before the crash. The effects before the last of them
    /// must be in the directory.
    #[must_use]
    pub fn acknowledgements(&self) -> usize {
        self.acknowledgements
    }

    /// Whether the crash was a power loss. If so, unsynced changes can be missing.
    #[must_use]
    pub fn power_lost(&self) -> bool {
        self.power_lost
    }

    /// The process that died alone, while the others went on: see
    /// [`Exploration::one_process_dies`]. None if all processes died.
    ///
    /// After the death of a child, the operation can have returned success, and then
    /// [`acknowledged`](Self::acknowledged) is true.
    #[must_use]
    pub fn victim(&self) -> Option<OperationProcess> {
        self.victim
    }

    /// Whether a second crash followed while the invariant checked the content after the first one.
    #[must_use]
    pub fn during_recovery(&self) -> bool {
        self.during_recovery
    }
}

/// An injected failure of a call, with the result of the explored operation.
///
/// A call that reads or writes only a part of its bytes counts as a failed call.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct InjectedFailure {
    failure: CallFailure,
    lasting: bool,
    acknowledged: bool,
    acknowledgements: usize,
    power_lost: bool,
}

impl InjectedFailure {
    /// The way in which the call failed.
    #[must_use]
    pub fn failure(&self) -> CallFailure {
        self.failure
    }

    /// The error with which the call failed. None if the call read or wrote only a part of its
    /// bytes.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self.failure {
            CallFailure::Error(errno) => Some(errno),
            CallFailure::Short { .. } => None,
        }
    }

    /// Whether later calls failed too, as long as the cause of the error lasted.
    #[must_use]
    pub fn lasting(&self) -> bool {
        self.lasting
    }

    /// The number of calls of [`acknowledge`].
    #[must_use]
    pub fn acknowledgements(&self) -> usize {
        self.acknowledgements
    }

    /// Whether the power failed after the run. The operation had returned success, or had
    /// acknowledged something.
    #[must_use]
    pub fn power_lost(&self) -> bool {
        self.power_lost
    }

    /// Whether the operation returned success despite the failed or short call.
    #[must_use]
    pub fn acknowledged(&self) -> bool {
        self.acknowledged
    }
}

/// The extent of an exploration that has found nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explored {
    /// The number of the operation's calls that concern the operation's directory.
    pub calls: usize,
    /// The number of contents that a death at a call leaves, or of runs in which a call failed or
    /// transferred a part of its bytes.
    pub points: usize,
    /// The number of checked states of the disk after a power loss, without duplicates.
    pub states: usize,
    /// The number of contents that were checked after a crash during recovery, without duplicates.
    pub recoveries: usize,
    /// Whether all states were checked that the model of power loss allows. True without a model.
    pub all_states: bool,
    /// About how many states the model allows. [`u64::MAX`] for more. States that several points
    /// have in common can count more than once.
    pub possible_states: u64,
    /// The model of power loss, if power losses were explored.
    pub power_loss: Option<PowerLoss>,
    /// The duration of the exploration, in real time.
    pub took: Duration,
    /// A state in which the invariant would break under [`PowerLoss::Posix`], although it holds
    /// under the model. `crash_everywhere` tries a few states of `Posix`, at most a quarter more.
    /// None if it found none. Never makes the test fail.
    pub breaks_under_posix: Option<Box<BrokenInvariant>>,
}
