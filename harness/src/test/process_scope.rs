//! Whether a test has a process of its own.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process belongs to one test.
static IS_DEDICATED: AtomicBool = AtomicBool::new(false);

/// Whether a test has a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessScope {
    /// The process belongs to the test.
    Dedicated,
    /// The process belongs to the runner, and other tests run in it.
    Shared,
}

impl ProcessScope {
    /// Declares the scope of this process. Called when a test begins.
    pub(crate) fn enter(self) {
        if self == Self::Dedicated {
            IS_DEDICATED.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a change to the whole process affects one test alone.
    pub(crate) fn is_dedicated() -> bool {
        IS_DEDICATED.load(Ordering::Relaxed)
    }
}
