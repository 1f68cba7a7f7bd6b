//! The fewest faults, and the simplest of each, that a case still fails with.
//!
//! Delta debugging (Zeller and Hildebrandt, *Simplifying and isolating failure-inducing input*, 2002) over the rows of the plan, and then a binary search
//! towards 0 for each number in what is left. Every attempt draws from the same seed: a row that is left out changes nothing about the others.

use crate::data::case::Keeping;
use crate::data::fault_selection::{FaultSelection, SelectedFault};
use crate::registration::TestCase;
use crate::runner::attempt::{Attempts, Variation};
use clarity_chaos_record::{EventKind, Minimized, PlannedFault, Record, Verdict};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Finds what the failure of this record takes, within about this time: a run that has begun is not cut short. `None` when there is nothing to search,
/// because the case did not fail of itself or had no faults.
pub(crate) fn minimize(
    attempts: &Attempts,
    test: &'static TestCase,
    record: &Record,
    within: Duration,
) -> Option<Minimized> {
    let verdict = &record.verdict;
    let is_ours = !matches!(
        verdict,
        Verdict::Lost { .. } | Verdict::Interrupted | Verdict::Nondeterministic { .. }
    );
    if record.faults.is_empty() || !verdict.is_failure() || !is_ours {
        return None;
    }
    let search = Search {
        attempts,
        test,
        record,
        deadline: Instant::now() + within,
        runs: 0,
        is_cut: false,
        best: record.clone(),
    };
    Some(search.run())
}

struct Search<'a> {
    attempts: &'a Attempts,
    test: &'static TestCase,
    record: &'a Record,
    deadline: Instant,
    runs: u64,
    /// Whether the time was over before the search was.
    is_cut: bool,
    /// The record of the simplest run that failed so far.
    best: Record,
}

impl Search<'_> {
    fn run(mut self) -> Minimized {
        let all: Vec<SelectedFault> = self.record.faults.iter().map(kept).collect();
        if !self.fails_with(&all) {
            let description = if self.is_cut {
                "no time was left to run it again".to_owned()
            } else {
                "did not fail in the same way again: it depends on more than its seed".to_owned()
            };
            return self.concluded(description);
        }
        let mut faults = if self.fails_with(&[]) {
            Vec::new()
        } else {
            self.fewest(all)
        };
        self.simplest(&mut faults);
        let mut description = tell(&self.best, self.record.faults.len());
        if self.is_cut {
            description
                .push_str(" (the time for the search was over: fewer or simpler ones may do)");
        }
        self.concluded(description)
    }

    fn concluded(self, description: String) -> Minimized {
        let all = self.record.faults.len();
        let mut minimized = Minimized::new(description, self.best.faults, all, self.runs);
        minimized.complete = !self.is_cut;
        minimized
    }

    /// A part of these faults that fails, and none of which can be left out.
    fn fewest(&mut self, mut faults: Vec<SelectedFault>) -> Vec<SelectedFault> {
        let mut parts = 2;
        while faults.len() >= 2 {
            let size = faults.len().div_ceil(parts);
            let places: Vec<_> = (0..faults.len()).step_by(size).collect();
            let subset = |from: usize| faults[from..(from + size).min(faults.len())].to_vec();
            let complement = |from: usize| {
                let (before, rest) = faults.split_at(from);
                let after = &rest[size.min(rest.len())..];
                [before, after].concat()
            };
            let found = (places.iter().map(|from| (subset(*from), 2)))
                .chain(
                    places
                        .iter()
                        .map(|from| (complement(*from), (parts - 1).max(2))),
                )
                .find(|(some, _)| {
                    !some.is_empty() && some.len() < faults.len() && self.fails_with(some)
                });
            match found {
                Some((fewer, next)) => (faults, parts) = (fewer, next),
                None if self.is_cut || parts >= faults.len() => break,
                None => parts = (2 * parts).min(faults.len()),
            }
        }
        faults
    }

    /// Brings each number of these faults as near to 0 as it still fails.
    fn simplest(&mut self, faults: &mut Vec<SelectedFault>) {
        for place in 0..faults.len() {
            for (pointer, drawn) in numbers(self.record, &faults[place]) {
                // EventKind fails, and below it what does not.
                let (mut fails, mut passes) = (drawn, None);
                while fails > 0 && passes.is_none_or(|passes| fails - passes > 1) {
                    let middle = passes.map_or(0, |passes| passes + (fails - passes) / 2);
                    let mut simpler = faults.clone();
                    set(&mut simpler[place].replaced, &pointer, middle);
                    if self.fails_with(&simpler) {
                        *faults = simpler;
                        fails = middle;
                    } else if self.is_cut {
                        return;
                    } else {
                        passes = Some(middle);
                    }
                }
            }
        }
    }

    /// Whether the case fails as it did, with these faults alone. Once the time is over nothing does.
    fn fails_with(&mut self, faults: &[SelectedFault]) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let limit = Duration::from_millis(self.record.timeout_ms);
        // EventKind timed out takes all of its time to do it again.
        let needed = match self.record.verdict {
            Verdict::TimedOut { .. } => limit,
            _ => Duration::from_millis(1),
        };
        if self.is_cut || left < needed || self.attempts.slots.are_interrupted() {
            self.is_cut = true;
            return false;
        }
        self.runs += 1;
        let variation = Variation {
            keeping: Keeping::Nothing,
            is_quiet: true,
            timeout: Some(limit.min(left.max(needed))),
            restriction: Some(FaultSelection {
                faults: faults.to_vec(),
            }),
            ..Variation::of(self.record.root_seed)
        };
        let (again, _cleaned) = self.attempts.make(self.test, &variation);
        let fails = is_same(&again.verdict, &self.record.verdict);
        if fails {
            self.best = again;
        }
        fails
    }
}

