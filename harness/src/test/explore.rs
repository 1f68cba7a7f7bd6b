//! Exhaustive exploration: runs an operation many times, and disturbs a different system call in
//! each run.
//!
//! A chaos test that kills a process at a random time finds likely bugs. An exploration tries every
//! point at which a crash can leave a different state on the disk. The disk changes only at system
//! calls on files, so these calls are the points. The code under test needs no changes: the kernel
//! intercepts its system calls
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
//! - Explorations need Linux 5.6 or later on x86-64 or 64-bit ARM; any user can run them. They do
//!   not work in a container if the container runtime already receives notifications of system
//!   calls. If calls cannot be intercepted, explorations return `ExploreError::Unavailable`. A test
//!   that returns this error is skipped with the reason.
//! - The operation and the invariant run in child processes, forked from the test's process. Their
//!   changes to memory are lost.
//! - When an exploration starts, the test must have no threads of its own: a fork would lack these
//!   threads. Build Tokio runtimes and thread pools inside the operation. A test that explores must
//!   be a plain function, since the Tokio runtime of an async test is a thread pool.
//! - Explorations follow all threads and processes that the operation starts. If one thread makes
//!   all calls, a call's number identifies the call in other runs. With several threads, a call is
//!   identified by its name, its file, and its position among such calls.
//! - If the operation makes a shared mapping of a file that is open for writing, the exploration
//!   returns an error. Such a mapping changes the file without system calls.
//! - For the operation, io_uring does not exist. Code with a fallback is explored with the
//!   fallback.
//! - Sync calls, such as `fsync`, return success without being executed, which makes explorations
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
mod error;
mod exploration;
#[cfg(target_os = "linux")]
mod explorer;
#[cfg(target_os = "linux")]
mod failure_points;
mod operation_call;
#[cfg(target_os = "linux")]
mod operation_run;
#[cfg(target_os = "linux")]
mod orphans;
#[cfg(target_os = "linux")]
mod power_cuts;
#[cfg(target_os = "linux")]
mod progress;

pub use self::error::{
    BrokenInvariant, Divergence, ExploreError, ExploredState, UnsupportedOperation,
};
pub use self::exploration::Exploration;
pub use self::operation_call::{OperationCall, OperationEnd};
pub use crate::syscalls::code_location::CodeLocation;
pub use crate::syscalls::errno::Errno;
pub use clarity_chaos_disk::PowerLoss;

/// The circumstances of a crash of an explored operation.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Crash {
    acknowledged: bool,
    power_lost: bool,
}

impl Crash {
    /// Whether the operation had returned success before the crash. If so, its effects must be in
    /// the directory.
    #[must_use]
    pub fn acknowledged(&self) -> bool {
        self.acknowledged
    }

    /// Whether the power failed. If so, unsynced changes can be missing.
    #[must_use]
    pub fn power_lost(&self) -> bool {
        self.power_lost
    }
}

/// An injected failure of a call, and the reaction of the explored operation.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct InjectedFailure {
    errno: Errno,
    acknowledged: bool,
}

impl InjectedFailure {
    /// The error with which the call failed.
    #[must_use]
    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// Whether the operation returned success despite the failed call.
    #[must_use]
    pub fn acknowledged(&self) -> bool {
        self.acknowledged
    }
}

/// The extent of an exploration.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Explored {
    /// The number of the operation's calls that concern its directory.
    pub calls: usize,
    /// The number of process deaths or call failures that were tried, each at one call.
    pub points: usize,
    /// The number of checked states of the disk after a power loss, without duplicates.
    pub states: usize,
}
