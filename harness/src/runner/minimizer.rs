//! Minimises the faults of a failed case.
//!
//! The first step is delta debugging over the planned faults (Zeller and Hildebrandt, *Simplifying
//! and isolating failure-inducing input*, 2002). The second step is a binary search towards 0 for
//! each number in the plans of the remaining faults. Every run uses the same seed, so omitting a
//! fault does not change the other faults.

use crate::data::case::KeepPolicy;
use crate::data::fault_selection::{FaultSelection, SelectedFault};
use crate::registration::TestCase;
use crate::runner::case_runner::CaseRunner;
use crate::runner::run_overrides::RunOverrides;
use clarity_chaos_record::{EventKind, Minimized, PlannedFault, Record, Verdict};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Finds the fewest and simplest faults that still cause the failure in `record`. Starts no more
/// runs when the time `within` is over. Shortens the timeout of each run to the remaining time.
/// Returns `None` if the case had no faults or no failure. Also returns `None` if the verdict is
/// lost, interrupted or nondeterministic.
pub(crate) fn minimize(
    case_runner: &CaseRunner,
    test: &'static TestCase,
    record: &Record,
    within: Duration,
) -> Option<Minimized> {
    let verdict = &record.verdict;
    let failed_by_itself = !matches!(
        verdict,
        Verdict::Lost { .. } | Verdict::Interrupted | Verdict::Nondeterministic { .. }
    );
    if record.faults.is_empty() || !verdict.is_failure() || !failed_by_itself {
        return None;
    }
    let search = Search {
        case_runner,
        test,
        record,
        deadline: Instant::now() + within,
        runs: 0,
        is_incomplete: false,
        best: record.clone(),
    };
    Some(search.run())
}

struct Search<'a> {
    case_runner: &'a CaseRunner,
    test: &'static TestCase,
    record: &'a Record,
    deadline: Instant,
    runs: u64,
    /// Whether the search stopped early, at its time limit or at an interruption.
    is_incomplete: bool,
    /// The record of the simplest failed run so far.
    best: Record,
}

impl Search<'_> {
    fn run(mut self) -> Minimized {
        let all: Vec<SelectedFault> = self.record.faults.iter().map(as_drawn).collect();
        if !self.fails_with(&all) {
            let sentence = if self.is_incomplete {
                "the time limit was reached before the first rerun".to_owned()
            } else {
                "did not fail in the same way again: it depends on more than its seed".to_owned()
            };
            return self.into_result(sentence);
        }
        let mut faults = if self.fails_with(&[]) {
            Vec::new()
        } else {
            self.fewest_faults(all)
        };
        self.reduce_numbers(&mut faults);
        let mut sentence = describe(&self.best, self.record.faults.len());
        if self.is_incomplete {
            sentence.push_str(" (time limit reached: fewer or simpler faults may suffice)");
        }
        self.into_result(sentence)
    }

    fn into_result(self, sentence: String) -> Minimized {
        let all = self.record.faults.len();
        let mut minimized = Minimized::new(sentence, self.best.faults, all, self.runs);
        minimized.complete = !self.is_incomplete;
        minimized
    }

    /// Finds a subset of `faults` with which the case fails. Each fault in the subset is necessary
    /// for the failure, unless the search stops early.
    fn fewest_faults(&mut self, mut faults: Vec<SelectedFault>) -> Vec<SelectedFault> {
        let mut parts = 2;
        while faults.len() >= 2 {
            let size = faults.len().div_ceil(parts);
            let starts: Vec<_> = (0..faults.len()).step_by(size).collect();
            let subset = |from: usize| faults[from..(from + size).min(faults.len())].to_vec();
            let complement = |from: usize| {
                let (before, rest) = faults.split_at(from);
                let after = &rest[size.min(rest.len())..];
                [before, after].concat()
            };
            let found = (starts.iter().map(|from| (subset(*from), 2)))
                .chain(
                    starts
                        .iter()
                        .map(|from| (complement(*from), (parts - 1).max(2))),
                )
                .find(|(some, _)| {
                    !some.is_empty() && some.len() < faults.len() && self.fails_with(some)
                });
            match found {
                Some((fewer, next)) => (faults, parts) = (fewer, next),
                None if self.is_incomplete || parts >= faults.len() => break,
                None => parts = (2 * parts).min(faults.len()),
            }
        }
        faults
    }

    /// Reduces each number in the plans of `faults` by binary search. Keeps the smallest number
    /// with which the case has failed.
    fn reduce_numbers(&mut self, faults: &mut Vec<SelectedFault>) {
        for index in 0..faults.len() {
            for (pointer, drawn) in numbers(self.record, &faults[index]) {
                // The case fails with the number `fails`, and passes with the smaller number
                // `passes`.
                let (mut fails, mut passes) = (drawn, None);
                while fails > 0 && passes.is_none_or(|passes| fails - passes > 1) {
                    let middle = passes.map_or(0, |passes| passes + (fails - passes) / 2);
                    let mut simpler = faults.clone();
                    set(&mut simpler[index].replaced, &pointer, middle);
                    if self.fails_with(&simpler) {
                        *faults = simpler;
                        fails = middle;
                    } else if self.is_incomplete {
                        return;
                    } else {
                        passes = Some(middle);
                    }
                }
            }
        }
    }

    /// Whether the case fails in the same way with only these faults. After the time limit or an
    /// interruption, the method returns `false` without running the case.
    fn fails_with(&mut self, faults: &[SelectedFault]) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let limit = Duration::from_millis(self.record.timeout_ms);
        // To repeat a timeout, a run needs the full timeout of the case.
        let needed = match self.record.verdict {
            Verdict::TimedOut { .. } => limit,
            _ => Duration::from_millis(1),
        };
        if self.is_incomplete || left < needed || self.case_runner.workers.is_interrupted() {
            self.is_incomplete = true;
            return false;
        }
        self.runs += 1;
        let overrides = RunOverrides {
            keep: KeepPolicy::Never,
            is_quiet: true,
            timeout: Some(limit.min(left.max(needed))),
            restriction: Some(FaultSelection {
                faults: faults.to_vec(),
            }),
            ..RunOverrides::new(self.record.root_seed)
        };
        let (again, _cleaned) = self.case_runner.run(self.test, &overrides);
        let fails = is_same_failure(&again.verdict, &self.record.verdict);
        if fails {
            self.best = again;
        }
        fails
    }
}

