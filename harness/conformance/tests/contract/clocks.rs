//! Real, paused and manual clocks.

use crate::suite;
use clarity_chaos::{EventKind, Record, Verdict};

const HOUR_US: u64 = 3_600_000_000;

fn record(test: &str) -> Record {
    suite().record_of(test)
}

#[test]
fn paused_clock_jumps_and_events_carry_both_times() {
    let record = record("clocks::paused");
    assert_eq!(record.verdict, Verdict::Passed, "{:?}", record.output);
    let mut events = record.timeline.iter();
    let note = events
        .find(|event| matches!(event.kind, EventKind::Note { .. }))
        .unwrap();
    assert!(note.virtual_us.unwrap() >= HOUR_US);
    assert!(note.at_us < HOUR_US);
}

#[test]
fn manual_clock_moves_on_request_and_timeline_records_it() {
    let record = record("clocks::manual");
    assert_eq!(record.verdict, Verdict::Passed, "{:?}", record.output);
    let by = |what: &EventKind| match what {
        EventKind::ClockAdvanced { by_us } => Some(*by_us),
        _ => None,
    };
    let advances: Vec<_> = record.timeline.iter().filter_map(|e| by(&e.kind)).collect();
    assert_eq!(advances, [HOUR_US]);
}

#[test]
fn real_clock_cannot_be_moved() {
    let Verdict::Panicked { message, location } = record("clocks::real").verdict else {
        panic!("real time was moved");
    };
    assert!(
        message.contains("declare #[chaos(clock = \"manual\")]"),
        "{message}"
    );
    assert!(
        location.unwrap().contains("clocks.rs:"),
        "the location is in the test"
    );
}

#[test]
fn endless_blocking_task_does_not_hold_the_test() {
    assert_eq!(record("clocks::blocked").verdict, Verdict::Passed);
}
