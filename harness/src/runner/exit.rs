//! What the runner exits with.

/// The harness itself failed.
pub(crate) const HARNESS_FAILED: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
/// The sandbox was required, and part of it is not there.
pub(crate) const SANDBOX_MISSING: u8 = 3;
/// Nothing was selected.
pub(crate) const NOTHING_SELECTED: u8 = 4;
/// At least one test failed; libtest's code.
pub(crate) const TESTS_FAILED: u8 = 101;
/// The run was interrupted by a signal, whose number is added, as shells do.
pub(crate) const SIGNALLED: u8 = 128;
