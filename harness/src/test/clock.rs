//! The clock of a test: real, paused or manual.

use crate::data::duration::microseconds;
use crate::test::auto_advance::AutoAdvanceMonitor;
use crate::test::test_time::TestTime;
use crate::test::timeline::Timeline;
use clarity_chaos_record::{ClockKind, EventKind};
use std::time::Duration;

/// The longest jump of a clock. It is longer than any timer, but within the range of the system's
/// clock.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The clock of a test; see [`Context::clock`](crate::Context::clock).
#[derive(Clone, Debug)]
pub struct Clock {
    time: TestTime,
    timeline: Timeline,
    auto_advance: AutoAdvanceMonitor,
}

impl Clock {
    pub(crate) fn new(
        time: TestTime,
        timeline: Timeline,
        auto_advance: AutoAdvanceMonitor,
    ) -> Self {
        Self {
            time,
            timeline,
            auto_advance,
        }
    }

    /// The kind of this clock.
    #[must_use]
    pub fn kind(&self) -> ClockKind {
        self.time.kind()
    }

    /// The virtual time since the test's runtime started. `None` under a real clock, or without a
    /// runtime.
    #[must_use]
    pub fn virtual_now(&self) -> Option<Duration> {
        self.time.virtual_now()
    }

    /// Advances a virtual clock by `duration` in one jump. Wakes the tasks whose timers expire
    /// during the jump.
    ///
    /// A loop that sleeps for one second in each round wakes only once, even if the jump is longer.
    /// The returned future does not wait until the woken tasks have done their work. To wait for
    /// their work, await a message from the tasks.
    ///
    /// # Panics
    ///
    /// Under a real clock, or when `duration` is over a century. The future panics when it is
    /// polled outside of the test's runtime. It also panics when the
    /// [wall clock follows](crate::Context::wall_clock_from) and would move by more than 584 years
    /// in total.
    #[track_caller]
    pub fn advance(&self, duration: Duration) -> impl Future<Output = ()> + use<'_> {
        assert!(
            self.time.kind() != ClockKind::Real,
            "cannot advance the real clock of this test: declare #[chaos(clock = \"manual\")]"
        );
        assert!(
            duration <= CENTURY,
            "cannot advance the clock by {duration:?}: expected a century at most"
        );
        async move {
            self.timeline.record(EventKind::ClockAdvanced {
                by_us: microseconds(duration),
            });
            self.time.advance(duration).await;
        }
    }

    /// Allows the paused clock to advance by itself while sockets have unread bytes. Has no effect
    /// under other clocks.
    ///
    /// A paused clock advances when no task can run. If a socket of the test's Tokio runtime then
    /// has unread bytes, the test fails: a timeout could elapse although the answer is there. Call
    /// this method if a task leaves bytes unread on purpose, such as a slow reader that sleeps.
    /// Bytes that come during the advance still fail the test, because their sender is outside of
    /// the runtime. The harness sees unread bytes on Linux only.
    pub fn allow_unread_bytes(&self) {
        self.auto_advance.allow_unread();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "declare #[chaos(clock = \"manual\")]")]
    fn advance_real_clock_panics() {
        let dir = tempfile::tempdir().unwrap();
        let time = TestTime::new(ClockKind::Real);
        let timeline = Timeline::new(Timeline::open(&dir.path().join("t")).unwrap(), time.clone());
        let monitor = AutoAdvanceMonitor::new(timeline.clone());
        let clock = Clock::new(time.clone(), timeline, monitor);
        let runtime = time.runtime().unwrap();
        runtime.block_on(clock.advance(Duration::from_secs(1)));
    }
}
