//! A fault that makes system calls fail, delays them, or shortens reads and writes.

#[cfg(target_os = "linux")]
use super::UndoOutcome;
use super::{Fault, FaultError, Injection, Undo};
pub use crate::syscalls::call_kind::CallKind;
use crate::syscalls::errno::Errno;
#[cfg(target_os = "linux")]
use crate::syscalls::interceptor::{self, Action, Rule};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
#[cfg(target_os = "linux")]
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Makes calls of one [`CallKind`] fail, delays them, or shortens them. Affects only calls on one
/// file, or on the files below one directory. The fault affects the thread that injects it, and all
/// threads and programs that this thread starts later. Other threads that already exist are not
/// affected. So inject the fault from the test itself, before the system under test starts.
///
/// On Linux only, by seccomp user notification. After a test's first `SystemCall` fault, each file
/// call of the affected threads takes some microseconds longer. A test with a `SystemCall` fault
/// cannot [explore](crate::Context::explore). A test fails if the kernel hides a process from the
/// harness, and the fault may have applied to a call of this process.
#[derive(Clone, Debug)]
pub struct SystemCall {
    kind: CallKind,
    below: PathBuf,
    /// The range from which the number of the affected call is drawn. The first call after the
    /// injection has number 1. `None` affects all calls.
    which: Option<RangeInclusive<u64>>,
    effect: CallEffect,
}

/// The effect of a [`SystemCall`] fault on a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallEffect {
    /// The call is not executed, and fails with this error number, such as 5 for `EIO`.
    Error(i32),
    /// The call is executed this number of milliseconds later.
    DelayMs(u64),
    /// The call reads or writes at most this number of bytes. The number is at least 1. Only a
    /// `read`, `pread`, `write` or `pwrite` of the test's own process is shortened. Other calls are
    /// executed in full.
    ShortenedTo(u64),
    /// Writes succeed until all writes together have written this number of bytes. The write that
    /// exceeds this number is shortened, or fails with `ENOSPC` if it cannot be shortened. Later
    /// writes fail with `ENOSPC`.
    FullAfter(u64),
}

/// The plan of a [`SystemCall`] fault: the affected calls, and the effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SystemCallPlan {
    /// The kind of the affected calls.
    pub kind: CallKind,
    /// The number of the affected call. The first call after the injection has number 1. `None`
    /// affects all calls.
    pub nth: Option<u64>,
    /// The effect on the calls.
    pub effect: CallEffect,
}

impl SystemCall {
    /// Makes all calls of this kind fail with [`Errno::EIO`]. If `below` is a file, only calls on
    /// this file fail. If `below` is a directory, only calls on files below this directory fail.
    pub fn new(below: impl Into<PathBuf>, kind: CallKind) -> Self {
        Self {
            kind,
            below: below.into(),
            which: None,
            effect: CallEffect::Error(Errno::EIO.0),
        }
    }

    /// Affects only the `n`-th call after the injection. `n` must be at least 1.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        Self {
            which: Some(n..=n),
            ..self
        }
    }

    /// Affects only one drawn call of the first `n` calls. Each of these calls has the same
    /// probability.
    #[must_use]
    pub fn one_of_the_first(self, n: u64) -> Self {
        Self {
            which: Some(1..=n),
            ..self
        }
    }

    /// Makes the calls fail with this error.
    #[must_use]
    pub fn fails_with(self, errno: Errno) -> Self {
        Self {
            effect: CallEffect::Error(errno.0),
            ..self
        }
    }

    /// Delays the calls by `delay`, rounded down to whole milliseconds.
    #[must_use]
    pub fn delayed_by(self, delay: Duration) -> Self {
        let milliseconds = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        Self {
            effect: CallEffect::DelayMs(milliseconds),
            ..self
        }
    }

    /// Limits each read or write to `bytes` bytes. `bytes` must be at least 1.
    #[must_use]
    pub fn shortened_to(self, bytes: u64) -> Self {
        Self {
            effect: CallEffect::ShortenedTo(bytes),
            ..self
        }
    }

    /// Lets writes succeed until all writes together have written this number of bytes. Later
    /// writes fail with [`Errno::ENOSPC`]. The removal of files does not free space.
    #[must_use]
    pub fn full_after(self, bytes: u64) -> Self {
        Self {
            effect: CallEffect::FullAfter(bytes),
            ..self
        }
    }
}

