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
    /// The real time since the start of the test's process, in microseconds.
    pub at_us: u64,
    /// The virtual time since the start of the test, in microseconds. Absent under a real clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_us: Option<u64>,
    /// The name of the thread on which the event happened.
    pub thread: String,
    /// The kind of the event, with the fields of this kind.
    #[serde(flatten)]
    pub kind: EventKind,
}

impl Event {
    /// Creates an event under a real clock.
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
    /// The test called `Context::measured`. The text may differ between runs with the same seed.
    Measured {
        /// The text of the measurement.
        text: String,
    },
    /// The test called `Context::mark`. Reports draw the marks of a lane in one row.
    Mark {
        /// The name of the lane.
        lane: String,
        /// The text of the mark.
        label: String,
    },
    /// A `tracing` event of the code under test.
    Log {
        /// The level: `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
        level: String,
        /// The target of the event: by default the module that logged the event.
        target: String,
        /// The message of the event.
        message: String,
        /// All other fields of the event, as text.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, String>,
    },
    /// A fault is about to take effect.
    FaultInjected {
        /// The fault's row in the plan.
        fault: PlannedFault,
    },
    /// A fault was drawn but not injected: the minimiser checks whether the case fails without this
    /// fault.
    FaultOmitted {
        /// The row that the fault would have in the plan.
        fault: PlannedFault,
    },
    /// The harness undid a fault, or tried to. `outcome` tells the result.
    FaultUndone {
        /// The fault's number in the plan: `PlannedFault::id`.
        fault_id: usize,
        /// The result of undoing the fault. In JSON the variant's name is the value of `outcome`,
        /// and the variant's fields stand next to `outcome`.
        #[serde(flatten)]
        outcome: UndoOutcome,
    },
    /// An oracle was reached with the result `holds` for the first time.
    OracleReached {
        /// The oracle. In JSON the oracle's fields stand in the event itself.
        #[serde(flatten)]
        oracle: OracleId,
        /// Whether the oracle's condition was true.
        holds: bool,
    },
    /// An exploration ended: every point was tried, or the invariant broke at a point.
    Explored {
        /// The number of the operation's system calls that concern the operation's directory.
        total_calls: usize,
        /// The number of points that were tried. At each point, the process died or a call failed.
        points: usize,
        /// The number of directory states that were tried, each the result of a power loss.
        states: usize,
        /// The model of a power loss: `posix`, `journaled` or `ext4_ordered`. Absent if no power
        /// losses were tried.
        #[serde(default)]
        power_loss: Option<String>,
        /// Whether all states were tried that the model allows.
        #[serde(default)]
        all_states: bool,
        /// About how many states the model allows. [`u64::MAX`] for more.
        #[serde(default)]
        possible_states: u64,
        /// The number of directory contents that were tried after a crash during recovery.
        #[serde(default)]
        recoveries: usize,
        /// The duration of the exploration, in microseconds of real time.
        #[serde(default)]
        took_us: u64,
        /// Whether several threads or processes made the operation's calls. Their order does not
        /// depend on the seed.
        #[serde(default)]
        several_threads: bool,
        /// A state in which the invariant would break under `posix`, although it holds under the
        /// model. Absent if no such state was found.
        #[serde(default)]
        breaks_under_posix: Option<String>,
        /// The operation's calls in order, at most the first 2,000.
        #[serde(default)]
        calls: Vec<ExploredCall>,
    },
    /// The exploration that was running when the test's process was ended.
    Exploring {
        /// How far the exploration was, such as `after 231 of about 900 points, at call 17 of 40`.
        progress: String,
    },
    /// The test moved its virtual clock.
    ClockAdvanced {
        /// The added virtual time, in microseconds.
        by_us: u64,
    },
    /// The test stopped its wall clock, which follows the manual clock from then on.
    WallClockFollows {
        /// The time of the wall clock, in the format of RFC 3339.
        start: String,
    },
    /// The paused clock advanced by itself while sockets were registered in the test's Tokio
    /// runtime. Recorded for the first such advance, and for the first one with unread bytes.
    AutoAdvanced {
        /// The added virtual time, in microseconds. Tokio can reach a timer in several steps; this
        /// is one step.
        by_us: u64,
        /// The number of sockets in the runtime.
        sockets: usize,
        /// The socket with the most unread bytes, such as `socket:[7], unix, unnamed`. Absent if
        /// no socket had any.
        socket: Option<String>,
        /// The number of unread bytes of `socket`. Of a datagram socket, those of the next
        /// datagram.
        unread_bytes: u64,
    },
    /// The body of an async test under a virtual clock blocked the only thread of its Tokio
    /// runtime. Sleeps, sockets and locks of the standard library block in this way. A block
    /// shorter than 100 ms is not recorded.
    Blocked {
        /// The duration of the block, in microseconds of real time.
        duration_us: u64,
    },
    /// Ctrl-Z stopped the run and the test. The test's time limit stood still. Real clocks went on,
    /// and so did deadlines inside of the test.
    Suspended {
        /// The duration of the stop, in microseconds of real time.
        duration_us: u64,
    },
    /// A thread panicked.
    Panicked {
        /// The panic's message.
        message: String,
        /// The place of the panic as `file:line:column`. Absent where unknown.
        location: Option<String>,
        /// Whether the test had declared the panic with `expect_panic` or `allow_panic`.
        expected: bool,
    },
    /// The test asked to be skipped.
    Skipped {
        /// The reason that the test gave.
        reason: String,
    },
    /// The test called `Context::allow_leak`.
    LeakAllowed {
        /// The pattern: a part of the line that describes an allowed leak.
        pattern: String,
    },
    /// The test's process was asked to end: the test timed out, or the run was interrupted. The
    /// process then undoes faults.
    TerminationRequested,
    /// The test's body ended and left resources open in the test's own process.
    Leaked {
        /// The names of threads that still ran.
        threads: Vec<String>,
        /// The numbers of descriptors that were still open, each with the descriptor's target.
        descriptors: Vec<String>,
    },
    /// The test's body ended, and the harness released all resources that it held for the test. A
    /// test whose process ends without this event does not pass.
    Finished {
        /// The result of the body. In JSON the variant's name is the value of `end`, and the
        /// variant's fields stand next to `end`.
        #[serde(flatten)]
        end: BodyEnd,
        /// The CPU time of the whole process, in microseconds. Absent if the system does not count
        /// CPU time.
        cpu_us: Option<u64>,
        /// The number of notes, marks and logs that were not recorded: those after the first
        /// 100,000.
        #[serde(default)]
        omitted_events: usize,
    },
    /// An event that this release does not know: a later release wrote it.
    #[serde(other)]
    Unknown,
}

