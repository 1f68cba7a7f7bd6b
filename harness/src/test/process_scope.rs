//! Tells whether a test has its own process.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process runs one test only.
static IS_DEDICATED: AtomicBool = AtomicBool::new(false);

/// The scope of a test's process: this test only, or several tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessScope {
    /// The process runs this test only.
    Dedicated,
    /// The test runs in the runner's process, as other tests do.
    Shared,
}

impl ProcessScope {
    /// Declares the scope of this process. Call this method when a test begins.
    pub(crate) fn enter(self) {
        if self == Self::Dedicated {
            IS_DEDICATED.store(true, Ordering::Relaxed);
        }
    }

    /// Whether this process runs one test only. A change to such a process affects no other test.
    pub(crate) fn is_dedicated() -> bool {
        IS_DEDICATED.load(Ordering::Relaxed)
    }
}
