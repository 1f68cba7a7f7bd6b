//! Whose process a test runs in.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process is one test's own.
static IS_OWN: AtomicBool = AtomicBool::new(false);

/// Whose process a test runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// Its own.
    Own,
    /// The runner's, beside others.
    Runner,
}

impl Home {
    /// Says that a test begins in this process.
    pub(crate) fn enter(self) {
        if self == Self::Own {
            IS_OWN.store(true, Ordering::Relaxed);
        }
    }

    /// Whether what is changed for the whole process is changed for one test alone.
    pub(crate) fn is_own() -> bool {
        IS_OWN.load(Ordering::Relaxed)
    }
}
