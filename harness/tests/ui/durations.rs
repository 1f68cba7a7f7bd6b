use clarity_chaos::chaos;

/// No unit.
#[chaos(timeout = "10")]
fn no_unit() {}

/// No time at all.
#[chaos(timeout = "0s")]
fn zero() {}

/// Less than none.
#[chaos(timeout = "-1s")]
fn negative() {}

fn main() {}
