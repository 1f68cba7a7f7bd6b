//! From what a case left behind to its record and its verdict.

use crate::data::duration::microseconds;
use crate::data::process_report::ProcessReport;
use crate::registration::NON_DESTRUCTIVE;
use crate::runner::judge::judge;
use clarity_chaos_record::{CapturedOutput, Event, EventKind, Record, SeenOracle, Verdict};
use std::io;
use std::time::Duration;

/// How much of the end of the output is searched for the runtime's last words.
const LAST_WORDS: usize = 16 * 1024;

/// EventKind a case left behind.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) timeline: io::Result<Vec<Event>>,
    pub(crate) output: io::Result<CapturedOutput>,
    /// EventKind it left beside its own folder; none if it touched nothing there.
    pub(crate) left_beside: io::Result<Option<Vec<String>>>,
}

impl Evidence {
    /// Adds it to the record with how the case's process `ended`, and concludes; `limit` is the time that the case had.
    pub(crate) fn conclude(
        self,
        record: &mut Record,
        ended: io::Result<ProcessReport>,
        limit: Duration,
        lasting_threads: &[String],
    ) {
        let unreadable = [
            self.timeline.as_ref().err().map(ToString::to_string),
            self.output.as_ref().err().map(ToString::to_string),
        ];
        record.timeline = self.timeline.unwrap_or_default();
        record.output = self.output.unwrap_or_default();
        collect(record);
        record.oracles = SeenOracle::all_on(&record.timeline);
        if let Ok(ending) = &ended {
            add(record, ending);
        }
        let left = self.left_beside.into_iter().flatten().flatten();
        record.leaks.files.extend(left);
        excuse(record, lasting_threads);
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
                record.output.tail(LAST_WORDS),
                record
                    .tags
                    .iter()
                    .any(|tag| tag == NON_DESTRUCTIVE)
                    .then_some(&record.leaks),
            ),
        };
    }
}

/// EventKind the supervisor saw.
fn add(record: &mut Record, ending: &ProcessReport) {
    record.duration_us = microseconds(ending.duration);
    record.isolation = ending.isolation;
    record.hung_threads.clone_from(&ending.hung_threads);
    record.leaks.processes.clone_from(&ending.leaked_processes);
    record.leaks.files.clone_from(&ending.leaked_files);
    let resources = &mut record.resources;
    resources.cpu_us = ending.usage.cpu_us.or(resources.cpu_us);
    resources.peak_memory_bytes = ending.usage.peak_memory_bytes;
}

/// Sets aside the leaks that the test declared, and threads of pools that nobody can end.
fn excuse(record: &mut Record, lasting_threads: &[String]) {
    let allowed: Vec<&str> = record
        .timeline
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::LeakAllowed { pattern } => Some(pattern.as_str()),
            _ => None,
        })
        .collect();
    record.leaks.allow(|line| {
        let thread = line.strip_prefix("thread `");
        let is_lasting = |name: &str| {
            lasting_threads
                .iter()
                .any(|prefix| name.starts_with(prefix))
        };
        allowed.iter().any(|what| line.contains(what)) || thread.is_some_and(is_lasting)
    });
}

/// Gathers from the timeline what has a place of its own in the record.
fn collect(record: &mut Record) {
    for event in &record.timeline {
        match &event.kind {
            EventKind::FaultInjected { fault } => record.faults.push(fault.clone()),
            EventKind::Finished { cpu_us, .. } => record.resources.cpu_us = *cpu_us,
            EventKind::Leaked {
                threads,
                descriptors,
            } => {
                record.leaks.threads.clone_from(threads);
                record.leaks.descriptors.clone_from(descriptors);
            }
            _ => {}
        }
    }
}
