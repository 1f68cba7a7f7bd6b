//! The verdict of a case: decided from its timeline, from how its process ended, and from its leaks.

use crate::data::exit_status::ExitStatus;
use crate::data::process_report::{ProcessReport, StopReason};
use clarity_chaos_record::{BodyEnd, Event, EventKind, Leaks, Verdict};
use std::time::Duration;

/// Concludes. `output_end` is the last part of what the test printed, `leaks` what it left, if it must leave nothing.
pub(crate) fn judge(
    timeline: &[Event],
    ending: &ProcessReport,
    limit: Duration,
    output_end: &str,
    leaks: Option<&Leaks>,
) -> Verdict {
    match ending.stop_reason {
        Some(StopReason::TimedOut) => {
            return Verdict::TimedOut {
                limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
            };
        }
        Some(StopReason::Interrupted) => return Verdict::Interrupted,
        None => {}
    }
    let finished = timeline.iter().rev().find_map(|event| match &event.kind {
        EventKind::Finished { end, .. } => Some(end.clone()),
        _ => None,
    });
    // Panics of threads that went on after the test's own end; those before it the test has judged itself.
    let late = undeclared_after_the_end(timeline);
    match (finished, ending.exit_status) {
        // Whatever the test said of itself, a process that died afterwards did not end well.
        (_, ExitStatus::Signal(SIGABRT | SIGSEGV)) if overflowed(output_end) => {
            Verdict::StackOverflow
        }
        (_, ExitStatus::Signal(SIGABRT)) if ran_out_of_memory(output_end) => Verdict::OutOfMemory,
        (_, ExitStatus::Signal(signal)) => Verdict::Killed { signal },
        (None, ExitStatus::Code(code)) => Verdict::ExitedEarly { code },
        (Some(BodyEnd::Returned | BodyEnd::Skipped { .. }), ExitStatus::Code(0))
            if !late.is_empty() =>
        {
            Verdict::PanickedElsewhere { panics: late }
        }
        (Some(end @ (BodyEnd::Returned | BodyEnd::Skipped { .. })), ExitStatus::Code(0)) => {
            let leaked: Vec<String> = leaks.into_iter().flat_map(Leaks::lines).collect();
            match end {
                _ if !leaked.is_empty() => Verdict::Leaked { leaked },
                BodyEnd::Skipped { reason } => Verdict::Skipped { reason },
                _ => Verdict::Passed,
            }
        }
        (Some(BodyEnd::Returned | BodyEnd::Skipped { .. }), ExitStatus::Code(code)) => {
            Verdict::ExitedEarly { code }
        }
        (Some(BodyEnd::Failed { message }), _) => Verdict::Failed { message },
        (Some(BodyEnd::Panicked { message, location }), _) => {
            Verdict::Panicked { message, location }
        }
        (Some(BodyEnd::PanickedElsewhere { panics }), _) => Verdict::PanickedElsewhere { panics },
        (Some(unknown), _) => Verdict::Lost {
            error: format!(
                "the test's body ended in a way that this version does not know: {unknown:?}"
            ),
        },
    }
}

const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;

fn undeclared_after_the_end(timeline: &[Event]) -> Vec<String> {
    let end = timeline
        .iter()
        .position(|event| matches!(event.kind, EventKind::Finished { .. }));
    let after = end.map_or(&[][..], |end| &timeline[end + 1..]);
    after
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Panicked {
                message,
                location,
                expected: false,
            } => Some(format!(
                "thread '{}' panicked at {} after the test had ended: {message}",
                event.thread,
                location.as_deref().unwrap_or("an unknown place"),
            )),
            _ => None,
        })
        .collect()
}

/// Rust's runtime aborts when a guard page is hit, and says so first; the signal alone would be that of any abort.
fn overflowed(output_end: &str) -> bool {
    output_end.contains("has overflowed its stack")
        && output_end.contains("fatal runtime error: stack overflow")
}