/// A system call of an explored operation, with the results of its points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExploredCall {
    /// The call with its target, such as `write of draft`.
    pub call: String,
    /// The number of tried points at this call. At a point, the process died or the call failed.
    pub points: usize,
    /// Whether the exploration skips the call. An exempt call leaves no new state after a crash, or
    /// cannot return the requested errors. If a call has no points and is not exempt, the
    /// exploration did not reach the call.
    pub exempt: bool,
    /// Whether the invariant broke at a point of this call, or after a power loss that undid the
    /// call's effect.
    pub invariant_broken: bool,
}

impl ExploredCall {
    /// Creates a call at which no point was tried yet.
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

/// The way in which a test's body ended, as the test's own process recorded it. In JSON the
/// variant's name is the value of `end`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
#[non_exhaustive]
pub enum BodyEnd {
    /// The body returned without an error.
    Returned,
    /// The body returned an error, or another condition of a passed test was not met. For example,
    /// a declared panic did not happen, or a fault stayed in effect.
    Failed {
        /// The error, followed by its sources.
        message: String,
    },
    /// The body panicked.
    Panicked {
        /// The panic's message.
        message: String,
        /// The place of the panic as `file:line:column`. Absent where unknown.
        location: Option<String>,
    },
    /// The body returned, but an undeclared panic happened. Another thread or task panicked, or the
    /// code under test caught a panic.
    PanickedElsewhere {
        /// One line for each undeclared panic.
        panics: Vec<String>,
    },
    /// The test asked to be skipped.
    Skipped {
        /// The reason that the test gave.
        reason: String,
    },
}

/// Reads a timeline from a file of JSON lines. An empty file is an empty timeline.
///
/// A last line that is not an event is dropped: the process can die while writing that line.
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
