//! Whether a case goes the same way twice.
//!
//! EventKind is compared is the verdict, the plan of faults, and for each thread the sequence of its events: which thread came first is the system's affair.
//! Real times are not compared, virtual ones are.

use clarity_chaos_record::{ClockKind, Event, EventKind, Record};
use std::collections::BTreeMap;
use std::path::Path;

/// EventKind differs first between two runs of a case with the same seed, whose folders are below `run`; told with both values.
pub(crate) fn difference(first: &Record, second: &Record, run: &Path) -> Option<String> {
    if first.verdict.is_failure() != second.verdict.is_failure() {
        let [first, second] = [first, second].map(|record| record.verdict.to_string());
        return Some(told("the verdict", &first, &second));
    }
    let run = run.display().to_string();
    let events = |record: &Record| -> Vec<(String, String)> {
        let timeline = record.timeline.iter();
        timeline
            .filter_map(|event| Some((event.thread.clone(), text(event, record.clock, &run)?)))
            .collect()
    };
    let (first, second) = (events(first), events(second));
    let nothing = "nothing more";
    let mut rest: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (thread, text) in second.iter().rev() {
        rest.entry(thread).or_default().push(text);
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (thread, text) in &first {
        let count = counts.entry(thread).or_default();
        *count += 1;
        let other = rest.get_mut(thread.as_str()).and_then(Vec::pop);
        let other = other.unwrap_or(nothing);
        if text != other {
            let place = format!("event {count} of thread '{thread}'");
            return Some(told(&place, text, other));
        }
    }
    rest.into_iter().find_map(|(thread, mut rest)| {
        let text = rest.pop()?;
        let count = counts.get(thread).copied().unwrap_or_default() + 1;
        let place = format!("event {count} of thread '{thread}'");
        Some(told(&place, nothing, text))
    })
}

fn told(what: &str, first: &str, second: &str) -> String {
    format!("{what} was at first: {first}; and then: {second}")
}

/// The event without what may differ; `None` when all of it may.
fn text(event: &Event, clock: ClockKind, run: &str) -> Option<String> {
    let mut what = event.kind.clone();
    match &mut what {
        EventKind::Finished { cpu_us, .. } => *cpu_us = None,
        // Threads of the operation may race.
        EventKind::Explored { calls, .. } => calls.clear(),
        // Numbers in the order of injection, in which threads may race.
        EventKind::FaultInjected { fault } => fault.id = 0,
        EventKind::FaultUndone { fault_id, .. } => *fault_id = 0,
        // Descriptors are told with the system's numbers for them, and are judged elsewhere.
        EventKind::Leaked { .. }
        | EventKind::TerminationRequested
        | EventKind::Measured { .. }
        | EventKind::Mark { .. }
        | EventKind::Blocked { .. } => return None,
        _ => {}
    }
    let mut text = serde_json::to_string(&what).ok()?;
    if let (Some(virtual_us), false) = (event.virtual_us, clock == ClockKind::Real) {
        text.push_str(&format!(" at virtual +{virtual_us} µs"));
    }
    Some(without_slots(&text, run))
}

/// The text with the same name for the folder of any slot: `RUN/3/work/NAME` becomes `…/NAME`.
fn without_slots(text: &str, run: &str) -> String {
    const WORK: &str = "/work/";
    let mut parts = text.split(run);
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        clean.push('…');
        match part.find(WORK) {
            Some(place) => clean.push_str(&part[place + WORK.len() - 1..]),
            None => clean.push_str(part),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_different_slots_have_the_same_name() {
        let clean = |text| without_slots(text, "/tmp/run");
        assert_eq!(
            clean("a /tmp/run/3/work/t/dir b"),
            clean("a /tmp/run/fresh/12/work/t/dir b")
        );
        assert_ne!(clean("/tmp/run/3/work/t"), clean("/tmp/run/3/work/u"));
        assert_eq!(clean("/tmp/else"), "/tmp/else");
    }
}
