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
//!   threads. Build Tokio runtimes and thread pools inside the operation. A test that explores must
//!   be a plain function, since the Tokio runtime of an async test is a thread pool.
//! - Explorations follow all threads and processes that the operation starts. If one thread makes
//!   all calls, a call's number identifies the call in other runs. With several threads, a call's
//!   name, file and position identify the call. The position counts only calls with the same name
//!   and file.
//! - An exploration returns an error if the operation leaves a socket, a FIFO or a device. It also
//!   returns an error if the operation makes a file longer than 1 GiB.
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
#[cfg(target_os = "linux")]
mod calls_journal;
#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod crash_points;
#[cfg(target_os = "linux")]
mod directory_content;
#[cfg(target_os = "linux")]
mod disk_states;
mod error;
mod exploration;
#[cfg(target_os = "linux")]
mod explorer;
#[cfg(target_os = "linux")]
mod failure_cause;
#[cfg(target_os = "linux")]
mod failure_points;
#[cfg(target_os = "linux")]
mod mapped_files;
mod operation_call;
#[cfg(target_os = "linux")]
mod operation_run;
#[cfg(target_os = "linux")]
mod orphans;
#[cfg(target_os = "linux")]
mod power_cuts;
#[cfg(target_os = "linux")]
mod progress;
#[cfg(target_os = "linux")]
mod run_limit;
#[cfg(target_os = "linux")]
mod trace;
mod volatile_files;

pub use self::error::{
    BrokenInvariant, Divergence, ExploreError, ExploredState, UnsupportedOperation,
};
pub use self::exploration::Exploration;
pub use self::operation_call::{OperationCall, OperationEnd};
pub use crate::syscalls::code_location::CodeLocation;
pub use crate::syscalls::errno::Errno;
pub use clarity_chaos_disk::PowerLoss;

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
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Crash {
    acknowledged: bool,
    acknowledgements: usize,
    power_lost: bool,
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
}

/// An injected failure of a call, with the result of the explored operation.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct InjectedFailure {
    errno: Errno,
    lasting: bool,
    acknowledged: bool,
    acknowledgements: usize,
    power_lost: bool,
}

impl InjectedFailure {
    /// The error with which the call failed.
    #[must_use]
    pub fn errno(&self) -> Errno {
        self.errno
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

    /// Whether the operation returned success despite the failed call.
    #[must_use]
    pub fn acknowledged(&self) -> bool {
        self.acknowledged
    }
}

/// The numbers of calls, points and states that an exploration covered.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Explored {
    /// The number of the operation's calls that concern the operation's directory.
    pub calls: usize,
    /// The number of contents that a death at a call leaves, or of runs in which a call failed.
    pub points: usize,
    /// The number of checked states of the disk after a power loss, without duplicates.
    pub states: usize,
    /// Whether all states were checked that the model of power loss allows. True without a model.
    pub all_states: bool,
}
