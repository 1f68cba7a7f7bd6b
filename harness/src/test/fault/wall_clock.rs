//! A fault that moves the wall clock, as an operator, a time server or a resumed virtual machine
//! does.

use super::{Fault, FaultError, Injection, Undo, UndoOutcome};
use crate::os::wall_clock;
use crate::test::process_scope::ProcessScope;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;

/// Moves the wall clock of the test's process. The jump affects
/// [`SystemTime::now`](std::time::SystemTime::now), and all other code that asks the C library for
/// the time of day.
///
/// The jump affects neither the times of files, nor programs that the test starts. Timers,
/// [`Instant`](std::time::Instant) and the test's [clock](crate::Context::clock) do not jump
/// either. They also do not jump when an operator sets a real wall clock.
///
/// The fault needs Linux with the GNU C library. It also needs this crate's feature `wall-clock`,
/// which is off by default. If one of them is missing, the injection returns an error. A test that
/// returns this error is skipped. The feature replaces `clock_gettime`, `gettimeofday` and `time`
/// in the test program. Leave the feature off if another library also replaces these functions.
///
/// ```toml
/// [dev-dependencies]
/// clarity-chaos = { version = "0.1", features = ["wall-clock"] }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    jump: Jump,
}

#[derive(Clone, Copy, Debug)]
enum Jump {
    Forward(Duration),
    Back(Duration),
    Within(Duration),
}

/// The plan of a [`WallClock`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WallClockPlan {
    /// The distance of the jump in milliseconds, negative for a jump back. The absolute value is at
    /// least 1 ms and at most 1000 years.
    pub by_ms: i64,
}

/// The longest jump: longer than any mistake in setting a clock, and far within the range of a
/// `SystemTime`.
const MOST: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);

const DAY: Duration = Duration::from_secs(24 * 3600);

impl WallClock {
    /// Moves the clock of the test's process forward or back by 1 ms to 24 hours. Draws the jump
    /// like [`within`](Self::within).
    #[must_use]
    pub fn new() -> Self {
        Self {
            jump: Jump::Within(DAY),
        }
    }

    /// Moves the clock forward by `by`, rounded down to whole milliseconds. `by` must be 1 ms to
    /// 1000 years.
    #[must_use]
    pub fn forward(self, by: Duration) -> Self {
        Self {
            jump: Jump::Forward(by),
        }
    }

    /// Moves the clock back by `by`, rounded down to whole milliseconds. `by` must be 1 ms to 1000
    /// years. Recently stored times are then in the future.
    #[must_use]
    pub fn back(self, by: Duration) -> Self {
        Self {
            jump: Jump::Back(by),
        }
    }

    /// Moves the clock forward or back by a drawn time, 1 ms to `most`. Each jump by whole
    /// milliseconds has the same probability. `most` must be 1 ms to 1000 years.
    #[must_use]
    pub fn within(self, most: Duration) -> Self {
        Self {
            jump: Jump::Within(most),
        }
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Fault for WallClock {
    type Plan = WallClockPlan;
    const KIND: &'static str = "wall_clock";

    fn describe(plan: &WallClockPlan, _target: &str) -> String {
        let distance = Duration::from_millis(plan.by_ms.unsigned_abs());
        let distance = humantime::format_duration(distance);
        match plan.by_ms {
            0.. => format!("the wall clock set forward by {distance}"),
            _ => format!("the wall clock set back by {distance}"),
        }
    }

    fn target(&self) -> String {
        "process".to_owned()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<WallClockPlan, FaultError> {
        let (Jump::Forward(most) | Jump::Back(most) | Jump::Within(most)) = self.jump;
        let fits = Some(most).filter(|most| (Duration::from_millis(1)..=MOST).contains(most));
        let most = fits.and_then(|most| i64::try_from(most.as_millis()).ok());
        let most = most.ok_or_else(|| {
            FaultError::unfit("a jump of 1 ms to 1000 years", format!("{most:?}"))
        })?;
        let by_ms = match self.jump {
            Jump::Forward(_) => most,
            Jump::Back(_) => -most,
            Jump::Within(_) => match rng.random_range(-most..most) {
                back @ ..0 => back,
                // Maps `0..most` to `1..=most`, because a jump by 0 ms is not a fault.
                forward => forward + 1,
            },
        };
        Ok(WallClockPlan { by_ms })
    }

    fn apply(&self, plan: &WallClockPlan, _injection: &Injection) -> Result<Undo, FaultError> {
        let by_ms = plan.by_ms;
        if !ProcessScope::is_dedicated() {
            return Err(FaultError::Unavailable(
                "a clock is the whole process's, and the test has no process of its own (--isolation thread)"
                    .to_owned(),
            ));
        }
        wall_clock::move_by(by_ms).map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => {
                FaultError::Unavailable(format!("the fault `WallClock` is unavailable: {error}"))
            }
            _ => error.into(),
        })?;
        Ok(Undo::new(move || {
            wall_clock::move_by(-by_ms)?;
            Ok(UndoOutcome::Restored)
        }))
    }
}
