//! None of these paths leads to the harness.

use clarity_chaos::chaos;

/// A path that leads nowhere.
#[chaos(crate = nowhere::chaos)]
fn unresolved() {}

/// A value that is not a path.
#[chaos(crate = 3)]
fn no_path() {}

/// Text that is not a path.
#[chaos(crate = "not a path")]
fn no_path_in_quotes() {}

fn main() {}
