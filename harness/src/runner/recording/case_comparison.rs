//! Compares a replayed case with the recorded case.

use super::manifest::RecordedCase;
use clarity_chaos_record::{PlannedFault, Record, Verdict};
use std::path::MAIN_SEPARATOR;

/// The result of a replayed case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CaseComparison {
    /// The verdict and the faults are the recorded ones.
    Same,
    /// The verdict is the recorded one, but not the seed of the test, or the plan of faults. The
    /// text has the first difference.
    OtherFaults(String),
    /// The verdict differs. The text has both verdicts.
    OtherVerdict(String),
}

impl CaseComparison {
    /// Compares `now` with the recorded case. `recorded` is the record of that case, unless the
    /// recording lacks it.
    pub(super) fn new(case: &RecordedCase, recorded: Option<&Record>, now: &Record) -> Self {
        let Some(recorded) = recorded else {
            return match case.verdict == now.verdict.kind() {
                true => Self::Same,
                false => Self::OtherVerdict(format!(
                    "recorded `{}`, now `{}`",
                    case.verdict,
                    summary(now)
                )),
            };
        };
        if !is_same(&recorded.verdict, &now.verdict) {
            let (recorded, now) = (summary(recorded), summary(now));
            return Self::OtherVerdict(format!("recorded `{recorded}`, now `{now}`"));
        }
        // The seed of a test also depends on its name or `seed_name`.
        if recorded.seed != now.seed {
            let (recorded, now) = (recorded.seed, now.seed);
            return Self::OtherFaults(format!("recorded seed of the test {recorded}, now {now}"));
        }
        match different_fault(&recorded.faults, &now.faults) {
            Some(difference) => Self::OtherFaults(difference),
            None => Self::Same,
        }
    }
}

/// Whether two verdicts are of one kind, and their panics at one place.
fn is_same(recorded: &Verdict, now: &Verdict) -> bool {
    match (recorded, now) {
        (
            Verdict::Panicked {
                location: Some(recorded),
                ..
            },
            Verdict::Panicked {
                location: Some(now),
                ..
            },
        ) => recorded == now,
        (recorded, now) => recorded.kind() == now.kind(),
    }
}

/// Returns the first line of the verdict, with the number of failed attempts.
fn summary(record: &Record) -> String {
    let verdict = record.verdict.to_string();
    let line = verdict.lines().next().unwrap_or_default().to_owned();
    match record.failed_attempts.len() {
        0 => line,
        attempts => format!("{line} (after {attempts} failed attempts)"),
    }
}

/// Returns the first fault that one of the two plans lacks. Ignores the order of the faults, and
/// the directories of the two runs.
fn different_fault(recorded: &[PlannedFault], now: &[PlannedFault]) -> Option<String> {
    let lines = |faults: &[PlannedFault]| {
        let mut lines: Vec<String> = faults.iter().map(comparable_line).collect();
        lines.sort();
        lines
    };
    let (recorded, now) = (lines(recorded), lines(now));
    let nothing = "no more faults";
    let length = recorded.len().max(now.len());
    (0..length).find_map(|index| {
        let [recorded, now] =
            [&recorded, &now].map(|lines| lines.get(index).map_or(nothing, String::as_str));
        (recorded != now).then(|| format!("recorded {recorded}, now {now}"))
    })
}

fn comparable_line(fault: &PlannedFault) -> String {
    let (target, occurrence) = (without_run_dir(&fault.target), fault.occurrence);
    let line = PlannedFault::summarize(&fault.kind, target, &fault.plan);
    format!("{line} (occurrence {occurrence})")
}

/// Removes the directories of the run and of the worker from a path.
fn without_run_dir(target: &str) -> &str {
    let work = format!("{MAIN_SEPARATOR}work{MAIN_SEPARATOR}");
    match target.split_once("clarity-chaos-") {
        Some((_, rest)) => rest.split_once(&work).map_or(rest, |(_, path)| path),
        None => target,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clarity_chaos_record::Seed;
    use serde_json::json;

    fn case(verdict: &str) -> RecordedCase {
        RecordedCase {
            name: "a::b".to_owned(),
            root_seed: Seed::new(1),
            verdict: verdict.to_owned(),
            record: None,
            directories: Vec::new(),
        }
    }

    fn record(verdict: Verdict, faults: &[(&str, u64)]) -> Record {
        let mut record = Record::new("a::b", Seed::new(1), Seed::new(2));
        record.verdict = verdict;
        let numbered = faults.iter().enumerate();
        record.faults = numbered
            .map(|(id, (target, bit))| {
                PlannedFault::new(id, "bit_flip", *target, json!({ "bit": bit }))
            })
            .collect();
        record
    }

    fn failed(message: &str) -> Verdict {
        let message = message.to_owned();
        Verdict::Failed { message }
    }

    #[test]
    fn same_verdict_and_plan_in_another_order_is_the_same() {
        let recorded = record(failed("in /tmp/a"), &[("x", 1), ("y", 2)]);
        let now = record(failed("in /tmp/b"), &[("y", 2), ("x", 1)]);
        let compared = CaseComparison::new(&case("failed"), Some(&recorded), &now);
        assert_eq!(compared, CaseComparison::Same);
        let paths = [
            "/tmp/clarity-chaos-a/1o/work/c/x",
            "/v/clarity-chaos-b/12/work/c/x",
        ];
        let [recorded, now] = paths.map(|path| record(Verdict::Passed, &[(path, 1)]));
        let compared = CaseComparison::new(&case("passed"), Some(&recorded), &now);
        assert_eq!(compared, CaseComparison::Same);
    }

    #[test]
    fn other_fault_or_place_of_a_panic_is_named() {
        let recorded = record(Verdict::Passed, &[("x", 1)]);
        for faults in [&[("x", 2)][..], &[], &[("x", 1), ("x", 1)]] {
            let now = record(Verdict::Passed, faults);
            let compared = CaseComparison::new(&case("passed"), Some(&recorded), &now);
            assert!(
                matches!(&compared, CaseComparison::OtherFaults(_)),
                "{compared:?}"
            );
        }
        let mut reseeded = record(Verdict::Passed, &[("x", 1)]);
        reseeded.seed = Seed::new(3);
        let compared = CaseComparison::new(&case("passed"), Some(&recorded), &reseeded);
        assert!(matches!(compared, CaseComparison::OtherFaults(_)));
        let panicked = |place: &str| {
            let location = Some(place.to_owned());
            let message = "x".to_owned();
            record(Verdict::Panicked { message, location }, &[])
        };
        let (recorded, now) = (panicked("a.rs:1:1"), panicked("a.rs:2:1"));
        assert_eq!(
            CaseComparison::new(&case("panicked"), Some(&recorded), &now),
            CaseComparison::OtherVerdict(
                "recorded `panicked at a.rs:1:1: x`, now `panicked at a.rs:2:1: x`".to_owned()
            )
        );
    }

    #[test]
    fn case_without_a_record_is_compared_by_its_verdict() {
        let now = record(failed("x"), &[]);
        let compare = |kind| CaseComparison::new(&case(kind), None, &now);
        assert_eq!(compare("failed"), CaseComparison::Same);
        let different = "recorded `passed`, now `failed: x`".to_owned();
        assert_eq!(compare("passed"), CaseComparison::OtherVerdict(different));
    }
}