impl Fault for SystemCall {
    type Plan = SystemCallPlan;
    const KIND: &'static str = "system_call";

    fn describe(plan: &SystemCallPlan, target: &str) -> String {
        let which = match plan.nth {
            None => "every".to_owned(),
            Some(nth) => format!("number {nth} of the calls to"),
        };
        let effect = match plan.effect {
            CallEffect::Error(errno) => format!("failed: {}", Errno(errno)),
            CallEffect::DelayMs(delay) => format!("delayed by {delay} ms"),
            CallEffect::ShortenedTo(bytes) => format!("shortened to {bytes} bytes"),
            CallEffect::FullAfter(bytes) => format!("without room after {bytes} bytes"),
        };
        let directory = match target {
            "." => "the test's directory",
            other => other,
        };
        format!("{which} {} below {directory} {effect}", plan.kind)
    }

    fn target(&self) -> String {
        self.below.display().to_string()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<SystemCallPlan, FaultError> {
        if self.which.as_ref().is_some_and(|which| *which.end() == 0) {
            return Err(FaultError::unfit("calls counted from 1", "0"));
        }
        if let CallEffect::ShortenedTo(bytes) = self.effect
            && (bytes == 0 || !matches!(self.kind, CallKind::Read | CallKind::Write))
        {
            // A read of 0 bytes means the end of the file, and no code expects a write of 0 bytes.
            return Err(FaultError::unfit(
                "reads or writes, and at least 1 byte",
                format!("calls to {}, and {bytes} bytes", self.kind),
            ));
        }
        if let CallEffect::FullAfter(_) = self.effect
            && self.kind != CallKind::Write
        {
            return Err(FaultError::unfit(
                "writes, which need room",
                format!("calls to {}", self.kind),
            ));
        }
        Ok(SystemCallPlan {
            kind: self.kind,
            nth: self.which.clone().map(|which| rng.random_range(which)),
            effect: self.effect,
        })
    }

    #[cfg(target_os = "linux")]
    fn apply(&self, plan: &SystemCallPlan, _injection: &Injection) -> Result<Undo, FaultError> {
        let action = match plan.effect {
            CallEffect::Error(errno) => Action::Fail(errno),
            CallEffect::DelayMs(delay) => Action::Delay(Duration::from_millis(delay)),
            CallEffect::ShortenedTo(most) => Action::Shorten {
                limit: most,
                otherwise: None,
            },
            CallEffect::FullAfter(bytes) => Action::LimitSpace(bytes),
        };
        let remove_rule = put_rule(plan.kind, &self.below, plan.nth, action)?;
        Ok(Undo::new(move || {
            remove_rule();
            Ok(UndoOutcome::Restored)
        }))
    }

    #[cfg(not(target_os = "linux"))]
    fn apply(&self, _plan: &SystemCallPlan, _injection: &Injection) -> Result<Undo, FaultError> {
        Err(only_on_linux())
    }
}

/// Adds a rule for calls of this kind. If `below` is a file, the rule applies only to calls on this
/// file. If `below` is a directory, the rule applies only to calls on files below this directory.
/// Returns a closure that removes the rule.
#[cfg(target_os = "linux")]
pub(super) fn put_rule(
    kind: CallKind,
    below: &Path,
    which: Option<u64>,
    action: Action,
) -> Result<impl FnOnce() + Send + 'static, FaultError> {
    let real = below.canonicalize();
    let below = real.map_err(FaultError::file("find", below))?;
    interceptor::intercept_this_thread().map_err(|error| match error.kind() {
        io::ErrorKind::Unsupported => {
            FaultError::Unavailable(format!("system calls cannot be intercepted: {error}"))
        }
        _ => error.into(),
    })?;
    Ok(interceptor::add_rule(Rule {
        kind,
        below,
        nth: which,
        action,
        seen: 0,
    }))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn only_on_linux() -> FaultError {
    FaultError::Unavailable(
        "system calls are intercepted by seccomp, which Linux alone has".to_owned(),
    )
}
