//! The body of a test.

use crate::test::context::Context;
use crate::test::outcome::BodyOutcome;
use std::future::Future;
use std::pin::Pin;

/// The function that `#[chaos]` generates around the body of a test.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// Runs on the test's thread.
    Sync(fn(Context) -> BodyOutcome),
    /// Runs on the test's own Tokio runtime.
    Async(fn(Context) -> Pin<Box<dyn Future<Output = BodyOutcome>>>),
}
