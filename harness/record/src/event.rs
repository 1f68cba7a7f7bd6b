//! The events of a test's timeline, one JSON line each.

use crate::fault_plan::{PlannedFault, UndoOutcome};
use crate::oracle::OracleId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;

/// One event of a test's timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// Real time since the test's process began, in microseconds.
    pub at_us: u64,
    /// Virtual time since the test began, in microseconds; absent under a real clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_us: Option<u64>,
    /// The name of the thread that the event happened on.
    pub thread: String,
    /// The kind of event, with its own fields.
    #[serde(flatten)]
    pub kind: EventKind,
}

impl Event {
    /// An event under a real clock.
    #[must_use]
    pub fn new(at_us: u64, thread: impl Into<String>, kind: EventKind) -> Self {
        Self {
            at_us,
            virtual_us: None,
            thread: thread.into(),
            kind,
        }
    }
}

/// The kind of an [`Event`]. In JSON the variant's name is the value of `event`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// The test's body is about to run.
    Started,
    /// The test called `Context::note`.
    Note {
        /// The text of the note.
        text: String,
    },
    /// The test called `Context::measured`: the text may differ between runs with one seed.
    Measured {
        /// The text of the measurement.
        text: String,
    },
    /// The test called `Context::mark`: reports draw the marks of a lane in one row.
    Mark {
        /// The name of the row.
        lane: String,
        /// The text at the mark.
        label: String,
    },
    /// A `tracing` event of the code under test.
    Log {
        /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
        level: String,
        /// The module that logged it, unless the event names another target.
        target: String,
        /// The text of the event.
        message: String,
        /// All other fields of the event, as text.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, String>,
    },
    /// A fault is about to take effect.
    FaultInjected {
        /// The row of the plan.
        fault: PlannedFault,
    },
    /// A fault was drawn and left out: the minimiser tries whether the case fails without it.
    FaultOmitted {
        /// The row that the plan would have had.
        fault: PlannedFault,
    },
    /// A fault was undone, or undoing it failed.
    FaultUndone {
        /// The fault's number in the plan.
        fault_id: usize,
        /// The result. In JSON `outcome` is its name, and its fields stand next to it.
        #[serde(flatten)]
        outcome: UndoOutcome,
    },
    /// An oracle was reached for the first time, or for the first time with this result.
    OracleReached {
        /// The oracle. In JSON its fields stand in the event itself.
        #[serde(flatten)]
        oracle: OracleId,
        /// Whether its condition was true.
        holds: bool,
    },
    /// An exploration ended: it tried every point, or the invariant broke at one.
    Explored {
        /// The number of calls of the operation that concern its directory.
        total_calls: usize,
        /// The number of points that were tried.
        points: usize,
        /// The number of states after a power loss that were tried.
        states: usize,
        /// The calls in order, at most the first 2,000.
        #[serde(default)]
        calls: Vec<ExploredCall>,
    },
    /// The test moved its virtual clock.
    ClockAdvanced {
        /// The distance, in microseconds.
        by_us: u64,
    },
    /// The body of an async test under a virtual clock blocked the only thread of its runtime: in
    /// a sleep, a socket or a lock of the standard library. Recorded from 100 ms on.
    Blocked {
        /// The time that it blocked, in microseconds of real time.
        duration_us: u64,
    },
    /// A thread panicked.
    Panicked {
        /// The panic's message.
        message: String,
        /// `file:line:column`, where known.
        location: Option<String>,
        /// Whether the test had declared the panic with `expect_panic` or `allow_panic`.
        expected: bool,
    },
    /// The test asked to be skipped.
    Skipped {
        /// The reason that it gave.
        reason: String,
    },
    /// The test called `Context::allow_leak`.
    LeakAllowed {
        /// A part of the line that describes the leak.
        pattern: String,
    },
    /// The process was asked to end: the test timed out, or the run was interrupted. Undoing
    /// faults comes next.
    TerminationRequested,
    /// The body ended and left resources open in the test's own process.
    Leaked {
        /// The names of running threads.
        threads: Vec<String>,
        /// The numbers of open descriptors, each with its target.
        descriptors: Vec<String>,
    },
    /// The body ended, and the harness released all resources that it held for the test. A process
    /// that ends without this event has not passed.
    Finished {
        /// The result of the body. In JSON `end` is its name, and its fields stand next to it.
        #[serde(flatten)]
        end: BodyEnd,
        /// CPU time of the whole process, in microseconds, where the system counts it.
        cpu_us: Option<u64>,
        /// The number of notes, marks and logs beyond the first 100,000, which are not recorded.
        #[serde(default)]
        omitted_events: usize,
    },
    /// An event of a later release, unknown to this one.
    #[serde(other)]
    Unknown,
}

/// A call of an explored operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExploredCall {
    /// The call with its target: `write of draft`.
    pub call: String,
    /// The number of times that the operation was cut off here, or that this call failed.
    pub points: usize,
    /// Whether the call is not a point. Dying here leaves the same state as dying before, or the
    /// call cannot return the requested errors. A call without points that is not exempt was not
    /// reached.
    pub exempt: bool,
    /// Whether the invariant broke here: after the process died in place of the call, after the
    /// call failed, or after a power loss that lost its effect.
    pub invariant_broken: bool,
}

impl ExploredCall {
    /// A call at which no point was tried yet.
    #[must_use]
    pub fn new(call: impl Into<String>) -> Self {
        Self {
            call: call.into(),
            points: 0,
            exempt: false,
            invariant_broken: false,
        }
    }
}

/// How the body of a test ended, as its own process saw it. In JSON the variant's name is the value
/// of `end`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
#[non_exhaustive]
pub enum BodyEnd {
    /// It returned without an error.
    Returned,
    /// It returned an error, or a condition that it declared did not hold.
    Failed {
        /// The error with its sources.
        message: String,
    },
    /// It panicked.
    Panicked {
        /// The panic's message.
        message: String,
        /// `file:line:column`, where known.
        location: Option<String>,
    },
    /// It returned, but panics that it had not declared happened on other threads, or were caught.
    PanickedElsewhere {
        /// One line for each.
        panics: Vec<String>,
    },
    /// It asked to be skipped.
    Skipped {
        /// The reason that it gave.
        reason: String,
    },
}

/// Reads a timeline of JSON lines. A last line that a dying process left unfinished is dropped, and
/// an empty file is an empty timeline.
///
/// # Errors
///
/// When the file cannot be read, or a line other than the last is not an event.
pub fn read_timeline(mut file: impl io::Read) -> io::Result<Vec<Event>> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let mut events = Vec::new();
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        match serde_json::from_slice(line) {
            Ok(event) => events.push(event),
            Err(_) if lines.peek().is_none() => break,
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
    Ok(events)
}
