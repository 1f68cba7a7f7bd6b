//! The exit codes of the runner.

/// The harness itself failed.
pub(crate) const HARNESS_FAILED: u8 = 1;
/// The command line is not valid, or a file that the command line uses is not valid.
pub(crate) const USAGE: u8 = 2;
/// `--require-sandbox` is given, and a part of the sandbox cannot be enforced.
pub(crate) const SANDBOX_MISSING: u8 = 3;
/// No test is selected. Also used if `--exact` is given, and a FILTER names an unknown or
/// deselected test.
pub(crate) const NOTHING_SELECTED: u8 = 4;
/// At least one test failed, or an oracle is unmet. libtest uses the same code for failed tests.
pub(crate) const TESTS_FAILED: u8 = 101;
/// A signal interrupted the run. The exit code is this number plus the signal's number, as in
/// shells.
pub(crate) const SIGNALLED: u8 = 128;
