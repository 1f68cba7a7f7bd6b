//! Waits with a limit in real time, since a test's clock may be stopped.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// The longest wait in any test. A passing test stays far below it.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Yields to the other tasks until `condition` holds.
///
/// # Panics
///
/// When the condition does not hold within [`LIMIT`]. The message contains `description`.
pub async fn until(description: &str, mut condition: impl FnMut() -> bool) {
    until_some(description, async || condition().then_some(())).await;
}

/// Repeats `attempt` until it returns a value, and yields to the other tasks between attempts.
///
/// # Panics
///
/// When `attempt` returns no value within [`LIMIT`]. The message contains `description`.
pub async fn until_some<T>(description: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert_limit(started, description);
        tokio::task::yield_now().await;
    }
}

/// Waits for the output of `future`.
///
/// # Panics
///
/// When the future is not ready within [`LIMIT`]. The message contains `description`.
pub async fn within<T>(description: &str, future: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let mut future = pin!(future);
    // Polls repeatedly: a timer of Tokio may be stopped, and a timer thread would be a leak.
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(output),
        Poll::Pending => {
            assert_limit(started, description);
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

#[track_caller]
fn assert_limit(started: Instant, description: &str) {
    assert!(
        started.elapsed() < LIMIT,
        "not within {LIMIT:?}: {description}"
    );
}