/// The fault as it was drawn.
fn kept(fault: &PlannedFault) -> SelectedFault {
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

/// The numbers that were drawn for this fault, each with its place.
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
            for (place, item) in items.iter().enumerate() {
                collect(item, format!("{pointer}/{place}"), found);
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

/// Whether two cases failed in the same way: at the same place, or with the same words but for numbers.
fn is_same(a: &Verdict, b: &Verdict) -> bool {
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

/// `fails with 1 of 14 faults: bit 3 of byte 118 of model.onnx flipped after "the second request"`.
fn tell(record: &Record, all: usize) -> String {
    let noun = if all == 1 { "fault" } else { "faults" };
    if record.faults.is_empty() {
        return format!("fails with 0 of {all} {noun}: they are not the cause");
    }
    let told: Vec<String> = record
        .faults
        .iter()
        .map(|fault| match note_before(record, fault) {
            Some(note) => format!("{} after \"{note}\"", fault.description),
            None => fault.description.clone(),
        })
        .collect();
    format!(
        "fails with {} of {all} {noun}: {}",
        told.len(),
        told.join("; ")
    )
}

/// EventKind the test said last before this fault.
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
    fn failures_are_the_same_by_place_and_else_by_words_without_numbers() {
        let panicked = |message: &str, location: Option<&str>| Verdict::Panicked {
            message: message.to_owned(),
            location: location.map(str::to_owned),
        };
        let failed = |message: &str| Verdict::Failed {
            message: message.to_owned(),
        };
        assert!(is_same(
            &panicked("x", Some("a:1:1")),
            &panicked("y", Some("a:1:1"))
        ));
        assert!(!is_same(
            &panicked("x", Some("a:1:1")),
            &panicked("x", Some("a:2:1"))
        ));
        assert!(is_same(&failed("at byte 12"), &failed("at byte 7")));
        assert!(!is_same(&failed("at byte 12"), &failed("at bit 12")));
        assert!(!is_same(&failed("x"), &panicked("x", None)));
        assert!(!is_same(&Verdict::Passed, &Verdict::Passed));
    }

    #[test]
    fn all_numbers_of_a_plan_are_found_by_their_places() {
        let mut found = Vec::new();
        let plan = serde_json::json!({"a": 1, "b": {"c/d": [2, "x", -3]}, "e": 0.5});
        collect(&plan, String::new(), &mut found);
        assert_eq!(found, [("/a".to_owned(), 1), ("/b/c~1d/0".to_owned(), 2)]);
        assert!(found.iter().all(|(place, _)| plan.pointer(place).is_some()));
    }
}
