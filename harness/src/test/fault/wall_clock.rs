//! A wall clock that jumps: somebody sets it, a time server corrects it, a virtual machine wakes up.

use super::{Fault, FaultError, Undo, UndoOutcome};
use crate::os::wall_clock;
use crate::test::process_scope::ProcessScope;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::time::Duration;

/// Moves the wall clock of the test's process: [`SystemTime::now`](std::time::SystemTime::now), and whatever asks the C library for it. Nothing outside of the process
/// sees it, neither programs that the test starts nor the times of files; and timers, [`Instant`](std::time::Instant) and the test's
/// [clock](crate::Context::clock) go on as they are, as they do when a real clock is set.
///
/// On Linux with the GNU C library alone. The harness's feature `wall-clock`, which is on unless it is told otherwise, gives the test program its own
/// `clock_gettime`, `gettimeofday` and `time`; turn it off if another library does the same.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    jump: Jump,
}

#[derive(Clone, Copy, Debug)]
enum Jump {
    Forward(Duration),
    Back(Duration),
    EitherWay(Duration),
}

/// Where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WallClockPlan {
    /// By how much, in milliseconds; backwards if negative.
    pub by_ms: i64,
}

/// Further than any clock that was set by mistake, and far within what a time can be.
const MOST: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);

impl WallClock {
    /// It jumps forward by so much, in whole milliseconds: 1 ms to 1000 years.
    #[must_use]
    pub fn jumps_forward(by: Duration) -> Self {
        Self {
            jump: Jump::Forward(by),
        }
    }

    /// It jumps back by so much, in whole milliseconds, 1 ms to 1000 years: times that are already written down are in the future now.
    #[must_use]
    pub fn jumps_back(by: Duration) -> Self {
        Self {
            jump: Jump::Back(by),
        }
    }

    /// It jumps to any other time that is no further away, forward or back, each millisecond with the same probability. `most` is 1 ms to 1000 years.
    #[must_use]
    pub fn jumps_within(most: Duration) -> Self {
        Self {
            jump: Jump::EitherWay(most),
        }
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
        let (Jump::Forward(most) | Jump::Back(most) | Jump::EitherWay(most)) = self.jump;
        let fits = Some(most).filter(|most| (Duration::from_millis(1)..=MOST).contains(most));
        let most = fits.and_then(|most| i64::try_from(most.as_millis()).ok());
        let most = most.ok_or_else(|| {
            FaultError::unfit("a jump of 1 ms to 1000 years", format!("{most:?}"))
        })?;
        let by_ms = match self.jump {
            Jump::Forward(_) => most,
            Jump::Back(_) => -most,
            Jump::EitherWay(_) => match rng.random_range(-most..most) {
                // Not nowhere: one more stands for it.
                back @ ..0 => back,
                forward => forward + 1,
            },
        };
        Ok(WallClockPlan { by_ms })
    }

    fn apply(&self, plan: &WallClockPlan, _scratch: &Path) -> Result<Undo, FaultError> {
        let by_ms = plan.by_ms;
        if !ProcessScope::is_dedicated() {
            return Err(FaultError::Unavailable(
                "a clock is the whole process's, and the test has none of its own (--isolation thread)".to_owned(),
            ));
        }
        wall_clock::move_by(by_ms).map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => {
                FaultError::Unavailable(format!("the wall clock cannot be moved: {error}"))
            }
            _ => FaultError::Other(Box::new(error)),
        })?;
        Ok(Undo::new(move || {
            wall_clock::move_by(-by_ms).map_err(|error| FaultError::Other(Box::new(error)))?;
            Ok(UndoOutcome::Restored)
        }))
    }
}
