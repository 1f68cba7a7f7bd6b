//! Tests whose settings profiles change. All of them pass.

use clarity_chaos::chaos;

/// Declares a time limit.
#[chaos(profiled, timeout = "20s")]
fn limited() {}

/// Declares no time limit.
#[chaos(profiled)]
fn unlimited() {}
