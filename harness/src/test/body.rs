//! The body of a test, as `#[chaos]` wraps it.

use crate::test::context::Context;
use crate::test::outcome::Outcome;
use std::future::Future;
use std::pin::Pin;

/// The body of a test, as the macro wraps it.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// Runs on the test's thread.
    Sync(fn(Context) -> Outcome),
    /// Runs on a Tokio runtime made for the test.
    Async(fn(Context) -> Pin<Box<dyn Future<Output = Outcome>>>),
}
