//! From what a case left in its folder to its record and its verdict.

use crate::case::CaseDir;
use crate::duration::microseconds;
use crate::ending::Ending;
use crate::output;
use crate::record::{Record, Resources};
use crate::registration::NON_DESTRUCTIVE;
use crate::timeline::{self, What};
use crate::verdict::{Verdict, judge};
use std::io;
use std::time::Duration;

/// How much of the end of the output is searched for the runtime's last words.
const LAST_WORDS: usize = 16 * 1024;

/// Adds to the record what its case left and how its process `ended`, and concludes; `limit` is the time that it had.
pub(crate) fn conclude(
    record: &mut Record,
    case: &CaseDir,
    ended: io::Result<Ending>,
    limit: Duration,
) {
    // Each on its own: of a case that went wrong, whatever can be read is evidence.
    let timeline = timeline::read(&case.timeline());
    let output = output::read(&case.output());
    let unreadable = [
        timeline.as_ref().err().map(ToString::to_string),
        output.as_ref().err().map(ToString::to_string),
    ];
    record.timeline = timeline.unwrap_or_default();
    record.output = output.unwrap_or_default();
    collect(record);
    record.verdict = match (&ended, unreadable.into_iter().flatten().next()) {
        (Err(error), _) => Verdict::Lost {
            error: error.to_string(),
        },
        (Ok(_), Some(error)) => Verdict::Lost {
            error: format!("failed to read back what the test left: {error}"),
        },
        (Ok(ending), None) => judge(
            &record.timeline,
            ending,
            limit,
            output::end_of(&record.output.text, LAST_WORDS),
            !record.tags.iter().any(|tag| tag == NON_DESTRUCTIVE),
        ),
    };
    if let Ok(ending) = ended {
        record.duration_us = microseconds(ending.duration);
        record.isolation = ending.isolation;
        record.leaks.processes = ending.left_behind;
    }
}

/// Gathers from the timeline what has a place of its own in the record.
fn collect(record: &mut Record) {
    for event in &record.timeline {
        match &event.what {
            What::FaultInjected { fault } => record.faults.push(fault.clone()),
            What::Finished {
                cpu_us,
                peak_memory_bytes,
                ..
            } => {
                record.resources = Resources {
                    cpu_us: *cpu_us,
                    peak_memory_bytes: *peak_memory_bytes,
                };
            }
            _ => {}
        }
    }
}
