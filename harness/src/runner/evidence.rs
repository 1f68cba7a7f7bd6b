//! Collects the evidence of a case that has ended, and completes the case's record with this
//! evidence.

use crate::data::duration::microseconds;
use crate::data::exit_status::ExitStatus;
use crate::data::process_report::ProcessReport;
use crate::registration::NON_DESTRUCTIVE;
use crate::runner::verdict;
use clarity_chaos_record::{CapturedOutput, Event, EventKind, Record, SeenOracle, Verdict};
use std::io;
use std::time::Duration;

/// The length of the output's last part, in bytes. Only this part is searched for messages of
/// Rust's standard library.
const OUTPUT_END: usize = 16 * 1024;

/// The timeline, output and stray files of a case. Each part is read separately: after a crash,
/// some parts may be unreadable.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) timeline: io::Result<Vec<Event>>,
    /// The error with which the last write to the timeline failed. Events are missing then.
    pub(crate) unwritten: Option<io::Error>,
    /// The progress of the exploration that was running when the case ended.
    pub(crate) exploring: Option<String>,
    pub(crate) output: io::Result<CapturedOutput>,
    /// The reason why the output was not bounded on disk; `None` if it was.
    pub(crate) unbounded_output: Option<String>,
    pub(crate) stray_files: StrayFiles,
}

/// The files that a case left in its home directory or outside of its own directory.
#[derive(Debug)]
pub(crate) struct StrayFiles {
    pub(crate) names: io::Result<Vec<String>>,
    /// Whether the case may have changed anything outside of its own directory.
    pub(crate) touched: bool,
}

impl Evidence {
    /// Completes the record with this evidence and with `ended`, the report about the case's
    /// process. Decides the verdict. `limit` is the case's timeout.
    ///
    /// `lasting_threads` are prefixes of thread names. A thread whose name has such a prefix is not
    /// a leak.
    pub(crate) fn complete(
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
        if let Some(progress) = self.exploring {
            let at_us = record.timeline.last().map_or(0, |event| event.at_us);
            let exploring = EventKind::Exploring { progress };
            record
                .timeline
                .push(Event::new(at_us, "the runner", exploring));
        }
        if let Some(text) = self.unbounded_output {
            let at_us = record.timeline.last().map_or(0, |event| event.at_us);
            let note = EventKind::Note { text };
            record.timeline.push(Event::new(at_us, "the runner", note));
        }
        record.output = self.output.unwrap_or_default();
        add_events(record);
        record.oracles = SeenOracle::all_on(&record.timeline);
        if let Ok(ending) = &ended {
            add_ending(record, ending);
        }
        record
            .leaks
            .files
            .extend(self.stray_files.names.into_iter().flatten());
        excuse_leaks(record, lasting_threads);
        record.verdict = match (&ended, unreadable.into_iter().flatten().next()) {
            (Err(error), _) => Verdict::Lost {
                error: error.to_string(),
            },
            (Ok(_), Some(error)) => Verdict::Lost {
                error: format!("failed to read the timeline or output of the test: {error}"),
            },
            // Without the missing events, a timeout or a signal is still certain, but no other
            // verdict is.
            (Ok(ending), None)
                if self.unwritten.is_some()
                    && ending.stop_reason.is_none()
                    && matches!(ending.exit_status, ExitStatus::Code(_)) =>
            {
                let error = self.unwritten.map(|error| error.to_string());
                Verdict::Lost {
                    error: error.unwrap_or_default(),
                }
            }
            (Ok(ending), None) => verdict::decide(
                &record.timeline,
                ending,
                limit,
                record.output.tail(OUTPUT_END),
                record
                    .tags
                    .iter()
                    .any(|tag| tag == NON_DESTRUCTIVE)
                    .then_some(&record.leaks),
            ),
        };
    }
}

/// Adds the times during which the run was stopped to the record's timeline. Each suspension is the
/// time since the start of the case, and the duration.
pub(crate) fn add_suspensions(record: &mut Record, suspensions: Vec<(Duration, Duration)>) {
    for (start, took) in suspensions {
        let at_us = microseconds(start);
        let place = record
            .timeline
            .partition_point(|event| event.at_us <= at_us);
        let suspended = EventKind::Suspended {
            duration_us: microseconds(took),
        };
        let event = Event::new(at_us, "the runner", suspended);
        record.timeline.insert(place, event);
    }
}

/// Copies the supervisor's report to the record.
fn add_ending(record: &mut Record, ending: &ProcessReport) {
    record.duration_us = microseconds(ending.duration);
    record.isolation = ending.isolation;
    record.hung_threads.clone_from(&ending.hung_threads);
    record.leaks.processes.clone_from(&ending.leaked_processes);
    record.leaks.files.clone_from(&ending.leaked_files);
    let resources = &mut record.resources;
    resources.cpu_us = ending.usage.cpu_us.or(resources.cpu_us);
    resources.peak_memory_bytes = ending.usage.peak_memory_bytes;
}

/// Marks leaks in the record as allowed. These are the leaks that the test declared, and threads
/// whose names start with one of `lasting_threads`.
fn excuse_leaks(record: &mut Record, lasting_threads: &[String]) {
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
        allowed.iter().any(|pattern| line.contains(pattern)) || thread.is_some_and(is_lasting)
    });
}

/// Copies the faults, leaks and CPU time from the record's timeline to other fields of the record.
fn add_events(record: &mut Record) {
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
