//! Tests with descriptions that the compiler builds from macros and from several attributes.

#[doc = include_str!("scenario.md")]
#[harness::chaos(crate = harness)]
fn included() {}

#[doc = concat!("  One part, ", "and another.\n")]
#[harness::chaos(crate = harness)]
fn concatenated() {}

/// A doc comment comes first.
///
#[doc = include_str!("scenario.md")]
#[doc = " A literal comes last. "]
#[harness::chaos(crate = harness)]
fn mixed() {}
