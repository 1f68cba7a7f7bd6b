//! Decides the verdict of a case from its timeline, the report about its process, and its leaks.

use crate::data::closed_timeline;
use crate::data::exit_status::ExitStatus;
use crate::data::process_report::{ProcessReport, StopReason};
use clarity_chaos_record::{BodyEnd, Event, EventKind, Leaks, Record, Verdict};
use std::time::Duration;

/// Decides the verdict. `output_end` is the last part of the captured output. `leaks` is `None` for
/// a test that is allowed to leak.
pub(crate) fn decide(
    timeline: &[Event],
    ending: &ProcessReport,
    limit: Duration,
    output_end: &str,
    leaks: Option<&Leaks>,
) -> Verdict {
    let consequence = match (ending.stop_reason, ending.exit_status) {
        (Some(StopReason::TimedOut), _) => Some("; then it timed out".to_owned()),
        (None, ExitStatus::Signal(signal)) => Some(format!("; then signal {signal} killed it")),
        (None, ExitStatus::Code(closed_timeline::EXIT_CODE)) => Some(String::new()),
        _ => None,
    };
    if let Some(consequence) = consequence
        && let Some(message) = closed_timeline::message(output_end)
    {
        let message = message + &consequence;
        return Verdict::Failed { message };
    }
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
    // These panics happened in threads that outlived the test's body. The `Finished` event already
    // covers earlier panics.
    let late = undeclared_after_the_end(timeline);
    match (finished, ending.exit_status) {
        // A process that was ended by a signal has failed, even if the test's body had finished.
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
            error: format!("the test's body ended in a way unknown to this version: {unknown:?}"),
        },
    }
}

/// Fails a passed test that took longer than `limit`, the critical time of `--ensure-time`.
pub(crate) fn fail_slow_test(record: &mut Record, limit: Duration) {
    let took = Duration::from_micros(record.duration_us);
    if record.verdict == Verdict::Passed && took > limit {
        let message = format!(
            "time limit exceeded: it took {took:.3?}, and --ensure-time allows {limit:?} \
             (RUST_TEST_TIME_INTEGRATION=WARN,CRITICAL sets the limit in milliseconds)"
        );
        record.verdict = Verdict::Failed { message };
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
                location.as_deref().unwrap_or("an unknown location"),
            )),
            _ => None,
        })
        .collect()
}

/// Whether Rust's standard library reported a stack overflow. The process's signal proves nothing,
/// because other failures cause the same signal.
fn overflowed(output_end: &str) -> bool {
    output_end.contains("has overflowed its stack")
        && output_end.contains("fatal runtime error: stack overflow")
}

/// Whether Rust's standard library reported a failed allocation.
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

    fn finished(end: BodyEnd) -> Vec<Event> {
        let kind = EventKind::Finished {
            end,
            cpu_us: None,
            omitted_events: 0,
        };
        vec![Event::new(1, "t", kind)]
    }

    fn verdict(timeline: &[Event], ending: &ProcessReport) -> Verdict {
        decide(timeline, ending, Duration::from_secs(1), "", None)
    }

    #[test]
    fn decide_passes_only_returned_bodies_with_exit_code_0() {
        let returned = finished(BodyEnd::Returned);
        assert_eq!(
            verdict(&returned, &ended(ExitStatus::Code(0))),
            Verdict::Passed
        );
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
    fn decide_fails_a_late_panic() {
        let mut timeline = finished(BodyEnd::Returned);
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
    fn decide_fails_a_skip_that_leaks_or_dies() {
        let skipped = finished(BodyEnd::Skipped {
            reason: "no".to_owned(),
        });
        let mut ending = ended(ExitStatus::Code(7));
        assert!(verdict(&skipped, &ending).is_failure());
        ending.exit_status = ExitStatus::Code(0);
        assert!(!verdict(&skipped, &ending).is_failure());
        let leaky = decide(&skipped, &ending, Duration::ZERO, "", Some(&a_leak()));
        assert!(leaky.is_failure());
    }

    #[test]
    fn decide_recognises_the_messages_of_the_runtime() {
        let abort = ended(ExitStatus::Signal(6));
        let decided = |output| decide(&[], &abort, Duration::from_secs(1), output, None);
        assert_eq!(decided("aborting"), Verdict::Killed { signal: 6 });
        assert_eq!(
            decided(
                "thread 'x' has overflowed its stack\nfatal runtime error: stack overflow, aborting\n"
            ),
            Verdict::StackOverflow
        );
        assert_eq!(
            decided("the test says: it has overflowed its stack\n"),
            Verdict::Killed { signal: 6 }
        );
        assert_eq!(
            decided("memory allocation of 1073741824 bytes failed\n"),
            Verdict::OutOfMemory
        );
    }

    #[test]
    fn decide_names_closed_descriptors_only_with_notice_and_end() {
        let notice = format!("{}\n", closed_timeline::NOTICE);
        let decided = |status, output: &str| {
            let verdict = decide(&[], &ended(status), Duration::ZERO, output, None);
            verdict.to_string()
        };
        let closed = ExitStatus::Code(closed_timeline::EXIT_CODE);
        assert!(decided(closed, &notice).contains("closed descriptors of the harness"));
        assert!(decided(ExitStatus::Signal(6), &notice).contains("then signal 6 killed it"));
        assert!(decided(closed, "").starts_with("the process exited with code 102"));
        assert!(decided(ExitStatus::Code(0), &notice).starts_with("the process exited"));
    }

    #[test]
    fn decide_fails_a_leak_only_where_leaks_are_forbidden() {
        let ending = ended(ExitStatus::Code(0));
        let (returned, leak) = (finished(BodyEnd::Returned), a_leak());
        let decided = |leaks| decide(&returned, &ending, Duration::from_secs(1), "", leaks);
        assert_eq!(
            decided(Some(&leak)),
            Verdict::Leaked {
                leaked: vec!["process `sleep 1000`".to_owned()]
            }
        );
        assert_eq!(decided(None), Verdict::Passed);
        assert_eq!(decided(Some(&Leaks::default())), Verdict::Passed);
    }

    #[test]
    fn decide_puts_a_timeout_before_everything_else() {
        let mut ending = ended(ExitStatus::Signal(9));
        ending.stop_reason = Some(StopReason::TimedOut);
        assert_eq!(
            verdict(&finished(BodyEnd::Returned), &ending),
            Verdict::TimedOut { limit_ms: 1000 }
        );
    }
}