/// The same for an allocation that failed.
fn ran_out_of_memory(output_end: &str) -> bool {
    output_end.lines().any(|line| {
        line.starts_with("memory allocation of ") && line.trim_end().ends_with(" bytes failed")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clarity_chaos_record::Isolation;

    fn ended(status: ExitStatus) -> ProcessReport {
        ProcessReport::new(status, Isolation::Exec, Duration::from_millis(1))
    }

    fn a_leak() -> Leaks {
        let mut leaks = Leaks::default();
        leaks.processes.push("sleep 1000".to_owned());
        leaks
    }

    fn told(end: BodyEnd) -> Vec<Event> {
        let json = serde_json::json!({ "at_us": 1, "thread": "t", "event": "finished",
            "end": end, "cpu_us": null });
        vec![serde_json::from_value(json).unwrap()]
    }

    fn verdict(timeline: &[Event], ending: &ProcessReport) -> Verdict {
        judge(timeline, ending, Duration::from_secs(1), "", None)
    }

    #[test]
    fn only_a_record_that_says_so_is_a_pass() {
        let returned = told(BodyEnd::Returned);
        assert_eq!(
            verdict(&returned, &ended(ExitStatus::Code(0))),
            Verdict::Passed
        );
        assert_eq!(
            verdict(&[], &ended(ExitStatus::Code(0))),
            Verdict::ExitedEarly { code: 0 }
        );
        assert_eq!(
            verdict(&returned, &ended(ExitStatus::Code(7))),
            Verdict::ExitedEarly { code: 7 }
        );
        assert_eq!(
            verdict(&returned, &ended(ExitStatus::Signal(11))),
            Verdict::Killed { signal: 11 }
        );
    }

    #[test]
    fn a_panic_after_the_end_is_no_pass() {
        let mut timeline = told(BodyEnd::Returned);
        let json = serde_json::json!({ "at_us": 2, "thread": "late", "event": "panicked",
            "message": "bug", "location": "x.rs:1:1", "expected": false });
        timeline.push(serde_json::from_value(json).unwrap());
        let Verdict::PanickedElsewhere { panics } = verdict(&timeline, &ended(ExitStatus::Code(0)))
        else {
            panic!("it passed");
        };
        assert!(
            panics[0].contains("'late' panicked at x.rs:1:1"),
            "{panics:?}"
        );
    }

    #[test]
    fn a_skip_that_leaks_or_dies_is_no_skip() {
        let skipped = told(BodyEnd::Skipped {
            reason: "no".to_owned(),
        });
        let mut ending = ended(ExitStatus::Code(7));
        assert!(verdict(&skipped, &ending).is_failure());
        ending.exit_status = ExitStatus::Code(0);
        assert!(!verdict(&skipped, &ending).is_failure());
        let leaky = judge(&skipped, &ending, Duration::ZERO, "", Some(&a_leak()));
        assert!(leaky.is_failure());
    }

    #[test]
    fn a_stack_overflow_is_told_from_an_abort_by_what_the_runtime_printed() {
        let abort = ended(ExitStatus::Signal(6));
        let judged = |output| judge(&[], &abort, Duration::from_secs(1), output, None);
        assert_eq!(judged("aborting"), Verdict::Killed { signal: 6 });
        assert_eq!(
            judged(
                "thread 'x' has overflowed its stack\nfatal runtime error: stack overflow, aborting\n"
            ),
            Verdict::StackOverflow
        );
        assert_eq!(
            judged("the test says: it has overflowed its stack\n"),
            Verdict::Killed { signal: 6 }
        );
        assert_eq!(
            judged("memory allocation of 1073741824 bytes failed\n"),
            Verdict::OutOfMemory
        );
    }

    #[test]
    fn what_was_left_behind_matters_only_where_nothing_may_be() {
        let ending = ended(ExitStatus::Code(0));
        let (returned, leak) = (told(BodyEnd::Returned), a_leak());
        let judged = |leaks| judge(&returned, &ending, Duration::from_secs(1), "", leaks);
        assert_eq!(
            judged(Some(&leak)),
            Verdict::Leaked {
                leaked: vec!["process `sleep 1000`".to_owned()]
            }
        );
        assert_eq!(judged(None), Verdict::Passed);
        assert_eq!(judged(Some(&Leaks::default())), Verdict::Passed);
    }

    #[test]
    fn a_limit_reached_outweighs_everything() {
        let mut ending = ended(ExitStatus::Signal(9));
        ending.stop_reason = Some(StopReason::TimedOut);
        assert_eq!(
            verdict(&told(BodyEnd::Returned), &ending),
            Verdict::TimedOut { limit_ms: 1000 }
        );
    }
}
