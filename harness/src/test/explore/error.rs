//! Errors of explorations.

use super::operation_call::{OperationCall, OperationEnd};
use crate::syscalls::code_location::CodeLocation;
use crate::syscalls::errno::Errno;
use crate::test::outcome::Skipped;
use std::fmt;
use std::io;

/// The reason why an exploration failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExploreError {
    /// The test's system calls cannot be intercepted in this environment. A test that returns this
    /// error is skipped.
    #[error(transparent)]
    Unavailable(Skipped),
    /// The exploration cannot follow the operation. An exploration of only the supported calls
    /// would prove nothing.
    #[error("not explorable: {0}")]
    NotExplorable(Box<UnsupportedOperation>),
    /// The operation fails even without an injected failure.
    #[error("without an injected failure, {0}")]
    Operation(OperationEnd),
    /// Later runs of the operation did not repeat a call of the first run.
    #[error("the operation makes other calls each time: {0}")]
    Diverged(Box<Divergence>),
    /// The invariant does not hold in a state that the exploration checked.
    #[error("{0}")]
    Broken(Box<BrokenInvariant>),
    /// The exploration itself failed.
    #[error("the exploration failed: {0}")]
    Io(#[from] io::Error),
}

/// A state of the operation's directory in which the invariant does not hold.
///
/// ```no_run
/// # use clarity_chaos::explore::ExploreError;
/// # use clarity_chaos::{Context, Result, chaos};
/// # use std::fs;
/// /// A known bug: a crash can leave an empty file.
/// #[chaos(non_destructive)]
/// fn writing_in_place_is_not_atomic(cx: Context) -> Result {
///     let explored = cx.crash_everywhere(
///         |dir| Ok(fs::write(dir.join("file"), "text")?),
///         |dir, _| match fs::read(dir.join("file")) {
///             Ok(bytes) if bytes.is_empty() => Err("an empty file".into()),
///             _ => Ok(()),
///         },
///     );
///     match explored {
///         Err(ExploreError::Broken(broken)) => {
///             assert_eq!(broken.message, "an empty file");
///             assert_eq!(broken.call().map(|call| call.name), Some("write"));
///             Ok(())
///         }
///         other => Err(format!("the bug was not found: {other:?}").into()),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokenInvariant {
    /// The state in which the invariant does not hold.
    pub state: ExploredState,
    /// The invariant's error or panic message.
    pub message: String,
}

/// A state that an exploration checks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExploredState {
    /// The operation ran undisturbed, and returned success.
    Completed,
    /// The operation's process died after its last call, before the operation returned success.
    DiedBeforeReturn,
    /// The operation's process died at a call.
    #[non_exhaustive]
    ProcessDied {
        /// The call. No later call was executed.
        call: OperationCall,
        /// The number of bytes that the call had written; none if the call was not executed.
        written: Option<usize>,
    },
    /// A call failed with an injected error.
    #[non_exhaustive]
    CallFailed {
        /// The call, which was not executed.
        call: OperationCall,
        /// The injected error.
        errno: Errno,
        /// Whether later calls failed too, as long as the cause of the error lasted.
        lasting: bool,
        /// The operation's result: success, an error, a panic, or the death of its process.
        end: OperationEnd,
        /// If the power failed after the operation had returned success, the calls whose changes
        /// are missing from the disk, completely or in part.
        lost: Option<Vec<OperationCall>>,
    },
    /// The power failed.
    #[non_exhaustive]
    PowerLost {
        /// The call before which the power failed; none if it failed after the last call.
        next: Option<OperationCall>,
        /// Whether the operation had returned success.
        acknowledged: bool,
        /// The calls whose changes are missing from the disk, completely or in part.
        lost: Vec<OperationCall>,
    },
}

impl BrokenInvariant {
    /// The call at which the process died, the call that failed, or the call before which the power
    /// failed. None for a death or a power loss after the last call.
    #[must_use]
    pub fn call(&self) -> Option<&OperationCall> {
        match &self.state {
            ExploredState::Completed | ExploredState::DiedBeforeReturn => None,
            ExploredState::ProcessDied { call, .. } | ExploredState::CallFailed { call, .. } => {
                Some(call)
            }
            ExploredState::PowerLost { next, .. } => next.as_ref(),
        }
    }

    /// The place in the code that makes [`call`](Self::call), if the program has symbols.
    #[must_use]
    pub fn location(&self) -> Option<&CodeLocation> {
        self.call()?.location.as_ref()
    }
}

