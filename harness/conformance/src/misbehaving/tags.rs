//! Tests with tags, all of which pass.

use clarity_chaos::chaos;

/// Tagged `breaker`.
#[chaos(breaker)]
fn breaker() {}

/// Tagged `breaker` and `slow`.
#[chaos(breaker, slow)]
fn breaker_and_slow() {}

/// Tagged `model`.
///
/// In two paragraphs.
#[chaos(model)]
fn model() {}

/// Tagged `slow`.
#[chaos(slow)]
fn slow() {}
