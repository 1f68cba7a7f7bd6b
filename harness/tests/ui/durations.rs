use clarity_chaos::chaos;

/// A number without a unit.
#[chaos(timeout = "10")]
fn no_unit() {}

/// A duration of zero.
#[chaos(timeout = "0s")]
fn zero() {}

/// A negative duration.
#[chaos(timeout = "-1s")]
fn negative() {}

fn main() {}
