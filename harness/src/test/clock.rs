//! The time that a test sees: real, paused, or moved by hand.

use crate::data::duration::microseconds;
use crate::test::test_time::TestTime;
use crate::test::timeline::Timeline;
use clarity_chaos_record::{ClockKind, EventKind};
use std::time::Duration;

/// Far beyond any timer, far within what the system's clock can hold.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The clock of a test; see [`Context::clock`](crate::Context::clock).
#[derive(Clone, Debug)]
pub struct Clock {
    time: TestTime,
    timeline: Timeline,
}

impl Clock {
    pub(crate) fn new(time: TestTime, timeline: Timeline) -> Self {
        Self { time, timeline }
    }

    /// Which clock this is.
    #[must_use]
    pub fn kind(&self) -> ClockKind {
        self.time.kind()
    }

    /// Virtual time since the test began; `None` under a real clock.
    #[must_use]
    pub fn virtual_now(&self) -> Option<Duration> {
        self.time.virtual_now()
    }

    /// Moves a virtual clock forward by `duration` in one jump, and lets tasks whose timers are due by then begin to run.
    ///
    /// A jump is not a walk: a loop that sleeps a second at a time wakes once, however long the jump. Work that tasks begin is not waited for:
    /// await what shows that it is done.
    ///
    /// # Panics
    ///
    /// Under a real clock, which nobody can move; when `duration` is over a century; and, when awaited, outside the test's runtime.
    #[track_caller]
    pub fn advance(&self, duration: Duration) -> impl Future<Output = ()> + use<'_> {
        assert!(
            self.time.kind() != ClockKind::Real,
            "the clock of this test is real and cannot be advanced: declare #[chaos(clock = \"manual\")]"
        );
        assert!(
            duration <= CENTURY,
            "the clock cannot be advanced by {duration:?}: expected a century at most"
        );
        async move {
            self.timeline.record(EventKind::ClockAdvanced {
                by_us: microseconds(duration),
            });
            self.time.advance(duration).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "declare #[chaos(clock = \"manual\")]")]
    fn a_real_clock_refuses_to_be_moved() {
        let dir = tempfile::tempdir().unwrap();
        let time = TestTime::new(ClockKind::Real);
        let timeline = Timeline::new(Timeline::open(&dir.path().join("t")).unwrap(), time.clone());
        let clock = Clock::new(time.clone(), timeline);
        let runtime = time.runtime().unwrap();
        runtime.block_on(clock.advance(Duration::from_secs(1)));
    }
}
