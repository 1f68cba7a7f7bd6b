//! Lets the wall clock follow the manual clock of a test.

use super::Context;
use crate::os::wall_clock;
use crate::test::outcome::Result;
use crate::test::process_scope::ProcessScope;
use clarity_chaos_record::{ClockKind, EventKind};
use std::io;
use std::time::{Duration, SystemTime};

/// The end of the range of `start`, in seconds after 1970-01-01: the year 10000.
const END_S: u64 = 253_402_300_800;

impl Context {
    /// Stops the wall clock of the test's process at `start`, and lets it follow the manual clock.
    ///
    /// From then on, [`SystemTime::now`] is `start`, plus all that
    /// [`Clock::advance`](crate::Clock::advance) has added. Both clocks move before the next task
    /// runs. The wall clock runs again when the test's runtime has ended. A
    /// [`WallClock`](crate::fault::WallClock) fault moves a stopped wall clock, too.
    ///
    /// The functions `clock_gettime`, `gettimeofday` and `time` of the C library follow. The times
    /// of files, programs that the test starts, and deadlines that the kernel compares with its own
    /// wall clock do not follow. [`Instant`](std::time::Instant) and the waits of the standard
    /// library stay with the system's clock. `tokio::time::advance` does not move the wall clock.
    ///
    /// ```no_run
    /// # use clarity_chaos::{Context, Result, chaos};
    /// # use std::time::{Duration, SystemTime};
    /// /// A token expires after an hour.
    /// #[chaos(clock = "manual")]
    /// async fn token_expires(cx: Context) -> Result {
    ///     let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    ///     cx.wall_clock_from(start)?;
    ///     let expiry = SystemTime::now() + Duration::from_secs(3600);
    ///     cx.clock().advance(Duration::from_secs(3600)).await;
    ///     assert_eq!(SystemTime::now(), expiry);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// When the wall clock cannot be moved: without the feature `wall-clock`, outside of Linux with
    /// the GNU C library, or without a process of the test's own. A test that returns this error is
    /// skipped. Also when the clock is not manual, when `start` is not in the years 1970 to 9999,
    /// and at the second call.
    pub fn wall_clock_from(&self, start: SystemTime) -> Result {
        if self.clock().kind() != ClockKind::Manual {
            return Err(
                "the wall clock can follow a manual clock only: declare #[chaos(clock = \"manual\")]"
                    .into(),
            );
        }
        let since_epoch = start.duration_since(SystemTime::UNIX_EPOCH).ok();
        let in_range = since_epoch.filter(|since_epoch| *since_epoch < Duration::from_secs(END_S));
        let Some(since_epoch) = in_range else {
            return Err(format!(
                "the wall clock cannot start at {start:?}: expected a time in the years 1970 to 9999"
            )
            .into());
        };
        if !ProcessScope::is_dedicated() {
            self.skip(
                "the wall clock cannot follow: it is the whole process's, and the test has no process of its own (--isolation thread)",
            )?;
        }
        if let Err(error) = wall_clock::stop_at(since_epoch) {
            if error.kind() == io::ErrorKind::Unsupported {
                self.skip(format!("the wall clock cannot follow: {error}"))?;
            }
            return Err(error.into());
        }
        self.inner.timeline.record(EventKind::WallClockFollows {
            start: humantime::format_rfc3339_nanos(start).to_string(),
        });
        Ok(())
    }
}