impl fmt::Display for BrokenInvariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = &self.message;
        match &self.state {
            ExploredState::Completed => write!(
                f,
                "the invariant does not hold after the operation itself: {message}"
            ),
            ExploredState::DiedBeforeReturn => write!(
                f,
                "the invariant broke when the process died after its last call, before the \
                 operation returned success: {message}"
            ),
            ExploredState::ProcessDied {
                call,
                written: None,
            } => write!(
                f,
                "the invariant broke when the process died in the place of {call}: {message}"
            ),
            ExploredState::ProcessDied {
                call,
                written: Some(written),
            } => write!(
                f,
                "the invariant broke when the process died inside {call}, with {written} bytes \
                 written: {message}"
            ),
            ExploredState::CallFailed {
                call,
                errno,
                lasting,
                end,
                lost,
            } => {
                let later = match lasting {
                    true => " and so did later calls",
                    false => "",
                };
                write!(
                    f,
                    "the invariant broke when {call} failed ({errno}){later}: {message}; {end}"
                )?;
                match lost {
                    Some(lost) => write!(
                        f,
                        ", then the power failed, with this not on the disk: {}",
                        list(lost)
                    ),
                    None => Ok(()),
                }
            }
            ExploredState::PowerLost {
                next,
                acknowledged,
                lost,
            } => {
                f.write_str("the invariant broke when the power failed ")?;
                match next {
                    Some(call) => write!(f, "before {call}, ")?,
                    None if *acknowledged => {
                        f.write_str("after the operation had returned success, ")?;
                    }
                    None => f.write_str("after the last call of the operation, ")?,
                }
                if lost.is_empty() {
                    f.write_str("with all that was done on the disk")?;
                } else {
                    write!(
                        f,
                        "with this not on the disk, since nothing had synced it: {}",
                        list(lost)
                    )?;
                }
                write!(f, ": {message}")
            }
        }
    }
}

fn list(calls: &[OperationCall]) -> String {
    let calls: Vec<String> = calls.iter().map(ToString::to_string).collect();
    calls.join("; ")
}

/// An operation that an exploration cannot follow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnsupportedOperation {
    /// The reason why the exploration cannot follow the operation.
    pub reason: String,
    /// The unsupported call. None if the reason is not a single call.
    pub call: Option<OperationCall>,
}

impl fmt::Display for UnsupportedOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.call {
            Some(call) => write!(f, "{}: {call}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

/// A call that only the first run of an operation made. Later runs did not repeat this call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Divergence {
    /// The call in the first run.
    pub call: OperationCall,
    /// The number of later runs without the call.
    pub runs: usize,
    /// The number of calls that the last run made in the operation's directory.
    pub last_calls: usize,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} did not come again in {} runs; \
             the last one made {} calls in the directory, the first one {}",
            self.call.description, self.runs, self.last_calls, self.call.total
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: usize) -> OperationCall {
        OperationCall {
            number,
            total: 4,
            name: "rename",
            path: "draft".into(),
            description: "rename of draft to current".to_owned(),
            callers: Vec::new(),
            location: Some(CodeLocation {
                file: "src/save.rs".into(),
                line: 12,
                function: "save::save".to_owned(),
            }),
        }
    }

    fn broken(state: ExploredState) -> BrokenInvariant {
        BrokenInvariant {
            state,
            message: "found \"\"".to_owned(),
        }
    }

    #[test]
    fn process_death_is_described_with_call_and_location() {
        let broken = broken(ExploredState::ProcessDied {
            call: call(4),
            written: None,
        });
        assert_eq!(
            broken.to_string(),
            "the invariant broke when the process died in the place of call 4 of 4, \
             rename of draft to current (src/save.rs:12, in save::save): found \"\""
        );
        assert_eq!(broken.location().unwrap().line, 12);
    }

    #[test]
    fn power_loss_is_described_with_the_lost_calls() {
        let broken = broken(ExploredState::PowerLost {
            next: None,
            acknowledged: true,
            lost: vec![call(2), call(4)],
        });
        let text = broken.to_string();
        let lost = "nothing had synced it: call 2 of 4, rename of draft to current \
                    (src/save.rs:12, in save::save); call 4 of 4";
        assert!(text.contains("after the operation had returned success, with this not on"));
        assert!(text.contains(lost), "{text}");
        assert_eq!(broken.call(), None);
    }

    #[test]
    fn call_failure_is_described_with_errno_and_end() {
        let broken = broken(ExploredState::CallFailed {
            call: call(1),
            errno: Errno::EIO,
            lasting: false,
            end: OperationEnd::Succeeded,
            lost: None,
        });
        let text = broken.to_string();
        assert!(text.contains("save::save) failed ("), "{text}");
        assert!(
            text.ends_with("found \"\"; the operation returned success"),
            "{text}"
        );
        assert_eq!(broken.call().unwrap().number, 1);
    }
}
