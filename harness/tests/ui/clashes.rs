use clarity_chaos::chaos;

/// Registered twice.
#[chaos]
#[test]
fn also_a_test() {}

/// Never run.
#[chaos]
#[ignore = "later"]
fn ignored() {}

/// Panics on purpose.
#[chaos]
#[should_panic]
fn should_panic() {}

fn main() {}
