//! The exit codes of the runner.

/// The harness itself failed.
pub(crate) const HARNESS_FAILED: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
/// `--require-sandbox`, and a part of the sandbox is missing.
pub(crate) const SANDBOX_MISSING: u8 = 3;
/// No test is selected.
pub(crate) const NOTHING_SELECTED: u8 = 4;
/// At least one test failed. libtest uses the same code.
pub(crate) const TESTS_FAILED: u8 = 101;
/// A signal interrupted the run. The signal's number is added, as shells do.
pub(crate) const SIGNALLED: u8 = 128;
