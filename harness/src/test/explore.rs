//! Exhaustive exploration: an operation runs again and again, and another system call goes wrong
//! each time.
//!
//! A chaos test that kills a process at a random moment finds likely bugs. An exploration tries
//! every moment that makes a difference on the disk: the disk changes only at system calls on
//! files. The code under test needs no changes, since the kernel intercepts its system calls
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
//! - Linux 5.6 or later on x86-64 or 64-bit ARM, for any user. It does not work in a container
//!   whose runtime is itself notified of system calls. A test that returns the error is then
//!   skipped with the reason.
//! - Operation and invariant run in processes of their own, forked from the test's. Their changes
//!   in memory are lost.
//! - At the call the test must have no threads of its own, since a fork lacks them. Build runtimes
//!   and pools inside the operation. A test that explores is a plain function: the runtime of an
//!   async test is such a pool.
//! - The operation's threads and processes are followed. With one thread, a point is a call by its
//!   number. With several threads, it is a call by its name, its file and the number of like calls
//!   before it.
//! - Shared mappings of writable files are an error and never a pass, since they change files
//!   without system calls. io_uring does not exist for the operation, so code with a fallback is
//!   explored with that.
//! - `fsync` and the like succeed without being executed, which makes explorations fast.

#[cfg(target_os = "linux")]
mod baseline;
#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod crash_points;
#[cfg(target_os = "linux")]
mod crash_states;
#[cfg(target_os = "linux")]
mod disk_journal;
#[cfg(target_os = "linux")]
mod disk_model;
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
#[cfg(target_os = "linux")]
mod snapshot;

pub use self::error::{
    BrokenInvariant, Divergence, ExploreError, ExploredState, UnsupportedOperation,
};
pub use self::exploration::Exploration;
pub use self::operation_call::{OperationCall, OperationEnd};
pub use crate::syscalls::code_location::CodeLocation;
pub use crate::syscalls::errno::Errno;

/// The point at which an explored operation was interrupted.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Crash {
    acknowledged: bool,
    power_lost: bool,
}

impl Crash {
    /// Whether the operation had returned success before. Then its effects must be there.
    #[must_use]
    pub fn acknowledged(&self) -> bool {
        self.acknowledged
    }

    /// Whether the power failed, and not the process alone. Then unsynced changes may be missing.
    #[must_use]
    pub fn power_lost(&self) -> bool {
        self.power_lost
    }
}

/// A failed call of an explored operation, and the operation's reaction.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct InjectedFailure {
    errno: Errno,
    acknowledged: bool,
}

impl InjectedFailure {
    /// The error of the call.
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

/// A model of the unsynced changes that a disk may lose when the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PowerLoss {
    /// Any of them, in any order: POSIX allows this to file systems that keep renames atomic.
    ///
    /// A file's bytes are durable after `fsync` or `fdatasync` of the file, a name after `fsync` of
    /// its directory. A name that moves between directories is durable after `fsync` of either.
    /// Bytes are kept or lost in sectors of 512.
    Posix,
    /// Those that ext4 may lose in its default mode, `data=ordered`, by its
    /// [documentation](https://docs.kernel.org/admin-guide/ext4.html).
    ///
    /// Names change in order. Any sync makes all earlier names durable. A file that replaces
    /// another by rename is written out first (`auto_da_alloc`). Code that is right only here is
    /// wrong on other file systems.
    Ext4Ordered,
}

/// The extent of an exploration.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Explored {
    /// The number of the operation's calls that concern its directory.
    pub calls: usize,
    /// The number of points that were tried.
    pub points: usize,
    /// The number of distinct states after a power loss that were checked.
    pub states: usize,
}
