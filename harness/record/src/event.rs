//! The events of a test's timeline, as one JSON line each.

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
    /// The name of the thread that it happened on.
    pub thread: String,
    /// EventKind happened.
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

/// EventKind an [`Event`] tells. In JSON the variant's name stands in `event`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// The test's body is about to run.
    Started,
    /// The test said something: `Context::note`.
    Note {
        /// Its words.
        text: String,
    },
    /// The test said what may differ from run to run: `Context::measured`.
    Measured {
        /// Its words.
        text: String,
    },
    /// Something to be drawn beside others of its kind: `Context::mark`.
    Mark {
        /// EventKind kind of thing it is.
        lane: String,
        /// EventKind it was.
        label: String,
    },
    /// A `tracing` event of the code under test.
    Log {
        /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
        level: String,
        /// The module that it came from, unless the event names another target.
        target: String,
        /// The text of the event.
        message: String,
        /// All its other fields, as text.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, String>,
    },
    /// A fault took effect.
    FaultInjected {
        /// The row of the plan.
        fault: PlannedFault,
    },
    /// A fault was drawn, and left out: the minimiser tries whether the case fails without it.
    FaultLeftOut {
        /// The row that the plan would have had.
        fault: PlannedFault,
    },
    /// A fault was undone.
    FaultUndone {
        /// The number of its row in the plan.
        id: usize,
        /// How that went.
        result: UndoOutcome,
    },
    /// An oracle was reached for the first time, or for the first time with this result.
    OracleReached {
        /// Which.
        #[serde(flatten)]
        oracle: OracleId,
        /// Whether what it demands was so.
        holds: bool,
    },
    /// An exploration came to its end: it was at every point, or at one the invariant broke.
    Explored {
        /// How many calls of the operation concern its directory.
        calls: usize,
        /// How many points of it were tried.
        points: usize,
        /// How many states after a loss of power were tried.
        states: usize,
        /// These calls, in order: no more than the first 2,000.
        #[serde(default)]
        each: Vec<ExploredCall>,
    },
    /// A virtual clock was moved by the test.
    ClockAdvanced {
        /// By how much, in microseconds.
        by_us: u64,
    },
    /// The body of an async test under a virtual clock kept the only thread of its runtime waiting for something other than a task: a sleep, a socket or a lock of
    /// the standard library. Noted from a tenth of a second on.
    Blocked {
        /// How long, in microseconds of real time.
        for_us: u64,
    },
    /// Some thread panicked.
    Panicked {
        /// The panic's message.
        message: String,
        /// `file:line:column`, where known.
        location: Option<String>,
        /// Whether the test had declared it with `expect_panic` or `allow_panic`.
        expected: bool,
    },
    /// The test asked to be skipped.
    Skipped {
        /// Why.
        reason: String,
    },
    /// The test said that it may leave something behind: `Context::allow_leak`.
    LeakAllowed {
        /// Part of how that is told.
        what: String,
    },
    /// The process was asked to end: the test's time was up, or the run was interrupted. Faults are undone next.
    AskedToEnd,
    /// The body ended, and these of the test's own process were still there.
    LeftBehind {
        /// The names of threads.
        threads: Vec<String>,
        /// The numbers of descriptors, each with what it is open on.
        descriptors: Vec<String>,
    },
    /// The body ended, and everything the harness holds for it was released. A process that ends without this event did not pass.
    Finished {
        /// How it ended.
        end: BodyEnd,
        /// CPU time of the whole process, in microseconds, where the system tells.
        cpu_us: Option<u64>,
        /// How many notes, marks and logs are not on the timeline, since there were more than 100,000.
        #[serde(default)]
        omitted: usize,
    },
    /// An event that this version does not know: the record is of a later one.
    #[serde(other)]
    Unknown,
}

/// A call of an explored operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExploredCall {
    /// EventKind it does: `write of draft`.
    pub call: String,
    /// How often the operation was cut off here, or this call failed.
    pub points: usize,
    /// Whether it is no point: to die here leaves what dying before leaves, or the call cannot give the errors that were asked for. Without that and without points
    /// the exploration ended before it.
    pub is_spared: bool,
    /// Whether the invariant broke here: when the process died in the place of the call, when it failed, or when the power did and this was not on the disk.
    pub broke: bool,
}

impl ExploredCall {
    /// A call at which nothing was tried yet.
    #[must_use]
    pub fn new(call: impl Into<String>) -> Self {
        Self {
            call: call.into(),
            points: 0,
            is_spared: false,
            broke: false,
        }
    }
}

/// How the body of a test ended, as its own process saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
#[non_exhaustive]
pub enum BodyEnd {
    /// It returned, and nothing was amiss.
    Returned,
    /// It returned an error, or something that it declared did not hold.
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
    /// It returned, but there were panics that it had not declared, on other threads or caught on its own.
    PanickedElsewhere {
        /// One line for each.
        panics: Vec<String>,
    },
    /// It asked to be skipped.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// Reads a timeline back. A last line that a dying process left unfinished is dropped; one that died before it had a timeline has an empty one.
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
