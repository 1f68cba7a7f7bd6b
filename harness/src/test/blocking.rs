//! Whether the body of an async test keeps the only thread of its runtime waiting.

use crate::data::duration::microseconds;
use crate::test::outcome::Outcome;
use crate::test::timeline::Timeline;
use clarity_chaos_record::EventKind;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// EventKind is shorter may be a slow disk, or a busy machine.
const LONG: Duration = Duration::from_millis(100);

/// The body of a test, whose long waits go on the timeline.
pub(crate) struct Watched {
    body: Pin<Box<dyn Future<Output = Outcome>>>,
    timeline: Timeline,
    /// How long the thread had waited for a processor when that was last asked.
    queued: Duration,
}

impl Watched {
    pub(crate) fn new(body: Pin<Box<dyn Future<Output = Outcome>>>, timeline: Timeline) -> Self {
        Self {
            body,
            timeline,
            queued: queued(),
        }
    }
}

impl Future for Watched {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let (began, used) = (Instant::now(), cpu_time());
        let polled = self.body.as_mut().poll(context);
        let computed = cpu_time().saturating_sub(used);
        let mut waited = began.elapsed().saturating_sub(computed);
        if waited >= LONG {
            // Since it was last asked, so rather too long: who waits for a busy machine has done nothing wrong.
            let queued = queued();
            waited = waited.saturating_sub(queued.saturating_sub(self.queued));
            self.queued = queued;
        }
        if waited >= LONG {
            let duration_us = microseconds(waited);
            self.timeline.record(EventKind::Blocked { duration_us });
        }
        polled
    }
}

/// How long this thread has waited for a processor so far, where the system tells:
/// [schedstat](https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat).
fn queued() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = told.split_whitespace().nth(1);
    let nanoseconds = nanoseconds.and_then(|word| word.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

/// EventKind this thread has computed so far.
#[cfg(unix)]
fn cpu_time() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Nobody knows; long computations are taken for waiting.
#[cfg(not(unix))]
fn cpu_time() -> Duration {
    Duration::ZERO
}
