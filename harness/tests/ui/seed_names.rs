use clarity_chaos::chaos;

/// An empty name.
#[chaos(seed_name = "")]
fn empty() {}

/// A sentence instead of a name.
#[chaos(seed_name = "the old name")]
fn describe() {}

/// White space between the parts.
#[chaos(seed_name = "old :: name")]
fn spaced() {}

/// A path instead of a string.
#[chaos(seed_name = old::name)]
fn unquoted() {}

fn main() {}