/// Selects the fault, and keeps the numbers that were drawn for it.
fn as_drawn(fault: &PlannedFault) -> SelectedFault {
    SelectedFault {
        kind: fault.kind.clone(),
        target: fault.target.clone(),
        occurrence: fault.occurrence,
        replaced: Vec::new(),
    }
}

fn set(replaced: &mut Vec<(String, u64)>, pointer: &str, number: u64) {
    replaced.retain(|(other, _)| other != pointer);
    replaced.push((pointer.to_owned(), number));
}

/// Collects every unsigned integer in the fault's plan, with its JSON pointer. Includes drawn
/// integers, and integers that the test specified.
fn numbers(record: &Record, of: &SelectedFault) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for fault in record.faults.iter().filter(|fault| of.matches(fault)) {
        collect(&fault.plan, String::new(), &mut found);
    }
    found
}

fn collect(value: &Value, pointer: String, found: &mut Vec<(String, u64)>) {
    match value {
        Value::Number(number) => found.extend(number.as_u64().map(|number| (pointer, number))),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, format!("{pointer}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                collect(field, format!("{pointer}/{name}"), found);
            }
        }
        _ => {}
    }
}

/// Whether two cases failed in the same way. Two panics are the same if their locations are equal.
/// If a location is unknown, the messages of the panics must be equal apart from digits. The same
/// holds for the messages of errors that tests return. Other failures must have the same signal,
/// exit code or kind of verdict.
fn is_same_failure(a: &Verdict, b: &Verdict) -> bool {
    let words = |text: &str| -> String { text.chars().filter(|c| !c.is_ascii_digit()).collect() };
    match (a, b) {
        (
            Verdict::Panicked {
                location: Some(a), ..
            },
            Verdict::Panicked {
                location: Some(b), ..
            },
        ) => a == b,
        (Verdict::Panicked { message: a, .. }, Verdict::Panicked { message: b, .. })
        | (Verdict::Failed { message: a }, Verdict::Failed { message: b }) => words(a) == words(b),
        (Verdict::Killed { signal: a }, Verdict::Killed { signal: b }) => a == b,
        (Verdict::ExitedEarly { code: a }, Verdict::ExitedEarly { code: b }) => a == b,
        (a, b) => a.is_failure() && a.kind() == b.kind(),
    }
}

/// Describes the remaining faults: `fails with 1 of 14 faults: bit 3 of byte 118 of model.onnx
/// flipped after "the second request"`.
fn describe(record: &Record, all: usize) -> String {
    let noun = if all == 1 { "fault" } else { "faults" };
    if record.faults.is_empty() {
        return format!("fails with 0 of {all} {noun}: they are not the cause");
    }
    let faults: Vec<String> = record
        .faults
        .iter()
        .map(|fault| match note_before(record, fault) {
            Some(note) => format!("{} after \"{note}\"", fault.description),
            None => fault.description.clone(),
        })
        .collect();
    format!(
        "fails with {} of {all} {noun}: {}",
        faults.len(),
        faults.join("; ")
    )
}

/// Returns the test's last note before this fault.
fn note_before<'a>(record: &'a Record, fault: &PlannedFault) -> Option<&'a str> {
    let mut last = None;
    for event in &record.timeline {
        match &event.kind {
            EventKind::Note { text } => last = Some(text.as_str()),
            EventKind::FaultInjected { fault: other } if other.id == fault.id => break,
            _ => {}
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_same_failure_compares_location_or_message_without_digits() {
        let panicked = |message: &str, location: Option<&str>| Verdict::Panicked {
            message: message.to_owned(),
            location: location.map(str::to_owned),
        };
        let failed = |message: &str| Verdict::Failed {
            message: message.to_owned(),
        };
        assert!(is_same_failure(
            &panicked("x", Some("a:1:1")),
            &panicked("y", Some("a:1:1"))
        ));
        assert!(!is_same_failure(
            &panicked("x", Some("a:1:1")),
            &panicked("x", Some("a:2:1"))
        ));
        assert!(is_same_failure(&failed("at byte 12"), &failed("at byte 7")));
        assert!(!is_same_failure(
            &failed("at byte 12"),
            &failed("at bit 12")
        ));
        assert!(!is_same_failure(&failed("x"), &panicked("x", None)));
        assert!(!is_same_failure(&Verdict::Passed, &Verdict::Passed));
    }

    #[test]
    fn collect_finds_each_number_with_its_pointer() {
        let mut found = Vec::new();
        let plan = serde_json::json!({"a": 1, "b": {"c/d": [2, "x", -3]}, "e": 0.5});
        collect(&plan, String::new(), &mut found);
        assert_eq!(found, [("/a".to_owned(), 1), ("/b/c~1d/0".to_owned(), 2)]);
        assert!(
            found
                .iter()
                .all(|(pointer, _)| plan.pointer(pointer).is_some())
        );
    }
}
