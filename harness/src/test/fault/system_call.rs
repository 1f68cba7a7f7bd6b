//! System calls that fail, come late, or do less than they were asked for.

#[cfg(target_os = "linux")]
use super::UndoOutcome;
use super::{Fault, FaultError, Undo};
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

/// Does something to calls of one [`CallKind`] on files below a folder: of the thread that injects it, and of all threads and programs that it
/// starts from then on. Threads that were there before are left alone, so inject it before the system under test has begun, and from the test itself.
///
/// On Linux alone, by seccomp user notification: from the first such fault of a test on, each of its file calls takes some microseconds longer. A
/// test with such faults cannot [explore](crate::Context::explore).
#[derive(Clone, Debug)]
pub struct SystemCall {
    kind: CallKind,
    below: PathBuf,
    /// Which of them, from 1; all if none.
    which: Option<RangeInclusive<u64>>,
    effect: CallEffect,
}

/// What is done to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallEffect {
    /// It is not done, and gives this error number.
    Error(i32),
    /// It is done so many milliseconds later.
    DelayMs(u64),
    /// If it is a `read`, `pread`, `write` or `pwrite` of the test's own process, it is done for so many bytes at most.
    ShortenedTo(u64),
    /// It is done as long as all of them together write no more than so many bytes. The one that reaches the end of that is done in part, where it could be
    /// shortened, and those after it fail with `ENOSPC`.
    FullAfter(u64),
}

/// Which calls, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemCallPlan {
    /// Of which kind.
    pub kind: CallKind,
    /// Which of them, from 1; all if none.
    pub nth: Option<u64>,
    /// What is done to them.
    pub effect: CallEffect,
}

impl SystemCall {
    /// Calls of this kind, on files below this folder, give [`Errno::EIO`]; all of them, unless told otherwise.
    pub fn of(kind: CallKind, below: impl Into<PathBuf>) -> Self {
        Self {
            kind,
            below: below.into(),
            which: None,
            effect: CallEffect::Error(Errno::EIO.0),
        }
    }

    /// The `n`-th one alone, from 1, counted from the injection on.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        Self {
            which: Some(n..=n),
            ..self
        }
    }

    /// One of the first `n` alone, which is drawn.
    #[must_use]
    pub fn one_of_the_first(self, n: u64) -> Self {
        Self {
            which: Some(1..=n),
            ..self
        }
    }

    /// They fail with this error.
    #[must_use]
    pub fn fails_with(self, errno: Errno) -> Self {
        Self {
            effect: CallEffect::Error(errno.0),
            ..self
        }
    }

    /// They come later by so much, in whole milliseconds.
    #[must_use]
    pub fn delayed_by(self, delay: Duration) -> Self {
        let milliseconds = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        Self {
            effect: CallEffect::DelayMs(milliseconds),
            ..self
        }
    }

    /// Reads and writes do no more than so many bytes each.
    #[must_use]
    pub fn shortened_to(self, bytes: u64) -> Self {
        Self {
            effect: CallEffect::ShortenedTo(bytes),
            ..self
        }
    }

    /// Writes succeed until they have filled the disk with so many more bytes, and fail with [`Errno::ENOSPC`] after that. What is removed gives no room back.
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
        let folder = match target {
            "." => "the test's directory",
            other => other,
        };
        format!("{which} {} below {folder} {effect}", plan.kind)
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
            // A write of no bytes is an error that nobody expects, and a read of none the end of the file.
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
    fn apply(&self, plan: &SystemCallPlan, _scratch: &Path) -> Result<Undo, FaultError> {
        let action = match plan.effect {
            CallEffect::Error(errno) => Action::Fail(errno),
            CallEffect::DelayMs(delay) => Action::Delay(Duration::from_millis(delay)),
            CallEffect::ShortenedTo(most) => Action::Shorten {
                limit: most,
                otherwise: None,
            },
            CallEffect::FullAfter(bytes) => Action::LimitSpace(bytes),
        };
        let take_back = put_rule(plan.kind, &self.below, plan.nth, action)?;
        Ok(Undo::new(move || {
            take_back();
            Ok(UndoOutcome::Restored)
        }))
    }

    #[cfg(not(target_os = "linux"))]
    fn apply(&self, _plan: &SystemCallPlan, _scratch: &Path) -> Result<Undo, FaultError> {
        Err(only_on_linux())
    }
}

/// Does something to calls of a kind, on this file or on those below this folder, from now on; gives what ends it.
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
            FaultError::Unavailable(format!("system calls cannot be handed over: {error}"))
        }
        _ => FaultError::Other(Box::new(error)),
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
        "system calls are handed over by seccomp, which Linux alone has".to_owned(),
    )
}
