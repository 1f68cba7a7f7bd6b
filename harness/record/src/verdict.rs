//! The verdict of a case.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The result of a case. In JSON, the field `verdict` contains the variant's name. The variant's
/// own fields stand next to the field `verdict`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// The test returned without an error, and its record is complete.
    Passed,
    /// The test asked to be skipped.
    Skipped {
        /// The reason that the test gave.
        reason: String,
    },
    /// The test returned an error, or did not meet another condition for passing. For example, a
    /// declared panic did not happen, or a fault stayed in effect.
    Failed {
        /// The error, followed by its sources.
        message: String,
    },
    /// The test's body panicked.
    Panicked {
        /// The panic's message.
        message: String,
        /// The place of the panic as `file:line:column`. Absent where unknown.
        location: Option<String>,
    },
    /// The test's body returned, but an undeclared panic happened. Another thread or task
    /// panicked, or the code under test caught a panic.
    PanickedElsewhere {
        /// One line for each undeclared panic.
        panics: Vec<String>,
    },
    /// The test did not end within its timeout.
    TimedOut {
        /// The timeout, in milliseconds.
        limit_ms: u64,
    },
    /// The run was interrupted while the test was running.
    Interrupted,
    /// An allocation failed, and Rust's standard library aborted the process.
    OutOfMemory,
    /// A thread ran out of stack.
    StackOverflow,
    /// A signal ended the test's process.
    Killed {
        /// The signal's number.
        signal: i32,
    },
    /// The test's process exited before it reported the end of the test. Code in the process called
    /// `exit`, or the harness failed in the process.
    ExitedEarly {
        /// The exit code of the process.
        code: i32,
    },
    /// The test passed but left resources behind, although it is tagged `non_destructive`.
    Leaked {
        /// One line for each leak, as [`Leaks::lines`](crate::Leaks::lines) writes it.
        leaked: Vec<String>,
    },
    /// The test passed, but a second run with the same seed differed (`--check-determinism`).
    Nondeterministic {
        /// The first difference, with both values.
        difference: String,
    },
    /// The harness could not run the case, or could not find out the case's result.
    Lost {
        /// The error of the harness.
        error: String,
    },
}

impl Verdict {
    /// Whether a case with this verdict makes the run fail.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        !matches!(self, Self::Passed | Self::Skipped { .. })
    }

    /// Returns the variant's name as in JSON, such as `timed_out`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped { .. } => "skipped",
            Self::Failed { .. } => "failed",
            Self::Panicked { .. } => "panicked",
            Self::PanickedElsewhere { .. } => "panicked_elsewhere",
            Self::TimedOut { .. } => "timed_out",
            Self::Interrupted => "interrupted",
            Self::OutOfMemory => "out_of_memory",
            Self::StackOverflow => "stack_overflow",
            Self::Killed { .. } => "killed",
            Self::ExitedEarly { .. } => "exited_early",
            Self::Leaked { .. } => "leaked",
            Self::Nondeterministic { .. } => "nondeterministic",
            Self::Lost { .. } => "lost",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Skipped { reason } => write!(f, "skipped: {reason}"),
            Self::Failed { message } => write!(f, "failed: {message}"),
            Self::Panicked {
                message,
                location: Some(location),
            } => write!(f, "panicked at {location}: {message}"),
            Self::Panicked { message, .. } => write!(f, "panicked: {message}"),
            Self::PanickedElsewhere { panics } => write!(
                f,
                "panicked outside of the test's body (declare intended panics with `expect_panic` or `allow_panic`): {}",
                panics.join("; ")
            ),
            Self::TimedOut { limit_ms } => {
                let limit = humantime::format_duration(Duration::from_millis(*limit_ms));
                write!(f, "timed out after {limit}")
            }
            Self::Interrupted => f.write_str("the run was interrupted while the test was running"),
            Self::Nondeterministic { difference } => write!(f, "not deterministic: {difference}"),
            Self::OutOfMemory => {
                f.write_str("an allocation failed, and the runtime ended the process")
            }
            Self::StackOverflow => f.write_str("a thread ran out of stack"),
            Self::Killed { signal } => match signal_name(*signal) {
                Some(name) => write!(f, "killed by signal {signal} ({name})"),
                None => write!(f, "killed by signal {signal}"),
            },
            Self::ExitedEarly { code } => write!(
                f,
                "the process exited with code {code} before the test had ended: something called `exit`, or the harness failed in it (see the output)"
            ),
            Self::Leaked { leaked } => write!(
                f,
                "left behind (declare intended leaks with `allow_leak`): {}",
                leaked.join("; ")
            ),
            Self::Lost { error } => write!(f, "the harness lost the case: {error}"),
        }
    }
}

/// Returns the name and meaning of a signal that ends processes. These signals have the same
/// numbers on Linux and macOS.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        4 => "SIGILL: illegal instruction",
        5 => "SIGTRAP",
        6 => "SIGABRT: abort",
        8 => "SIGFPE: arithmetic error",
        9 => "SIGKILL: from outside, or the system ran out of memory",
        11 => "SIGSEGV: invalid memory access",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU: its CPU time was used up",
        25 => "SIGXFSZ: a file became larger than allowed",
        _ => return None,
    })
}
