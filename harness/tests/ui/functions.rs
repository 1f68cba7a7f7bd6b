use clarity_chaos::{Context, chaos};

/// Generic over a type.
#[chaos]
fn generic<T>(_cx: Context) {}

/// Generic over a constant.
#[chaos]
fn constant<const N: usize>() {}

/// A second parameter.
#[chaos]
fn two_arguments(_cx: Context, _other: u32) {}

/// An unsafe function.
#[chaos]
unsafe fn dangerous() {}

/// A virtual clock in a function that is not async.
#[chaos(clock = "paused")]
fn sync_under_virtual_time() {}

fn main() {}
