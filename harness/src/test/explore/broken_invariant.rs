//! States in which an invariant does not hold.

use super::explored_state::ExploredState;
use super::kept_state::KeptState;
use super::operation_call::OperationCall;
use super::recovery_crash::RecoveryCrash;
use crate::syscalls::code_location::CodeLocation;
use std::fmt;

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
    /// The second crash, if one followed while the invariant recovered from the first.
    pub recovery: Option<RecoveryCrash>,
    /// The last calls before the point, at most three, in order.
    pub earlier: Vec<OperationCall>,
    /// The copy of the state as it was before the invariant ran.
    pub kept: KeptState,
    /// The number of later points at which the invariant broke in the same way: the same calls were
    /// lost, and the message was the same.
    pub repeats: usize,
    /// Other broken points. Without
    /// [`every_broken_point`](super::Exploration::every_broken_point), at most one: the first state
    /// after a loss of power, if this one is after a death.
    pub others: Vec<BrokenInvariant>,
    /// The number of broken points that `others` does not list.
    pub omitted: usize,
}

impl BrokenInvariant {
    /// The call at which the process died, the call that failed, or the call before which the power
    /// failed. None for a death or a power loss after the last call.
    #[must_use]
    pub fn call(&self) -> Option<&OperationCall> {
        match &self.state {
            ExploredState::Completed | ExploredState::DiedBeforeReturn => None,
            ExploredState::ProcessDied { call, .. }
            | ExploredState::OneProcessDied { call, .. }
            | ExploredState::CallFailed { call, .. } => Some(call),
            ExploredState::PowerLost { next, .. } => next.as_ref(),
        }
    }

    /// Describes the state in one line.
    #[must_use]
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "nothing is explored")
    )]
    pub(super) fn summary(&self) -> String {
        let text = self.to_string();
        text.lines().next().unwrap_or_default().to_owned()
    }

    /// The place in the code that makes [`call`](Self::call), if the program has symbols.
    #[must_use]
    pub fn location(&self) -> Option<&CodeLocation> {
        self.call()?.location.as_ref()
    }
}

/// Describes the state in one line, except for the lines of the message. Lists the earlier calls,
/// the copy and the other broken points in lines of their own.
impl fmt::Display for BrokenInvariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe_state(f)?;
        if !self.earlier.is_empty() {
            f.write_str("\n  the calls before:")?;
        }
        for call in &self.earlier {
            write!(f, "\n    {call}")?;
        }
        write!(f, "\n  state: {}", self.kept)?;
        match self.repeats {
            0 => {}
            1 => f.write_str("\n  the same at 1 later point")?,
            repeats => write!(f, "\n  the same at {repeats} later points")?,
        }
        for other in &self.others {
            write!(f, "\nalso, {other}")?;
        }
        match self.omitted {
            0 => Ok(()),
            omitted => write!(f, "\n{omitted} more broken points are not listed"),
        }
    }
}

impl BrokenInvariant {
    fn describe_state(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = match &self.recovery {
            Some(recovery) => &format!("{recovery}: {}", self.message),
            None => &self.message,
        };
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
            ExploredState::OneProcessDied { call, end } => write!(
                f,
                "the invariant broke when only this process died in the place of {call}: \
                 {message}; {end}"
            ),
            ExploredState::CallFailed {
                call,
                failure,
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
                    "the invariant broke when {call} {failure}{later}: {message}; {end}"
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

/// The maximum number of lost calls in an error's text. `ExploredState` has all of them.
const MAX_LOST: usize = 8;

fn list(calls: &[OperationCall]) -> String {
    let (shown, others) = calls.split_at(calls.len().min(MAX_LOST));
    let shown: Vec<String> = shown.iter().map(ToString::to_string).collect();
    match others.len() {
        0 => shown.join("; "),
        others => format!("{}; and {others} more", shown.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscalls::errno::Errno;
    use crate::test::explore::call_failure::CallFailure;
    use crate::test::explore::operation_call::OperationEnd;
    use std::path::PathBuf;

    fn call(number: usize) -> OperationCall {
        OperationCall {
            number,
            total: 4,
            name: "rename",
            path: "draft".into(),
            description: "rename of draft to current".to_owned(),
            process: None,
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
            recovery: None,
            earlier: Vec::new(),
            kept: KeptState::In(PathBuf::from("/states/a/state-1")),
            repeats: 0,
            others: Vec::new(),
            omitted: 0,
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
             rename of draft to current (src/save.rs:12, in save::save): found \"\"\n  \
             state: /states/a/state-1"
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
            failure: CallFailure::Error(Errno::EIO),
            lasting: false,
            end: OperationEnd::Succeeded,
            lost: None,
        });
        let text = broken.to_string();
        assert!(text.contains("save::save) failed ("), "{text}");
        assert!(
            text.contains("found \"\"; the operation returned success\n"),
            "{text}"
        );
        assert_eq!(broken.call().unwrap().number, 1);
    }

    #[test]
    fn short_call_is_described_with_its_bytes() {
        let broken = broken(ExploredState::CallFailed {
            call: call(1),
            failure: CallFailure::Short {
                transferred: 13,
                total: 27,
            },
            lasting: false,
            end: OperationEnd::Succeeded,
            lost: None,
        });
        let text = broken.to_string();
        assert!(
            text.contains("save::save) transferred only 13 of 27 bytes: found \"\"; the operation"),
            "{text}"
        );
    }

    #[test]
    fn other_points_and_earlier_calls_have_lines_of_their_own() {
        let mut first = broken(ExploredState::DiedBeforeReturn);
        first.earlier = vec![call(3), call(4)];
        first.kept = KeptState::TooLarge { bytes: 100 << 20 };
        first.omitted = 7;
        first.others = vec![broken(ExploredState::Completed)];
        first.others[0].repeats = 2;
        let text = first.to_string();
        let lines: Vec<&str> = text.lines().collect();
        let call = "rename of draft to current (src/save.rs:12, in save::save)";
        assert_eq!(
            lines[1..],
            [
                "  the calls before:",
                &format!("    call 3 of 4, {call}"),
                &format!("    call 4 of 4, {call}"),
                "  state: not kept, since its 100 MiB are more than 64 MiB",
                "also, the invariant does not hold after the operation itself: found \"\"",
                "  state: /states/a/state-1",
                "  the same at 2 later points",
                "7 more broken points are not listed",
            ]
        );
    }
}
