//! Repeats a failed case once, to find out whether its seed repeats the failure.

use crate::data::case::KeepPolicy;
use crate::registration::TestCase;
use crate::runner::case_runner::CaseRunner;
use crate::runner::run_overrides::RunOverrides;
use clarity_chaos_record::{ClockKind, EventKind, Isolation, Record, Verdict};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The maximum duration of a case that is repeated.
const MAX_CASE: Duration = Duration::from_secs(2);

/// The approximate maximum of the time that all repetitions of a run take together.
const MAX_TOTAL: Duration = Duration::from_secs(5);

/// Repeats the failed cases of a run, as long as there is time.
#[derive(Debug, Default)]
pub(crate) struct Repetition {
    /// The time that the repetitions have taken so far, in microseconds.
    taken_us: AtomicU64,
}

impl Repetition {
    /// Sets `record.unrepeated` if a second run with the same seed does not fail in the same way.
    ///
    /// Leaves out cases that take long, that were repeated already, or whose failure says nothing
    /// about the code under test. Also leaves out cases that left a fault in effect.
    pub(crate) fn check(
        &self,
        case_runner: &CaseRunner,
        test: &'static TestCase,
        record: &mut Record,
    ) {
        let took = Duration::from_micros(record.duration_us);
        let taken = Duration::from_micros(self.taken_us.load(Ordering::Relaxed));
        let is_repeatable = record.verdict.is_failure()
            && !matches!(
                record.verdict,
                Verdict::TimedOut { .. }
                    | Verdict::Interrupted
                    | Verdict::Lost { .. }
                    | Verdict::Nondeterministic { .. }
            )
            && record.failed_attempts.is_empty()
            && record.faults_in_effect().next().is_none()
            && case_runner.isolation != Isolation::Thread
            && !case_runner.workers.is_interrupted();
        if !is_repeatable || took > MAX_CASE || taken + took > MAX_TOTAL {
            return;
        }
        let limit = MAX_CASE.saturating_mul(2);
        let overrides = RunOverrides {
            keep: KeepPolicy::Never,
            is_quiet: true,
            timeout: Some(limit.min(Duration::from_millis(record.timeout_ms))),
            ..RunOverrides::new(record.root_seed)
        };
        let (second, _cleaned) = case_runner.run(test, &overrides);
        self.taken_us
            .fetch_add(second.duration_us, Ordering::Relaxed);
        record.unrepeated = difference(record, &second);
    }
}

/// Describes the second run if it did not fail in the same way. Returns `None` if it did, or if the
/// second run proves nothing.
fn difference(first: &Record, second: &Record) -> Option<String> {
    let is_same = match (&first.verdict, &second.verdict) {
        (
            Verdict::Panicked {
                location: Some(first),
                ..
            },
            Verdict::Panicked {
                location: Some(second),
                ..
            },
        ) => first == second,
        (_, Verdict::TimedOut { .. } | Verdict::Interrupted | Verdict::Lost { .. }) => true,
        (first, second) => first.kind() == second.kind(),
    };
    if is_same {
        return None;
    }
    let verdict = second.verdict.to_string();
    let verdict = verdict.lines().next().unwrap_or_default();
    let has_threads = first.timeline.iter().any(|event| {
        matches!(
            event.kind,
            EventKind::Explored {
                several_threads: true,
                ..
            }
        )
    });
    let reason = if has_threads {
        "several threads or processes make the calls of the explored operation, and no seed decides \
         their order"
    } else if first.clock == ClockKind::Real {
        "it may depend on the order of threads, on the real clock, or on something outside of the \
         test"
    } else {
        "it may depend on the order of threads, or on something outside of the test"
    };
    Some(format!(
        "a second run with the same seed did not fail in the same way ({verdict}): {reason}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clarity_chaos_record::Seed;

    fn record(verdict: Verdict) -> Record {
        let mut record = Record::new("a::b", Seed::new(1), Seed::new(2));
        record.verdict = verdict;
        record
    }

    fn failed(message: &str) -> Record {
        let message = message.to_owned();
        record(Verdict::Failed { message })
    }

    #[test]
    fn difference_is_none_for_the_same_kind_of_failure() {
        assert_eq!(difference(&failed("at .tmpA"), &failed("at .tmpB")), None);
        let late = record(Verdict::TimedOut { limit_ms: 1 });
        assert_eq!(difference(&failed("x"), &late), None);
        let panicked = |location: &str| {
            record(Verdict::Panicked {
                message: "x".to_owned(),
                location: Some(location.to_owned()),
            })
        };
        assert_eq!(difference(&panicked("a:1"), &panicked("a:1")), None);
        assert!(difference(&panicked("a:1"), &panicked("a:2")).is_some());
    }

    #[test]
    fn difference_names_the_second_run_and_a_reason() {
        let text = difference(&failed("x"), &record(Verdict::Passed)).unwrap();
        assert!(text.contains("(passed): it may depend on"), "{text}");
        assert!(text.contains("the real clock"), "{text}");
    }
}
