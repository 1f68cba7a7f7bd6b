//! The duration of a command that is not killed, learned from the kills.

use std::time::Duration;

/// The approximate duration of an uninterrupted command.
#[derive(Clone, Copy)]
pub(super) struct UsualDuration {
    pub(super) duration: Duration,
    /// The number of last kills with the same outcome; negative if they came in time.
    same: i32,
}

impl UsualDuration {
    pub(super) fn new(duration: Duration) -> Self {
        Self { duration, same: 0 }
    }

    /// Adjusts the duration after a kill. The steps grow while the outcome stays the same.
    // A machine can become many times slower during the test.
    pub(super) fn adjust(&mut self, was_too_late: bool) {
        self.same = match was_too_late {
            true => self.same.max(0) + 1,
            false => self.same.min(0) - 1,
        };
        let step: f64 = if was_too_late { 0.9 } else { 1.05 };
        self.duration = self.duration.mul_f64(step.powi(self.same.abs().min(8)));
    }
}
