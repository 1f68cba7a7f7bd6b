//! Compares two runs of a case with the same seed.
//!
//! The comparison covers the failure or success of the case, the planned faults, and each thread's
//! sequence of events. It includes virtual times. It excludes real times, and the order of events
//! in different threads, because the operating system decides both.

use clarity_chaos_record::{ClockKind, Event, EventKind, Record};
use std::collections::BTreeMap;
use std::path::Path;

/// Describes the first difference between two runs, with the values of both runs. Returns `None` if
/// there is no difference. The directories of both runs are below `run`.
pub(crate) fn difference(first: &Record, second: &Record, run: &Path) -> Option<String> {
    if first.verdict.is_failure() != second.verdict.is_failure() {
        let [first, second] = [first, second].map(|record| record.verdict.to_string());
        return Some(describe("the verdict", &first, &second));
    }
    let run = run.display().to_string();
    let events = |record: &Record| -> Vec<(String, String)> {
        let timeline = record.timeline.iter();
        timeline
            .filter_map(|event| {
                Some((
                    event.thread.clone(),
                    comparable_text(event, record.clock, &run)?,
                ))
            })
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
            return Some(describe(&place, text, other));
        }
    }
    rest.into_iter().find_map(|(thread, mut rest)| {
        let text = rest.pop()?;
        let count = counts.get(thread).copied().unwrap_or_default() + 1;
        let place = format!("event {count} of thread '{thread}'");
        Some(describe(&place, nothing, text))
    })
}

fn describe(what: &str, first: &str, second: &str) -> String {
    format!("{what} differs; first run: {first}; second run: {second}")
}

/// Formats an event without the parts that may differ between two runs of a deterministic test.
/// Returns `None` if the whole event may differ.
fn comparable_text(event: &Event, clock: ClockKind, run: &str) -> Option<String> {
    let mut kind = event.kind.clone();
    match &mut kind {
        EventKind::Finished { cpu_us, .. } => *cpu_us = None,
        // Threads of the explored operation may race, so the order of calls may differ.
        EventKind::Explored { calls, took_us, .. } => {
            calls.clear();
            *took_us = 0;
        }
        // Faults are numbered in the order of injection. The order may differ, because several
        // threads may inject faults.
        EventKind::FaultInjected { fault } => fault.id = 0,
        EventKind::FaultUndone { fault_id, .. } => *fault_id = 0,
        // Leaks contain descriptor numbers, which may differ. The verdict already covers leaks.
        EventKind::Leaked { .. }
        | EventKind::TerminationRequested
        | EventKind::Measured { .. }
        | EventKind::Mark { .. }
        // Whether bytes of a peer are there already depends on real time.
        | EventKind::AutoAdvanced { .. }
        | EventKind::Blocked { .. }
        | EventKind::Suspended { .. } => return None,
        _ => {}
    }
    let mut text = serde_json::to_string(&kind).ok()?;
    if let (Some(virtual_us), false) = (event.virtual_us, clock == ClockKind::Real) {
        text.push_str(&format!(" at virtual +{virtual_us} µs"));
    }
    Some(without_worker_dirs(&text, run))
}

/// Removes the directories of the run and of the worker from paths in `text`: `RUN/3/work/c`
/// becomes `…/c`.
fn without_worker_dirs(text: &str, run: &str) -> String {
    const WORK: &str = "/work/";
    let mut parts = text.split(run);
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        clean.push('…');
        match part.find(WORK) {
            Some(start) => clean.push_str(&part[start + WORK.len() - 1..]),
            None => clean.push_str(part),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_different_workers_become_equal() {
        let clean = |text| without_worker_dirs(text, "/tmp/run");
        assert_eq!(
            clean("a /tmp/run/3/work/c/dir b"),
            clean("a /tmp/run/12/work/c/dir b")
        );
        assert_ne!(clean("/tmp/run/3/work/c"), clean("/tmp/run/3/work/t"));
        assert_eq!(clean("/tmp/else"), "/tmp/else");
    }
}
