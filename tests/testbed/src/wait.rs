//! Waiting with a limit of real time: a test's clock may stand still.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// The longest wait for anything. No test that passes comes near it.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Yields to the other tasks until `condition` holds.
///
/// # Panics
///
/// When the condition, which `description` names, does not hold within [`LIMIT`].
pub async fn until(description: &str, mut condition: impl FnMut() -> bool) {
    until_some(description, async || condition().then_some(())).await;
}

/// Repeats `attempt`, and yields to the other tasks in between, until it gives something.
///
/// # Panics
///
/// When it gives nothing within [`LIMIT`]; `description` names the event.
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

/// The output of `future`.
///
/// # Panics
///
/// When the future, which `description` names, is not ready within [`LIMIT`].
pub async fn within<T>(description: &str, future: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let mut future = pin!(future);
    // Polled again and again: a timer of Tokio may stand still, and a thread would be a leak.
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
