//! Nothing here resolves: each error points at the path.

use clarity_chaos::chaos;

/// A path that leads nowhere.
#[chaos(crate = nowhere::chaos)]
fn unresolved() {}

/// A value that is no path.
#[chaos(crate = 3)]
fn no_path() {}

/// Text that is no path.
#[chaos(crate = "not a path")]
fn no_path_in_quotes() {}

fn main() {}
