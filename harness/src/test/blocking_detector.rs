//! Detects an async body that blocks the only thread of its runtime.

use crate::data::duration::microseconds;
use crate::test::outcome::BodyOutcome;
use crate::test::timeline::Timeline;
use clarity_chaos_record::EventKind;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The shortest wait that is reported. Shorter waits are ignored, because a slow disk or a busy
/// machine can cause such waits.
const MIN_WAIT: Duration = Duration::from_millis(100);

/// Polls the body of a test. Records a wait on the timeline if the thread waits for a long time
/// during a poll.
pub(crate) struct BlockingDetector {
    body: Pin<Box<dyn Future<Output = BodyOutcome>>>,
    timeline: Timeline,
    /// The total time that this thread had waited for a processor at the last measurement.
    queue_time: Duration,
}

impl BlockingDetector {
    pub(crate) fn new(
        body: Pin<Box<dyn Future<Output = BodyOutcome>>>,
        timeline: Timeline,
    ) -> Self {
        Self {
            body,
            timeline,
            queue_time: queue_time(),
        }
    }
}

impl Future for BlockingDetector {
    type Output = BodyOutcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<BodyOutcome> {
        let (began, used) = (Instant::now(), cpu_time());
        let polled = self.body.as_mut().poll(context);
        let computed = cpu_time().saturating_sub(used);
        let mut waited = began.elapsed().saturating_sub(computed);
        if waited >= MIN_WAIT {
            // Subtracts the wait for a busy processor, which is not a defect of the test. The
            // subtracted time can include waits before this poll. So the reported wait can be too
            // short, but never too long.
            let queue_time = queue_time();
            waited = waited.saturating_sub(queue_time.saturating_sub(self.queue_time));
            self.queue_time = queue_time;
        }
        if waited >= MIN_WAIT {
            let duration_us = microseconds(waited);
            self.timeline.record(EventKind::Blocked { duration_us });
        }
        polled
    }
}

/// The total time that this thread has waited for a processor since its start. Zero if the system
/// does not count this time.
///
/// Source: [schedstat](https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat).
fn queue_time() -> Duration {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = schedstat.split_whitespace().nth(1);
    let nanoseconds = nanoseconds.and_then(|word| word.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

/// The CPU time that this thread has used since its start.
#[cfg(unix)]
fn cpu_time() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Always zero, since the CPU time of a thread is unknown on this system. A long computation
/// therefore counts as a wait.
#[cfg(not(unix))]
fn cpu_time() -> Duration {
    Duration::ZERO
}
